"""Numbers as text: labels, the verdict, and the cells of the leaderboard."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rl_lab.statistics.intervals import Interval, counted

Data = Mapping[str, Any]

MISSING = "-"
SIGNIFICANCE = 0.05
INDICATIVE_SEEDS = 5


def fixed(value: float, decimals: int, sign: bool = False) -> str:
    """A number with so many decimals; never "-0.0"."""
    return f"{round(value, decimals) + 0.0:{'+' if sign else ''}.{decimals}f}"


def estimate_text(interval: Data, sign: bool = False, decimals: int | None = None) -> str:
    """An interval as "451.2 [402.3, 500.1]"; "451.2" without ends, "-" without a number.

    Args:
        interval: `{estimate, low, high}`.
        sign: Show the sign of positive numbers.
        decimals: How many; by default 1, more where the numbers are small.
    """
    present = [v for v in (interval[key] for key in ("estimate", "low", "high")) if v is not None]
    if not present:
        return MISSING
    digits = _decimals(present) if decimals is None else decimals
    texts = [fixed(value, digits, sign) for value in present]
    return texts[0] if len(texts) == 1 else f"{texts[0]} [{texts[1]}, {texts[2]}]"


def _decimals(values: Sequence[float]) -> int:
    largest = max(map(abs, values))
    digits = 1 if largest >= 10 or largest == 0 else 2 if largest >= 1 else 3
    # An interval that excludes 0 must not be printed as if it touched it.
    visible = [value for value in values if abs(value) > 1e-6 * largest]
    while digits < 6 and any(round(value, digits) == 0 for value in visible):
        digits += 1
    return digits


def label(
    name: str,
    interval: Interval,
    context: Sequence[str],
    sign: bool = False,
    decimals: int | None = None,
) -> str:
    """One line that can stand alone: what, how much, by which method, and about whom.

    Args:
        name: "mean", "delta" or "auc".
        interval: The numbers and their method.
        context: What else limits the claim, in order.
        sign: Show the sign of positive numbers.
        decimals: As for `estimate_text`.
    """
    text = estimate_text(interval_data(interval), sign, decimals)
    return f"{name} {text}  {' | '.join([interval.method, *context])}"


def number(value: float) -> float | None:
    """A plain number; None for NaN."""
    return None if value != value else float(value)


def interval_data(interval: Interval, label: str | None = None) -> dict[str, Any]:
    """An interval as plain data; its method is the reason where its ends are null."""
    data = {key: number(getattr(interval, key)) for key in ("estimate", "low", "high")}
    return {**data, "method": interval.method, **({} if label is None else {"label": label})}


def joined(words: Sequence[str]) -> str:
    """Words as a list in a sentence: "a, b and c"."""
    return " and ".join(filter(None, [", ".join(words[:-1]), words[-1]]))


def verdict(contestants: Sequence[Data]) -> str:
    """One plain sentence that claims no more than the intervals do.

    Args:
        contestants: As in `scores.json`, the best first.
    """
    scored = [c for c in contestants if c["reward"]]
    if not scored:
        return "No contestant has a training seed with all its episodes: nothing can be compared."
    best, *others = scored
    clauses = _against(best, others) if others else [_alone(best)]
    if absent := [c["name"] for c in contestants if not c["reward"]]:
        clauses.append(f"{joined(absent)} could not be scored")
    return "; ".join(clauses) + "."


def _alone(best: Data) -> str:
    seeds = _seed_count(best)
    scope = f"over {counted(seeds, 'training seed')}"
    if seeds == 1:
        scope = "for this checkpoint only (1 training seed)"
    elif seeds < INDICATIVE_SEEDS:
        scope = f"over {seeds} training seeds, which is indicative"
    return f"{_scores(best)} {scope}, with nothing to compare it with"


def _against(best: Data, others: Sequence[Data]) -> list[str]:
    beaten = [c for c in others if _is_beaten(c)]
    level = [c for c in others if not _is_beaten(c)]
    tied = not beaten and all(c["to_best"]["delta"]["estimate"] == 0.0 for c in level)
    if beaten:
        margins = [f"{c['name']} by {_margin(c['to_best']['delta'])}" for c in beaten]
        clauses = [f"{best['name']} beats {joined(margins)}{_shown_by([best, *beaten])}"]
    elif tied:
        names = joined([c["name"] for c in (best, *level)])
        clauses = [f"{names} have the same mean return, {_mean_text(best)}"]
    else:
        clauses = [_scores(best)]
    if level:
        whom = "between them" if tied else f"from {joined([c['name'] for c in level])}"
        clauses.append(f"no difference {whom} is shown by {_units([best, *level])}")
    return clauses


def _is_beaten(contestant: Data) -> bool:
    """Whether both the interval and the corrected test say that the best is better."""
    to_best = contestant["to_best"]
    high, p_value = to_best["delta"]["high"], to_best["p_holm"]
    return high is not None and high < 0.0 and p_value is not None and p_value < SIGNIFICANCE


def _margin(delta: Data) -> str:
    """The difference seen from the better side."""
    flipped = {"estimate": "estimate", "low": "high", "high": "low"}
    return estimate_text({key: -delta[other] for key, other in flipped.items()})


def _scores(contestant: Data) -> str:
    return f"{contestant['name']} returns {estimate_text(contestant['reward']['mean'])}"


def _mean_text(contestant: Data) -> str:
    return estimate_text({**contestant["reward"]["mean"], "low": None, "high": None})


def _seed_count(contestant: Data) -> int:
    return len(contestant["reward"]["per_seed"])


def _shown_by(contestants: Sequence[Data]) -> str:
    fewest = min(map(_seed_count, contestants))
    if fewest == 1:
        return ", for these checkpoints only (1 training seed each)"
    indicative = ", which is indicative" if fewest < INDICATIVE_SEEDS else ""
    return f" over {_units(contestants)}{indicative}"


def _units(contestants: Sequence[Data]) -> str:
    counts = [_seed_count(c) for c in contestants]
    if max(counts) == 1:
        return "these checkpoints (1 training seed each)"
    if min(counts) == max(counts):
        return counted(counts[0], "training seed")
    return f"{min(counts)} to {max(counts)} training seeds"


def leaderboard_rows(scores: Data, speed: Data | None) -> list[dict[str, str]]:
    """The printed table: one row per contestant, from heading to cell.

    Args:
        scores: Content of `scores.json`.
        speed: Content of `speed.json`, or None.
    """
    times = (speed or {}).get("contestants", {})
    means = [c["reward"]["mean"]["estimate"] for c in scores["contestants"] if c["reward"]]
    return [_row(c, means, times.get(c["name"]) or {}) for c in scores["contestants"]]


def _row(contestant: Data, means: Sequence[float], times: Data) -> dict[str, str]:
    reward, robustness = contestant["reward"] or {}, contestant["robustness"] or {}
    none = {"estimate": None, "low": None, "high": None}
    mean, score = reward.get("mean") or none, reward.get("score") or none
    return {
        "rank": str(1 + means.index(mean["estimate"])) if reward else MISSING,
        "contestant": contestant["name"],
        "seeds": _seeds_cell(contestant),
        "return [95%]": estimate_text(mean),
        "score": estimate_text({**none, "estimate": score["estimate"]}, decimals=2),
        "decision p50 / p90 (us)": _decision_cell(times),
        "robustness [95%]": estimate_text(robustness.get("auc") or none, decimals=2),
        "training": duration((contestant["training"] or {}).get("seconds")),
    }


def _seeds_cell(contestant: Data) -> str:
    declared = len(contestant["training_seeds"])
    used = _seed_count(contestant) if contestant["reward"] else 0
    return str(used) if used == declared else f"{used} of {declared}"


def _decision_cell(times: Data) -> str:
    values = [times.get(key) for key in ("p50_us", "p90_us")]
    return " / ".join(MISSING if v is None else fixed(v, 1) for v in values) if times else MISSING


def duration(seconds: float | None) -> str:
    """Seconds for people: "0.4 s", "42 s", "4 min 12 s", "2 h 05 min"."""
    if seconds is None:
        return MISSING
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
