"""`rl-lab replay` in a window, on a virtual display."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from fakes import linear_policy, saved
from PIL import ImageGrab

STANDS = [[-0.1, -0.5, -3.0, -1.0], [0.1, 0.5, 3.0, 1.0]]


@pytest.fixture(scope="module")
def policy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("window")
    saved(linear_policy("CartPole-v1", STANDS, [0.0, 0.0], agent="stands"), folder / "stands")
    return folder


@pytest.fixture
def display() -> Iterator[str]:
    program = shutil.which("Xvfb")
    if program is None:
        pytest.skip("no Xvfb: apt-get install xvfb")
    read, write = os.pipe()
    words = [program, "-displayfd", str(write), "-screen", "0", "800x600x24"]
    server = subprocess.Popen(words, pass_fds=[write], stderr=subprocess.DEVNULL)
    try:
        yield f":{os.read(read, 20).decode().strip()}"
    finally:
        server.terminate()
        server.wait()


def start(folder: Path, display: str, *words: str) -> subprocess.Popen[str]:
    environ = {k: v for k, v in os.environ.items() if not k.startswith(("SDL_", "WAYLAND_"))}
    return subprocess.Popen(
        [sys.executable, "-m", "rl_lab", "replay", "policy=stands", *words],
        cwd=folder,
        env={**environ, "DISPLAY": display},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_an_episode_is_seen_in_a_window(policy: Path, display: str) -> None:
    process = start(policy, display)
    seen = False
    while process.poll() is None and not seen:
        time.sleep(0.1)
        seen = ImageGrab.grab(xdisplay=display).getbbox() is not None
    process.terminate()
    process.wait()
    assert seen


def test_a_display_that_is_not_there_is_told(policy: Path) -> None:
    process = start(policy, ":9876")
    _, said = process.communicate(timeout=60)
    assert process.returncode == 2
    assert "no window on the display :9876" in said
    assert "to=FILE.webp" in said


def test_what_a_window_does_not_have_is_refused(policy: Path) -> None:
    process = start(policy, ":9876", "size=64")
    _, said = process.communicate(timeout=60)
    assert process.returncode == 2
    assert "size= with a window" in said
