"""The block `drift`: paired episodes worked out by hand."""

from __future__ import annotations

import dataclasses
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rl_lab import drift_records
from rl_lab.comparison import card, drifting
from rl_lab.comparison.drift_measures import Setup
from rl_lab.comparison.drifting import Subject
from rl_lab.drift_records import DriftRecord
from rl_lab.statistics import drift
from rl_lab.statistics.scale import Scale

SETUP = Setup(
    "wind", 1.0, {"kind": "step"}, change_step=10, change_episode=None, horizon=5, termination=None
)
SCALE = Scale(0.0, 100.0, "")
STILL = DriftRecord(
    contestant="ppo",
    training_seed=0,
    shift="none",
    delta=0.0,
    schedule="none",
    evaluation_seed=0,
    length=30,
    terminated=False,
    truncated=True,
    episode_return=30.0,
    return_after=20.0,
    recovery=0.0,
    alarm_step=None,
    residual_after=1.0,
    novelty_after=0.01,
    samples=np.zeros((4, 2)),
    no_monitor="",
    reference_novelty=0.02,
    false_alarm_rate=0.05,
    sd_s=np.ones(2),
    categories=False,
    change_step=10,
    reference_sha256="ab" * 32,
)


MOVES: dict[str, Any] = {"shift": "wind", "delta": 1.0, "schedule": "step at 10 steps"}


def pair(seed: int, **moved: Any) -> list[DriftRecord]:
    still = dataclasses.replace(STILL, evaluation_seed=seed)
    return [still, dataclasses.replace(still, **{**MOVES, **moved})]


def ppo(records: list[DriftRecord], memory: bool = False) -> dict[str, Subject]:
    """The one contestant, whose training seeds are those that have records."""
    return {"ppo": Subject(memory, {r.training_seed for r in records})}


def block(
    records: list[DriftRecord], scale: Scale | str = SCALE, memory: bool = False
) -> dict[str, Any]:
    seeds = sorted({r.evaluation_seed for r in records})
    made = drifting.blocks(records, [SETUP], scale, ppo(records, memory), seeds)["ppo"]
    json.dumps(made, allow_nan=False)
    (found,) = made["drift"]
    return dict(found)


def test_a_disturbance_of_strength_0_loses_exactly_nothing() -> None:
    found = block([r for seed in range(5) for r in pair(seed)])
    assert found["loss_per_step"]["estimate"] == 0.0
    assert found["loss_score"]["estimate"] == 0.0
    assert found["obs_shift"]["estimate"] == 0.0
    assert found["dynamics_shift"]["estimate"] == 0.0
    assert found["per_seed"]["0"]["obs_shift_p"] == 1.0
    assert found["detection"]["detection_rate"]["estimate"] == 0.0


def test_losses_by_hand() -> None:
    # One falls five steps after the change: 20 - 5 lost over 20 steps; the other loses nothing.
    fallen = pair(0, length=15, terminated=True, return_after=5.0, alarm_step=13)
    found = block([*fallen, *pair(1, alarm_step=16)])
    assert found["loss_per_step"]["estimate"] == pytest.approx((15 / 20 + 0) / 2)
    assert found["loss_score"]["estimate"] == pytest.approx(0.15 / 2)
    assert found["survival"]["drift"]["estimate"] == 0.5
    assert found["survival"]["no_drift"]["estimate"] == 1.0
    # alarms after 13 and 16 observations, the change is felt from the 12th on: 2 and 5 steps
    assert found["detection"]["detection_rate"]["estimate"] == 1.0
    assert found["detection"]["delay_steps"] == 3.5
    assert (found["detection"]["detected"], found["detection"]["episodes"]) == (2, 2)


def test_an_alarm_before_the_change_is_not_a_detection() -> None:
    found = block(pair(0, alarm_step=11))
    assert found["detection"]["detection_rate"]["estimate"] == 0.0
    assert found["detection"]["delay_steps"] is None
    assert "later than the episodes' end: 0 of 1" in found["detection"]["delay_steps_reason"]


def test_false_alarms_are_counted_without_drift() -> None:
    still, moved = pair(0, alarm_step=20)
    found = block([dataclasses.replace(still, alarm_step=25), moved, *pair(1)])
    assert found["detection"]["false_alarm_rate"]["estimate"] == 0.5
    assert found["detection"]["declared_false_alarm_rate"] == 0.05


