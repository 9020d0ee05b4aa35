"""The commands a user types, one after the other, from an empty folder."""

from __future__ import annotations

import io
import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from boards import experiment_of, table_of
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.custom_scalar import layout_pb2

import rl_lab
from rl_lab import cli, paths

TRAIN = "train env=CartPole-v1 agent={agent} seed={seed} training.steps=600"


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with four runs and one evaluation."""
    folder = tmp_path_factory.mktemp("lab")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for agent in ("ppo", "dqn"):
            for seed in (0, 1):
                assert cli.main(TRAIN.format(agent=agent, seed=seed).split()) == 0
        words = "evaluate runs=outputs/train/CartPole-v1 evaluation=quick name=e"
        assert cli.main(words.split()) == 0
    return folder


@pytest.fixture(autouse=True)
def in_lab(lab: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(lab)


def run_folder(lab: Path, agent: str, seed: int) -> Path:
    (found,) = (lab / "outputs" / "train" / "CartPole-v1").glob(f"{agent}-*/seed_{seed}")
    return found


def test_a_run_folder_holds_what_the_formats_page_says(lab: Path) -> None:
    run = run_folder(lab, "ppo", 0)
    card = json.loads((run / "run.json").read_text())
    assert card["status"] == "complete"
    assert card["steps"] >= 600
    assert card["settings"].startswith("tuned for CartPole-v1")
    assert (run / "config.yaml").read_text().startswith("seed: 0")
    assert (run / "policy" / "policy.onnx").is_file()
    assert (run / "best" / "policy.json").is_file()
    assert list(run.glob("events.out.tfevents.*"))
    assert list((run / "checkpoints").glob("step-*/arrays.safetensors"))
    steps = [json.loads(line)["step"] for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert steps == sorted(steps)


def test_a_run_keeps_the_policy_of_every_selection(lab: Path) -> None:
    run = run_folder(lab, "dqn", 0)
    card = json.loads((run / "run.json").read_text())
    kept = {place.name: place for place in paths.snapshots(run)}
    assert list(kept) == [f"step-{point['step']:09d}" for point in card["selection"]]
    best = kept[f"step-{card['best_step']:09d}"]
    assert (best / "policy.onnx").read_bytes() == (run / "best" / "policy.onnx").read_bytes()


def test_tags_are_those_of_stable_baselines3(lab: Path) -> None:
    tags = set()
    for line in (run_folder(lab, "ppo", 0) / "metrics.jsonl").read_text().splitlines():
        tags |= set(json.loads(line))
    assert {"rollout/ep_rew_mean", "time/fps", "train/value_loss", "eval/mean_reward"} <= tags


def test_the_same_command_skips(lab: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = (run_folder(lab, "ppo", 0) / "run.json").stat().st_mtime_ns
    assert cli.main(TRAIN.format(agent="ppo", seed=0).split()) == 0
    assert "complete already" in capsys.readouterr().out
    assert (run_folder(lab, "ppo", 0) / "run.json").stat().st_mtime_ns == before


@pytest.mark.parametrize("agent", ["ppo", "dqn"])
def test_the_same_training_gives_the_same_weights(agent: str, lab: Path) -> None:
    words = TRAIN.format(agent=agent, seed=0).split()
    assert cli.main([*words, "output=again"]) == 0
    (again,) = (lab / "again").glob(f"train/CartPole-v1/{agent}-*/seed_0")
    for which in ("policy", "best"):
        for name in ("policy.onnx", "policy.json"):
            one = (run_folder(lab, agent, 0) / which / name).read_bytes()
            assert one == (again / which / name).read_bytes(), (which, name)


def test_another_seed_gives_other_weights(lab: Path) -> None:
    one, two = ((run_folder(lab, "ppo", s) / "policy" / "policy.onnx").read_bytes() for s in (0, 1))
    assert one != two


def test_the_same_evaluation_gives_the_same_records(lab: Path) -> None:
    words = "evaluate runs=outputs/train/CartPole-v1 evaluation=quick name=twice"
    assert cli.main([*words.split(), "evaluation.workers=1", "evaluation.speed.calls=0"]) == 0
    one, two = (
        (lab / "outputs" / "evaluate" / name / "episodes.csv").read_bytes()
        for name in ("e", "twice")
    )
    assert one == two


def test_an_evaluation_holds_what_the_formats_page_says(lab: Path) -> None:
    folder = lab / "outputs" / "evaluate" / "e"
    scores = json.loads((folder / "scores.json").read_text())
    assert {c["name"] for c in scores["contestants"]} == {"ppo", "dqn"}
    assert all(c["training_seeds"] == [0, 1] for c in scores["contestants"])
    speed = json.loads((folder / "speed.json").read_text())
    assert set(speed["contestants"]) == {"ppo", "dqn"}
    assert (folder / "report.html").stat().st_size > 1000
    assert list(folder.glob("events.out.tfevents.*"))


def test_evaluate_report_list_and_replay_need_no_training_library(lab: Path) -> None:
    code = (
        "import sys\n"
        "class Block:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.split('.')[0] in ('torch', 'stable_baselines3', 'sb3_contrib'):\n"
        "            raise ImportError(f'{name} is blocked')\n"
        "sys.meta_path.insert(0, Block())\n"
        "from rl_lab.cli import main\n"
        "sys.exit(main(sys.argv[1:]))\n"
    )
    run = run_folder(lab, "ppo", 0)
    for words in (
        "evaluate runs=outputs/train/CartPole-v1 evaluation=quick name=blocked "
        "evaluation.speed.calls=0",
        "report evaluation=outputs/evaluate/e",
        "list",
        f"replay run={run} to=outputs/replay/blocked.webp",
        f"freeze run={run} to=frozen",
    ):
        done = subprocess.run(
            [sys.executable, "-c", code, *words.split()], capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr


def test_a_frozen_copy_acts_alike(lab: Path) -> None:
    run = run_folder(lab, "dqn", 1)
    assert cli.main(["freeze", f"run={run}", "to=copy", "which=best"]) == 0
    assert (lab / "copy" / "policy.onnx").read_bytes() == (
        run / "best" / "policy.onnx"
    ).read_bytes()


def test_a_sweep_runs_what_is_missing_and_names_what_fails(
    lab: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = "train -m agent=ppo seed=0,1,2 training.steps=600"
    assert cli.main(words.split()) == 0
    out = capsys.readouterr().out
    assert "3 runs, 2 complete already" in out
    assert "1 of 1 jobs done" in out
    words = "train -m agent=ppo seed=0 training.steps=600 agent.batch_size=-1,8 output=other"
    assert cli.main(words.split()) == 1
    captured = capsys.readouterr()
    assert "1 of 2 jobs done" in captured.out
    assert "failed: CartPole-v1 ppo-" in captured.err
    assert "log.txt" in captured.err


def test_the_plain_onnxruntime_lines_of_the_docs_work(lab: Path, tmp_path: Path) -> None:
    page = Path(cli.__file__).parents[2] / "docs" / "frozen-policy.md"
    code = page.read_text().split("## Without rl-lab")[1].split("```python\n")[1].split("```")[0]
    run = run_folder(lab, "ppo", 0)
    code = code.replace('"my_policy"', repr(str(run / "policy")))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    rows = (lab / "outputs" / "evaluate" / "e" / "episodes.csv").read_text().splitlines()
    row = next(r for r in rows if r.startswith("ppo,0,CartPole-v1,none,0.0,none,2000000000"))
    assert float(done.stdout) == float(row.split(",")[7])


def test_policies_carry_the_statistics_of_their_world(lab: Path) -> None:
    run = run_folder(lab, "ppo", 0)
    for which in ("policy", "best"):
        monitor = rl_lab.DriftMonitor(run / which)
        assert monitor.reference.environment == "CartPole-v1"
    assert json.loads((run / "run.json").read_text())["no_reference"] == ""
    assert cli.main(f"freeze run={run} to=monitored".split()) == 0
    assert cli.main(f"freeze run={run} to=plain monitoring=none".split()) == 0
    copied = (lab / "monitored" / "reference.json").read_bytes()
    assert copied == (run / "policy" / "reference.json").read_bytes()
    assert not (lab / "plain" / "reference.json").exists()


# TensorBoard ---------------------------------------------------------------------------------


def test_each_row_of_hyperparameters_has_its_final_scores(lab: Path) -> None:
    scores = json.loads((lab / "outputs" / "evaluate" / "e" / "scores.json").read_text())
    expected = sorted(
        (mean, contestant["robustness"]["per_seed_auc"][seed])
        for contestant in scores["contestants"]
        for seed, mean in contestant["reward"]["per_seed"].items()
    )
    rows = [row for row in table_of(lab / "outputs") if "evaluation/mean_return" in row]
    assert len(rows) == 4
    found = sorted((r["evaluation/mean_return"], r["evaluation/robustness_area"]) for r in rows)
    assert np.allclose(found, expected)
    assert all("selection/mean_return" in row for row in rows)
    experiment, _ = experiment_of(lab / "outputs")
    first = min(experiment.hparam_infos, key=lambda info: info.name)
    assert first.name == "agent"
    assert {value.string_value for value in first.domain_discrete.values} >= {"dqn", "ppo"}


def test_the_layout_puts_the_three_questions_first(lab: Path) -> None:
    folder = lab / "outputs" / "evaluate" / "e"
    read = EventAccumulator(str(folder))
    read.Reload()
    (event,) = read.Tensors("custom_scalars__config__")
    layout = layout_pb2.Layout.FromString(event.tensor_proto.string_val[0])
    assert [category.title[0] for category in layout.category][:3] == ["1", "2", "3"]
    tags = read.Tags()["scalars"]
    charts = [chart for category in layout.category[:3] for chart in category.chart]
    for title in ("evaluation: mean return", "one decision, microseconds"):
        (chart,) = [chart for chart in charts if chart.title == title]
        assert [tag for tag in tags if re.search(chart.multiline.tag[0], tag)]
    titles = {chart.title for chart in charts}
    assert not [title for title in titles if title.startswith(("adaptation", "forgetting"))]
    names = [f"episode/{name}" for name in ("dqn", "ppo")]
    assert sorted(read.Tags()["images"]) == names
    picture = read.Images(names[0])[0]
    with Image.open(io.BytesIO(picture.encoded_image_string)) as moving:
        assert (moving.width, moving.height) == (picture.width, picture.height)
        assert moving.n_frames > 5
