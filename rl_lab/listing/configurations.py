"""The options of a configuration group."""

from __future__ import annotations

from pathlib import Path

from rl_lab import paths
from rl_lab.errors import BadInput, closest


def configured(group: str, config_dir: Path | None = None) -> list[tuple[str, str]]:
    """Each option of a group with the first comment line of its file, in order of name.

    Args:
        group: A folder of the configuration: `env`, `agent`, `shift/CartPole-v1`, ...
        config_dir: The user's own configuration; its files go before those of the same name.

    Raises:
        BadInput: There is no such group.
    """
    roots = [root for root in (paths.conf_dir(), config_dir) if root is not None]
    folders = [root / group for root in roots if (root / group).is_dir()]
    if not folders:
        known = sorted({p.name for root in roots for p in root.iterdir() if p.is_dir()})
        raise BadInput(f"no group {group!r}", f"one of {', '.join(known)}", closest(group, known))
    # A name that starts with an underscore is a part of others, not a choice.
    options = {
        path.relative_to(folder).with_suffix("").as_posix(): path
        for folder in folders
        for path in folder.rglob("*.yaml")
        if not path.name.startswith("_")
    }
    return [(name, _purpose(options[name])) for name in sorted(options)]


def _purpose(path: Path) -> str:
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ""
    # Hydra's own `# @package` line says where the values go, not what they are for.
    comments = (line.strip("# \t") for line in lines if line.startswith("#"))
    return next((text for text in comments if text and not text.startswith("@package")), "")