def test_an_episode_that_ends_before_the_change_says_nothing_of_detection() -> None:
    early = {"length": 8, "terminated": True, "return_after": 0.0}
    still, moved = pair(0, **early)
    found = block([dataclasses.replace(still, **early), moved])
    assert found["loss_per_step"] is None
    assert found["loss_per_step_reason"] == "no episode reached the change"
    assert found["detection"]["detection_rate"] is None
    assert found["survival"]["drift"]["estimate"] == 0.0


def test_without_a_reference_losses_stand_alone() -> None:
    none = dict.fromkeys(
        (
            "residual_after",
            "novelty_after",
            "samples",
            "reference_novelty",
            "false_alarm_rate",
            "sd_s",
            "categories",
        )
    )
    bare = [dataclasses.replace(r, no_monitor="no reference", **none) for r in pair(0)]
    found = block(bare)
    assert found["detection"] is None
    assert found["detection_reason"] == "no reference"
    assert found["obs_shift"] is None
    assert found["obs_shift_reason"] == "no reference"
    assert found["loss_per_step"]["estimate"] == 0.0


def test_recovery_within_the_episode_is_of_memory_only() -> None:
    assert "without memory" in block(pair(0))["within_episode_recovery_reason"]
    found = block(pair(0, recovery=0.5), memory=True)
    assert found["within_episode_recovery"]["estimate"] == 0.5


def test_a_moved_distribution_shows() -> None:
    records = [r for seed in range(6) for r in pair(seed, samples=np.full((4, 2), 3.0))]
    found = block(records)
    assert found["obs_shift"]["estimate"] == pytest.approx(3.0)
    # Of the 64 ways to swap within 6 pairs, none and all give as much.
    assert found["per_seed"]["0"]["obs_shift_p"] == pytest.approx(2 / 64, abs=0.02)


def test_permutations_stay_within_pairs() -> None:
    """Seeds a decade apart: mixed freely they give all effects, swapped in pairs always one."""
    records = [
        dataclasses.replace(r, residual_after=10.0**k * (2.0 if r.drift else 1.0))
        for k in range(9)
        for r in pair(k)
    ]
    found = block(records)["per_seed"]["0"]
    assert found["dynamics_shift"] == pytest.approx(np.log10(2.0))
    # The median of each side is the middle pair's, whichever way round.
    assert found["dynamics_shift_p"] == 1.0
    labels = drift.within_pairs(np.array([False] * 3 + [True] * 3), 200, np.random.default_rng(0))
    assert (labels[:, :3] ^ labels[:, 3:]).all()
    assert len(np.unique(labels, axis=0)) == 8
    with pytest.raises(ValueError, match="two sides of one length"):
        drift.within_pairs(np.array([False, True, True]), 1, np.random.default_rng(0))


def test_an_episode_whose_twin_ended_early_is_in_no_pair() -> None:
    still, moved = pair(1, samples=np.full((4, 2), 9.0), residual_after=9.0)
    early = dataclasses.replace(still, samples=np.empty((0, 2)), residual_after=None)
    found = block([*pair(0), early, moved])
    assert found["obs_shift"]["estimate"] == 0.0
    assert found["dynamics_shift"]["estimate"] == 0.0


def test_episodes_are_those_of_a_whole_seed() -> None:
    cut = dataclasses.replace(STILL, training_seed=1, **MOVES)
    short = [dataclasses.replace(r, training_seed=2) for r in pair(0)]
    found = block([*pair(0), *pair(1), cut, *short])
    assert found["episodes"] == 2
    assert found["training_seeds"] == [0]
    assert found["left_out"] == [1, 2]
    assert found["left_out_reason"] == (
        "episodes are missing: training seed 1 has 0 of 2 pairs, training seed 2 has 1 of 2 pairs"
    )


