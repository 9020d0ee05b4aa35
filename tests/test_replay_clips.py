"""Clips and films: all pictures at hand, in order, and in one file."""

from __future__ import annotations

import dataclasses
import importlib.util
import io
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
from fakes import always, clipped, linear_policy, recorded
from PIL import Image

from rl_lab import replay
from rl_lab.errors import BadInput
from rl_lab.replay import pictures

SEED = 2_000_000_003
FALLS = [[0.0, 0.0, -1.0, 0.0], [0.0, 0.0, 1.0, 0.0]]


class Shades(gymnasium.Env[Any, Any]):
    """Ten steps; each frame is one shade of grey, 20 times the step."""

    metadata = {"render_modes": ["rgb_array"], "render_fps": 10}  # noqa: RUF012
    observation_space = gymnasium.spaces.Box(-1.0, 1.0, (2,), np.float32)
    action_space = gymnasium.spaces.Discrete(2)

    def __init__(self, render_mode: str | None = None) -> None:
        self.render_mode = render_mode
        self.step_number = 0

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        super().reset(seed=seed)
        self.step_number = 0
        return np.zeros(2, np.float32), {}

    def step(self, action: Any) -> Any:
        self.step_number += 1
        return np.zeros(2, np.float32), 0.5, self.step_number == 10, False, {}

    def render(self) -> Any:
        return np.full((240, 360, 3), 20 * self.step_number, np.uint8)


class Marked(Shades):
    """A line of text in which the agent stands on a red ground."""

    metadata = {"render_modes": ["ansi"], "render_fps": 4}  # noqa: RUF012

    def render(self) -> Any:
        return f"SF\x1b[41mF\x1b[0mG \x1b[1m{self.step_number}\x1b[0m\n"


class Blind(Shades):
    metadata = {"render_modes": []}  # noqa: RUF012


for _name, _kind in (("Shades", Shades), ("Marked", Marked), ("Blind", Blind)):
    gymnasium.register(f"Clip{_name}-v0", entry_point=_kind)


def test_every_picture_stands_on_the_sheet_at_its_place() -> None:
    made = clipped(recorded(always(1, "ClipShades-v0"), 0), size=120)
    shape = made.data["pictures"]
    assert (shape["width"], shape["height"]) == (120, 80)
    assert made.sheet is not None
    with Image.open(io.BytesIO(made.sheet)) as sheet:
        grey = sheet.convert("L")
    for place, step in enumerate(made.data["steps"]):
        row, column = divmod(place, shape["columns"])
        at = (column * 120 + 60, row * 80 + 40)
        assert grey.getpixel(at) == pytest.approx(20 * step, abs=3)


def test_a_clip_says_what_happened_at_every_picture() -> None:
    data = clipped(recorded(always(1, "ClipShades-v0"), 7)).data
    assert data["steps"] == list(range(11))
    assert data["rewards"] == [0.0, *[0.5] * 10]
    assert data["returns"] == [0.5 * step for step in range(11)]
    assert data["actions"] == [[1.0]] * 10
    assert (data["seed"], data["length"], data["ended"]) == (7, 10, "terminated")
    assert data["verdict"] == "bit-identical over 10 steps"
    assert data["steps_per_second"] == 10.0


def test_a_long_episode_is_thinned_to_its_last_step() -> None:
    recording = recorded(linear_policy("CartPole-v1", FALLS, [0.0, 0.0]), SEED)
    data = clipped(recording, most_frames=5, size=64).data
    assert len(data["steps"]) <= 6
    assert data["steps"][-1] == recording.length
    assert data["returns"][-1] == recording.episode_return


def test_text_is_kept_as_text_with_the_agent_in_brackets() -> None:
    made = clipped(recorded(always(1, "ClipMarked-v0"), 0))
    assert made.sheet is None
    assert made.data["texts"][3] == "SF[F]G 3\n"


def test_what_cannot_be_drawn_still_shows_rewards_and_actions() -> None:
    recording = recorded(always(1, "ClipBlind-v0"), 0)
    made = clipped(recording)
    assert made.sheet is None
    assert "render modes none" in made.data["pictures_reason"]
    assert made.data["steps"] == list(range(11))
    assert made.data["returns"][-1] == recording.episode_return
    assert made.data["verdict"] == f"bit-identical over {recording.length} steps"


def test_a_difference_is_shown_with_the_clip() -> None:
    recording = recorded(linear_policy("CartPole-v1", FALLS, [0.0, 0.0]), SEED)
    other = dataclasses.replace(recording, seed=SEED + 1)
    assert clipped(other, size=64).data["verdict"].startswith("differs from step 0")


def takes(count: int) -> list[replay.Take]:
    return [
        replay.Take(recorded(always(1, "ClipShades-v0"), seed), f"after {seed} steps")
        for seed in range(count)
    ]


