"""A small made-up evaluation with every block of `scores.json`, for its golden file.

Two recipes: `ppo` trained in drawn contexts, three seeds; `dqn` in the training context, whose
third seed failed. Returns follow from a formula, so nothing is drawn.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from rl_lab import comparison
from rl_lab.adaptations import CONTINUED, SCRATCH, SnapshotName
from rl_lab.comparison import (
    Contestant,
    Grid,
    GridCell,
    Learning,
    Protocol,
    ShiftFacts,
    adaptability,
    drifting,
)
from rl_lab.comparison.drift_measures import Setup
from rl_lab.comparison.drifting import Subject
from rl_lab.comparison.scoring import NOMINAL, World
from rl_lab.comparison.snapshots import Facts
from rl_lab.drift_records import DriftRecord
from rl_lab.environments import Anchors
from rl_lab.records import EpisodeRecord
from rl_lab.statistics.scale import Scale

ENVIRONMENT = "CartPole-v1"
SEEDS = (7, 8, 9, 10)
DELTAS = (0.0, 0.5, 1.0)
SHIFTS = {"longer_pole": ("length", "m", 0.5, 1.0), "any_noise": ("noise", "deviations", 0.0, 1.0)}
NEAR: tuple[World, ...] = (("longer_pole", 0.25, "none"), ("any_noise", 0.25, "none"))
FAR: tuple[World, ...] = (("longer_pole", 0.75, "none"), ("any_noise", 1.0, "none"))
PAIRS = tuple((a, b) for a in (0.0, 1.0) for b in (0.0, 1.0))
HOME = {"ppo": 460.0, "dqn": 380.0}
LOST = {"ppo": 200.0, "dqn": 320.0}
TRAINED = {"ppo": (0, 1, 2), "dqn": (0, 1)}  # that have episodes
SETUP = Setup(
    shift="longer_pole",
    delta=1.0,
    schedule={"kind": "step", "clock": "steps", "start": 50, "over": 0},
    change_step=50,
    change_episode=None,
    horizon=100,
    termination="failure",
)
STEPS = (0, 100, 200, 300, 400)


def _together(pair: tuple[float, float]) -> World:
    return f"longer_pole+any_noise@{pair[1]:g}", pair[0], "none"


def _return(name: str, seed: int, world: World, faced: int) -> float:
    sides = world[0].partition("+any_noise@")
    distance = world[1] + (float(sides[2]) if sides[1] else 0.0)
    return HOME[name] - 12.0 * seed + 5.0 * (faced % 3) - LOST[name] * distance / 2


def _episodes() -> list[EpisodeRecord]:
    still: list[World] = [NOMINAL, *((name, d, "none") for name in SHIFTS for d in DELTAS[1:])]
    everywhere = [(w, k) for w in [*still, *map(_together, PAIRS)] for k in SEEDS]
    everywhere += [*zip(NEAR, SEEDS[:2], strict=True), *zip(FAR, SEEDS[:2], strict=True)]
    return [
        EpisodeRecord(
            name,
            seed,
            ENVIRONMENT,
            *world,
            faced,
            _return(name, seed, world, faced),
            9,
            True,
            False,
        )
        for name, seeds in TRAINED.items()
        for seed in seeds
        for world, faced in everywhere
    ]


def _contestants() -> list[Contestant]:
    drawn = Learning(
        {"range": "near", "shifts": list(SHIFTS)},
        {"near": True, "far": False},
        {seed: tuple(zip(NEAR, SEEDS[:2], strict=True)) for seed in TRAINED["ppo"]},
        {},
        "its training was in drawn contexts",
        "training drew fresh initial states without end: there is no finite set to overfit",
    )
    home = Learning(None, {"near": False, "far": False}, {}, {0: 390.0, 1: 371.0}, "", "not known")
    cost = {"seconds": 61.5, "cpu_seconds": 60.0, "steps": 40_000, "gradient_updates": 3_120}
    unmetered = {"source": "unavailable", "joules": None, "gpu_joules": None}
    whole = {"peak_memory_bytes": 5e8, "settings": "tuned", "energy": unmetered, **cost}
    return [
        Contestant("ppo", "ppo", "PPO", "0123abcd", (0, 1, 2), whole, drawn),
        Contestant("dqn", "dqn", "DQN", "89ef4567", (0, 1, 2), None, home),
    ]


def _protocol() -> Protocol:
    facts = [
        ShiftFacts(name, parameter, unit, 0.5, tuple((d, low + d * (high - low)) for d in DELTAS))
        for name, (parameter, unit, low, high) in SHIFTS.items()
    ]
    one, two = SHIFTS
    return Protocol(
        episodes=len(SEEDS),
        seed=0,
        evaluation_seeds=(SEEDS[0], SEEDS[-1]),
        shifts=tuple(facts),
        deltas=DELTAS,
        shift_episodes=len(SEEDS),
        grid=Grid((one, two), tuple(GridCell(pair, _together(pair)) for pair in PAIRS)),
        schedule="step at 50 steps",
        context_sets={
            name: tuple(zip(worlds, SEEDS[:2], strict=True))
            for name, worlds in (("near", NEAR), ("far", FAR))
        },
        step_limit=500,
    )


def _drifts() -> list[DriftRecord]:
    """With and without drift; the last training seed of each has lost its episodes."""
    return [
        DriftRecord(
            contestant=name,
            training_seed=seed,
            shift=SETUP.shift if moves else "none",
            delta=1.0 if moves else 0.0,
            schedule="step at 50 steps" if moves else "none",
            evaluation_seed=faced,
            length=120 + 10 * seed if moves else 500,
            terminated=moves,
            truncated=not moves,
            episode_return=120.0 + 10 * seed if moves else 500.0,
            return_after=70.0 + 10 * seed if moves else 450.0,
            recovery=0.0,
            alarm_step=53 + faced % 2 if moves else None,
            residual_after=8.0 + faced % 3 if moves else 1.0,
            novelty_after=0.5 if moves else 0.03125,
            samples=np.array([[0.5, 1.0], [0.25, 0.5]]) * (2.0 if moves else 1.0),
            no_monitor="",
            reference_novelty=0.03125,
            false_alarm_rate=0.05,
            sd_s=np.array([0.5, 2.0]),
            categories=False,
            change_step=50,
            reference_sha256="ab" * 32,
        )
        for name, seeds in TRAINED.items()
        for seed in seeds[:2]
        for moves in (False, True)
        for faced in SEEDS
    ]


def _curve(kind: str, seed: int, world: str, place: int) -> float:
    if kind == SCRATCH:
        return 20.0 + 60.0 * place
    return 450.0 - 5.0 * place if world == "none" else 150.0 + 10.0 * seed + 70.0 * place


def _snapshots() -> list[EpisodeRecord]:
    return [
        EpisodeRecord(
            str(SnapshotName("ppo", kind, "longer_pole", 1.0, step)),
            seed,
            ENVIRONMENT,
            world,
            1.0 if world != "none" else 0.0,
            "none",
            faced,
            _curve(kind, seed, world, place) + faced % 2,
            9,
            True,
            False,
        )
        for kind in (CONTINUED, SCRATCH)
        for seed in (0, 1)
        for world in ("none", "longer_pole")
        for place, step in enumerate(STEPS)
        for faced in SEEDS
    ]


def _facts() -> list[Facts]:
    costs = {"gradient_updates": 40.0, "seconds": 2.5, "cpu_seconds": 2.25}
    declared = {"weights": "the run's", "optimizer": "the run's", "normalizer": "none"}
    return [
        Facts(
            "ppo",
            seed,
            kind,
            "longer_pole",
            1.0,
            "length",
            "m",
            1.0,
            400,
            STEPS,
            costs,
            {},
            declared,
        )
        for kind in (CONTINUED, SCRATCH)
        for seed in (0, 1)
    ]


def made() -> dict[str, Any]:
    """The content of `scores.json`, as an evaluation puts it together."""
    failure = {"contestant": "dqn", "training_seed": 2, "message": "the worker died"}
    scores = comparison.compare(
        _episodes(),
        _contestants(),
        ENVIRONMENT,
        Anchors(random=22.0, solved=475.0, ceiling=500.0, control_period_s=0.02),
        _protocol(),
        [failure],
    )
    scale = Scale(**scores["scale"])
    subjects = {name: Subject(False, (0, 1, 2)) for name in TRAINED}
    drift = drifting.blocks(_drifts(), [SETUP], scale, subjects, SEEDS)
    learned = adaptability.blocks(_snapshots(), _facts(), scale)
    nothing = {"adaptation": None, "adaptation_reason": "no adaptation was evaluated"}
    for contestant in scores["contestants"]:
        name = contestant["name"]
        contestant |= {"runs": [], "commands": [], "policies": [f"policies/{name}"]}
        contestant |= drift[name] | learned.get(name, nothing)
    return {**scores, "command": "rl-lab evaluate runs=outputs/train", "versions": {"rl-lab": "0"}}
