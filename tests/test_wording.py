import pytest
from test_comparison import compared, noise

from rl_lab.comparison import leaderboard_rows, wording


def verdict(**matrices):
    return compared(matrices)["verdict"]


def constant(value, n, k=6):
    return [[value] * k] * n


def spread(value, n, k=6):
    """Returns whose means over the seeds spread evenly by 1 around a value."""
    return [[value + i - (n - 1) / 2] * k for i in range(n)]


# --- verdict ---------------------------------------------------------------------------------


def test_no_difference():
    a = [[495.0] * 6, [500.0] * 6, [500.0] * 6]
    b = [[500.0] * 6, [480.0] * 6, [500.0] * 6]
    assert verdict(ppo=a, dqn=b) == (
        "ppo returns 498.3 [491.2, 500.0]; no difference from dqn is shown by 3 training seeds."
    )


def test_a_difference():
    # standard error 1, 8 degrees of freedom: half width 2.306
    assert verdict(ppo=spread(110.0, 5), a2c=spread(100.0, 5)) == (
        "ppo beats a2c by 10.0 [7.7, 12.3] over 5 training seeds."
    )


def test_few_seeds_are_indicative():
    assert verdict(ppo=spread(110.0, 3), a2c=spread(100.0, 3)) == (
        "ppo beats a2c by 10.0 [7.7, 12.3] over 3 training seeds, which is indicative."
    )
    assert verdict(ppo=spread(110.0, 5), a2c=spread(100.0, 4)).endswith(
        " over 4 to 5 training seeds, which is indicative."
    )


def test_some_are_beaten_and_some_are_not():
    assert verdict(
        ppo=spread(110.0, 5), a2c=spread(100.0, 5), dqn=spread(109.5, 5), sac=spread(90.0, 5)
    ) == (
        "ppo beats a2c by 10.0 [7.7, 12.3] and sac by 20.0 [17.7, 22.3] over 5 training seeds;"
        " no difference from dqn is shown by 5 training seeds."
    )


def test_checkpoints_speak_for_themselves_only():
    assert verdict(
        ppo=[[10.0, 11.0, 12.0, 13.0, 14.0, 15.0]], a2c=[[1.0, 3.0, 2.0, 4.0, 6.0, 5.0]]
    ) == ("ppo beats a2c by 9.00 [8.06, 9.94], for these checkpoints only (1 training seed each).")
    assert verdict(ppo=[[10.0, 11.0]], a2c=[[10.0, 10.0]]) == (
        "ppo returns 10.5 [4.1, 16.9]; no difference from a2c is shown by these checkpoints"
        " (1 training seed each)."
    )


def test_one_seed_against_several_shows_nothing():
    assert verdict(ppo=constant(10.0, 1), a2c=constant(1.0, 3)) == (
        "ppo returns 10.0 [10.0, 10.0]; no difference from a2c is shown by 1 to 3 training seeds."
    )


def test_ties():
    assert verdict(ppo=constant(500.0, 3), dqn=constant(500.0, 3), a2c=constant(500.0, 3)) == (
        "a2c, dqn and ppo have the same mean return, 500.0;"
        " no difference between them is shown by 3 training seeds."
    )


def test_one_contestant():
    assert verdict(ppo=spread(10.0, 5)) == (
        "ppo returns 10.0 [8.0, 12.0] over 5 training seeds, with nothing to compare it with."
    )
    assert verdict(ppo=spread(10.0, 3)) == (
        "ppo returns 10.0 [7.5, 12.5] over 3 training seeds, which is indicative,"
        " with nothing to compare it with."
    )
    assert verdict(ppo=[[7.0, 9.0]]) == (
        "ppo returns 8.0 [-4.7, 20.7] for this checkpoint only (1 training seed),"
        " with nothing to compare it with."
    )
    assert verdict(ppo=[[7.0]]).startswith("ppo returns 7.00 for this checkpoint only")


