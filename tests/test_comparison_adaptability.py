"""The block `adaptation`: hand-worked curves from episode records."""

from __future__ import annotations

import dataclasses
import json

import pytest

from rl_lab.adaptations import CONTINUED, SCRATCH, SnapshotName
from rl_lab.comparison import adaptability, card
from rl_lab.comparison.snapshots import Facts
from rl_lab.records import EpisodeRecord
from rl_lab.statistics.scale import Scale

SCALE = Scale(0.0, 100.0, "")
STEPS = (0, 10, 20, 30)


def facts(
    seed: int, kind: str = CONTINUED, steps: tuple[int, ...] = STEPS, budget: int = 30
) -> Facts:
    costs = {"gradient_updates": 5.0 + seed, "seconds": 1.0, "cpu_seconds": 1.0}
    words = {"weights": "the run's"}
    return Facts("ppo", seed, kind, "wind", 0.5, "w", "N", 2.0, budget, steps, costs, {}, words)


def episodes(
    seed: int, curve: list[float], world: str, kind: str = CONTINUED, steps: tuple[int, ...] = STEPS
) -> list[EpisodeRecord]:
    """Two episodes per snapshot, one point below and one above the curve."""
    return [
        EpisodeRecord(
            contestant=str(SnapshotName("ppo", kind, "wind", 0.5, step)),
            training_seed=seed,
            environment="E-v0",
            shift=world,
            delta=0.5 if world == "wind" else 0.0,
            schedule="none",
            evaluation_seed=k,
            episode_return=value + (k - 0.5) * 2,
            length=1,
            terminated=True,
            truncated=False,
        )
        for step, value in zip(steps, curve, strict=True)
        for k in (0, 1)
    ]


def two_seeds() -> list[EpisodeRecord]:
    return [
        *episodes(0, [20, 80, 90, 100], "wind"),
        *episodes(0, [100, 90, 80, 70], "none"),
        *episodes(1, [40, 95, 96, 97], "wind"),
        *episodes(1, [100, 100, 100, 90], "none"),
        *episodes(0, [0, 10, 20, 30], "wind", SCRATCH),
    ]


def test_a_block_worked_out_by_hand() -> None:
    made = adaptability.blocks(two_seeds(), [facts(0), facts(1), facts(0, SCRATCH)], SCALE)
    (block,) = made["ppo"]["adaptation"]
    assert block["training_seeds"] == [0, 1]
    assert (block["budget"], block["episodes"], block["value"]) == (30, 2, 2.0)
    assert block["drop"]["estimate"] == pytest.approx((0.8 + 0.6) / 2)
    assert block["forgetting"]["estimate"] == pytest.approx((0.3 + 0.1) / 2)
    assert block["recovery_ratio"]["estimate"] == pytest.approx((1.0 + 0.57 / 0.6) / 2)
    # seed 0: (0/2 + 0.6 + 0.7 + 0.8/2) / 3; seed 1: (0/2 + 0.55 + 0.56 + 0.57/2) / 3
    assert block["adaptation_gain"]["estimate"] == pytest.approx((1.7 + 1.395) / 6)
    # only seed 0 has a twin: jumpstart 0.2 - 0
    assert block["jumpstart"]["estimate"] == pytest.approx(0.2)
    assert "1 of 2 training seeds" in block["jumpstart"]["label"]
    # seed 1 stays above 0.4 + 0.9 * 0.6 from step 10 on; seed 0 reaches 0.92 only at the end
    recovery = block["steps_to_recover"]
    assert (recovery["reached"], recovery["seeds"]) == (1, 2)
    assert recovery["median"] is None
    assert recovery["restricted_mean"] == pytest.approx((10 + 30) / 2)
    assert block["cost"]["gradient_updates"] == 5.5
    assert block["cost"]["energy"]["source"] == "unavailable"
    assert "did not count energy" in block["cost"]["energy"]["joules_reason"]
    assert block["curves"][1]["shifted"]["estimate"] == pytest.approx(0.875)
    assert block["curves"][1]["scratch"]["estimate"] == pytest.approx(0.1)
    assert block["per_seed"]["0"]["steps_to_recover"] == 30
    assert block["per_seed"]["0"]["recovered"] is False
    json.dumps(block, allow_nan=False)


def test_a_twin_with_other_steps_is_read_between_them() -> None:
    steps = (0, 15, 30)
    records = [*two_seeds(), *episodes(1, [0, 15, 30], "wind", SCRATCH, steps)]
    twin = facts(1, SCRATCH, steps)
    made = adaptability.blocks(records, [facts(0), facts(1), twin], SCALE)
    scratch = made["ppo"]["adaptation"][0]["per_seed"]["1"]["curves"]["scratch"]
    assert scratch == pytest.approx([0.0, 0.1, 0.2, 0.3])


