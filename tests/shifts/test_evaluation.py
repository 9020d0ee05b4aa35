"""Shifts, grids, schedules and drawn contexts through the evaluation's workers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fakes import linear_policy, saved

from rl_lab import cli, records, seeding, shifts
from rl_lab.cli import shift_choice
from rl_lab.cli.options import Options
from rl_lab.comparison import Contestant, Learning, generalisation
from rl_lab.environments import EnvironmentRecipe
from rl_lab.evaluation import plan, runner
from rl_lab.evaluation.plan import Entrant
from rl_lab.shifts import Context

STANDS = [[0.0, 0.0, 0.0, 0.0], [0.1, 0.5, 2.0, 1.0]]
SEEDS = tuple(range(2_000_000_000, 2_000_000_012))
CARTPOLE = EnvironmentRecipe("CartPole-v1", {}, (), None)
ANCHORS = {"random": 21.8, "solved": 475.0, "ceiling": 500.0, "control_period_s": 0.02}


def catalogue(*names: str) -> tuple[shifts.Shift, ...]:
    return shift_choice.declared(list(names), "CartPole-v1", Options(), "shift")


def entrants(folder: Path, **card: Any) -> list[Entrant]:
    made = []
    for name, bias in (("one", 0.0), ("two", 0.02)):
        policy = linear_policy("CartPole-v1", STANDS, [bias, 0.0], **card)
        made.append(Entrant(name, 0, saved(policy, folder / name), policy.card, None))
    return made


def evaluated(
    who: list[Entrant], contexts: list[tuple[Context, tuple[int, ...]]], folder: Path, workers: int
) -> Path:
    settings = runner.Settings(workers, 500, 30.0, ())
    tasks = plan.tasks(who, SEEDS, contexts, block=3)
    _, failures = runner.run(tasks, who, folder, settings)
    assert failures == []
    return folder / "episodes.csv"


def every_kind() -> list[tuple[Context, tuple[int, ...]]]:
    longer, noise, delay = catalogue("longer_pole", "observation_noise", "action_delay")
    walk = shifts.Schedule("random_walk", "steps", 3, 40)
    cycle = shifts.Schedule("cycle", "episodes", 0, 6)
    row = shifts.over_episodes(noise, 1.0, cycle, len(SEEDS), seeding.generator(0, "x"))
    drawn = shifts.drawn("far", (longer, noise)).contexts(4, seeding.generator(0, "far"))
    return [
        (shifts.shifted(longer, 1.0), SEEDS[:6]),
        (shifts.shifted(noise, 0.5), SEEDS[:6]),
        (shifts.combined(((noise, 0.25), (delay, 0.5))), SEEDS[:6]),
        (shifts.shifted(longer, 1.0, walk), SEEDS[:6]),
        (shifts.shifted(noise, 1.0, walk), SEEDS[:6]),
        *((context, (seed,)) for context, seed in zip(row, SEEDS, strict=True)),
        *((context, (seed,)) for context, seed in zip(drawn, SEEDS, strict=False)),
    ]


def test_workers_do_not_change_a_byte(tmp_path: Path) -> None:
    who = entrants(tmp_path)
    texts = {
        evaluated(who, every_kind(), tmp_path / f"{workers}", workers).read_bytes()
        for workers in (1, 2, 4)
    }
    assert len(texts) == 1
    rows = records.read(tmp_path / "1" / "episodes.csv")
    assert {row.schedule for row in rows} == {
        "none",
        "random_walk at 3 over 40 steps",
        "cycle at 0 over 6 episodes",
    }
    assert "observation_noise+action_delay@0.5" in {row.shift for row in rows}
    assert len(rows) == 2 * (12 + 5 * 6 + 12 + 4)


@pytest.mark.parametrize(
    "name", ["observation_noise", "observation_delay", "action_noise", "action_delay"]
)
def test_a_disturbance_of_strength_0_pairs_to_exactly_0(name: str, tmp_path: Path) -> None:
    """All of the machinery is in place and draws; only the strength is 0."""
    (shift,) = catalogue(name)
    never = shifts.Schedule("step", "steps", 10**6, 0)
    path = evaluated(
        entrants(tmp_path), [(shifts.shifted(shift, 1.0, never), SEEDS)], tmp_path / "e", 1
    )
    found = {
        (r.contestant, r.evaluation_seed, r.schedule != "none"): (r.episode_return, r.length)
        for r in records.read(path)
    }
    assert len(found) == 2 * 2 * len(SEEDS)
    for (who, seed, moved), value in found.items():
        assert value == found[who, seed, not moved]


def test_the_same_noise_meets_every_contestant(tmp_path: Path) -> None:
    (noise,) = catalogue("observation_noise")
    env = shifts.make(CARTPOLE, shifts.shifted(noise, 1.0))
    bare = shifts.make(CARTPOLE, shifts.NOMINAL)

    def noise_of(seed: int, action: int) -> list[Any]:
        rows = []
        for world in (env, bare):
            observations = [world.reset(seed=seed)[0]]
            observations += [world.step(action)[0] for _ in range(5)]
            rows.append(observations)
        return [a - b for a, b in zip(*rows, strict=True)]

    one, two = noise_of(5, 0), noise_of(5, 1)
    assert all(a == pytest.approx(b, abs=1e-5) for a, b in zip(one, two, strict=True))
    assert not any(
        a == pytest.approx(b, abs=1e-5) for a, b in zip(one, noise_of(6, 0), strict=True)
    )


# One command -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def scores(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """Two recipes, one trained in the training context and one on drawn contexts."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("evaluation")
        patch.chdir(folder)
        yield scored(folder)