def test_a_seed_without_a_monitor_is_not_one_that_detects_nothing() -> None:
    bare = {"false_alarm_rate": None, "no_monitor": "no reference"}
    unwatched = [
        dataclasses.replace(r, training_seed=seed, **bare) for seed in (1, 2) for r in pair(0)
    ]
    found = block([*pair(0, alarm_step=13), *unwatched])["detection"]
    assert (found["detected"], found["episodes"]) == (1, 1)
    assert found["delay_steps"] == 2
    assert found["detection_rate"]["estimate"] == 1.0
    assert found["detection_rate_reason"] == "no reference"


def test_an_end_without_drift_is_told() -> None:
    assert "reason" not in block(pair(0))["survival"]
    still, moved = pair(0)
    found = block([dataclasses.replace(still, terminated=True, truncated=False), moved])
    assert found["survival"]["reason"].startswith("episodes end without drift too")


@pytest.mark.parametrize("kind", ["goal", "failure", "either"])
def test_where_an_end_is_the_goal_it_is_no_death(kind: str) -> None:
    setup = dataclasses.replace(SETUP, termination=kind)
    still, moved = pair(0, length=12, terminated=True)
    records = [dataclasses.replace(still, length=11, terminated=True), moved]
    (found,) = drifting.blocks(records, [setup], SCALE, ppo(records), [0])["ppo"]["drift"]
    survival = found["survival"]
    if kind == "goal":
        assert survival["drift"] is survival["no_drift"] is None
        assert survival["drift_reason"] == "here an episode ends when the task is done"
        assert ("       survival", "-", survival["drift_reason"]) in card.card({"drift": [found]})
    else:
        assert survival["drift"]["estimate"] == survival["no_drift"]["estimate"] == 0.0
        assert ("reason" in survival) is (kind == "either")


def test_whatever_is_missing_says_why() -> None:
    none = dict.fromkeys(("residual_after", "false_alarm_rate"))
    reason = "no alarm: no model"
    bare = [dataclasses.replace(r, no_monitor=reason, **none) for r in pair(0)]
    found = block(bare)["per_seed"]["0"]
    assert found["dynamics_shift_p"] is None
    assert found["dynamics_shift_p_reason"] == reason
    assert found["novelty_rate_reference"] == 0.02
    assert "novelty_rate_reference_reason" not in found
    for name, value in found.items():
        assert value is not None or found[f"{name}_reason"]


def test_without_a_scale_loss_per_step_still_stands() -> None:
    found = block(pair(0, return_after=0.0), scale="no anchors")
    assert found["loss_per_step"]["estimate"] == 1.0
    assert found["loss_score_reason"] == "no anchors"


def test_shares_end_at_0_and_1() -> None:
    seeds = [
        dataclasses.replace(record, training_seed=seed)
        for seed in range(3)
        for record in pair(0, alarm_step=13 if seed else None)
    ]
    found = block(seeds)["detection"]["detection_rate"]
    assert (found["low"], found["high"]) == (0.0, 1.0)


def test_from_10_seeds_both_kinds_of_seeds_are_resampled() -> None:
    seeds = [
        dataclasses.replace(record, training_seed=seed)
        for seed in range(10)
        for k in range(4)
        for record in pair(k, return_after=float(seed + k), residual_after=2.0 + k)
    ]
    found = block(seeds)
    crossed = "95% crossed bootstrap, 10 training seeds, 4 shared evaluation seeds"
    for name in ("loss_per_step", "loss_score", "dynamics_shift"):
        assert found[name]["method"] == crossed
        assert found[name]["low"] < found[name]["estimate"] < found[name]["high"]
    assert found["survival"]["drift"]["method"] == crossed
    # Distances between samples are not resampled by episode, which would enlarge all of them.
    assert found["obs_shift"]["method"] == "95% t over 10 training seeds"


def test_a_number_that_no_episode_has_is_missing_by_name() -> None:
    """Also on a scale that has a label, which is no reason."""
    lost = [dataclasses.replace(r, return_after=math.nan) for r in pair(0)]
    for label in ("", "relative to best agent in this comparison"):
        found = block(lost, Scale(0.0, 100.0, label))
        assert found["loss_score"] is None
        assert found["loss_score_reason"] == "of no episode is it known"
        assert found["per_seed"]["0"]["loss_score_reason"] == "of no episode is it known"
        assert found["survival"]["drift"]["estimate"] == 1.0


