from __future__ import annotations

import pytest

from rl_lab.comparison import suites
from rl_lab.comparison.suites import Part
from rl_lab.environments import Anchors
from rl_lab.errors import BadInput
from rl_lab.records import EpisodeRecord

SEEDS, EPISODES = (0, 1, 2), (10, 11)


def part(environment: str, random: float, solved: float, **returns: float) -> Part:
    """Every episode of a contestant returns the same."""
    records = [
        EpisodeRecord(name, seed, environment, "none", 0.0, "none", episode, value, 1, True, False)
        for name, value in returns.items()
        for seed in SEEDS
        for episode in EPISODES
    ]
    return Part(environment, records, Anchors(random, solved, None, None))


def three(**changes: float) -> list[Part]:
    return [
        part("A", 0.0, 100.0, good=100.0, poor=50.0),
        part("B", -200.0, -100.0, good=-100.0, poor=-200.0),
        part("C", 10.0, 20.0, **{"good": 25.0, "poor": 11.0, **changes}),
    ]


def test_scores_are_those_worked_out_by_hand() -> None:
    found = suites.summarize(three())
    good, poor = found["contestants"]
    assert (good["name"], poor["name"]) == ("good", "poor")
    assert good["per_environment"] == {"A": 1.0, "B": 1.0, "C": 1.5}
    assert good["mean"]["estimate"] == pytest.approx(3.5 / 3)
    assert good["optimality_gap"]["estimate"] == 0.0
    assert poor["mean"]["estimate"] == pytest.approx((0.5 + 0.0 + 0.1) / 3)
    assert poor["optimality_gap"]["estimate"] == pytest.approx(1 - 0.2)


def test_the_profile_counts_episodes_above_each_level() -> None:
    profile = suites.summarize(three())["contestants"][0]["profile"]
    above = dict(zip(profile["taus"], profile["share_above"], strict=True))
    assert above[0.95] == 1.0
    assert above[1.0] == pytest.approx(1 / 3), "only C lies above 1"


def test_shifted_episodes_do_not_count() -> None:
    parts = three()
    extra = EpisodeRecord("good", 0, "A", "longer", 0.5, "none", 10, -999.0, 1, True, False)
    mixed = [Part("A", [*parts[0].records, extra], parts[0].anchors), *parts[1:]]
    assert suites.summarize(mixed) == suites.summarize(parts)


def test_a_contestant_missing_somewhere_has_a_reason_and_no_number() -> None:
    parts = three(only_here=12.0)
    last = suites.summarize(parts)["contestants"][-1]
    assert last["name"] == "only_here"
    assert last["mean"] is None
    assert last["mean_reason"] == "not evaluated in A, B"


def test_two_environments_are_no_suite() -> None:
    with pytest.raises(BadInput, match="a suite of 2 environments"):
        suites.summarize(three()[:2])


def test_an_environment_without_anchors_is_refused() -> None:
    parts = three()
    with pytest.raises(BadInput, match="C: no anchors are known for C"):
        suites.summarize([*parts[:2], Part("C", parts[2].records, None)])