def scored(folder: Path) -> dict[str, Any]:
    near = shifts.drawn("near", catalogue("longer_pole", "shorter_pole")).to_data()
    for name, provenance in (("home", {}), ("drawn", {"contexts": near})):
        for seed in (0, 1):
            policy = linear_policy(
                "CartPole-v1",
                STANDS,
                [0.01 * seed, 0.0],
                agent=name,
                recipe_hash=name,
                training_seed=seed,
                anchors=ANCHORS,
                provenance=provenance,
            )
            saved(policy, folder / f"{name}_{seed}")
    words = "evaluate policies=[home_0,home_1,drawn_0,drawn_1] name=e evaluation=quick"
    words += " shift=[longer_pole,any/observation_noise] grid=[longer_pole,heavier_cart]"
    words += " evaluation.context_episodes=3 evaluation.speed.calls=0 evaluation.clips=0"
    assert cli.main(words.split()) == 0
    found: dict[str, Any] = json.loads(Path("outputs/evaluate/e/scores.json").read_text())
    return found


def test_one_command_gives_all_blocks(scores: dict[str, Any]) -> None:
    by_name = {c["name"]: c for c in scores["contestants"]}
    for contestant in by_name.values():
        block = contestant["robustness"]
        assert [curve["shift"] for curve in block["shifts"]] == ["longer_pole", "observation_noise"]
        areas = [curve["auc"]["estimate"] for curve in block["shifts"]]
        assert block["auc"]["estimate"] == pytest.approx(sum(areas) / 2)
        cells = {tuple(cell["deltas"]): cell["score"] for cell in block["grid"]["cells"]}
        assert set(cells) == {(a, b) for a in (0.0, 1.0) for b in (0.0, 1.0)}
        levels = {level["delta"]: level["score"] for level in block["shifts"][0]["levels"]}
        assert (cells[0.0, 0.0], cells[1.0, 0.0]) == (levels[0.0], levels[1.0])
    home, drawn = (by_name[name]["generalisation"] for name in ("home", "drawn"))
    assert home["gap_interpolation"] is None
    assert "trained in one context" in home["gap_interpolation_reason"]
    assert home["scores"]["train"] == home["scores"]["nominal"]
    assert drawn["trained_on"] == {"range": "near", "shifts": ["longer_pole", "shorter_pole"]}
    # longer_pole was trained on, observation_noise was not; the far range never was
    assert drawn["gap_interpolation"] is None
    assert "wholly within" in drawn["gap_interpolation_reason"]
    assert drawn["gap_extrapolation"] == drawn["gap_far"]
    assert "not known here" in drawn["gap_seeds_reason"]
    assert scores["generalisation_matrix"] is None


@pytest.mark.parametrize(
    ("trained", "inside", "row"),
    [
        (("near", ["longer_pole", "observation_noise"]), {"near": True, "far": False}, "R"),
        (("near", ["longer_pole"]), {"near": None, "far": False}, None),
        (("far", ["longer_pole", "observation_noise"]), {"near": False, "far": True}, None),
        (("near", ["shorter_pole"]), {"near": False, "far": False}, None),
    ],
)
def test_interpolation_is_within_what_was_trained_on(
    trained: tuple[str, list[str]], inside: dict[str, bool | None], row: str | None
) -> None:
    name, names = trained
    # as it stands in a policy's card
    data = json.loads(json.dumps(shifts.drawn(name, catalogue(*names)).to_data()))
    drawn = shifts.drawn_from_data(data)
    tested = catalogue("longer_pole", "observation_noise")
    assert {n: drawn.contains(n, tested) for n in shifts.RANGES} == inside
    learning = Learning({"range": name, "shifts": names}, inside, {}, {}, "", "")
    who = Contestant("a", "a", "A", "0123abcd", (0,), None, learning)
    matrices = {n: np.full((1, 2), v) for n, v in (("train", 1.0), ("near", 0.8), ("far", 0.3))}
    gaps = generalisation._gaps(who, matrices)
    lost = {n: gaps[f"gap_{n}"] for n in shifts.RANGES}
    within = next((n for n in shifts.RANGES if inside[n]), None)
    assert gaps["interpolation_set"] == within
    assert gaps["gap_interpolation"] == (lost[within] if within else None)
    beyond = "far" if inside["far"] is False else "near"
    assert gaps["gap_extrapolation"] == lost[beyond]
    block = {
        "trained_on": learning.trained_on,
        **gaps,
        "scores": {key: {"estimate": 1.0} for key in ("nominal", "near", "far")},
    }
    home = {**block, "trained_on": generalisation._HOME}
    rows = generalisation.matrix(
        [{"name": "a", "generalisation": block}, {"name": "b", "generalisation": home}]
    )["generalisation_matrix"]
    assert [r["trained"] for r in rows or ()] == (["D", row] if row else [])


def test_the_sets_are_published_and_reproducible(scores: dict[str, Any]) -> None:
    sets = scores["protocol"]["context_sets"]
    drawn = shifts.drawn("near", catalogue("longer_pole", "observation_noise"))
    contexts = drawn.contexts(3, seeding.generator(0, "near"))
    assert [(m["shift"], m["delta"]) for m in sets["near"]] == [c.key[:2] for c in contexts]
    limits = {shift.name: shift.near_delta for shift in drawn.shifts}
    assert all(0.0 < m["delta"] <= limits[m["shift"]] for m in sets["near"])
    assert all(limits[m["shift"]] < m["delta"] <= 1.0 for m in sets["far"])