def test_one_seed_speaks_of_this_checkpoint_over_its_episodes() -> None:
    found = block([r for k in range(6) for r in pair(k, return_after=float(k), alarm_step=13)])
    loss = found["loss_per_step"]
    assert loss["estimate"] == pytest.approx((20 + 19 + 18 + 17 + 16 + 15) / 6 / 20)
    assert loss["method"] == "95% bootstrap over 6 episodes"
    assert "THIS CHECKPOINT ONLY (1 training seed)" in loss["label"]
    assert loss["low"] < loss["estimate"] < loss["high"]
    assert found["obs_shift"]["method"] == "one training seed: no interval"


def test_unpaired_seeds_are_left_out() -> None:
    assert block(pair(0)[:1])["reason"] == "no training seed has all its episodes"
    made = drifting.blocks(pair(0)[:1], [SETUP], SCALE, ppo([STILL]), [0])
    assert ("drift", "-", f"wind 1, step at step 10: {block([])['reason']}") in card.card(
        {"name": "ppo", **made["ppo"]}
    )


def test_every_shift_has_its_block_and_the_same_episodes_without_drift() -> None:
    other = dataclasses.replace(SETUP, shift="rain", delta=0.5)
    rain = {"shift": "rain", "delta": 0.5, "return_after": 0.0}
    records = [*pair(0, return_after=15.0), dataclasses.replace(STILL, **{**MOVES, **rain})]
    made = drifting.blocks(records, [SETUP, other], SCALE, ppo(records), [0])["ppo"]["drift"]
    losses = {one["shift"]: one["loss_score"]["estimate"] for one in made}
    assert losses == {"wind": pytest.approx(0.05), "rain": pytest.approx(0.2)}


def test_without_a_schedule_there_is_no_block() -> None:
    made = drifting.blocks([], [], SCALE, ppo([STILL]), [0])
    assert made == {"ppo": {"drift": None, "drift_reason": "no schedule was evaluated"}}


# Episodes for a clock: the first two of five come before the change.
ROW = dataclasses.replace(SETUP, change_step=0, change_episode=2)


def row(seed: int, training_seed: int = 0, **moved: Any) -> list[DriftRecord]:
    still, drifted = pair(seed, schedule="step at 2 episodes", **moved)
    both = (still, drifted)
    return [dataclasses.replace(r, training_seed=training_seed) for r in both]


def test_with_episodes_for_a_clock_what_came_before_the_change_is_left_aside() -> None:
    before = [r for seed in (0, 1) for r in row(seed, return_after=-1e6, alarm_step=2)]
    after = [
        *row(2, return_after=20.0),
        *row(3, return_after=14.0, length=4, terminated=True, alarm_step=3),
        *row(4, return_after=8.0, alarm_step=2),
    ]
    both = [*before, *after]
    made = drifting.blocks(both, [ROW], SCALE, ppo(both, memory=True), range(5))
    (found,) = made["ppo"]["drift"]
    assert found["episodes"] == 3
    assert found["loss_score"]["estimate"] == pytest.approx((0 + 6 + 12) / 3 / 100)
    assert found["loss_per_step"]["estimate"] == pytest.approx((0 + 6 / 30 + 12 / 30) / 3)
    # horizon 5: one of three is dead by then
    assert found["survival"]["drift"]["estimate"] == pytest.approx(2 / 3)
    detection = found["detection"]
    assert detection["detection_rate"]["estimate"] == pytest.approx(2 / 3)
    # 2 and 1 steps into the episode; one whole episode went by without an alarm
    assert (detection["delay_steps"], detection["delay_episodes"]) == (2.0, 1.0)
    assert found["within_episode_recovery_reason"] == "the world moves from one episode to the next"
    text = card.card_text({"name": "ppo", "drift": [found]})
    assert "wind 1, step at episode 2" in text
    assert "delay 2 steps, 1 whole episodes before it" in text


