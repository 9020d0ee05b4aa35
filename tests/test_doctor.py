"""The doctor: each problem is found, and comes with one thing to do."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from rl_lab import doctor
from rl_lab.doctor import machine, packages


@pytest.fixture
def distributions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Puts invented distributions in front of the installed ones."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def install(name: str, version: str, *lines: str) -> None:
        folder = tmp_path / f"{name.replace('-', '_')}-{version}.dist-info"
        folder.mkdir()
        head = ("Metadata-Version: 2.4", f"Name: {name}", f"Version: {version}")
        (folder / "METADATA").write_text("\n".join([*head, *lines]) + "\n")

    return install


def test_every_check_has_a_name_and_every_problem_a_fix(tmp_path: Path) -> None:
    found = doctor.checks(tmp_path)
    assert len({check.name for check in found}) == len(found)
    assert all(check.name and check.found for check in found)
    assert all(check.fix for check in found if check.ok is False)
    assert list(tmp_path.iterdir()) == []


def test_the_table_shows_the_fix_beneath_the_problem() -> None:
    checks = [doctor.Check("a", True, "fine"), doctor.Check("b", False, "broken", "Mend it.")]
    checks.append(doctor.Check("c", None, "absent"))
    screen = Console(file=io.StringIO(), width=60)
    screen.print(doctor.table(checks))
    assert isinstance(screen.file, io.StringIO)
    lines = [" ".join(line.split()) for line in screen.file.getvalue().splitlines()]
    assert lines[2:] == ["ok a fine", "problem b broken", "Mend it.", "- c absent"]


def test_nothing_heavy_is_imported() -> None:
    heavy = ("numpy", "gymnasium", "hydra", "torch", "onnxruntime", "pygame", "mujoco")
    code = "import sys; from rl_lab import doctor; doctor.checks();"
    code += f"assert not {{*{heavy}}} & {{*sys.modules}}"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


@pytest.mark.parametrize(
    ("version", "ok"), [((3, 9), False), ((3, 10), True), ((3, 13), True), ((3, 14), None)]
)
def test_python(version: tuple[int, int], ok: bool | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "version_info", (*version, 0, "final", 0))
    check = machine.python()
    assert check.ok is ok
    assert bool(check.fix) is (ok is not True)


# Packages ------------------------------------------------------------------------------------


def test_core_and_extras(distributions: Any) -> None:
    distributions("inner", "1.0", 'Requires-Dist: far-away ; extra == "deep"')
    distributions(
        "rl-lab",
        "9.9",
        "Requires-Dist: rich>=13",
        "Requires-Dist: not-here ; python_version < '3'",
        "Provides-Extra: dev",
        "Requires-Dist: nowhere ; extra == 'dev'",
        "Provides-Extra: here",
        "Requires-Dist: rich ; extra == 'here'",
        "Provides-Extra: deep",
        "Requires-Dist: inner[deep]>=1 ; extra == 'deep'",
        "Provides-Extra: elsewhere",
        "Requires-Dist: nowhere ; python_version < '3' and extra == 'elsewhere'",
        "Provides-Extra: newer",
        "Requires-Dist: inner>=2 ; extra == 'newer'",
    )
    core, *extras = packages.installed()
    assert core.ok
    assert core.found.startswith("rl-lab 9.9, rich ")
    assert [(e.name, e.ok, e.found) for e in extras] == [
        ("extra deep", None, "far-away is missing"),
        ("extra elsewhere", None, "not available for this machine or this Python"),
        ("extra here", True, "installed"),
        ("extra newer", None, "inner 1.0 is not >=2"),
    ]
    assert extras[0].fix == 'If you want it: pip install "rl-lab[deep]"'


def test_a_missing_and_an_old_core_package_are_problems(distributions: Any) -> None:
    distributions("oldish", "1.0")
    distributions("rl-lab", "9.9", "Requires-Dist: oldish>=2", "Requires-Dist: nowhere")
    (core,) = packages.installed()
    assert core.ok is False
    assert core.found == "rl-lab 9.9: oldish 1.0 is not >=2, nowhere is missing"


@pytest.fixture
def versions(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """What is installed, as a dict that a test fills."""
    known: dict[str, str] = {}
    monkeypatch.setattr(packages, "version_of", known.get)
    monkeypatch.setattr(machine, "version_of", known.get)
    return known


def test_two_pygames_clash(versions: dict[str, str]) -> None:
    assert packages.pygame().ok is None
    versions["pygame-ce"] = "2.5"
    assert packages.pygame().ok
    versions["pygame"] = "2.6"
    check = packages.pygame()
    assert check.ok is False
    assert check.fix == "pip uninstall -y pygame pygame-ce && pip install pygame-ce"


def test_old_tensorboard_needs_what_setuptools_lost(
    versions: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert packages.tensorboard().ok is False
    versions |= {"tensorboard": "2.20.0", "setuptools": "84.0"}
    monkeypatch.setattr(packages.importlib.util, "find_spec", lambda name: None)
    assert packages.tensorboard().ok is False
    monkeypatch.setattr(packages.importlib.util, "find_spec", lambda name: object())
    assert packages.tensorboard().ok
    versions["tensorboard"] = "2.21.0"
    monkeypatch.setattr(packages.importlib.util, "find_spec", lambda name: None)
    assert packages.tensorboard().ok


def test_a_plugin_that_breaks_hydra(versions: dict[str, str]) -> None:
    assert packages.hydra_plugins().ok is False
    versions["hydra-core"] = "1.3.8"
    assert packages.hydra_plugins().ok
    versions["hydra-ax-sweeper"] = "1.2.0"
    assert packages.hydra_plugins().fix == "pip uninstall -y hydra-ax-sweeper"


def test_torch_and_its_threads(versions: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    assert packages.torch().ok is None
    versions["torch"] = "2.13.0+cpu"
    for threads, ok in ((None, True), ("1", True), ("many", False), ("0", False)):
        if threads is None:
            monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
        else:
            monkeypatch.setenv("OMP_NUM_THREADS", threads)
        assert packages.torch().ok is ok


# The machine ---------------------------------------------------------------------------------


def test_output_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert machine.output(tmp_path / "new").ok
    (tmp_path / "file").write_text("")
    assert machine.output(tmp_path / "file" / "below").ok is False
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=1000))
    assert machine.output(tmp_path).ok is False


@pytest.fixture
def headless(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "SDL_VIDEODRIVER", "MUJOCO_GL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(sys, "platform", "linux")
    return monkeypatch


def test_display(headless: pytest.MonkeyPatch) -> None:
    assert machine.display().found == "none; replays go to files (to=FILE.webp)"
    headless.setenv("SDL_VIDEODRIVER", "x11")
    assert machine.display().ok is False
    headless.setenv("DISPLAY", ":0")
    assert machine.display().ok


def test_opengl(headless: pytest.MonkeyPatch, versions: dict[str, str]) -> None:
    assert machine.opengl().ok  # nothing to draw with MuJoCo
    versions["mujoco"] = "4.0"
    for loads, ok in ((True, True), (False, None)):
        headless.setattr(machine, "_can_load", lambda library, loads=loads: loads)
        assert machine.opengl().ok is ok
    assert "libegl1" in machine.opengl().fix
    headless.setattr(machine, "_can_load", lambda library: True)
    for backend, ok in (("glfw", False), ("vulkan", False), ("osmesa", True)):
        headless.setenv("MUJOCO_GL", backend)
        assert machine.opengl().ok is ok


def test_a_library_that_is_not_there_does_not_load() -> None:
    assert not machine._can_load("libnowhere.so.1")


def test_memory_and_git(monkeypatch: pytest.MonkeyPatch) -> None:
    assert machine.cores().ok
    monkeypatch.setattr(os, "sysconf", lambda name: 1 << 15, raising=False)
    assert machine.memory().ok is None
    monkeypatch.setattr(os, "sysconf", lambda name: 1 << 20, raising=False)
    assert machine.memory().ok
    monkeypatch.setattr(shutil, "which", lambda name: None)
    assert machine.git().ok is None
