from __future__ import annotations

from pathlib import Path

import pytest
from fakes import always, saved

from rl_lab import paths, runs, shifts
from rl_lab.cli import config
from rl_lab.errors import BadInput
from rl_lab.evaluation import finding, plan
from rl_lab.evaluation.fingerprint import fingerprint


def make_run(folder: Path, status: str = "complete", **card: object) -> Path:
    folder.mkdir(parents=True)
    runs.write(folder, {"status": status})
    if status == "complete":
        saved(always(1, **card), folder / "policy")
    return folder


def test_a_folder_of_runs_gives_their_final_policies(tmp_path: Path) -> None:
    for seed in (0, 1):
        make_run(tmp_path / "recipe" / f"seed_{seed}", training_seed=seed)
    make_run(tmp_path / "recipe" / "seed_2", "failed")
    found, unfinished = finding.find_policies([tmp_path])
    assert found == [tmp_path / "recipe" / f"seed_{s}" / "policy" for s in (0, 1)]
    assert [(f.contestant, f.training_seed) for f in unfinished] == [("recipe", 2)]


def test_an_incomplete_run_named_by_itself_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="is interrupted"):
        finding.find_policies([make_run(tmp_path / "r", "interrupted")])


@pytest.mark.parametrize("place", ["nothing_here", "."])
def test_an_empty_selection_is_refused(tmp_path: Path, place: str) -> None:
    with pytest.raises(BadInput, match=r"does not exist|holds no runs"):
        finding.find_policies([tmp_path / place])


@pytest.mark.parametrize("places", [["r", "r"], ["r", "."], ["r/policy", "r"]])
def test_a_policy_that_is_selected_twice_is_refused(tmp_path: Path, places: list[str]) -> None:
    make_run(tmp_path / "r")
    with pytest.raises(BadInput, match=r"r/policy selected more than once .*each policy once"):
        finding.find_policies([tmp_path / place for place in places])


def test_a_run_of_a_newer_format_is_named(tmp_path: Path) -> None:
    make_run(tmp_path / "r")
    (tmp_path / "r" / "run.json").write_text('{"format_version": 99, "status": "complete"}')
    with pytest.raises(BadInput, match="format_version 99"):
        finding.find_policies([tmp_path / "r"])


def test_one_recipe_is_one_contestant(tmp_path: Path) -> None:
    cards = [("ppo", "aa", 0), ("ppo", "aa", 1), ("dqn", "bb", 0)]
    folders = [
        saved(always(1, agent=a, recipe_hash=h, training_seed=s), tmp_path / f"{a}{s}")
        for a, h, s in cards
    ]
    made, damaged = plan.entrants(folders)
    assert [(e.contestant, e.training_seed) for e in made] == [("dqn", 0), ("ppo", 0), ("ppo", 1)]
    assert damaged == []


def test_two_recipes_of_one_agent_are_told_apart(tmp_path: Path) -> None:
    folders = [saved(always(1, agent="ppo", recipe_hash=h), tmp_path / h) for h in ("aaaa", "bbbb")]
    assert [e.contestant for e in plan.entrants(folders)[0]] == ["ppo-aaaa", "ppo-bbbb"]


def test_the_same_seed_twice_is_refused(tmp_path: Path) -> None:
    folders = [saved(always(1), tmp_path / name) for name in "ab"]
    with pytest.raises(BadInput, match="same seed of the same recipe"):
        plan.entrants(folders)


def test_two_environments_are_refused(tmp_path: Path) -> None:
    one = saved(always(1), tmp_path / "a")
    other = saved(always(1, "FakeEndless-v0"), tmp_path / "b")
    with pytest.raises(BadInput, match=r"FakeCountdown-v0.*FakeEndless-v0"):
        plan.entrants([one, other])


def test_a_damaged_policy_is_named_and_the_others_go_on(tmp_path: Path) -> None:
    good = saved(always(1), tmp_path / "good")
    bad = saved(always(1, training_seed=1), tmp_path / "bad")
    (bad / "policy.json").write_text("{")
    made, damaged = plan.entrants([good, bad])
    assert [e.folder for e in made] == [good]
    assert "policy.json" in damaged[0].message


def some_work(folder: Path) -> tuple[plan.Tasks, list[plan.Entrant]]:
    """Two of three policies face worlds of their own, one of them also of the common ones."""
    made, _ = plan.entrants([saved(always(1, training_seed=k), folder / str(k)) for k in range(3)])
    shift = shifts.from_file(config.read_yaml(paths.conf_dir() / "shift/any/action_delay.yaml"))
    near, far = shifts.shifted(shift, 0.25), shifts.shifted(shift, 1.0)
    name = made[0].contestant
    own = {(name, 0): [(far, (7,))], (name, 1): [(near, (4, 9))]}
    work = plan.tasks(made, range(5), [(near, (3, 4))], own, block=2)
    assert isinstance(work, plan.Tasks)
    return work, made


def test_tasks_are_the_same_however_they_are_looked_at(tmp_path: Path) -> None:
    work, _ = some_work(tmp_path)
    tasks = list(work)
    faced = [(t.training_seed, t.context.key[:2], t.evaluation_seeds) for t in tasks]
    everybody = [(k, ("none", 0.0), seeds) for k in range(3) for seeds in [(0, 1), (2, 3), (4,)]]
    near, far = ("action_delay", 0.25), ("action_delay", 1.0)
    assert faced[:9] == everybody
    assert faced[9:] == [
        *((0, near, (3, 4)), (1, near, (3, 4)), (1, near, (9,)), (2, near, (3, 4))),
        (0, far, (7,)),
    ]
    assert len(work) == len(tasks) == 14
    assert [work[i] for i in range(14)] == tasks
    assert work[-1] == tasks[-1]
    for part in (slice(1, None, 3), slice(None, 4), slice(20, None)):
        assert work[part] == tasks[part]
    with pytest.raises(IndexError):
        work[14]
    assert list(plan.Tasks([], ())) == []


def test_tasks_have_one_fingerprint_however_they_are_kept(tmp_path: Path) -> None:
    work, made = some_work(tmp_path)
    assert fingerprint(work, made, 9) == fingerprint(list(work), made, 9)
    assert fingerprint(work[1:], made, 9) != fingerprint(work, made, 9)


def test_the_fingerprint_knows_what_moves_a_return_and_nothing_else(tmp_path: Path) -> None:
    made, _ = plan.entrants([saved(always(1), tmp_path / "a")])
    moved, _ = plan.entrants([saved(always(1), tmp_path / "b")])
    other, _ = plan.entrants([saved(always(0), tmp_path / "c")])

    def name(who: list[plan.Entrant], seeds: list[int], step_limit: int = 9) -> str:
        return fingerprint(plan.tasks(who, seeds), who, step_limit)

    assert name(made, [1, 2]) == name(moved, [1, 2])
    assert len({name(made, [1, 2]), name(other, [1, 2]), name(made, [1, 3])}) == 3
    assert name(made, [1, 2]) != name(made, [1, 2], step_limit=10)