def test_the_published_list_tells_what_came_before_the_change() -> None:
    """Evaluation seed 2 of 0..7 is missing in both worlds; the change is after the fifth."""
    setup = dataclasses.replace(SETUP, change_step=0, change_episode=5)

    def lost(gone: dict[int, int]) -> dict[str, Any]:
        """Evaluation seed k loses k; of a training seed one evaluation seed is gone."""
        records = [
            r
            for training_seed, missing in gone.items()
            for k in range(8)
            if k != missing
            for r in row(k, training_seed, return_after=20.0 - k)
        ]
        made = drifting.blocks(records, [setup], SCALE, ppo(records), range(8))
        (found,) = made["ppo"]["drift"]
        return dict(found)

    found = lost({0: 2})
    assert found["episodes"] == 3
    assert found["loss_score"]["estimate"] == pytest.approx((5 + 6 + 7) / 3 / 100)
    assert "left_out" not in found
    # As many episodes, but not the same ones: each would be compared with another row of worlds.
    found = lost({0: 2, 1: 6, 2: 5})
    assert found["training_seeds"] == [0]
    assert found["loss_score"]["estimate"] == pytest.approx((5 + 6 + 7) / 3 / 100)
    assert found["left_out"] == [1, 2]
    assert found["left_out_reason"] == (
        "episodes are missing: training seed 1 has 2 of 3 pairs, training seed 2 has 2 of 3 pairs"
    )
    assert lost({1: 6, 2: 5})["reason"] == "no training seed has all its episodes"


def test_a_training_seed_without_any_record_is_left_out_by_name() -> None:
    """Its policy failed in its first episode, or its file did not load."""
    records = pair(0)
    subject = {"ppo": Subject(False, (0, 4, 7))}
    (found,) = drifting.blocks(records, [SETUP], SCALE, subject, [0])["ppo"]["drift"]
    assert found["training_seeds"] == [0]
    assert found["left_out"] == [4, 7]
    assert found["left_out_reason"] == (
        "episodes are missing: training seed 4 has 0 of 1 pairs, training seed 7 has 0 of 1 pairs"
    )
    row = ("       left out", "seed 4, 7", found["left_out_reason"])
    assert row in card.card({"drift": [found]})
    nobody = drifting.blocks([], [SETUP], SCALE, subject, [0])["ppo"]["drift"]
    assert [one["reason"] for one in nobody] == ["no training seed has all its episodes"]


def test_within_the_episode_no_delay_in_episodes_is_told() -> None:
    detection = block(pair(0, alarm_step=13))["detection"]
    assert detection["delay_episodes"] is None
    assert detection["delay_episodes_reason"] == "the world moves within the episode"


def test_the_table_of_records() -> None:
    text = drift_records.to_csv(pair(3, alarm_step=12, terminated=True))
    head, still, moved = text.splitlines()
    assert head == ",".join(("format_version", *drift_records.COLUMNS))
    assert still == "1,ppo,0,none,0.0,none,3,30,0,1,30.0,20.0,0.0,,1.0,0.01"
    assert moved == "1,ppo,0,wind,1.0,step at 10 steps,3,30,1,1,30.0,20.0,0.0,12,1.0,0.01"


def test_a_journal_reads_back_whole_and_leaves_out_what_was_cut(tmp_path: Path) -> None:
    bare = dataclasses.replace(STILL, samples=None, sd_s=None, categories=None, no_monitor="x")
    empty = dataclasses.replace(STILL, samples=np.empty((0, 2)), residual_after=math.inf)
    records = [*pair(1, samples=np.array([[0.1, -1e-300]])), bare, empty]
    path = tmp_path / "journal"
    lines = "".join(map(drift_records.to_line, records))
    path.write_text(lines + lines[:40])
    again = drift_records.read_journal(path)
    assert list(map(drift_records.to_line, again)) == list(map(drift_records.to_line, records))
    assert np.array_equal(again[1].samples, records[1].samples)  # type: ignore[arg-type]
    assert again[3].samples is not None
    assert again[3].samples.shape == (0, 2)
    path.write_text(lines.replace('"format_version": 2', '"format_version": 1'))
    assert drift_records.read_journal(path) == []
    assert drift_records.read_journal(tmp_path / "none") == []


def test_the_card_says_loss_and_detection() -> None:
    made = drifting.blocks(pair(0, alarm_step=13), [SETUP], SCALE, ppo([STILL]), [0])
    text = card.card_text({"name": "ppo", **made["ppo"]})
    assert "wind 1, step at step 10" in text
    assert "delay 2 steps" in text
    assert "calibrated to 0.05" in text
