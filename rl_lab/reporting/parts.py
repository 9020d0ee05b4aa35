"""All figures and tables of a report by name, for the page and for files."""

from __future__ import annotations

from collections.abc import Sequence

from rl_lab.reporting import (
    adaptation,
    charts,
    costs,
    curve_figures,
    details,
    drift,
    generalisation,
    levels,
    profiles,
    scatter,
    shift_figures,
    speed_figures,
)
from rl_lab.reporting.figures import Figure
from rl_lab.reporting.leaderboard import leaderboard
from rl_lab.reporting.references import references
from rl_lab.reporting.stored import Evaluation
from rl_lab.reporting.tables import Table


def figures(evaluation: Evaluation) -> dict[str, Figure]:
    """Every figure, in the order of the page."""
    by_steps, by_time = curve_figures.learning(evaluation)
    return {
        "reward": charts.reward(evaluation),
        "profiles": profiles.figure(evaluation),
        "learning_steps": by_steps,
        "learning_time": by_time,
        "times": charts.decision_times(evaluation),
        "tail": speed_figures.distribution(evaluation),
        "load": speed_figures.load(evaluation),
        "batches": speed_figures.batches(evaluation),
        "trade_off": scatter.figure(evaluation),
        **shift_figures.along(evaluation),
        **adaptation.figures(evaluation),
    }


def tables(evaluation: Evaluation) -> dict[str, Table]:
    """Every table, in the order of the page."""
    found = {
        "leaderboard": leaderboard(evaluation),
        "seeds": details.seeds(evaluation),
        "endings": details.endings(evaluation),
        "costs": costs.training(evaluation),
        "inference": costs.inference(evaluation),
        "decision_times": details.decision_times(evaluation),
        "references": references(evaluation),
        "levels": levels.robustness(evaluation),
        **shift_figures.grids(evaluation),
        "generalisation": generalisation.sets(evaluation),
        "generalisation_matrix": generalisation.matrix(evaluation),
        **_numbered("drift", drift.by_shift(evaluation)),
        **_numbered("adaptation", adaptation.by_world(evaluation)),
    }
    return {name: table for name, table in found.items() if table is not None}


def _numbered(name: str, found: Sequence[Table]) -> dict[str, Table]:
    return {f"{name}_{k}" if k > 1 else name: one for k, one in enumerate(found, 1)}