def test_no_curve_is_read_beyond_its_own_end() -> None:
    """A twin whose last rollout ended at 40, for a budget of 30: all curves end at 30."""
    steps = (0, 20, 40)
    records = [*two_seeds(), *episodes(1, [0, 20, 60], "wind", SCRATCH, steps)]
    longer = adaptability.blocks(records, [facts(0), facts(1), facts(1, SCRATCH, steps)], SCALE)
    curves = longer["ppo"]["adaptation"][0]["per_seed"]["1"]["curves"]
    assert curves["steps"] == [0, 10, 20, 30]
    assert curves["scratch"] == pytest.approx([0.0, 0.1, 0.2, 0.4])
    # One whose last snapshot is at 25: the continued one is read there, not the twin at 30.
    steps = (0, 25)
    records = [*two_seeds(), *episodes(1, [0, 25], "wind", SCRATCH, steps)]
    shorter = adaptability.blocks(records, [facts(0), facts(1), facts(1, SCRATCH, steps)], SCALE)
    curves = shorter["ppo"]["adaptation"][0]["per_seed"]["1"]["curves"]
    assert curves["steps"] == [0, 10, 20, 25]
    assert curves["shifted"] == pytest.approx([0.4, 0.95, 0.96, 0.965])
    assert curves["scratch"] == pytest.approx([0.0, 0.1, 0.2, 0.25])


def test_trainings_of_different_budgets_are_not_averaged() -> None:
    made = adaptability.blocks(two_seeds(), [facts(0), facts(1, budget=60)], SCALE)
    (block,) = made["ppo"]["adaptation"]
    assert block["reason"] == "trainings of different budgets: 30, 60 steps"
    assert "budget" not in block


def test_ratios_and_differences_of_areas_are_never_averaged() -> None:
    """Seed 1's twin is near perfect: then both seeds give the difference, and the block says so."""
    perfect = episodes(1, [100, 100, 100, 100], "wind", SCRATCH)
    three = [facts(0), facts(1), facts(0, SCRATCH)]
    (block,) = adaptability.blocks(two_seeds(), three, SCALE)["ppo"]["adaptation"]
    assert block["forward_transfer_is"].startswith("(A")
    # A = (0.2/2 + 0.8 + 0.9 + 1/2) / 3 of seed 0, its twin's (0 + 0.1 + 0.2 + 0.3/2) / 3 = 0.15
    assert block["forward_transfer"]["estimate"] == pytest.approx((2.3 / 3 - 0.15) / 0.85)
    made = adaptability.blocks([*two_seeds(), *perfect], [*three, facts(1, SCRATCH)], SCALE)
    (block,) = made["ppo"]["adaptation"]
    assert block["forward_transfer_is"] == "A - A_scratch: from scratch is near perfect"
    one, two = 2.3 / 3 - 0.15, (0.4 / 2 + 0.95 + 0.96 + 0.97 / 2) / 3 - 1.0
    assert block["per_seed"]["0"]["forward_transfer"] == pytest.approx(one)
    assert block["forward_transfer"]["estimate"] == pytest.approx((one + two) / 2)


def test_one_episode_cannot_tell_a_drop() -> None:
    records = [r for r in two_seeds() if r.evaluation_seed == 0]
    (block,) = adaptability.blocks(records, [facts(0), facts(1)], SCALE)["ppo"]["adaptation"]
    assert block["drop"]["estimate"] == pytest.approx(0.7)
    assert block["recovery_ratio"] is None
    assert block["recovery_ratio_reason"].startswith("one episode")


def test_a_seed_with_a_missing_episode_is_left_out() -> None:
    made = adaptability.blocks(two_seeds()[1:], [facts(0), facts(1)], SCALE)
    (block,) = made["ppo"]["adaptation"]
    assert block["training_seeds"] == [1]
    assert (block["left_out"], block["left_out_reason"]) == ([0], "episodes are missing")
    assert block["drop"]["method"] == "95% bootstrap over 2 episodes"
    assert "THIS CHECKPOINT ONLY (1 training seed)" in block["drop"]["label"]


