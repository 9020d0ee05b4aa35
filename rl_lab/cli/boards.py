"""An evaluation in TensorBoard: the three questions first, and final scores beside every run."""

from __future__ import annotations

import math
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rl_lab import paths, replay, runs
from rl_lab.errors import Failed
from rl_lab.evaluation.plan import Entrant
from rl_lab.statistics.scale import Scale
from rl_lab.tracking import EventWriter, Layout, tags

Data = Mapping[str, Any]
_SHIFT_UNITS = 1000  # the step axis of a shift is its magnitude in thousandths
_CONTEXTS = ("nominal", "near", "far")  # steps 0, 1 and 2 of a generalisation's scores
LAYOUT: Layout = {
    "1 How much reward?": {
        "evaluation: mean return": ("lines", [tags.pattern(tags.EVALUATION, "estimate")]),
        "selection: mean return": ("lines", [tags.SELECTION_RETURN]),
        "training: mean return of recent episodes": ("lines", [tags.EPISODE_RETURN]),
    },
    "2 How fast does it decide?": {
        "one decision, microseconds": ("lines", [tags.pattern(tags.SPEED, "p(50|90|99)_us")]),
        "training: steps per second": ("lines", [tags.STEPS_PER_SECOND]),
    },
    "3 How well does it adapt?": {
        "score along a shift (step 1000 is its far end)": (
            "lines",
            [tags.pattern(tags.ROBUSTNESS, "[^/]+")],
        ),
        "score in the training context (0), near it (1), far from it (2)": (
            "lines",
            [tags.pattern(tags.GENERALISATION, "score")],
        ),
        "adaptation: score in the shifted world": (
            "lines",
            [tags.pattern(tags.ADAPTATION, "shifted")],
        ),
        "forgetting: score in the original world": (
            "lines",
            [tags.pattern(tags.ADAPTATION, "original")],
        ),
    },
    "Training": {
        "losses": ("lines", ["train/.*loss"]),
        "exploration": ("lines", ["rollout/exploration_rate", "train/(entropy_loss|ent_coef|std)"]),
        "length of recent episodes": ("lines", [tags.EPISODE_LENGTH]),
    },
}


def write(folder: Path, scores: Data, speed: Data | None) -> None:
    """Write an evaluation's events in place of its earlier ones.

    Args:
        folder: The evaluation's.
        scores: Content of `scores.json`.
        speed: Content of `speed.json`, or None.
    """
    for old in folder.glob("events.out.tfevents.*"):
        old.unlink()
    times = (speed or {}).get("contestants") or {}
    with EventWriter(folder) as events:
        events.layout(_layout(scores))
        for contestant in scores["contestants"]:
            _rewards(events, contestant)
            _times(events, contestant["name"], times.get(contestant["name"]) or {})
            _robustness(events, contestant)
            _generalisation(events, contestant)
            _drift(events, contestant)
            _adaptation(events, contestant)
        _pictures(events, folder)
        events.text(tags.VERDICT, str(scores["verdict"]))


def _layout(scores: Data) -> Layout:
    """The charts that have something to show: not those of blocks that no contestant has."""
    blocks = (tags.ADAPTATION, tags.GENERALISATION)
    absent = [b for b in blocks if not any(c.get(b) for c in scores["contestants"])]
    return {
        question: {t: chart for t, chart in charts.items() if not _is_of(absent, chart[1])}
        for question, charts in LAYOUT.items()
    }


def _is_of(blocks: Sequence[str], patterns: Sequence[str]) -> bool:
    return all(any(pattern.startswith(f"{b}/") for b in blocks) for pattern in patterns)


def _rewards(events: EventWriter, contestant: Data) -> None:
    if reward := contestant.get("reward"):
        ends = {key: reward["mean"][key] for key in ("estimate", "low", "high")}
        values = {tags.evaluation_tag(contestant["name"], k): v for k, v in _known(ends).items()}
        events.scalars(0, values)


def _known(values: Data) -> dict[str, float]:
    return {key: value for key, value in values.items() if value is not None}


