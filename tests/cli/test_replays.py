"""An evaluation's replays, and the player and the film from the command line."""

from __future__ import annotations

import base64
import dataclasses
import json
import re
import statistics
from pathlib import Path
from typing import Any

import pytest
from fakes import linear_policy, saved

from rl_lab import cli, records, replay, seeding

STANDS = [[-0.1, -0.5, -3.0, -1.0], [0.1, 0.5, 3.0, 1.0]]
FALLS = [[0.0, 0.0, -1.0, 0.0], [0.0, 0.0, 1.0, 0.0]]


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two frozen policies and their evaluation."""
    folder = tmp_path_factory.mktemp("replays")
    for name, weight in (("stands", STANDS), ("falls", FALLS)):
        policy = linear_policy("CartPole-v1", weight, [0.0, 0.0], agent=name, recipe_hash=name)
        saved(policy, folder / name)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        words = "evaluate policies=[stands,falls] evaluation=quick name=e evaluation.speed.calls=0"
        assert cli.main([*words.split(), "logger=none"]) == 0
    return folder


@pytest.fixture(autouse=True)
def in_lab(lab: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(lab)


def stored(lab: Path) -> dict[str, Any]:
    return dict(json.loads((lab / "outputs/evaluate/e/replays/replays.json").read_text()))


def page_data(path: Path) -> dict[str, Any]:
    (text,) = re.findall(
        r'<script type="application/json" id="replays-data">(.*?)</script>', path.read_text(), re.S
    )
    return dict(json.loads(text))


def test_every_contestant_has_its_best_median_and_worst_episode(lab: Path) -> None:
    folder = lab / "outputs" / "evaluate" / "e"
    rows = records.read(folder / "episodes.csv")
    found = {(r["contestant"], r["pick"]): r for r in stored(lab)["recordings"]}
    names = sorted({row.contestant for row in rows})
    assert set(found) == {(n, p) for n in names for p in ("best", "median", "worst")}
    for (name, pick), facts in found.items():
        chosen = replay.pick([row for row in rows if row.contestant == name], pick)
        assert (facts["seed"], facts["episode_return"]) == (
            chosen.evaluation_seed,
            chosen.episode_return,
        )
        recording = replay.load(folder / facts["file"])
        assert recording.episode_return == chosen.episode_return
        assert replay.verify(recording).identical


def test_scenes_compare_like_with_like(lab: Path) -> None:
    data = stored(lab)
    same, *others = data["scenes"]
    clips = data["clips"]
    assert same["title"].startswith("The same episode seed")
    assert len({clips[p["clip"]]["seed"] for p in same["players"]}) == 1
    assert {clips[p["clip"]]["agent"] for p in same["players"]} == {"stands", "falls"}
    shifted = [scene for scene in others if "beside" in scene["title"]]
    assert len(shifted) == 2
    rows = [r for r in records.read(lab / "outputs/evaluate/e/episodes.csv") if r.delta == 1.0]
    means = {
        name: statistics.fmean(r.episode_return for r in rows if r.shift == name)
        for name in {row.shift for row in rows}
    }
    assert len(means) == 2
    hardest = min(means, key=lambda name: means[name])
    for scene in shifted:
        nominal, end = (clips[player["clip"]] for player in scene["players"])
        assert (nominal["shift"], end["shift"], end["delta"]) == (None, hardest, 1.0)
        assert nominal["seed"] == end["seed"]
    assert {clip["verdict"].split(" over")[0] for clip in clips.values()} == {"bit-identical"}
    assert data["missing"] == []


def test_the_report_carries_the_clips_with_their_pictures(lab: Path) -> None:
    folder = lab / "outputs" / "evaluate" / "e"
    shown = page_data(folder / "report.html")
    assert shown["scenes"] == stored(lab)["scenes"]
    for key, clip in shown["clips"].items():
        sheet = base64.b64decode(clip["sheet"].removeprefix("data:image/webp;base64,"))
        assert sheet == (folder / "replays" / f"{key}.webp").read_bytes()


def test_a_second_evaluation_leaves_no_clips_of_the_first(lab: Path) -> None:
    folder = lab / "outputs" / "evaluate" / "e" / "replays"
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    (folder / "clip-99.webp").write_bytes(b"of an earlier evaluation")
    words = "evaluate policies=[stands,falls] evaluation=quick name=e evaluation.speed.calls=0"
    assert cli.main([*words.split(), "logger=none"]) == 0
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_a_player_shows_two_policies_on_the_same_seeds(lab: Path) -> None:
    words = "replay policy=[stands,falls] episodes=2 shift=longer_pole delta=0.5 to=player.html"
    assert cli.main(words.split()) == 0
    data = page_data(lab / "player.html")
    seeds = seeding.evaluation_seeds(0, 2)
    assert [scene["title"] for scene in data["scenes"]] == [f"Episode seed {s}" for s in seeds]
    for scene, seed in zip(data["scenes"], seeds, strict=True):
        names = [player["name"] for player in scene["players"]]
        assert names == [
            "stands",
            "stands, longer_pole at 0.5",
            "falls",
            "falls, longer_pole at 0.5",
        ]
        assert {data["clips"][player["clip"]]["seed"] for player in scene["players"]} == {seed}


def test_an_evaluation_is_found_from_any_folder(
    lab: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    words = ["replay", f"evaluation={lab}/outputs/evaluate/e", "contestant=falls"]
    assert cli.main([*words, "to=falls.json"]) == 0
    (lab / "falls").rename(lab / "away")
    try:
        assert cli.main([*words, "to=falls.json"]) == 2
    finally:
        (lab / "away").rename(lab / "falls")
    assert "is gone" in capsys.readouterr().err


def test_recordings_are_played_side_by_side(lab: Path) -> None:
    files = [f"outputs/evaluate/e/{r['file']}" for r in stored(lab)["recordings"][:2]]
    assert cli.main(["replay", f"file=[{','.join(files)}]", "to=two.html"]) == 0
    assert len(page_data(lab / "two.html")["clips"]) == 2


def test_a_player_says_which_episode_differs(lab: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recording = replay.load(Path("outputs/evaluate/e") / stored(lab)["recordings"][0]["file"])
    rewards = recording.rewards.copy()
    rewards[3] += 1
    replay.save(dataclasses.replace(recording, rewards=rewards), lab / "other.json")
    replay.save(recording, lab / "same.json")
    assert cli.main(["replay", "file=[other.json,same.json]", "to=differs.html"]) == 1
    assert "other: differs from step 4 of" in capsys.readouterr().out
    data = page_data(lab / "differs.html")
    assert [c["verdict"].split(" ")[0] for c in data["clips"].values()] == [
        "differs",
        "bit-identical",
    ]


def test_a_player_has_the_size_and_speed_asked_for(lab: Path) -> None:
    assert cli.main(["replay", "policy=stands", "size=64", "fps=5", "to=small.html"]) == 0
    (clip,) = page_data(lab / "small.html")["clips"].values()
    every = clip["steps"][1] - clip["steps"][0]
    assert max(clip["pictures"]["width"], clip["pictures"]["height"]) == 64
    assert clip["steps_per_second"] == 5 * every


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("replay policy=[stands,falls] to=one.webp", "several episodes into the one file"),
        ("replay policy=stands shift=unheard_of to=x.webp", "unknown shift 'unheard_of'"),
        ("replay file=x.json shift=longer_pole to=x.webp", "run= or policy= with it"),
        ("replay file=x.json steps=3 to=x.webp", "steps= with file"),
        ("replay evaluation=outputs/evaluate/e pick=silly", "pick=silly (expected one of best"),
        ("replay evaluation=outputs/evaluate/e", "no contestant (expected one of stands, falls)"),
        ("replay policy=stands steps=0 to=x.webp", "steps=0"),
        ("replay film policy=stands", "a film without one run"),
        ("replay film", "nothing to replay"),
        ("replay verify=recordings", "file=RECORDING.json verify=true"),
        ("replay file=x.json verify=true to=x.html", "draws nothing"),
        ("replay file=x.json pick=best", "evaluation= with it"),
        ("replay file=x.json +pick=best", "evaluation= with it"),
        ("replay file=x.json ++shift=longer_pole to=x.webp", "run= or policy= with it"),
        ("replay policy=stands delta=0.5 to=x.webp", "delta= without shift="),
        ("replay policy=stands shift=none ++delta=0.5 to=x.webp", "delta= without shift="),
        ("replay policy=stands contestant=stands to=x.webp", "evaluation= with it"),
        ("replay film run=x shift=longer_pole", "run= or policy= with it"),
        ("replay policy=stands to=x.html overlay=false", "beside its pictures"),
        ("replay policy=stands to=x.html size=3", "pixels, from 32"),
        ("replay policy=stands to=x.html fps=0", "pictures per second"),
        ("replay file=[x.json,y.json] to=x.webp", "several episodes into the one file"),
    ],
)
def test_what_cannot_be_shown_is_refused(
    words: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(words.split()) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("policy=stands to=x.mov", "to=x.mov"),
        ("policy=stands to=x.webp size=3", "pixels, from 32"),
        ("policy=stands to=x.webp fps=0", "pictures per second"),
        ("policy=stands to=x.txt", "has the render modes human, rgb_array"),
        ("policy=stands to=-", "has the render modes human, rgb_array"),
        ("policy=stands to=- size=64", "Text has neither"),
        ("policy=stands to=x.html clip.size=3", "pixels, from 32"),
        ("policy=stands to=mine.json", "mine.json is not a replay"),
        ("evaluation=outputs/evaluate/e contestant=falls to=x.txt", "has the render modes"),
    ],
)
def test_what_cannot_be_shown_is_refused_before_an_episode_is_lived(
    words: str,
    message: str,
    lab: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (lab / "mine.json").write_text('{"my": "notes"}')
    monkeypatch.setattr(replay, "record", lambda *_, **__: pytest.fail("lived an episode"))
    assert cli.main(["replay", *words.split()]) == 2
    assert message in capsys.readouterr().err
    assert (lab / "mine.json").read_text() == '{"my": "notes"}'


def test_no_recording_of_another_episode_is_overwritten(
    lab: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["replay", "policy=falls", "to=kept.json"]) == 0
    kept = (lab / "kept.json").read_bytes()
    assert cli.main(["replay", "policy=falls", "to=kept.json"]) == 0  # the same episode
    assert cli.main(["replay", "policy=falls", "seed=1", "to=kept.json"]) == 2
    assert "kept.json holds another episode" in capsys.readouterr().err
    assert (lab / "kept.json").read_bytes() == kept


def test_no_picture_is_put_beside_the_recording_of_another_episode(
    lab: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pair = [lab / "pair.webp", lab / "pair.json"]
    assert cli.main(["replay", "policy=falls", "to=pair.webp", "size=64"]) == 0
    kept = [path.read_bytes() for path in pair]
    assert cli.main(["replay", "policy=falls", "seed=1", "to=stranger.json"]) == 0
    capsys.readouterr()
    for source in ("policy=falls seed=1", "file=stranger.json"):
        assert cli.main(["replay", *source.split(), "to=pair.webp", "size=64"]) == 2
        assert "pair.json holds another episode" in capsys.readouterr().err
    assert [path.read_bytes() for path in pair] == kept
    assert not (lab / "pair-2.json").exists()
    for source in ("policy=falls", "file=pair.json"):  # the same episode is drawn anew
        assert cli.main(["replay", source, "to=pair.webp", "size=32"]) == 0
        assert pair[0].read_bytes() != kept[0]
    assert cli.main(["replay", "policy=falls", "to=pair.webp", "size=64"]) == 0
    assert [path.read_bytes() for path in pair] == kept


def test_two_policies_of_one_name_keep_their_pictures_apart(lab: Path) -> None:
    policies = [("one", STANDS), ("two", FALLS)]
    for place, weight in policies:
        saved(linear_policy("CartPole-v1", weight, [0.0, 0.0], agent="same"), lab / place)
        assert cli.main(["replay", f"policy={place}", "to=apart", "size=64"]) == 0
    stems = sorted(
        path.stem.removeprefix("CartPole-v1-same-seed_0-") for path in lab.glob("apart/*")
    )
    seed = seeding.evaluation_seeds(0, 1)[0]
    assert stems == [f"episode_{seed}", f"episode_{seed}", f"episode_{seed}-2", f"episode_{seed}-2"]


def test_steps_end_a_replay_and_the_cut_episode_verifies(
    lab: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = "replay policy=falls episodes=5 steps=70 to=cut.html"
    assert cli.main(words.split()) == 0
    lines = [x for x in capsys.readouterr().out.splitlines() if "return" in x]
    lengths = [int(x.split(" steps")[0].split()[-1]) for x in lines]
    assert sum(lengths) == 70
    assert 2 <= len(lengths) < 5
    assert [x.endswith("truncated") for x in lines] == [False] * (len(lines) - 1) + [True]
    assert cli.main(["replay", "policy=stands", "steps=6", "to=cut.json"]) == 0
    assert cli.main(["replay", "file=cut.json", "verify=true"]) == 0
    assert "bit-identical" in capsys.readouterr().out


def test_a_film_needs_snapshots_and_shows_each(
    lab: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    train = "train env=CartPole-v1 agent=a2c training.steps=400 training.selection_every_steps=200"
    train += " training.selection_episodes=1 logger=none"
    assert cli.main([*train.split(), "output=with"]) == 0
    assert cli.main([*train.split(), "output=without", "snapshots=false"]) == 0
    (run,) = (lab / "with").glob("train/*/*/seed_0")
    (bare,) = (lab / "without").glob("train/*/*/seed_0")
    capsys.readouterr()
    assert cli.main(["replay", "film", f"run={run}", "to=film.webp", "size=64"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in lines[:-1]] == ["after 200 steps", "after 400 steps"]
    assert lines[-1].startswith("film: film.webp (2 takes, ")
    assert cli.main(["replay", "film", f"run={run}", "to=film.html"]) == 0
    assert len(page_data(lab / "film.html")["scenes"][0]["players"]) == 2
    assert cli.main(["replay", "film", f"run={bare}"]) == 2
    assert "kept no snapshots" in capsys.readouterr().err
