"""The page: every part put into the template, with a policy that lets nothing else run."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from rl_lab import files, paths
from rl_lab.reporting import (
    adaptability,
    adaptation,
    arranging,
    conformance,
    costs,
    downloads,
    drift,
    facts,
    parts,
    playing,
    shift_figures,
    stored,
)
from rl_lab.reporting.figures import Missing
from rl_lab.reporting.stored import Evaluation

_HERE = Path(__file__).resolve().parent
_STYLES = ("report.css", "player.css")
_SCRIPTS = ("report.js", "player.js")
# Characters that HTML does not allow, and those that turn the direction of the text around them.
_CONTROL = re.compile(
    r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ufffe\uffff]"
)


def write_report(evaluation_folder: Path) -> Path:
    """Rebuild `report.html` from the files of an evaluation; equal files give equal bytes.

    Returns:
        The report's path.

    Raises:
        BadInput: The folder holds no evaluation.
        Failed: The report cannot be written.
    """
    path = evaluation_folder / paths.REPORT
    content = render(stored.load(evaluation_folder))
    # Names read from JSON may hold half a surrogate pair, which UTF-8 cannot.
    files.write_bytes(path, content.encode("utf-8", errors="replace"))
    return path


def render(evaluation: Evaluation) -> str:
    """The page as text."""
    name = evaluation.folder.resolve().name
    return page("report.html.jinja", {"name": name, **_content(evaluation)})


def write_player(replays: Mapping[str, Any], title: str, path: Path) -> None:
    """Write a page that plays some episodes and needs nothing else.

    Args:
        replays: `{scenes, clips}`, the pictures as data URIs, see `docs/formats.md`.
        title: The page's heading.
        path: The file.

    Raises:
        Failed: It cannot be written.
    """
    content = page("player.html.jinja", {"title": title, "replays": replays})
    files.write_bytes(path, content.encode("utf-8", errors="replace"))


def page(template: str, content: Mapping[str, Any]) -> str:
    """A template filled in, with our style, our scripts and the policy that allows only these."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_HERE),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.policies["json.dumps_kwargs"] = {"separators": (",", ":"), "sort_keys": False}
    style = "".join(map(_own, _STYLES))
    script = "".join(map(_own, _SCRIPTS))
    text = environment.get_template(template).render(
        style=Markup(style), script=Markup(script), policy=policy(style, script), **content
    )
    return _CONTROL.sub("\ufffd", text)


def _own(name: str) -> str:
    return (_HERE / name).read_text(encoding="utf-8")


def policy(style: str, script: str) -> str:
    """The content security policy: our style and our script, known by hash, and nothing else."""
    return "; ".join(
        (
            "default-src 'none'",
            f"style-src '{_hash(style)}'",
            f"script-src '{_hash(script)}'",
            "img-src data:",
            "base-uri 'none'",
            "form-action 'none'",
        )
    )


def _hash(content: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()


def _content(evaluation: Evaluation) -> dict[str, Any]:
    scores, figures = evaluation.scores, parts.figures(evaluation)
    replays = playing.of_evaluation(evaluation)
    curves = [figure for name, figure in figures.items() if name.startswith("adaptation_")]
    return {
        "environment": scores.get("environment"),
        "verdict": scores.get("verdict"),
        "chips": facts.chips(evaluation),
        "labels": facts.labels(evaluation),
        "contestants": len(evaluation.contestants),
        "figures": figures,
        "rows": {
            "robustness": arranging.side_by_side(
                [one for name, one in figures.items() if name.startswith("robustness")]
            ),
            "speed": arranging.side_by_side([figures["batches"], figures["trade_off"]]),
        },
        # In the shifted world, and at home.
        "adapted_pairs": list(zip(curves[::2], curves[1::2], strict=True)),
        "grids": list(shift_figures.grids(evaluation).values()),
        "drift_tables": drift.by_shift(evaluation),
        "adaptation_tables": adaptation.by_world(evaluation),
        "tables": parts.tables(evaluation),
        "cards": adaptability.cards(evaluation),
        "beyond": {
            key: adaptability.reasons(evaluation, key)
            for key in ("generalisation", "drift", "adaptation")
        },
        "replays": replays,
        "replays_reason": evaluation.replays_reason or "no episode was kept as pictures",
        "replays_missing": [
            *playing.missing(evaluation),
            *(Missing(*words) for words in replays["dropped"]),
        ],
        "recordings": playing.recordings(evaluation),
        "warnings": [*facts.warnings(evaluation), *conformance.warnings(evaluation)],
        "failures": facts.failures(evaluation),
        "protocol": facts.protocol(evaluation),
        "machine": facts.machine(evaluation),
        "versions": facts.versions(evaluation),
        "recipes": facts.recipes(evaluation),
        "command": scores.get("command"),
        "not_measured": costs.not_measured(evaluation),
        "conformance": conformance.rules(evaluation),
        "downloads": downloads.downloads(evaluation.folder),
    }