def test_from_10_seeds_both_kinds_of_seeds_are_resampled() -> None:
    records = [
        record
        for seed in range(10)
        for record in (
            *episodes(seed, [20 + seed, 80, 90, 100], "wind"),
            *episodes(seed, [100, 90, 80, 70 - seed], "none"),
            *episodes(seed, [seed, 10, 20, 30], "wind", SCRATCH),
        )
    ]
    everyone = [facts(seed, kind) for seed in range(10) for kind in (CONTINUED, SCRATCH)]
    (block,) = adaptability.blocks(records, everyone, SCALE)["ppo"]["adaptation"]
    # 0.8 - seed / 100; each resample's seeds have a mean of 4.5 give or take 0.9.
    assert block["drop"]["estimate"] == pytest.approx(0.755)
    assert block["drop"]["low"] == pytest.approx(0.755 - 0.0178, abs=0.003)
    for name in ("drop", "jumpstart", "recovery_ratio", "forward_transfer", "dip", "forgetting"):
        method = "95% crossed bootstrap, 10 training seeds, 2 shared evaluation seeds"
        assert block[name]["method"] == method
    assert block["curves"][0]["shifted"]["low"] < 0.245 < block["curves"][0]["shifted"]["high"]


def test_a_dip_is_never_below_0() -> None:
    """Student's t over dips of 0 and 0.1 reaches below; no dip does."""
    records = [
        *episodes(0, [20, 80, 90, 100], "wind"),
        *episodes(0, [100] * 4, "none"),
        *episodes(1, [20, 10, 90, 100], "wind"),
        *episodes(1, [100] * 4, "none"),
    ]
    (block,) = adaptability.blocks(records, [facts(0), facts(1)], SCALE)["ppo"]["adaptation"]
    assert block["dip"]["estimate"] == pytest.approx(0.05)
    assert block["dip"]["low"] == 0.0
    assert block["dip"]["method"].endswith("cut to 0 and above")


def test_seeds_that_faced_fewer_episodes_are_left_out() -> None:
    few = [r for r in two_seeds() if r.training_seed == 0 or r.evaluation_seed == 0]
    (block,) = adaptability.blocks(few, [facts(0), facts(1)], SCALE)["ppo"]["adaptation"]
    assert (block["training_seeds"], block["left_out"]) == ([0], [1])


def test_without_a_scale_the_reason_stands() -> None:
    made = adaptability.blocks([], [facts(0)], "no anchors")
    assert made["ppo"] == {"adaptation": None, "adaptation_reason": "no anchors"}


def test_without_episodes_the_reason_stands() -> None:
    (block,) = adaptability.blocks([], [facts(0)], SCALE)["ppo"]["adaptation"]
    assert block["reason"] == "no continued training has its episodes"
    assert ("learning", "-", block["reason"]) in card.card({"name": "x", "adaptation": [block]})


def test_names_read_back() -> None:
    name = SnapshotName("ppo-1a2b", SCRATCH, "wind+dust@0.5", 0.25, 300)
    assert SnapshotName.parse(str(name)) == name


def test_energy_is_averaged_where_all_have_counted_it() -> None:
    used = [{"source": "RAPL package", "joules": j, "gpu_joules": None} for j in (100.0, 300.0)]
    two = [dataclasses.replace(facts(i), energy=one) for i, one in enumerate(used)]
    (block,) = adaptability.blocks(two_seeds(), two, SCALE)["ppo"]["adaptation"]
    assert block["cost"]["energy"]["joules"] == 200.0
    assert "6 gradient steps, 1 s, 200 J (RAPL package)" in card.card_text(
        {"name": "ppo", "adaptation": [block]}
    )
    (block,) = adaptability.blocks(two_seeds(), [two[0], facts(1)], SCALE)["ppo"]["adaptation"]
    assert block["cost"]["energy"]["joules"] is None
    assert block["cost"]["energy"]["source"] == "RAPL package, or unavailable"


def test_the_card_says_what_was_regained() -> None:
    made = adaptability.blocks(two_seeds(), [facts(0), facts(1), facts(0, SCRATCH)], SCALE)
    text = card.card_text({"name": "ppo", **made["ppo"]})
    assert "wind 0.5, 30 steps" in text
    assert "steps to recover > 30 (1 of 2 seeds)" in text
    assert card.has_card({"name": "ppo", **made["ppo"]})
    assert not card.has_card({"name": "ppo"})


def test_no_curve_reaches_above_the_highest_possible_score() -> None:
    three = [facts(0), facts(1), facts(0, SCRATCH)]

    def highest(ceiling: float | None) -> float:
        (block,) = adaptability.blocks(two_seeds(), three, SCALE, ceiling)["ppo"]["adaptation"]
        return float(block["curves"][1]["shifted"]["high"])

    # Two seeds at 0.8 and 0.95: Student's t with one degree of freedom.
    assert highest(None) == pytest.approx(0.875 + 12.7062 * 0.075, abs=1e-4)
    assert highest(100) == 1.0