def test_a_film_shows_its_takes_one_after_the_other(tmp_path: Path) -> None:
    shown = replay.film(takes(3), tmp_path / "film.png", size=120)
    assert [one.frames for one in shown] == [11, 11, 11]
    assert all(one.verdict.identical for one in shown)
    with Image.open(tmp_path / "film.png") as picture:
        assert picture.n_frames == 33
        greys, durations_ms = [], []
        for index in range(picture.n_frames):
            picture.seek(index)
            greys.append(picture.convert("L").getpixel((60, 60)))
            durations_ms.append(round(picture.info["duration"]))
    assert greys == [20 * step for step in range(11)] * 3
    # The pause of 0.6 s after each take is six frames that APNG stores as one; the last is held.
    assert durations_ms == [*[*[100] * 10, 700] * 2, *[100] * 10, 600 + 1500]


def test_the_title_stands_above_and_hides_nothing() -> None:
    picture = Image.new("RGB", (240, 40), "#123456")
    titled = pictures.titled(picture, "after 1,000 steps: return 3" + "0" * 300)
    assert titled.crop((0, titled.height - 40, 240, titled.height)).tobytes() == picture.tobytes()
    assert len(titled.crop((0, 0, 240, titled.height - 40)).getcolors() or []) > 5


def test_a_film_of_nothing_and_a_film_of_text_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no episodes"):
        replay.film([], tmp_path / "film.webp")
    with pytest.raises(BadInput, match=r"film\.txt"):
        replay.film(takes(1), tmp_path / "film.txt")
    text = replay.Take(recorded(always(1, "ClipMarked-v0"), 0), "")
    with pytest.raises(BadInput, match="render modes ansi"):
        replay.film([text], tmp_path / "film.webp")
    assert list(tmp_path.iterdir()) == []


def test_an_mp4_plays_every_frame(tmp_path: Path) -> None:
    av = pytest.importorskip("av", reason="needs PyAV: pip install rl-lab[video]")
    recording = recorded(always(1, "ClipShades-v0"), 0)
    made = replay.render(recording, tmp_path / "episode.mp4", overlay=False, size=121)
    with av.open(str(made.path)) as container:
        (stream,) = container.streams.video
        frames = [frame.to_ndarray(format="gray") for frame in container.decode(stream)]
        assert (stream.codec_context.name, float(stream.average_rate)) == ("h264", 10.0)
    assert len(frames) == made.frames + 15  # and the last one held for 1.5 s
    greys = [float(frame[40, 60]) for frame in frames[: made.frames]]
    assert greys == pytest.approx([20 * step for step in range(11)], abs=4)


def test_without_its_library_an_mp4_is_refused_before_anything_is_drawn(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "av", None)
    recording = recorded(always(1, "ClipShades-v0"), 0)
    with pytest.raises(BadInput, match=r"rl-lab\[video\]"):
        replay.render(recording, tmp_path / "episode.mp4", on_step=lambda *_: pytest.fail("drew"))


MUJOCO = """
import sys, numpy as np
from PIL import Image
from rl_lab import replay
from rl_lab.environments import EnvironmentRecipe
recipe = EnvironmentRecipe("InvertedPendulum-v5", {}, (), None).to_data()
acted = dict(actions=np.zeros((5, 1), np.float32), rewards=np.zeros(5), marks=np.zeros(6, "u4"))
ended = dict(observations_sha256="0" * 64, terminated=False, truncated=True)
actor = dict(agent="nobody", training_seed=0, policy_sha256="", recorded_with={})
made = replay.render(
    replay.Replay(recipe, None, 0.0, 3, **acted, **ended, **actor), sys.argv[1], size=120
)
with Image.open(made.path) as picture:
    assert len(picture.convert("RGB").crop((0, 0, 120, 120)).getcolors(1 << 20)) > 50, "black"
"""


def has_egl() -> bool:
    if importlib.util.find_spec("mujoco") is None:
        return False
    probe = "import os; os.environ['MUJOCO_GL'] = 'egl'; import mujoco; mujoco.GLContext(8, 8)"
    return subprocess.run([sys.executable, "-c", probe], capture_output=True).returncode == 0


def test_mujoco_draws_without_a_display(tmp_path: Path) -> None:
    if not has_egl():
        pytest.skip("needs mujoco and EGL: apt-get install libegl1 libgl1")
    names = ("DISPLAY", "WAYLAND_DISPLAY", "MUJOCO_GL")
    here = {key: value for key, value in os.environ.items() if key not in names}
    words = [sys.executable, "-c", MUJOCO, str(tmp_path / "episode.png")]
    subprocess.run(words, check=True, timeout=120, env=here, cwd=tmp_path)
