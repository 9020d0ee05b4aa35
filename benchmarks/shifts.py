"""What a shift costs: 9 magnitudes x 50 episodes x 3 policies against as many unshifted episodes.

Whole evaluations with one worker, the try-outs before the first episode included; episodes of fixed
length, so that both sides take the same number of steps. Interleaved rounds; medians of the ratio.
"""

from __future__ import annotations

import os
import statistics
import tempfile
import time
import warnings
from collections.abc import Sequence
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"
warnings.filterwarnings("ignore")

import gymnasium
from rl_lab_agents import sb3

from rl_lab import freezing, frozen_policy, shifts
from rl_lab.agent import Training
from rl_lab.cli import shift_choice
from rl_lab.cli.options import Options
from rl_lab.environments import EnvironmentRecipe
from rl_lab.evaluation import plan, runner
from rl_lab.evaluation.plan import Entrant
from rl_lab.shifts import Context

ROUNDS = 3
LEVELS = 9
# Environment, shift, episodes per magnitude: fewer where an episode is long.
CASES = (
    ("Pendulum-v1", "longer_rod", 50),
    ("Pendulum-v1", "any/action_delay", 50),
    ("Pendulum-v1", "any/observation_noise", 50),
    ("HalfCheetah-v5", "mujoco/heavier_body", 5),
)


def entrants(environment: str, folder: Path) -> list[Entrant]:
    """Three untrained policies."""
    training = Training(
        1, 1, False, False, 1, 0, 1, None, None, False, "sync", (), None, True, "cpu", False, ()
    )
    recipe = EnvironmentRecipe(environment, {}, (), None)
    made = []
    for seed in range(3):
        agent = sb3.make(
            lambda: gymnasium.make(environment),
            training,
            seed,
            algorithm="stable_baselines3.PPO",
            policy="MlpPolicy",
        )
        facts = {
            "agent": "ppo",
            "training_seed": seed,
            "steps": 0,
            "recipe_hash": "",
            "environment": recipe.to_data(),
            "anchors": None,
            "provenance": {},
        }
        policy = freezing.freeze(agent.policy(), facts)
        place = folder / str(seed)
        frozen_policy.save(policy, place)
        made.append(Entrant("ppo", seed, place, policy.card, None))
    return made


def seconds(
    who: Sequence[Entrant],
    nominal: Sequence[int],
    contexts: Sequence[tuple[Context, Sequence[int]]],
    folder: Path,
) -> float:
    """Wall time of one evaluation."""
    settings = runner.Settings(1, 1_000, 60.0, ())
    start = time.perf_counter()
    _, failures = runner.run(plan.tasks(who, nominal, contexts), who, folder, settings)
    if failures:
        raise SystemExit(f"{len(failures)} policies failed: {failures[0]}")
    return time.perf_counter() - start


def case(environment: str, name: str, episodes: int) -> None:
    """Measure one shift and print its line."""
    (shift,) = shift_choice.declared(name, environment, Options(), "shift")
    seeds = list(range(episodes))
    levels = [shifts.shifted(shift, level / (LEVELS - 1)) for level in range(1, LEVELS)]
    with tempfile.TemporaryDirectory() as place:
        who = entrants(environment, Path(place))
        ratios, times = [], []
        for turn in range(ROUNDS):
            folder = Path(place) / f"round {turn}"
            still = seconds(who, range(LEVELS * episodes), (), folder / "still")
            moved = seconds(who, seeds, [(level, seeds) for level in levels], folder / "moved")
            ratios.append(moved / still)
            times.append(still)
    words = f"{LEVELS} x {episodes} x 3 episodes unshifted {statistics.median(times):5.1f} s"
    ends = f"{min(ratios):.2f} to {max(ratios):.2f}"
    print(f"{environment:<16}{name:<24}{words}, shifted {statistics.median(ratios):.3f} ({ends})")


if __name__ == "__main__":
    for one in CASES:
        case(*one)
