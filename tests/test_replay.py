"""Replays: what was recorded comes back to the bit, and what does not is named."""

from __future__ import annotations

import dataclasses
import json
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
from fakes import always, linear_policy, recorded, saved
from PIL import Image
from small_agents import plain_training

from rl_lab import arrays, episodes, replay, shifts
from rl_lab.errors import BadInput
from rl_lab.frozen_policy import FrozenPolicy
from rl_lab.records import EpisodeRecord
from rl_lab.replay import drawing, looking, pictures
from rl_lab.replay.simulation import Moment

SEED = 2_000_000_003
FALLS = [[0.0, 0.0, -1.0, 0.0], [0.0, 0.0, 1.0, 0.0]]
STANDS = [[-0.1, -0.5, -3.0, -1.0], [0.1, 0.5, 3.0, 1.0]]
HEAVY = shifts.from_data(
    {
        "name": "heavy",
        "environment": "CartPole-v1",
        "parameter": "gravity",
        "unit": "m/s^2",
        "path": "additive",
        "nominal": 9.8,
        "near": 12.0,
        "far": 19.6,
        "bounds": [0, None],
        "acts": {"before_reset": [{"set": "gravity"}]},
        "source": "none",
    }
)


class Tiny(gymnasium.Env[Any, Any]):
    """Three steps; draws squares of 16 pixels, or only text."""

    metadata = {"render_modes": ["rgb_array"], "render_fps": 4}  # noqa: RUF012
    observation_space = gymnasium.spaces.Box(-1.0, 1.0, (2,), np.float32)
    action_space = gymnasium.spaces.Discrete(2)

    def __init__(self, render_mode: str | None = None) -> None:
        self.render_mode = render_mode
        self.left = 0

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        super().reset(seed=seed)
        self.left = 3
        return np.zeros(2, np.float32), {}

    def step(self, action: Any) -> Any:
        self.left -= 1
        return np.zeros(2, np.float32), 0.5, self.left == 0, False, {}

    def render(self) -> Any:
        return np.full((16, 16, 3), 60 * self.left, np.uint8)


class Wordy(Tiny):
    metadata = {"render_modes": ["ansi"], "render_fps": 4}  # noqa: RUF012

    def render(self) -> Any:
        return f"{self.left} left"


for _name, _kind in (("Tiny", Tiny), ("Wordy", Wordy)):
    gymnasium.register(f"Replay{_name}-v0", entry_point=_kind)


@pytest.fixture(scope="module")
def falling() -> replay.Replay:
    """Some tens of steps of CartPole."""
    return recorded(linear_policy("CartPole-v1", FALLS, [0.0, 0.0]), SEED)


@pytest.fixture(scope="module")
def standing() -> replay.Replay:
    """All 500 steps of CartPole."""
    return recorded(linear_policy("CartPole-v1", STANDS, [0.0, 0.0]), SEED)


def untrained(environment: str) -> FrozenPolicy:
    pytest.importorskip("stable_baselines3", reason="needs stable-baselines3")
    from rl_lab_agents import sb3

    from rl_lab import freezing
    from rl_lab.environments import EnvironmentRecipe

    recipe = EnvironmentRecipe(environment, {}, (), None)
    facts = {"agent": "ppo", "training_seed": 0, "steps": 0, "recipe_hash": "00000000"}
    facts |= {"environment": recipe.to_data(), "anchors": None, "provenance": {}}
    training = plain_training(steps=100)
    agent = sb3.make(
        lambda: gymnasium.make(environment),
        training,
        0,
        algorithm="stable_baselines3.PPO",
        policy="MlpPolicy",
    )
    return freezing.freeze(agent.policy(), facts)


def fields(recording: replay.Replay) -> dict[str, Any]:
    """All fields, arrays as bytes."""
    data = {f.name: getattr(recording, f.name) for f in dataclasses.fields(recording)}
    return {k: v.tobytes() if isinstance(v, np.ndarray) else v for k, v in data.items()}


