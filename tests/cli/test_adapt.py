"""rl-lab adapt and what evaluate makes of it, from an empty folder."""

from __future__ import annotations

import hashlib
import json
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from rl_lab import adaptations, cli, paths, records
from rl_lab.adaptations import SnapshotName
from rl_lab.cli import adapting, config, launching, worlds
from rl_lab.cli.options import Options

TRAIN = "train env=CartPole-v1 agent={agent} seed=0 training.steps=600 monitoring=none"
ADAPT = "adapt run={run} shift=weaker_push steps=600 snapshots=3"


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a run each of PPO and DQN, PPO's adapted with its twin."""
    folder = tmp_path_factory.mktemp("lab")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for agent in ("ppo", "dqn"):
            assert cli.main(TRAIN.format(agent=agent).split()) == 0
        assert cli.main(ADAPT.format(run=run_of(folder, "ppo")).split()) == 0
    return folder


@pytest.fixture(autouse=True)
def in_lab(lab: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(lab)


def run_of(lab: Path, agent: str) -> Path:
    (found,) = (lab / "outputs" / "train" / "CartPole-v1").glob(f"{agent}-*/seed_0")
    return found


def adapted(lab: Path, agent: str, name: str = "seed_0") -> Path:
    (found,) = (lab / "outputs" / "adapt" / "CartPole-v1").glob(f"{agent}-*/weaker_push-1-*/{name}")
    return found


def digest(folder: Path) -> str:
    every = sorted(p for p in folder.rglob("*") if p.is_file() and p.name != "run.lock")
    return hashlib.sha256(b"".join(p.read_bytes() for p in every)).hexdigest()


def complaint(words: str, capsys: pytest.CaptureFixture[str]) -> str:
    assert cli.main(words.split()) == 2
    (line,) = capsys.readouterr().err.splitlines()
    return line


def test_snapshots_begin_with_the_run_s_own_policy(lab: Path) -> None:
    card = adaptations.read(adapted(lab, "ppo"))
    golden = adaptations.read(Path(__file__).parents[1] / "golden" / "adaptation_v1")
    assert set(card) == set(golden)
    assert set(card["snapshots"][0]) == set(golden["snapshots"][0])
    assert set(card["declared"]) == set(golden["declared"])
    steps = [snapshot["step"] for snapshot in card["snapshots"]]
    assert steps[0] == 0
    assert steps[-1] >= 600
    assert len(steps) == 4
    first = paths.snapshot_folder(adapted(lab, "ppo"), 0) / paths.POLICY_GRAPH
    last = paths.snapshot_folder(adapted(lab, "ppo"), steps[-1]) / paths.POLICY_GRAPH
    run = run_of(lab, "ppo") / "policy" / paths.POLICY_GRAPH
    assert first.read_bytes() == run.read_bytes()
    assert last.read_bytes() != run.read_bytes()


def test_the_twin_begins_as_the_run_did(lab: Path) -> None:
    card = adaptations.read(adapted(lab, "ppo", "scratch_0"))
    assert card["kind"] == adaptations.SCRATCH
    assert card["gradient_updates"] > 0
    assert card["declared"]["weights"].startswith("new")
    one = paths.snapshot_folder(adapted(lab, "ppo"), 0) / paths.POLICY_GRAPH
    two = paths.snapshot_folder(adapted(lab, "ppo", "scratch_0"), 0) / paths.POLICY_GRAPH
    assert one.read_bytes() != two.read_bytes()


def test_the_run_is_left_alone_and_the_same_command_skips(
    lab: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before, made = digest(run_of(lab, "ppo")), digest(adapted(lab, "ppo"))
    assert cli.main(ADAPT.format(run=run_of(lab, "ppo")).split()) == 0
    assert "2 trainings, 2 complete already" in capsys.readouterr().out
    assert digest(run_of(lab, "ppo")) == before
    assert digest(adapted(lab, "ppo")) == made


def test_an_unfinished_adaptation_is_made_again(lab: Path) -> None:
    folder = adapted(lab, "ppo", "scratch_0")
    card = adaptations.read(folder)
    kept = {p.parent.name: p.read_bytes() for p in folder.glob("snapshots/*/policy.onnx")}
    adaptations.write(folder, {**card, "status": "interrupted"})
    shutil.rmtree(folder / "snapshots")
    assert cli.main(ADAPT.format(run=run_of(lab, "ppo")).split()) == 0
    again = {p.parent.name: p.read_bytes() for p in folder.glob("snapshots/*/policy.onnx")}
    assert again == kept, "the same seeds and steps give the same weights"


def test_a_signal_ends_an_adaptation_cleanly(lab: Path, tmp_path: Path) -> None:
    words = ADAPT.format(run=run_of(lab, "ppo")).replace("steps=600", "steps=1_000_000")
    command = [sys.executable, "-m", "rl_lab", *words.split(), f"output={tmp_path}"]
    process = subprocess.Popen(command, text=True, stderr=subprocess.PIPE)
    deadline = time.monotonic() + 120
    while not list(tmp_path.rglob(paths.PROGRESS)):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 75
    assert "the same command goes on" in errors
    assert "Traceback" not in errors
    (folder,) = tmp_path.glob("adapt/*/*/*/seed_0")
    assert adaptations.read(folder)["status"] == "interrupted"


def test_exploration_goes_on_where_it_was(lab: Path) -> None:
    """The library's traps: a random warm-up, exploration from 1.0 again."""
    words = ADAPT.format(run=run_of(lab, "dqn")) + " scratch=false agent=x"
    assert cli.main([w for w in words.split() if w != "agent=x"]) == 0
    folder = adapted(lab, "dqn")
    declared = adaptations.read(folder)["declared"]
    # A run leaves its replay buffer behind only where it is told to.
    assert declared["replay_buffer"].startswith("empty: the run did not keep it")
    points = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    rates = [p["rollout/exploration_rate"] for p in points if "rollout/exploration_rate" in p]
    assert max(rates) < 1.0
    assert not (folder.parent / "scratch_0").exists()


def test_a_buffer_that_the_run_kept_is_learned_from(lab: Path) -> None:
    words = TRAIN.format(agent="dqn") + " checkpoint.keep_replay_buffer=true output=keeps"
    assert cli.main(words.split()) == 0
    (run,) = (lab / "keeps").glob("train/*/*/seed_0")
    words = ADAPT.format(run=run) + " scratch=false output=keeps"
    assert cli.main(words.split()) == 0
    (folder,) = (lab / "keeps").glob("adapt/*/*/*/seed_0")
    declared = adaptations.read(folder)["declared"]
    steps = json.loads((run / "run.json").read_text())["steps"]
    assert declared["replay_buffer"].startswith(f"kept: {steps} rows")


def test_an_empty_buffer_is_declared(lab: Path) -> None:
    words = ADAPT.format(run=run_of(lab, "dqn")) + " scratch=false replay_buffer=empty output=empty"
    assert cli.main(words.split()) == 0
    (folder,) = (lab / "empty").glob("adapt/*/*/*/seed_0")
    assert adaptations.read(folder)["declared"]["replay_buffer"].startswith("empty")


def test_another_device_is_another_adaptation(lab: Path) -> None:
    run = run_of(lab, "ppo")
    words = ADAPT.format(run=run).split()[1:]

    def folder(*more: str) -> Path:
        data = config.compose("adapt", worlds.typed_words([*words, *more]), Options())
        twins = adapting.pieces(run, data, Options())
        device = more[0].partition("=")[2] if more else "cpu"
        assert {piece.plan.training.device for piece in twins} == {device}
        return twins[0].plan.folder

    # The run's own device, named or not, is in no name.
    assert folder() == folder("device=cpu")
    assert (lab / folder()) == adapted(lab, "ppo")
    assert folder("device=cuda") != folder()


def test_several_runs_in_processes_of_their_own(
    lab: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = "adapt runs=outputs/train shift=weaker_push steps=600 snapshots=3 scratch=false"
    assert cli.main([*words.split(), "output=several", "launcher.jobs=2"]) == 0
    out = capsys.readouterr()
    assert "dqn seed 0 continued: complete" in out.err
    assert "ppo seed 0 continued: complete" in out.err
    assert "2 runs adapted to weaker_push 1" in out.out
    assert len(list((lab / "several").rglob(paths.ADAPTATION))) == 2


class Elsewhere:
    """A cluster that is this process: jobs are run from nothing but their words."""

    def __init__(self, section: Mapping[str, Any], folder: Path) -> None:
        self.section, self.folder = dict(section), folder
        self.jobs: list[launching.Job] = []

    def launch(self, jobs: Sequence[launching.Job]) -> None:
        self.jobs, self._left = list(jobs), list(jobs)

    def poll(self, wait_s: float) -> list[launching.Finished]:
        job = self._left.pop(0)
        return [launching.Finished(job, cli.main(list(job.words)))]

    @property
    def busy(self) -> bool:
        return bool(self._left)

    def stop(self) -> None:
        self._left = []


@pytest.mark.parametrize("launcher", ["slurm", "ray"])
def test_a_cluster_is_handed_adaptations_as_it_is_trainings(
    launcher: str, lab: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same door for both verbs, and words that mean the same wherever they are run."""
    clusters: list[Elsewhere] = []

    def make(section: Mapping[str, Any], folder: Path) -> Elsewhere:
        clusters.append(Elsewhere(section, folder))
        return clusters[-1]

    monkeypatch.setattr(launching, "make", make)
    output = f"output=by-{launcher} launcher={launcher}"
    train = "train -m env=CartPole-v1 agent=ppo training.steps=100 monitoring=none"
    assert cli.main([*train.split(), *output.split()]) == 0
    words = "adapt runs=outputs/train shift=weaker_push steps=100 snapshots=2 scratch=true"
    assert cli.main([*words.split(), *output.split()]) == 0
    training, adapting = clusters
    assert training.section == adapting.section
    assert training.section["name"] == launcher
    assert training.folder == adapting.folder == Path(f"by-{launcher}") / paths.JOBS
    assert [job.name for job in adapting.jobs] == [
        f"{agent} seed 0 {kind}" for agent in ("dqn", "ppo") for kind in ("continued", "scratch")
    ]
    assert all(adaptations.is_complete(job.folder) for job in adapting.jobs)
    assert {job.threads for job in adapting.jobs} == {training.jobs[0].threads}


def test_evaluate_judges_every_snapshot_in_both_worlds(
    lab: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    where = adapted(lab, "ppo").parent
    words = f"evaluate runs={run_of(lab, 'ppo').parent} adaptations={where} evaluation=quick name=e"
    words += " shift=weaker_push schedule=step schedule.start=3"
    assert cli.main(words.split()) == 0
    assert "adaptability of ppo" in capsys.readouterr().out
    folder = lab / "outputs" / "evaluate" / "e"
    rows = records.read(folder / "adaptation" / "episodes.csv")
    names = {SnapshotName.parse(row.contestant) for row in rows}
    assert {name.kind for name in names} == {"continued", "scratch"}
    worlds = {row.shift for row in rows if "@continued" in row.contestant}
    assert worlds == {"none", "weaker_push"}
    (contestant,) = json.loads((folder / "scores.json").read_text())["contestants"]
    (block,) = contestant["adaptation"]
    assert (block["shift"], block["value"], block["training_seeds"]) == ("weaker_push", 1.0, [0])
    assert block["curves"][0]["step"] == 0
    assert block["jumpstart"]["estimate"] is not None
    (drift,) = contestant["drift"]
    assert drift["detection_reason"].endswith("have none (policy).")
    assert drift["loss_per_step"]["estimate"] is not None
    assert (folder / "drift.csv").read_text().startswith("format_version,contestant,training_seed")
    # What moves is lived for this block alone.
    assert {row.schedule for row in records.read(folder / "episodes.csv")} == {"none"}


def test_the_curve_begins_at_the_frozen_policy_s_own_score(lab: Path) -> None:
    """A snapshot at step 0 is the run's policy: the same seeds give the same returns."""
    where = adapted(lab, "ppo").parent
    words = f"evaluate runs={run_of(lab, 'ppo').parent} adaptations={where} evaluation=quick"
    assert cli.main([*words.split(), "shift=weaker_push", "name=f"]) == 0
    folder = lab / "outputs" / "evaluate" / "f"
    rows = records.read(folder / "adaptation" / "episodes.csv")
    first = {
        (row.shift, row.evaluation_seed): row.episode_return
        for row in rows
        if row.contestant.startswith("ppo@continued") and row.contestant.endswith(":0")
    }
    whole = {
        (row.shift, row.evaluation_seed): row.episode_return
        for row in records.read(folder / "episodes.csv")
        if row.delta in (0.0, 1.0)
    }
    shared = set(first) & set(whole)
    assert len(shared) == len(first)
    assert all(first[key] == whole[key] for key in shared)


def test_other_adaptations_are_refused_before_the_first_episode(
    lab: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What could not be kept is not run: the evaluation's name does not say which adaptations."""
    folder = lab / "outputs" / "evaluate" / "g"
    words = f"evaluate runs={run_of(lab, 'ppo').parent} evaluation=quick shift=weaker_push name=g"
    words += " evaluation.episodes=2 evaluation.drift_episodes=0 evaluation.clips=0"
    assert cli.main([*words.split(), f"adaptations={adapted(lab, 'ppo')}"]) == 0
    before = (folder / "scores.json").read_bytes()
    journal = folder / "episodes.journal.csv"
    journal.unlink()
    line = complaint(f"{words} adaptations={adapted(lab, 'ppo').parent}", capsys)
    assert "holds another evaluation" in line
    assert not journal.exists()
    assert (folder / "scores.json").read_bytes() == before


def test_a_damaged_snapshot_costs_its_seed_not_the_evaluation(
    lab: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copy = tmp_path / "seed_0"
    shutil.copytree(adapted(lab, "ppo"), copy)
    (paths.snapshot_folder(copy, 0) / paths.POLICY_CARD).write_text("{")
    words = f"evaluate runs={run_of(lab, 'ppo').parent} evaluation=quick shift=weaker_push name=h"
    words += " evaluation.episodes=2 evaluation.drift_episodes=0 evaluation.clips=0"
    assert cli.main([*words.split(), f"adaptations={copy}"]) == 1
    scores = json.loads((lab / "outputs" / "evaluate" / "h" / "scores.json").read_text())
    (block,) = scores["contestants"][0]["adaptation"]
    assert block["reason"] == "no continued training has its episodes"
    (failure,) = scores["failures"]
    assert (failure["contestant"], failure["training_seed"]) == ("ppo", 0)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("adapt", "no run="),
        ("adapt run=nowhere", "nowhere is not a run"),
        ("adapt run={run} runs=outputs", "run= and runs= at once"),
        ("adapt runs=nowhere", "holds no runs"),
        ("adapt run={run} shift=weaker_psh", "Did you mean 'weaker_push'?"),
        ("adapt run={run} shift=Pendulum-v1/longer_rod", "Pendulum-v1"),
        ("adapt run={run} shift=none", "one shift to adapt to"),
        ("adapt run={run} delta=0", "delta=0 (expected a magnitude above 0, up to 1)"),
        ("adapt run={run} delta=1.5", "delta=1.5"),
        ("adapt run={run} steps=0", "steps=0"),
        ("adapt run={run} steps=10 snapshots=11", "snapshots=11"),
        ("adapt run={run} scratch=maybe", "scratch=maybe"),
        ("adapt run={run} replay_buffer=half", "replay_buffer=half"),
        ("adapt run={run} stps=3", "Did you mean 'steps'?"),
        ("adapt runs={run} launcher=slrm", "Did you mean 'slurm'?"),
        ("evaluate runs={run} adaptations=nowhere", "nowhere does not exist"),
        ("evaluate runs={run} adaptations=outputs/train", "holds no adaptations"),
    ],
)
def test_bad_input_is_one_line(
    words: str, said: str, lab: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert said in complaint(words.format(run=run_of(lab, "ppo")), capsys)


def test_without_a_launcher_no_adaptation_is_begun(
    lab: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "")
    words = "adapt runs=outputs/train shift=weaker_push delta=0.5 output=new launcher=slurm"
    assert "this machine has no sbatch" in complaint(words, capsys)
    assert not (lab / "new").exists()


def test_adaptations_of_another_recipe_are_refused(
    lab: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line = complaint(
        f"evaluate runs={run_of(lab, 'dqn')} adaptations={adapted(lab, 'ppo')}", capsys
    )
    assert "one of the contestants: dqn" in line


def test_an_adaptation_given_twice_is_refused(
    lab: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whatever else differs, the records could not tell them apart."""
    copy = tmp_path / "again" / "seed_0"
    shutil.copytree(adapted(lab, "ppo"), copy)
    given = f"adaptations=[{adapted(lab, 'ppo').parent},{copy}]"
    line = complaint(f"evaluate runs={run_of(lab, 'ppo')} {given}", capsys)
    assert "adapt the same seed to the same world" in line
    shutil.rmtree(copy.parent)
    twice = f"adaptations=[{adapted(lab, 'ppo').parent},{adapted(lab, 'ppo')}]"
    assert "the same seed" in complaint(f"evaluate runs={run_of(lab, 'ppo')} {twice}", capsys)


def test_a_run_without_its_checkpoint_says_what_is_missing(
    lab: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bare = tmp_path / "run"
    shutil.copytree(run_of(lab, "ppo"), bare)
    shutil.rmtree(bare / "checkpoints")
    line = complaint(f"adapt run={bare} shift=weaker_push output={tmp_path}/o", capsys)
    assert "checkpoint" in line
    assert "does not exist (expected a whole checkpoint of this run)" in line
    assert "Train the run again to continue it" in line
    assert not (tmp_path / "o").exists()


def test_an_unfinished_adaptation_is_not_judged(
    lab: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copy = tmp_path / "half"
    shutil.copytree(adapted(lab, "ppo"), copy)
    adaptations.write(copy, {**adaptations.read(copy), "status": "running"})
    line = complaint(f"evaluate runs={run_of(lab, 'ppo')} adaptations={copy}", capsys)
    assert "is running" in line
