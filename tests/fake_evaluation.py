"""A made-up evaluation folder, written from `docs/formats.md` alone."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from rl_lab import files, records
from rl_lab.records import EpisodeRecord

ENVIRONMENT = "CartPole-v1"
ANCHORS = {"random": 22.0, "solved": 475.0, "ceiling": 500.0, "control_period_s": 0.02}
DELTAS = (0.0, 0.25, 0.5, 0.75, 1.0)
AGENTS = ("ppo", "dqn", "a2c", "sac", "td3", "qrdqn", "trpo", "ars")
EPISODES = 20


def names(count: int) -> list[str]:
    """Contestant names as the lab makes them."""
    return [f"{AGENTS[i % len(AGENTS)]}-{0x3F2A91C0 + 7919 * i:08x}" for i in range(count)]


def build(
    folder: Path, contestants: Sequence[str], seeds: int = 5, speed: bool = True, shift: bool = True
) -> dict[str, Any]:
    """Write the files of an evaluation and of the runs behind it.

    Returns:
        The scores, as written.
    """
    rng = np.random.default_rng(7)
    blocks, rows = [], []
    for place, name in enumerate(contestants):
        level = 470.0 * 0.86**place
        returns = np.clip(
            rng.normal(level, 25, (seeds, 1)) + rng.normal(0, 30, (seeds, EPISODES)), 8, 500
        )
        rows += episodes(name, np.round(returns))
        blocks.append(contestant(name, np.round(returns), place, shift))
        blocks[-1]["runs"] = [write_run(folder, name, seed, level, rng) for seed in range(seeds)]
    blocks.sort(key=lambda block: -block["reward"]["mean"]["estimate"])
    for block in blocks[1:]:
        block["to_best"] = difference(blocks[0], block)
    scores = {
        "format_version": 2,
        "environment": ENVIRONMENT,
        "anchors": ANCHORS,
        "protocol": protocol(shift),
        "contestants": blocks,
        "verdict": verdict(blocks),
        "failures": [],
        "command": "rl-lab evaluate runs=outputs/train/CartPole-v1 name=demo",
        "versions": {"python": "3.12.4", "rl-lab": "0.1.0", "torch": "2.13.0"},
    }
    write(folder, scores)
    records.write(folder / "episodes.csv", rows)
    if speed:
        files.write_json(folder / "speed.json", times(contestants))
    return scores


def write(folder: Path, scores: dict[str, Any]) -> None:
    """Write `scores.json`."""
    files.write_json(folder / "scores.json", scores)


def protocol(shift: bool) -> dict[str, Any]:
    return {
        "episodes": EPISODES,
        "seed": 0,
        "evaluation_seeds": [1_000_000, 1_000_000 + EPISODES - 1],
        "shifts": [{"name": "pole_length", "parameter": "length", "unit": "m", "near_delta": 0.5}]
        if shift
        else [],
        "deltas": list(DELTAS) if shift else [],
        "shift_episodes": 10 if shift else 0,
        "step_limit": 10_000,
        "deterministic": True,
    }


def verdict(blocks: Sequence[dict[str, Any]]) -> str:
    if len(blocks) < 2:
        return "No two contestants: nothing can be compared."
    first, second = blocks[:2]
    delta = second["to_best"]["delta"]
    low, high = (f"{-delta[key]:.1f}" for key in ("high", "low")) if delta["low"] else ("?", "?")
    margin = f"{-delta['estimate']:.1f} [{low}, {high}]"
    seeds = len(first["reward"]["per_seed"])
    return f"{first['name']} beats {second['name']} by {margin} over {seeds} training seeds."


def interval(values: np.ndarray) -> dict[str, Any]:
    mean, half = float(values.mean()), None
    if len(values) > 1:
        half = 2.2 * float(values.std(ddof=1)) / len(values) ** 0.5
    low, high = (None, None) if half is None else (mean - half, mean + half)
    method = "no interval from one training seed" if half is None else "t interval"
    return {"estimate": mean, "low": low, "high": high, "method": method}


def score(values: np.ndarray) -> np.ndarray:
    return (values - ANCHORS["random"]) / (ANCHORS["solved"] - ANCHORS["random"])


def contestant(name: str, returns: np.ndarray, place: int, shift: bool) -> dict[str, Any]:
    """One contestant; `returns` is [training seeds, episodes]."""
    means = returns.mean(axis=1)
    mean = interval(means)
    label = f"mean {mean['estimate']:.1f}  {mean['method']} | {EPISODES} shared evaluation seeds"
    reward = {
        "per_seed": {str(seed): float(value) for seed, value in enumerate(means)},
        "claim": "policy" if len(means) == 1 else "algorithm",
        "indicative": 1 < len(means) < 5,
        "mean": {**mean, "label": f"{label} | deterministic | {ENVIRONMENT}"},
        "median": float(np.median(means)),
        "min": float(means.min()),
        "max": float(means.max()),
        "seed_dispersion": float(np.ptp(means)) if len(means) > 1 else None,
        "seed_dispersion_reason": "one training seed",
        "episode_dispersion": 31.7,
        "episode_cvar10": None,
        "episode_cvar10_reason": "fewer than 50 episodes",
        "success_rate": interval((returns >= ANCHORS["solved"]).mean(axis=1)),
        "score": interval(score(means)),
    }
    agent = name.split("-")[0][:12]
    return {
        "name": name,
        "agent": agent,
        "algorithm": agent.upper(),
        "recipe_hash": name.rpartition("-")[2][:8],
        "training_seeds": list(range(len(means))),
        "reward": reward,
        "to_best": None,
        **(robustness(means, place) if shift else no_robustness()),
        "training": {
            "seconds": 61.5 + 40 * place,
            "cpu_seconds": 80.25 + 40 * place,
            "peak_memory_bytes": 512_000_000 + place,
            "steps": 100_000,
            "gradient_updates": 4_000 * (place + 1),
            "settings": f"tuned for {ENVIRONMENT} (RL Baselines3 Zoo)",
        },
    }


def no_robustness() -> dict[str, Any]:
    return {"robustness": None, "robustness_reason": "no shift was evaluated"}


def robustness(means: np.ndarray, place: int) -> dict[str, Any]:
    levels = []
    for delta in DELTAS:
        fallen = score(means) * (1 - (0.3 + 0.05 * (place % 5)) * delta**1.5)
        one = interval(fallen)
        level = {
            "delta": delta,
            "value": 0.5 * 8.0**delta,
            "mean_return": 22 + 453 * one["estimate"],
        }
        levels.append({**level, "score": one["estimate"], "low": one["low"], "high": one["high"]})
    areas = score(means) * 0.85
    auc = {**interval(areas), "label": "auc | shift pole_length"}
    scalars = {
        "auc": auc,
        "worst": {**interval(score(means)), "estimate": min(level["score"] for level in levels)},
        "cvar10": None,
        "cvar10_reason": "fewer than 50 episodes along the shift",
        "per_seed_auc": {str(seed): float(area) for seed, area in enumerate(areas)},
    }
    curve = {"shift": "pole_length", "parameter": "length", "unit": "m", "levels": levels}
    curve |= {"critical_shift": 0.5, "critical_shift_text": "0.5", "saturated": False}
    return {"robustness": {"learned": True, "shifts": [{**curve, **scalars}], **scalars}}


def difference(best: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    a, b = (np.array(list(c["reward"]["per_seed"].values())) for c in (other, best))
    delta = interval(a - b)
    alone = len(a) == 1
    label = f"delta {delta['estimate']:+.1f}  {delta['method']} | A = {other['name']}"
    return {
        "against": best["name"],
        "delta": {**delta, "label": label},
        "p_value": None if alone else 0.0123,
        "p_value_reason": "no test from one training seed",
        "p_holm": None if alone else 0.0246,
        "prob_improvement": None if alone else 0.2,
        "win_rate": 0.31,
    }


def episodes(name: str, returns: np.ndarray) -> list[EpisodeRecord]:
    return [
        EpisodeRecord(
            name,
            seed,
            ENVIRONMENT,
            "none",
            0.0,
            "none",
            1_000_000 + k,
            float(value),
            int(value),
            value < 500,
            value >= 500,
        )
        for seed, row in enumerate(returns)
        for k, value in enumerate(row)
    ]


def times(contestants: Sequence[str]) -> dict[str, Any]:
    """Content of `speed.json`."""
    blocks = {}
    for place, name in enumerate(contestants):
        p50 = 21.375 + 9.5 * ((place * 7 + 12) % 20)
        blocks[name] = {
            "calls": 30_000,
            "p50_us": p50,
            "p90_us": p50 * 1.375,
            "p99_us": p50 * 2.25,
            "max_us": p50 * 31,
            "mean_us": p50 * 1.0625,
            "p90_low_us": p50 * 1.25,
            "p90_high_us": p50 * 1.5,
            "steps_per_second": 21_345.6,
            "load_s": 0.01234,
            "graph_bytes": 45_678,
            "parameters": 9_155,
            "distribution": {
                "percent": [0, 50, 90, 99, 99.9, 100],
                "us": [p50 * k for k in (0.5, 1, 1.375, 2.25, 9, 31)],
            },
            "server": {
                "service_us": p50,
                "batching": 1,
                "max_rate_per_s": 0.9e6 / p50,
                "max_load": 0.9,
                "limited_by": "deadline",
                "levels": [
                    {"load": load / 10, "rate_per_s": load * 1e5 / p50, "p99_us": p50 * 1.8**load}
                    for load in range(1, 10)
                ],
            },
            "offline": {
                "batch_sizes": [2**k for k in range(13)],
                "decisions_per_s": [1e6 / p50 * 2**k / (1 + 2**k / 99) for k in range(13)],
                "max_decisions_per_s": 9.9e7 / p50,
                "knee": 1024,
            },
            "deadline_us": 20_000.0,
            "deadline_miss_rate": 0.0,
        }
    machine = {"system": "Linux x86_64", "processor": "Example CPU 3.0 GHz", "cores": 8}
    return {"format_version": 1, "machine": machine, "threads": 1, "contestants": blocks}


def write_run(folder: Path, name: str, seed: int, level: float, rng: np.random.Generator) -> str:
    """A run folder with a learning curve; returns its path as stored."""
    safe = "".join(c if c.isalnum() else "_" for c in name)[:40]
    run = folder.parent / "train" / safe / f"seed_{seed}"
    run.mkdir(parents=True, exist_ok=True)
    lines = []
    for point in range(1, 101):
        step = 1000 * point + 10 * seed
        value = 22 + (level - 22) * (1 - np.exp(-point / 22)) + rng.normal(0, 12)
        row = {"step": step, "time_s": 0.61 * point, "rollout/ep_rew_mean": round(float(value), 2)}
        lines.append(json.dumps(row))
    (run / "metrics.jsonl").write_text("\n".join(lines) + "\n")
    return str(run)