# Recording and verifying ---------------------------------------------------------------------


def test_a_recorded_episode_is_the_evaluated_one(standing: replay.Replay) -> None:
    policy = linear_policy("CartPole-v1", STANDS, [0.0, 0.0])
    episode = episodes.run_episode(episodes.make_for(policy), policy, SEED, 10_000)
    found = (standing.episode_return, standing.length, standing.terminated, standing.truncated)
    assert found == dataclasses.astuple(episode) == (500.0, 500, False, True)
    assert standing.policy_sha256 == policy.card.onnx_sha256


def test_a_recording_survives_the_disk_and_is_bit_identical(
    standing: replay.Replay, tmp_path: Path
) -> None:
    path = tmp_path / "episode.json"
    replay.save(standing, path)
    assert path.stat().st_size < 5_000
    loaded = replay.load(path)
    assert fields(loaded) == fields(standing)
    verdict = replay.verify(loaded)
    assert verdict.identical
    assert str(verdict) == "bit-identical over 500 steps"


@pytest.mark.parametrize("environment", ["Pendulum-v1", "BipedalWalker-v3", "HalfCheetah-v5"])
def test_continuous_actions_come_back_to_the_bit(
    environment: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = {"BipedalWalker-v3": "Box2D", "HalfCheetah-v5": "mujoco"}.get(environment)
    if package:
        pytest.importorskip(package, reason=f"{environment} needs {package}")
    monkeypatch.chdir(tmp_path)  # MuJoCo may write a log file into the current folder.
    recording = recorded(untrained(environment), SEED)
    replay.save(recording, tmp_path / "episode.json")
    assert replay.verify(replay.load(tmp_path / "episode.json")).identical


@pytest.mark.parametrize("index", [0, 7, -1])
def test_an_edited_action_is_named(falling: replay.Replay, index: int) -> None:
    actions = falling.actions.copy()
    actions[index] = 1 - actions[index]
    verdict = replay.verify(dataclasses.replace(falling, actions=actions))
    assert verdict.step == range(1, falling.length + 1)[index]
    assert verdict.what == "another observation"
    assert str(verdict).startswith(f"differs from step {verdict.step} of {falling.length} on")


def test_an_edited_reward_seed_or_hash_is_named(falling: replay.Replay) -> None:
    rewards = falling.rewards.copy()
    rewards[4] = np.nextafter(1.0, 2.0)
    verdict = replay.verify(dataclasses.replace(falling, rewards=rewards))
    assert (verdict.step, verdict.what) == (5, "reward 1.0 instead of 1.0000000000000002")
    assert replay.verify(dataclasses.replace(falling, seed=SEED + 1)).step == 0
    other = dataclasses.replace(falling, observations_sha256="0" * 64)
    assert replay.verify(other).step == falling.length


def test_an_episode_of_another_length_is_named(falling: replay.Replay) -> None:
    n = falling.length
    shorter = dataclasses.replace(
        falling,
        actions=falling.actions[: n - 3],
        rewards=falling.rewards[: n - 3],
        marks=falling.marks[: n - 2],
    )
    verdict = replay.verify(shorter)
    assert (verdict.step, verdict.what) == (n - 3, "the episode goes on instead of terminated")
    longer = dataclasses.replace(
        falling,
        actions=np.append(falling.actions, 0),
        rewards=np.append(falling.rewards, 1.0),
        marks=np.append(falling.marks, np.uint32(0)),
    )
    verdict = replay.verify(longer)
    assert (verdict.step, verdict.what) == (n, "the episode terminated instead of going on")


def test_an_action_that_the_environment_refuses_is_named(falling: replay.Replay) -> None:
    actions = falling.actions.copy()
    actions[2] = 9
    verdict = replay.verify(dataclasses.replace(falling, actions=actions))
    assert verdict.step == 3
    assert verdict.what.startswith("the environment raised AssertionError")
    with pytest.raises(BadInput, match="recorded actions of shape"):
        replay.verify(dataclasses.replace(falling, actions=actions.astype(np.float32)))


def test_other_versions_are_suspected(falling: replay.Replay) -> None:
    before = {**falling.recorded_with, "gymnasium": "0.99"}
    other = dataclasses.replace(falling, seed=1, recorded_with=before)
    assert "recorded with gymnasium 0.99, here " in str(replay.verify(other))


def test_a_shifted_context_is_restored(tmp_path: Path) -> None:
    policy = linear_policy("CartPole-v1", STANDS, [0.0, 0.0])
    recording = recorded(policy, SEED, HEAVY, 0.5)
    replay.save(recording, tmp_path / "episode.json")
    loaded = replay.load(tmp_path / "episode.json")
    assert replay.verify(loaded).identical
    assert replay.verify(dataclasses.replace(loaded, delta=0.25)).step is not None
    assert replay.verify(dataclasses.replace(loaded, shift=None, delta=0.0)).step is not None
    assert replay.file_stem(loaded) == f"CartPole-v1-linear-seed_0-heavy=0.5-episode_{SEED}"


def test_an_environment_without_a_limit_is_cut_where_it_was() -> None:
    recording = recorded(always(1, "FakeEndless-v0"), 0, step_limit=12)
    assert (recording.length, recording.ended) == (12, "truncated")
    assert replay.verify(recording).identical


def test_bad_requests_are_refused() -> None:
    with pytest.raises(BadInput, match="seed=-1"):
        recorded(always(1), -1)
    with pytest.raises(BadInput, match="without a shift"):
        recorded(always(1), 0, delta=0.5)


# Files ---------------------------------------------------------------------------------------

GOLDEN = """{
  "format": "rl_lab.replay",
  "format_version": 1,
  "length": 3,
  "episode_return": 6.0,
  "environment": {
    "id": "FakeCountdown-v0", "kwargs": {}, "wrappers": [], "max_episode_steps": null
  },
  "shift": null,
  "delta": 0.0,
  "seed": 0,
  "actions": {"dtype": "int64", "shape": [3], "zlib": "eNpjZIAARjQaAABIAAQ="},
  "rewards": {"dtype": "float64", "shape": [3], "zlib": "eNpjYACBD/YMEOAAoTgcABe3Abg="},
  "marks": {"dtype": "uint32", "shape": [4], "zlib": "eNqTuvTd4/C9/Y8zFsqUfJ/6lgUAU1MJhQ=="},
  "observations_sha256": "04ed95f72cea0929ed808ab34c2e930352cb1aef2f40b20226628ac888eb7879",
  "terminated": true,
  "truncated": false,
  "agent": "linear",
  "training_seed": 0,
  "policy_sha256": "ab00000000000000000000000000000000000000000000000000000000000000",
  "recorded_with": {"python": "3.11.7"}
}
"""


def test_the_golden_file_still_reads(tmp_path: Path) -> None:
    path = tmp_path / "golden.json"
    path.write_text(GOLDEN, encoding="utf-8")
    recording = replay.load(path)
    assert recording.actions.tolist() == [1, 1, 1]
    assert recording.rewards.tolist() == [1.0, 2.0, 3.0]
    assert recording.ended == "terminated"
    assert replay.verify(recording).identical


def test_a_newer_file_and_another_file_are_refused(falling: replay.Replay, tmp_path: Path) -> None:
    path = tmp_path / "episode.json"
    replay.save(falling, path)
    data = json.loads(path.read_text())
    path.write_text(json.dumps({**data, "format_version": 2}))
    with pytest.raises(BadInput, match="version 1, the one this rl-lab reads"):
        replay.load(path)
    path.write_text(json.dumps({**data, "format": "rl_lab.frozen_policy"}))
    with pytest.raises(BadInput, match="is not a replay"):
        replay.load(path)
    with pytest.raises(BadInput, match="cannot read"):
        replay.load(tmp_path / "absent.json")


BOMB = {"dtype": "int64", "shape": [3], "zlib": arrays.encode(np.zeros(10_000_000, int))["zlib"]}


@pytest.mark.parametrize(
    "change",
    [
        {"length": 4},
        {"episode_return": 1.0},
        {"seed": -1},
        {"seed": 1.5},
        {"seed": True},
        {"delta": 0.5},
        {"delta": "0"},
        {"terminated": 1},
        {"terminated": False},
        {"agent": None},
        {"environment": {}},
        {"environment": []},
        {"shift": {"name": "x"}},
        {"shift": {**HEAVY.to_data(), "far": "x"}, "delta": 0.5},
        {"shift": {**HEAVY.to_data(), "acts": {"before_reset": [{"call": "close"}]}}},
        {"actions": [1, 1]},
        {"actions": BOMB},
        {"actions": {"dtype": "object", "shape": [3], "zlib": ""}},
        {"actions": {"dtype": "int64", "shape": [-3], "zlib": ""}},
        {"actions": {"dtype": "int64", "shape": [10**15], "zlib": ""}},
        {"actions": {"dtype": "int64", "shape": [3], "zlib": "?"}},
        {"rewards": {"dtype": "float32", "shape": [0], "zlib": ""}},
        {"policy_sha256": "zz"},
        {"recorded_with": None},
        {"unheard_of": 1},
    ],
)
def test_a_damaged_file_is_refused(
    falling: replay.Replay, tmp_path: Path, change: dict[str, Any]
) -> None:
    path = tmp_path / "episode.json"
    replay.save(falling, path)
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(BadInput, match="is damaged"):
        replay.load(path)


def test_no_damage_ends_in_another_error(falling: replay.Replay, tmp_path: Path) -> None:
    path = tmp_path / "episode.json"
    replay.save(falling, path)
    whole = path.read_bytes()
    dice = random.Random(0)
    for _ in range(300):
        damaged = bytearray(whole)
        damaged[dice.randrange(len(whole))] = dice.randrange(256)
        path.write_bytes(damaged[: dice.choice([None, dice.randrange(len(whole))])])
        try:
            replay.load(path)
        except BadInput:
            continue


# Pictures ------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", [".webp", ".png", ".gif"])
def test_an_animation_has_every_frame_and_lasts_as_long_as_the_episode(
    falling: replay.Replay, tmp_path: Path, suffix: str
) -> None:
    made = replay.render(falling, tmp_path / f"episode{suffix}")
    assert made.verdict.identical
    assert (made.frames, made.every, made.fps) == (falling.length + 1, 1, 50.0)
    with Image.open(made.path) as picture:
        assert picture.n_frames == made.frames
        assert picture.width == 480
        assert picture.height > 320  # 600 x 400 scaled, and the caption
        durations = []
        for index in range(picture.n_frames):
            picture.seek(index)
            picture.load()
            durations.append(picture.info["duration"])
    assert set(durations[:-1]) == {20}
    assert durations[-1] == 1500
    assert made.path.stat().st_size < 500_000


def test_a_long_episode_is_thinned_and_keeps_its_end(
    standing: replay.Replay, tmp_path: Path
) -> None:
    steps: list[tuple[int, int]] = []
    made = replay.render(
        standing, tmp_path, size=120, on_step=lambda step, total: steps.append((step, total))
    )
    assert made.path == tmp_path / f"CartPole-v1-linear-seed_0-episode_{SEED}.webp"
    assert (made.frames, made.every, made.fps) == (251, 2, 25.0)
    assert steps == [(step, 500) for step in range(501)]


def test_there_are_never_more_than_300_frames_or_50_a_second() -> None:
    for fps in (4.0, 30.0, 125.0):
        for length in range(1, 3_000):
            every = drawing.frames_apart(length, fps)
            shown = {*range(0, length + 1, every), length}
            assert len(shown) <= 300
            assert fps / every <= 50.0
            if every > 1 and fps <= 50.0:
                assert -(-length // (every - 1)) + 1 > 300


def test_size_speed_and_overlay_are_as_asked(tmp_path: Path) -> None:
    recording = recorded(always(1, "ReplayTiny-v0"), 0)
    made = replay.render(recording, tmp_path / "a.png", size=64, fps=8.0, overlay=False)
    with Image.open(made.path) as picture:
        assert (picture.n_frames, picture.size) == (4, (64, 64))
        assert picture.convert("RGB").getpixel((5, 5)) == (180, 180, 180)
        assert picture.info["duration"] == 125
    made = replay.render(recording, tmp_path / "b.webp")
    assert made.fps == 4.0
    with Image.open(made.path) as picture:
        assert picture.width == 240  # enlarged by a whole factor, so that the caption can be read


@pytest.mark.parametrize("width", [32, 64, 160, 240, 480, 2000])
def test_a_caption_hides_nothing_and_says_something(width: int) -> None:
    picture = Image.new("RGB", (width, 40), "#123456")
    moment = Moment(500, np.array([0.5, -1.0] * 9), -123.456, -1234.5, "terminated", "")
    captioned = pictures.captioned(picture, moment)
    assert captioned.crop((0, 0, width, 40)).tobytes() == picture.tobytes()
    strip = captioned.crop((0, 40, *captioned.size))
    assert 20 < strip.height < 100
    assert strip.getcolors(maxcolors=100_000) is not None
    assert len(strip.getcolors(maxcolors=100_000) or []) > 10


def test_caption_as_text() -> None:
    line = pictures.line(Moment(3, np.array([0.5, -0.001], np.float32), -0.001, 12.0, "", ""))
    assert line == "step 3  reward 0.00  return 12.00  action +0.50 +0.00"
    assert pictures.line(Moment(0, None, 0.0, 0.0, "", "")).endswith("action -")
    assert pictures.line(Moment(1, np.int64(2), 1.0, 1.0, "truncated", "")).endswith(
        "action 2  truncated"
    )


def test_text_is_written_where_there_are_no_pictures(tmp_path: Path) -> None:
    recording = recorded(always(1, "ReplayWordy-v0"), 0)
    made = replay.render(recording, tmp_path / "episode.webp")
    assert made.path == tmp_path / "episode.txt"
    assert made.path.read_text().split("\n\n")[-1] == (
        "step 3  reward 0.50  return 1.50  action 1  terminated\n0 left\n"
    )


def test_what_cannot_be_drawn_is_refused(falling: replay.Replay, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"to=.*\.mov"):
        replay.render(falling, tmp_path / "episode.mov")
    with pytest.raises(BadInput, match="fps=0"):
        replay.render(falling, tmp_path / "episode.webp", fps=0.0)
    with pytest.raises(BadInput, match="size=3"):
        replay.render(falling, tmp_path / "episode.webp", size=3)
    with pytest.raises(BadInput, match="has the render modes human, rgb_array"):
        replay.render(falling, tmp_path / "episode.txt")
    with pytest.raises(BadInput, match="has the render modes none"):
        replay.render(recorded(always(1), 0), tmp_path / "episode.webp")
    assert list(tmp_path.iterdir()) == []


def test_drawing_does_not_change_the_world(tmp_path: Path) -> None:
    pytest.importorskip("Box2D", reason="LunarLander-v3 needs Box2D")
    # Brakes its fall: the engine's sparks are bodies of the same world when it is drawn.
    weight = np.zeros((4, 8))
    weight[2, 3], weight[3, 4:6], weight[1, 4:6] = -10.0, 5.0, -5.0
    recording = recorded(linear_policy("LunarLander-v3", weight, [0.0, -1.0, -2.0, -1.0]), SEED)
    assert {0, 2} <= set(recording.actions.tolist())
    assert recording.length > 100
    assert replay.render(recording, tmp_path / "a.webp", size=64).verdict.identical


def test_a_drawn_difference_is_reported(falling: replay.Replay, tmp_path: Path) -> None:
    other = dataclasses.replace(falling, seed=SEED + 1)
    assert replay.render(other, tmp_path / "a.webp", size=64).verdict.step == 0


def test_no_window_without_a_display(
    falling: replay.Replay, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    monkeypatch.setattr(sys, "platform", "linux")
    assert not looking.has_display()
    with pytest.raises(BadInput, match=r"to=FILE\.webp"):
        replay.watch(falling)
    monkeypatch.setenv("DISPLAY", ":0")
    assert looking.has_display()
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.delenv("DISPLAY")
    assert looking.has_display()


# Without the training libraries --------------------------------------------------------------

WITHOUT_TORCH = """
import sys
for name in ("torch", "stable_baselines3", "sb3_contrib", "hydra", "omegaconf"):
    sys.modules[name] = None
from rl_lab import load_policy, replay
recording = replay.record(load_policy(sys.argv[1]), 7, 10_000)
path = sys.argv[2] + "/episode.json"
from pathlib import Path
replay.save(recording, Path(path))
loaded = replay.load(Path(path))
assert replay.verify(loaded).identical
assert replay.render(loaded, sys.argv[2] + "/episode.webp", size=64).verdict.identical
"""


def test_replaying_needs_no_training_library(tmp_path: Path) -> None:
    folder = saved(linear_policy("CartPole-v1", FALLS, [0.0, 0.0]), tmp_path / "policy")
    words = [sys.executable, "-c", WITHOUT_TORCH, str(folder), str(tmp_path)]
    subprocess.run(words, check=True, timeout=120)
    assert (tmp_path / "episode.webp").stat().st_size > 1000


# Picking -------------------------------------------------------------------------------------


def episode(value: float, seed: int, training_seed: int = 0, **other: Any) -> EpisodeRecord:
    data = {
        "contestant": "ppo",
        "training_seed": training_seed,
        "environment": "CartPole-v1",
        "shift": "none",
        "delta": 0.0,
        "schedule": "none",
        "evaluation_seed": seed,
        "episode_return": value,
        "length": 1,
        "terminated": True,
        "truncated": False,
    }
    return EpisodeRecord(**{**data, **other})


RECORDS = [
    episode(5.0, 13),
    episode(9.0, 12, 1),
    episode(9.0, 11, 1),
    episode(9.0, 11, 0),
    episode(1.0, 10),
    episode(1.0, 10, 2),
    episode(99.0, 9, shift="heavy", delta=0.5),
    episode(-99.0, 9, shift="heavy", delta=1.0),
]


@pytest.mark.parametrize(
    ("which", "value", "seed", "training_seed"),
    [("best", 9.0, 11, 0), ("median", 5.0, 13, 0), ("worst", 1.0, 10, 0)],
)
def test_pick_and_its_ties(which: str, value: float, seed: int, training_seed: int) -> None:
    for records in (RECORDS, RECORDS[::-1]):
        picked = replay.pick(records, which)
        found = (picked.episode_return, picked.evaluation_seed, picked.training_seed)
        assert found == (value, seed, training_seed)


def test_pick_refuses() -> None:
    with pytest.raises(BadInput, match="Did you mean 'worst'"):
        replay.pick(RECORDS, "wurst")
    with pytest.raises(BadInput, match="contestant=NAME"):
        replay.pick([*RECORDS, episode(1.0, 1, contestant="dqn")], "best")
    with pytest.raises(BadInput, match="no contestant"):
        replay.pick(RECORDS[-2:], "best")
