"""The adaptability card: what a contestant keeps, loses and regains when the world changes.

No single weighted index: a reader who needs one takes the robustness area for a policy that stays
as it is, and the gain for one that goes on learning.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rl_lab.comparison.wording import MISSING, estimate_text, fixed
from rl_lab.statistics.intervals import counted

Data = Mapping[str, Any]
Row = tuple[str, str, str]


def card(contestant: Data) -> list[Row]:
    """Rows of the card: what, how much with its 95 % interval, about whom or why not.

    Args:
        contestant: As in `scores.json`.
    """
    rows = [_nominal(contestant), *_robustness(contestant), *_gaps(contestant)]
    for block in contestant.get("drift") or ():
        rows += _drift(block)
    if not contestant.get("drift"):
        rows.append(("drift", MISSING, contestant.get("drift_reason", "")))
    for block in contestant.get("adaptation") or ():
        rows += _learning(block)
    if not contestant.get("adaptation"):
        rows.append(("learning", MISSING, contestant.get("adaptation_reason", "")))
    return rows


def card_text(contestant: Data) -> str:
    """The card as lines of text."""
    rows = card(contestant)
    widths = [max(len(row[i]) for row in rows) for i in (0, 1)]
    lines = [f"{a:<{widths[0]}}  {b:<{widths[1]}}  {c}".rstrip() for a, b, c in rows]
    return "\n".join([f"adaptability of {contestant['name']}", *(f"  {line}" for line in lines)])


def has_card(contestant: Data) -> bool:
    """Whether there is more to tell than robustness."""
    grid = (contestant.get("robustness") or {}).get("grid")
    return bool(contestant.get("drift") or contestant.get("adaptation") or grid)


def _value(interval: Data | None, sign: bool = False) -> str:
    return MISSING if not interval else estimate_text(interval, sign=sign, decimals=2)


def _nominal(contestant: Data) -> Row:
    reward = contestant.get("reward") or {}
    score = reward.get("score")
    seeds = len(reward.get("per_seed", ()))
    limits = reward.get("score_reason", "")
    who = [counted(seeds, "training seed")] if score else []
    return "nominal score", _value(score), ", ".join(filter(None, [*who, limits]))


def _robustness(contestant: Data) -> list[Row]:
    block = contestant.get("robustness")
    if not block:
        return [("robustness area", MISSING, contestant.get("robustness_reason", ""))]
    shifts = block["shifts"]
    rows: list[Row] = []
    note = "" if block["learned"] else "; nominal not learned"
    if len(shifts) != 1:
        rows = _area(block, block.get("auc_reason", f"mean of {len(shifts)} shifts{note}"))
    for one in shifts:
        rows += _along(one, note)
    return [*rows, *_at_once(block.get("grid"))]


def _at_once(grid: Data | None) -> list[Row]:
    """What is left under two shifts at once: at worst, and at the far end of both."""
    if not grid:
        return []
    ends = " / ".join([_value(grid["worst"]), fixed(grid["cells"][-1]["score"], 2)])
    where = f"{' and '.join(grid['shifts'])}, {len(grid['cells'])} pairs of magnitudes"
    return [("two at once: worst / far end", ends, where)]


def _along(shift: Data, note: str) -> list[Row]:
    """What is left along one shift."""
    levels = shift["levels"]
    if not levels:
        return [("robustness area", MISSING, f"{shift['shift']}: {shift['levels_reason']}")]
    ends = [level["value"] for level in (levels[0], levels[-1])]
    span = "" if None in ends else f", {shift['parameter']} {ends[0]:g} to {ends[1]:g}"
    text, left_out = str(shift["critical_shift_text"]), shift.get("critical_shift_reason")
    meaning = "largest magnitude that keeps 80 %, median of the training seeds"
    critical = ("critical shift (80 %)", text, left_out or meaning)
    if shift["critical_shift"] is None:
        critical = ("critical shift (80 %)", MISSING, text)
    if shift["saturated"]:
        note += "; still solved at the far end: a harder shift would say more"
    return [*_area(shift, f"{shift['shift']}{span}, {len(levels)} levels{note}"), critical]


def _area(block: Data, where: str) -> list[Row]:
    tails = f"{_plain(block['worst'])} / {_plain(block['cvar10'])}"
    return [
        ("robustness area", _value(block["auc"]), where),
        ("worst / CVaR10", tails, block.get("cvar10_reason", "")),
    ]


def _plain(value: Any) -> str:
    if value is None:
        return MISSING
    return _value(value) if isinstance(value, Mapping) else fixed(float(value), 2)


def _gaps(contestant: Data) -> list[Row]:
    """The generalisation gap, or why there is none."""
    block = contestant.get("generalisation")
    if not block:
        reason = contestant.get("generalisation_reason", "")
        return [("gap seeds / near / far", MISSING, reason)]
    texts = " / ".join(_plain(block.get(name)) for name in ("gap_seeds", "gap_near", "gap_far"))
    why = "" if block.get("gap_seeds") else str(block.get("gap_seeds_reason", ""))
    return [("gap seeds / near / far", texts, why)]


def _drift(block: Data) -> list[Row]:
    at = f"at step {block['change_step']}"
    if block["change_episode"] is not None:
        at = f"at episode {block['change_episode']}"
    where = f"{block['shift']} {block['delta']:g}, {block['schedule']['kind']} {at}"
    if "reason" in block:
        return [("drift", MISSING, f"{where}: {block['reason']}")]
    survival = block["survival"]
    alone = f"without drift {_value(survival['no_drift'])}"
    until = " later" if block["change_episode"] is None else " of an episode"
    rows: list[Row] = [
        ("drift: loss (score)", _value(block["loss_score"]), where),
        (
            "       loss per step",
            _value(block["loss_per_step"]),
            block.get("loss_per_step_reason", "reward per step after the change"),
        ),
        (
            "       survival",
            f"{_value(survival['drift'])}",
            survival.get("drift_reason", f"{block['horizon']} steps{until}; {alone}"),
        ),
    ]
    return [*rows, *_detection(block), *_left_out(block, "       ")]


def _detection(block: Data) -> list[Row]:
    found = block["detection"]
    if not found:
        return [("       detected", MISSING, block.get("detection_reason", ""))]
    delay = found["delay_steps"]
    after = f"delay {delay:g} steps" if delay is not None else found["delay_steps_reason"]
    if (late := found["delay_episodes"]) is not None:
        after += f", {late:g} whole episodes before it"
    return [
        ("       detected", _value(found["detection_rate"]), after),
        (
            "       false alarms",
            _value(found["false_alarm_rate"]),
            f"of episodes without drift; calibrated to {found['declared_false_alarm_rate']:g}",
        ),
    ]


def _learning(block: Data) -> list[Row]:
    if "budget" not in block:
        return [("learning", MISSING, str(block.get("reason", "")))]
    where = f"{block['shift']} {block['delta']:g}, {block['budget']:,.0f} steps"
    note = "" if block["nominal_learned"] else "; nominal not learned"
    recovery = block["recovery_ratio"]
    return [
        ("learning: drop", _value(block["drop"], sign=True), f"{where}{note}"),
        ("          gain", _value(block["adaptation_gain"], sign=True), "mean over the budget"),
        ("          recovery", _value(recovery), _recovered(block)),
        ("          dip, forgetting", _pair(block, "dip", "forgetting"), ""),
        (
            "          jumpstart, transfer",
            _pair(block, "jumpstart", "forward_transfer"),
            "against training from scratch",
        ),
        ("          cost", _cost(block["cost"]), "mean over training seeds"),
        *_left_out(block, " " * 10),
    ]


def _left_out(block: Data, indent: str) -> list[Row]:
    """The training seeds that a block is not about, where there are any."""
    seeds = block.get("left_out")
    if not seeds:
        return []
    return [(f"{indent}left out", f"seed {', '.join(map(str, seeds))}", block["left_out_reason"])]


def _recovered(block: Data) -> str:
    summary = block["steps_to_recover"]
    if not summary["seeds"]:
        return str(block.get("recovery_ratio_reason") or summary["median_reason"])
    share = f"{summary['reached']} of {summary['seeds']} seeds"
    if summary["median"] is None:
        return f"steps to recover > {block['budget']:,.0f} ({share})"
    return f"steps to recover {summary['median']:,.0f} ({share})"


def _pair(block: Data, one: str, two: str) -> str:
    return f"{_value(block[one])}, {_value(block[two])}"


def _cost(cost: Data) -> str:
    used = cost["energy"]
    joules = "" if used["joules"] is None else f", {used['joules']:,.0f} J ({used['source']})"
    return f"{cost['gradient_updates']:,.0f} gradient steps, {cost['seconds']:.0f} s{joules}"


def texts(contestants: Sequence[Data]) -> list[str]:
    """The cards of all contestants that have one."""
    return [card_text(c) for c in contestants if has_card(c)]