def _times(events: EventWriter, name: str, times: Data) -> None:
    keys = ("p50_us", "p90_us", "p99_us", "steps_per_second")
    values = _known({key: times.get(key) for key in keys})
    events.scalars(0, {f"{tags.SPEED}/{name}/{key}": value for key, value in values.items()})


def _robustness(events: EventWriter, contestant: Data) -> None:
    for curve in (contestant.get("robustness") or {"shifts": []})["shifts"]:
        tag = tags.robustness_tag(contestant["name"], curve["shift"])
        for level in curve["levels"]:
            events.scalars(round(level["delta"] * _SHIFT_UNITS), _known({tag: level["score"]}))


def _generalisation(events: EventWriter, contestant: Data) -> None:
    block = contestant.get("generalisation") or {}
    for step, contexts in enumerate(_CONTEXTS):
        score = ((block.get("scores") or {}).get(contexts) or {}).get("estimate")
        tag = tags.generalisation_tag(contestant["name"], "score")
        events.scalars(step, _known({tag: score}))
    gaps = {key: (block.get(key) or {}).get("estimate") for key in ("gap_near", "gap_far")}
    values = {
        tags.generalisation_tag(contestant["name"], key): gap for key, gap in _known(gaps).items()
    }
    events.scalars(0, values)


def _drift(events: EventWriter, contestant: Data) -> None:
    for block in contestant.get("drift") or []:
        detection = block.get("detection") or {}
        found = {key: block.get(key) for key in ("loss_per_step", "loss_score", "obs_shift")}
        found |= {key: detection.get(key) for key in ("detection_rate", "false_alarm_rate")}
        values = _known({key: (interval or {}).get("estimate") for key, interval in found.items()})
        events.scalars(
            0,
            {
                tags.drift_tag(contestant["name"], block["shift"], key): value
                for key, value in values.items()
            },
        )


def _adaptation(events: EventWriter, contestant: Data) -> None:
    for one in contestant.get("adaptation") or []:
        where = f"{tags.ADAPTATION}/{contestant['name']}/{one['shift']}"
        for point in one.get("curves") or []:
            curves = {key: (point.get(key) or {}).get("estimate") for key in tags.ADAPTATION_CURVES}
            values = {f"{where}/{key}": value for key, value in _known(curves).items()}
            events.scalars(point["step"], values)


def _pictures(events: EventWriter, folder: Path) -> None:
    """The episodes that stand side by side in the report, as moving pictures."""
    for name, picture in replay.moving_pictures(folder / paths.REPLAYS):
        events.image(f"episode/{name}", picture.data, picture.width, picture.height)


def write_final_scores(entrants: Sequence[Entrant], scores: Data, speed: Data | None) -> None:
    """Put final scores beside each run, so that its row in the table of hyperparameters has them.

    They go to `evaluation/` in the run's folder, which TensorBoard counts as part of the run's
    session. A run that cannot be written to goes without.
    """
    blocks = {contestant["name"]: contestant for contestant in scores["contestants"]}
    times = (speed or {}).get("contestants") or {}
    for entrant in entrants:
        contestant = blocks.get(entrant.contestant)
        if entrant.run is None or not contestant:
            continue
        values = _final(contestant, entrant.training_seed, scores["scale"])
        p50 = (times.get(entrant.contestant) or {}).get("p50_us")
        values |= _known({"decision_p50_us": p50})
        try:
            place = entrant.run / paths.RUN_EVALUATION
            shutil.rmtree(place, ignore_errors=True)
            with EventWriter(place) as events:
                events.scalars(int(runs.read(entrant.run)["steps"]), values)
        except Failed as error:
            print(f"not in TensorBoard's table of hyperparameters: {error.came}", file=sys.stderr)


def _final(contestant: Data, seed: int, scale: Data | None) -> dict[str, float]:
    """What one training seed earned: return, score, and area under its robustness curve."""
    mean = ((contestant.get("reward") or {}).get("per_seed") or {}).get(str(seed))
    area = ((contestant.get("robustness") or {}).get("per_seed_auc") or {}).get(str(seed))
    score = None
    if mean is not None and scale:
        score = float(Scale(**scale).score(mean))
    values = _known({"mean_return": mean, "score": score, "robustness_area": area})
    return {key: value for key, value in values.items() if math.isfinite(value)}
