"""Checks of the machine: Python, folders, displays, cores."""

from __future__ import annotations

import ctypes
import os
import platform
import shutil
import sys
from pathlib import Path

from rl_lab import paths, provenance
from rl_lab.doctor.check import Check
from rl_lab.doctor.packages import version_of
from rl_lab.errors import BadInput

_OLDEST, _NEWEST = (3, 10), (3, 13)
_LEAST_FREE_BYTES = 1 << 30
_LEAST_MEMORY_BYTES = 2 << 30
_GIB = float(1 << 30)
_GL_LIBRARIES = {"egl": "libEGL.so.1", "osmesa": "libOSMesa.so.8", "glfw": "libGL.so.1"}


def python() -> Check:
    """Its version."""
    found = f"{platform.python_version()} ({platform.system()} {platform.machine()})"
    version = sys.version_info[:2]
    if version < _OLDEST:
        return Check("Python", False, found, "Make an environment with Python 3.10 to 3.13.")
    if version > _NEWEST:
        fix = "Python 3.10 to 3.13 is tested; Box2D has no wheels for newer ones."
        return Check("Python", None, found, fix)
    return Check("Python", True, found)


def output(folder: Path) -> Check:
    """Whether results can be written, and how much."""
    name = "outputs folder"
    try:
        paths.require_writable(folder)
    except BadInput as error:
        return Check(name, False, error.came, error.do)
    existing = folder.absolute()
    while not existing.exists():
        existing = existing.parent
    free = shutil.disk_usage(existing).free
    found = f"{folder} can be written to, {free / _GIB:.1f} GiB free"
    if free < _LEAST_FREE_BYTES:
        return Check(name, False, found, "Free some space or choose another output=FOLDER.")
    return Check(name, True, found)


def _has_display() -> bool:
    shown = os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    return sys.platform in ("darwin", "win32") or bool(shown)


def display() -> Check:
    """Whether replays can be watched, and whether pygame was told to use what is not there."""
    driver = os.environ.get("SDL_VIDEODRIVER", "")
    if _has_display():
        return Check("display", True, "replays can be watched in a window")
    if driver not in ("", "dummy", "offscreen"):
        found = f"none, but SDL_VIDEODRIVER={driver} asks for one"
        return Check("display", False, found, "unset SDL_VIDEODRIVER")
    return Check("display", True, "none; replays go to files (to=FILE.webp)")


def opengl() -> Check:
    """Whether MuJoCo can draw; it simulates without."""
    name = "OpenGL for MuJoCo"
    if version_of("mujoco") is None:
        return Check(name, True, "not needed: MuJoCo is not installed")
    backend = os.environ.get("MUJOCO_GL") or ("glfw" if _has_display() else "egl")
    if backend not in _GL_LIBRARIES:
        return Check(name, False, f"MUJOCO_GL={backend}", "unset MUJOCO_GL")
    if backend == "glfw" and not _has_display():
        return Check(name, False, "MUJOCO_GL=glfw without a display", "unset MUJOCO_GL")
    if sys.platform != "linux":
        return Check(name, True, backend)
    library = _GL_LIBRARIES[backend]
    if not _can_load(library):
        fix = "Debian, Ubuntu: apt-get install libegl1 libgl1 (Fedora: dnf install mesa-libEGL)."
        return Check(name, None, f"{library} is missing: no pictures of MuJoCo", fix)
    return Check(name, True, backend)


def _can_load(library: str) -> bool:
    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True


def cores() -> Check:
    """Those this process may use."""
    return Check("cores", True, str(provenance.available_cores()))


def memory() -> Check:
    """Of the machine."""
    try:
        size = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):
        return Check("memory", True, "size unknown")
    found = f"{size / _GIB:.1f} GiB"
    if size < _LEAST_MEMORY_BYTES:
        return Check("memory", None, found, "Train with a small agent and one run at a time.")
    return Check("memory", True, found)


def git() -> Check:
    """Runs note their commit with it."""
    if shutil.which("git"):
        return Check("git", True, "found")
    return Check("git", None, "missing", "Install git, and runs will note their commit.")
