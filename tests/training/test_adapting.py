"""An adaptation that was killed and started again ends as one that was not."""

from __future__ import annotations

import functools
import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from identical import curves, dying_at, forked, metrics

from rl_lab import adaptations, cli, paths
from rl_lab.training.adaptation_recorder import AdaptationRecorder

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="runs are forked processes")

SMALL = "tuned=none monitoring=none agent.policy_kwargs.net_arch=[16] training.selection_episodes=1"
ON = "agent.n_steps=32 agent.batch_size=32 agent.n_epochs=1"
OFF = "agent.learning_starts=50 agent.batch_size=16 agent.buffer_size=300"
NORMAL = "training.n_envs=2 training.normalize_observation=true training.normalize_reward=true"
KEPT = "checkpoint.keep_replay_buffer=true"
CASES = {
    "ppo": f"agent=ppo env=CartPole-v1 {ON} {NORMAL}",
    "dqn": f"agent=dqn env=LunarLander-v3 {OFF} {KEPT}",
    "td3": f"agent=td3 env=BipedalWalker-v3 {OFF}",
    "fast_ppo": f"agent=fast_ppo env=CartPole-v1 {ON} {NORMAL}",
    "fast_sac": f"agent=fast_sac env=Pendulum-v1 {OFF} {KEPT}",
}
# Boundaries at which it dies, attempt by attempt: before any checkpoint, then after some, and
# once in the twin, which comes second.
DEATHS = {"ppo": [1, 4, 8], "fast_ppo": [1, 4, 8], "dqn": [1, 40, 100]}
EVERY_STEP = [1, 160, 300]
QUICK = ("ppo", "dqn")
SHIFTS = {
    "CartPole-v1": "weaker_push",
    "LunarLander-v3": "heavier_gravity",
    "BipedalWalker-v3": "heavier_gravity",
    "Pendulum-v1": "longer_rod",
}
NEEDS = {"LunarLander-v3": "Box2D", "BipedalWalker-v3": "Box2D"}


def adapt(words: list[str], before: Callable[[], None] = lambda: None) -> int:
    return forked(lambda: cli.main(["adapt", *words]), before)


def one(output: Path, kind: str) -> Path:
    (card,) = output.glob(f"adapt/*/*/*/{kind}_0/{paths.ADAPTATION}")
    return card.parent


def require_identical(a: Path, b: Path) -> None:
    """Two adaptations are equal but for the wall clock."""
    one, other = adaptations.read(a), adaptations.read(b)
    for card in (one, other):
        assert card["status"] == "complete"
    names = ("steps", "gradient_updates", "declared")
    assert {n: one[n] for n in names} == {n: other[n] for n in names}
    assert [s["step"] for s in one["snapshots"]] == [s["step"] for s in other["snapshots"]]
    assert metrics(a) == metrics(b)
    assert curves(a) == curves(b)
    graphs = [
        {p.parent.name: p.read_bytes() for p in folder.glob("snapshots/*/policy.onnx")}
        for folder in (a, b)
    ]
    assert len(graphs[0]) == len(one["snapshots"])
    assert graphs[0] == graphs[1]
    assert one["state_digest"] is not None
    assert one["state_digest"] == other["state_digest"]


@pytest.mark.parametrize(
    "agent", [pytest.param(a, marks=[] if a in QUICK else [pytest.mark.slow]) for a in CASES]
)
def test_killed_at_any_boundary_it_ends_as_if_nothing_had_been(agent: str, tmp_path: Path) -> None:
    if agent.startswith("fast"):
        pytest.importorskip("numba", reason="needs the extra 'fast'")
    environment = next(w for w in CASES[agent].split() if w.startswith("env=")).partition("=")[2]
    if environment in NEEDS:
        pytest.importorskip(NEEDS[environment], reason=f"{environment} needs it")
    train = f"{CASES[agent]} {SMALL} training.steps=256 output={tmp_path}"
    assert forked(lambda: cli.main(["train", *train.split()])) == 0
    (run,) = tmp_path.glob("train/*/*/seed_0")
    shift = f"shift={SHIFTS[environment]}"
    words = [f"run={run}", shift, "steps=300", "snapshots=4", "checkpoint.every_steps=64"]
    straight, killed = [*words, f"output={tmp_path / 'a'}"], [*words, f"output={tmp_path / 'b'}"]
    assert adapt(straight) == 0

    for boundary in DEATHS.get(agent, EVERY_STEP):
        dying = functools.partial(dying_at, AdaptationRecorder, "boundary", boundary)
        assert adapt(killed, dying) == -signal.SIGKILL
    assert adapt(killed) == 0
    for kind in ("seed", "scratch"):
        require_identical(one(tmp_path / "a", kind), one(tmp_path / "b", kind))
        assert adaptations.read(one(tmp_path / "b", kind))["resume"]["level"] == "exact"
    resumed = adaptations.read(one(tmp_path / "b", "seed"))["resume"]["from_step"]
    assert resumed >= 64, "it went on from a checkpoint"
    assert not list((tmp_path / "b").rglob("step-*/manifest.json")), "none is left"
