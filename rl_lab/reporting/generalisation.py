"""Other contexts than those of training: scores in the sets, gaps, and the matrix of both."""

from __future__ import annotations

from collections.abc import Sequence

from rl_lab.reporting import tables
from rl_lab.reporting.stored import Data, Evaluation, block, reason
from rl_lab.reporting.tables import NOT_EVALUATED, Column, Table, intervals, table, words

_SETS = {"train": "met in training", "nominal": "training context", "near": "", "far": ""}
_GAPS = {
    "gap_near": ("near", "score lost"),
    "gap_far": ("far", "score lost"),
    "gap_train_eval": ("training to evaluation", "return lost"),
}


def sets(evaluation: Evaluation) -> Table | None:
    """Scores in contexts ever further from those of training, and the gaps; None without any."""
    contestants = evaluation.contestants
    blocks = [block(c, "generalisation") for c in contestants]
    if not any(blocks):
        return None
    whys = [reason(c, "generalisation") for c in contestants]
    cells = [[tables.name(c) for c in contestants]]
    cells.append(
        [
            words(block(b, "trained_on").get("range"), why=w)
            for b, w in zip(blocks, whys, strict=True)
        ]
    )
    scores = [block(b, "scores") for b in blocks]
    cells += [intervals([block(s, key) for s in scores], whys, 2) for key in _SETS]
    cells += [
        intervals([block(b, key) for b in blocks], tables.whys(blocks, key, whys), 2, sign=True)
        for key in _GAPS
    ]
    columns = [
        tables.CONTESTANT,
        Column("trained on", kind="text"),
        *(Column(key, meaning) for key, meaning in _SETS.items()),
        *(Column(f"gap: {name}", meaning) for name, meaning in _GAPS.values()),
    ]
    caption = "Generalisation: scores in contexts near and far from those of training"
    how = (
        "from left to right the contexts are further from training. A gap is what is lost on the"
        " way, 0 where nothing is."
    )
    return table("generalisation", caption, columns, tables.transposed(cells), how)


def matrix(evaluation: Evaluation) -> Table | None:
    """Trained in one context or on drawn ones, against tested at home, near and far."""
    rows: Sequence[Data] = evaluation.scores.get("generalisation_matrix") or []
    if not rows:
        return None
    kinds = {"D": "one context", "R": "drawn contexts"}
    cells = [
        [words(row.get("contestant")) for row in rows],
        [words(kinds.get(str(row.get("trained")), row.get("trained"))) for row in rows],
        *(
            intervals([block(row, key) for row in rows], [NOT_EVALUATED] * len(rows), 2)
            for key in "DRE"
        ),
    ]
    columns = [
        tables.CONTESTANT,
        Column("trained in", kind="text"),
        Column("home", "training context"),
        Column("near", "where training may have been"),
        Column("far", "where it never was"),
    ]
    how = (
        "who trained on drawn contexts should lose less from home to far than who knows only one;"
        " what it gives up at home is the price."
    )
    return table("matrix", "Generalisation matrix", columns, tables.transposed(cells), how)
