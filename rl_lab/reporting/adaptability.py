"""The adaptability card of each contestant, and why blocks of it are missing."""

from __future__ import annotations

from collections.abc import Iterator

from rl_lab.comparison import card
from rl_lab.reporting.figures import Missing, distinct
from rl_lab.reporting.stored import Data, Evaluation
from rl_lab.reporting.tables import NOT_EVALUATED


def cards(evaluation: Evaluation) -> list[tuple[str, str]]:
    """Contestant and its adaptability card as text, where there is more to tell than robustness."""
    found = [c for c in evaluation.contestants if card.has_card(c)]
    return [(str(c.get("name")), _card(c)) for c in found]


def _card(contestant: Data) -> str:
    try:
        return card.card_text(contestant).split("\n", 1)[1]
    except (KeyError, TypeError, IndexError) as error:
        return f"missing: scores.json lacks a part of it ({error})"


def reasons(evaluation: Evaluation, key: str) -> list[Missing]:
    """Why contestants lack a block, and training seeds of those that have it."""
    found = [
        Missing(str(c.get("name")), str(c.get(f"{key}_reason") or NOT_EVALUATED))
        for c in evaluation.contestants
        if not c.get(key)
    ]
    return distinct([*found, *_left_out(evaluation, key)])


def _left_out(evaluation: Evaluation, key: str) -> Iterator[Missing]:
    """Training seeds that a contestant's blocks are not about."""
    for contestant in evaluation.contestants:
        stored = contestant.get(key)
        for block in stored if isinstance(stored, list) else []:
            if seeds := block.get("left_out"):
                world = f"{block.get('shift')} at {block.get('delta', 0):g}"
                who = f"{contestant.get('name')} seed {', '.join(map(str, seeds))}"
                yield Missing(who, f"under {world} {block.get('left_out_reason')}")
