"""Checks of Python packages; their metadata are read, nothing heavy is imported."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
from collections.abc import Iterator

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from rl_lab.doctor.check import Check

_DISTRIBUTION = "rl-lab"


def version_of(package: str) -> str | None:
    """The installed version of a package; None where it is absent."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def installed() -> list[Check]:
    """The core packages, and each extra, as the installed metadata of rl-lab names them."""
    try:
        metadata = importlib.metadata.metadata(_DISTRIBUTION)
    except importlib.metadata.PackageNotFoundError:
        fix = "Install it, so that its packages come along: pip install -e . in the checkout."
        return [Check("rl-lab", None, "not installed; running from a folder of sources", fix)]
    extras = [e for e in metadata.get_all("Provides-Extra") or [] if e != "dev"]
    return [_core(), *(_extra(extra) for extra in sorted(extras))]


def _core() -> Check:
    faults = list(_faults(_DISTRIBUTION, ""))
    found = f"{_DISTRIBUTION} {version_of(_DISTRIBUTION)}"
    if faults:
        fix = f"Install what is missing: pip install --upgrade {_DISTRIBUTION}"
        return Check("packages", False, f"{found}: {', '.join(faults)}", fix)
    names = [r.name for r in _requirements(_DISTRIBUTION, "")]
    return Check("packages", True, ", ".join([found, *(f"{n} {version_of(n)}" for n in names)]))


def _extra(extra: str) -> Check:
    name = f"extra {extra}"
    core = {str(r) for r in _requirements(_DISTRIBUTION, "")}
    own = [r for r in _requirements(_DISTRIBUTION, extra) if str(r) not in core]
    if not own:
        return Check(name, None, "not available for this machine or this Python")
    faults = sorted({fault for r in own for fault in _fault(r)})
    if faults:
        fix = f'If you want it: pip install "{_DISTRIBUTION}[{extra}]"'
        return Check(name, None, ", ".join(faults), fix)
    return Check(name, True, "installed")


def _requirements(package: str, extra: str) -> Iterator[Requirement]:
    """What a package requires on this machine, with one of its extras or ""."""
    for text in importlib.metadata.requires(package) or []:
        requirement = Requirement(text)
        if requirement.marker is None or requirement.marker.evaluate({"extra": extra}):
            yield requirement


def _faults(package: str, extra: str) -> Iterator[str]:
    for requirement in _requirements(package, extra):
        yield from _fault(requirement)


def _fault(requirement: Requirement) -> Iterator[str]:
    """What is wrong with an installed requirement, and with the extras that it asks for."""
    version = version_of(requirement.name)
    if version is None:
        yield f"{requirement.name} is missing"
        return
    if not requirement.specifier.contains(version, prereleases=True):
        yield f"{requirement.name} {version} is not {requirement.specifier}"
    own = canonicalize_name(requirement.name)
    for extra in requirement.extras:
        inner = [r for r in _requirements(requirement.name, extra) if r.marker is not None]
        for needed in inner:
            # An extra that names its own package with other extras would go round in circles.
            if "extra" in str(needed.marker) and canonicalize_name(needed.name) != own:
                yield from _fault(needed)


def torch() -> Check:
    """Version, build, and how many threads it was told to use."""
    version = version_of("torch")
    if version is None:
        fix = "Evaluating and replaying work without it; to train: pip install torch"
        return Check("torch", None, "missing", fix)
    cuda = any(
        str(d.metadata["Name"] or "").lower().startswith("nvidia-c")
        for d in importlib.metadata.distributions()
    )
    threads = os.environ.get("OMP_NUM_THREADS")
    found = f"{version}, {'with' if cuda else 'without'} CUDA packages; OMP_NUM_THREADS"
    if threads is None:
        return Check("torch", True, f"{found} not set")
    if not threads.isdigit() or int(threads) < 1:
        return Check("torch", False, f"{found}={threads}", "Unset OMP_NUM_THREADS, or set it to 1.")
    return Check("torch", True, f"{found}={threads}")


def tensorboard() -> Check:
    """Releases before 2.21 need what today's setuptools no longer has."""
    version = version_of("tensorboard")
    if version is None:
        return Check("tensorboard", False, "missing", 'pip install "tensorboard>=2.21"')
    if Version(version) < Version("2.21") and importlib.util.find_spec("pkg_resources") is None:
        found = f"{version} needs pkg_resources, which setuptools {version_of('setuptools')} lacks"
        return Check("tensorboard", False, found, 'pip install --upgrade "tensorboard>=2.21"')
    return Check("tensorboard", True, version)


def pygame() -> Check:
    """Two distributions share its name; only one may be there."""
    old, community = version_of("pygame"), version_of("pygame-ce")
    if old and community:
        fix = "pip uninstall -y pygame pygame-ce && pip install pygame-ce"
        return Check("pygame", False, "pygame and pygame-ce overwrite each other", fix)
    if old or community:
        return Check("pygame", True, f"pygame-ce {community}" if community else f"pygame {old}")
    return Check("pygame", None, "missing", "For pictures of replays: pip install pygame-ce")


def hydra_plugins() -> Check:
    """Hydra itself, and a plugin that breaks it."""
    if version := version_of("hydra-ax-sweeper"):
        fix = "pip uninstall -y hydra-ax-sweeper"
        found = f"hydra-ax-sweeper {version} keeps every Hydra program from starting"
        return Check("Hydra", False, found, fix)
    version = version_of("hydra-core")
    return Check(
        "Hydra",
        version is not None,
        version or "missing",
        "" if version else "pip install hydra-core",
    )