def test_a_difference_that_holm_takes_back_is_not_claimed():
    # t = 2.6 with 8 degrees of freedom: p = 0.03 alone, 0.16 among five equal tests
    best, other = spread(102.6, 5), spread(100.0, 5)
    assert verdict(a=best, b=other) == "a beats b by 2.60 [0.29, 4.91] over 5 training seeds."
    crowd = compared({"a": best, **dict.fromkeys("bcdef", other)})
    to_best = crowd["contestants"][-1]["to_best"]
    assert to_best["delta"]["high"] < 0
    assert to_best["p_holm"] == pytest.approx(5 * to_best["p_value"])
    assert crowd["verdict"] == (
        "a returns 102.6 [100.6, 104.6];"
        " no difference from b, c, d, e and f is shown by 5 training seeds."
    )


def test_nothing_is_claimed_that_an_interval_does_not_show():
    for seed in range(40):
        scores = compared({"a": noise(seed, 4, 3), "b": noise(seed + 99, 4, 3, 85.0)})
        delta = scores["contestants"][1]["to_best"]["delta"]
        assert ("beats" in scores["verdict"]) == (delta["high"] < 0)


# --- numbers ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("numbers", "text"),
    [
        ((451.2, 402.34, 500.06), "451.2 [402.3, 500.1]"),
        ((0.74, 0.6551, 0.825), "0.740 [0.655, 0.825]"),
        ((-3.75, -4.0, -3.5), "-3.75 [-4.00, -3.50]"),
        ((0.0, 0.0, 0.0), "0.0 [0.0, 0.0]"),
        ((-0.04, -20.0, 20.0), "-0.04 [-20.00, 20.00]"),
        ((37.4, 0.004, 70.9), "37.400 [0.004, 70.900]"),
        ((37.4, None, None), "37.4"),
        ((None, None, None), "-"),
    ],
)
def test_numbers_as_text(numbers, text):
    data = dict(zip(("estimate", "low", "high"), numbers, strict=True))
    assert wording.estimate_text(data) == text


def test_signs_and_negative_zero():
    data = {"estimate": 37.4, "low": 4.0, "high": 70.9}
    assert wording.estimate_text(data, sign=True) == "+37.4 [+4.0, +70.9]"
    assert wording.fixed(-0.01, 1) == "0.0"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, "-"),
        (0.44, "0.4 s"),
        (42.0, "42 s"),
        (59.7, "1 min 00 s"),
        (252.0, "4 min 12 s"),
        (7500.0, "2 h 05 min"),
    ],
)
def test_durations(seconds, text):
    assert wording.duration(seconds) == text


# --- leaderboard -----------------------------------------------------------------------------


def test_leaderboard():
    scores = compared({"ppo": constant(120.0, 5), "dqn": constant(70.0, 3)})
    ppo, dqn = scores["contestants"]
    ppo["training"] = {"seconds": 252.0}
    ppo["robustness"] = {"auc": {"estimate": 0.812, "low": 0.7, "high": 0.924}}
    dqn["training_seeds"] = [0, 1, 2, 3]
    speed = {"contestants": {"ppo": {"p50_us": 12.34, "p90_us": 20.0}}}
    assert leaderboard_rows(scores, speed) == [
        {
            "rank": "1",
            "contestant": "ppo",
            "seeds": "5",
            "return [95%]": "120.0 [120.0, 120.0]",
            "score": "1.00",
            "decision p50 / p90 (us)": "12.3 / 20.0",
            "robustness [95%]": "0.81 [0.70, 0.92]",
            "training": "4 min 12 s",
        },
        {
            "rank": "2",
            "contestant": "dqn",
            "seeds": "3 of 4",
            "return [95%]": "70.0 [70.0, 70.0]",
            "score": "0.50",
            "decision p50 / p90 (us)": "-",
            "robustness [95%]": "-",
            "training": "-",
        },
    ]
    assert leaderboard_rows(scores, None)[0]["decision p50 / p90 (us)"] == "-"


def test_equal_means_share_a_rank_and_the_unscored_have_none():
    scores = compared({"a": constant(5.0, 3), "b": constant(5.0, 3), "c": constant(4.0, 3)})
    scores["contestants"].append(
        {
            "name": "d",
            "training_seeds": [0],
            "reward": None,
            "robustness": None,
            "training": None,
        }
    )
    rows = leaderboard_rows(scores, None)
    assert [row["rank"] for row in rows] == ["1", "1", "3", "-"]
    assert rows[3]["seeds"] == "0 of 1"
    assert set(rows[3].values()) == {"-", "d", "0 of 1"}
