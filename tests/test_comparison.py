import dataclasses
import json
import math
import random

import numpy as np
import pytest
import scipy.stats

from rl_lab import statistics
from rl_lab.comparison import (
    Contestant,
    Grid,
    GridCell,
    Learning,
    Protocol,
    ShiftFacts,
    card,
    compare,
)
from rl_lab.comparison.scoring import NOMINAL
from rl_lab.environments import Anchors
from rl_lab.errors import BadInput
from rl_lab.records import EpisodeRecord

ENVIRONMENT = "CartPole-v1"
ANCHORS = Anchors(random=20.0, solved=120.0, ceiling=500.0, control_period_s=0.02)
FIRST = 2_000_000_000
NO_SHIFT = "no shift was evaluated"
FACTS = ShiftFacts("pole_length", "length", "m", 0.5, ((0.0, 0.5), (0.5, 0.75), (1.0, 1.0)))
UNKNOWN = Learning(None, {}, {}, {}, "not at hand", "not known")
TRAINING = {"seconds": 60.0, "steps": 1000}


def protocol(episodes, shift_episodes=0):
    return Protocol(
        episodes=episodes,
        seed=0,
        evaluation_seeds=(FIRST, FIRST + episodes - 1),
        shifts=(FACTS,) if shift_episodes else (),
        deltas=(0.0, 0.5, 1.0) if shift_episodes else (),
        shift_episodes=shift_episodes,
        grid=None,
        schedule=None,
        context_sets={},
        step_limit=1_000,
    )


def contestant(name, seeds, training=None):
    return Contestant(
        name, f"{name}_agent", name.upper(), "0123abcd", tuple(seeds), training, UNKNOWN
    )


def records(name, matrix, shift="none", delta=0.0, environment=ENVIRONMENT):
    """Records of returns [n, k]: training seeds 0..n-1, the published evaluation seeds."""
    return [
        EpisodeRecord(
            name, i, environment, shift, delta, "none", FIRST + e, float(value), 9, True, False
        )
        for i, row in enumerate(np.asarray(matrix, dtype=float))
        for e, value in enumerate(row)
    ]


def compared(matrices, anchors=ANCHORS, **changes):
    """Scores of contestants given by their nominal returns [n, k]."""
    rows = [r for name, matrix in matrices.items() for r in records(name, matrix)]
    who = [contestant(name, range(len(matrix))) for name, matrix in matrices.items()]
    episodes = np.shape(next(iter(matrices.values())))[1]
    return compare(rows, who, ENVIRONMENT, anchors, protocol(episodes), **changes)


def noise(seed, n, k, mean=100.0):
    g = np.random.default_rng(seed)
    return np.round(mean + g.normal(0, 10, (n, 1)) + g.normal(0, 5, (n, k)), 3)


def has_nan(data):
    if isinstance(data, dict):
        return any(map(has_nan, data.values()))
    if isinstance(data, list | tuple):
        return any(map(has_nan, data))
    return isinstance(data, float) and not math.isfinite(data)


def unexplained(data, path=""):
    """Paths of nulls without a reason beside them."""
    if isinstance(data, list):
        return [p for i, item in enumerate(data) for p in unexplained(item, f"{path}[{i}]")]
    if not isinstance(data, dict):
        return []
    found = []
    for key, value in data.items():
        if value is None and f"{key}_reason" not in data and "method" not in data:
            found.append(f"{path}.{key}")
        found += unexplained(value, f"{path}.{key}")
    return found


# --- reward ----------------------------------------------------------------------------------


def test_reward_by_hand():
    scores = compared({"ppo": [[100.0, 140.0], [90.0, 110.0], [130.0, 150.0]]})
    (ppo,) = scores["contestants"]
    reward = ppo["reward"]
    assert reward["per_seed"] == {"0": 120.0, "1": 100.0, "2": 140.0}
    assert (reward["claim"], reward["indicative"]) == ("algorithm", True)
    half = 4.302652729911275 * 20 / math.sqrt(3)
    assert reward["mean"]["estimate"] == 120.0
    assert reward["mean"]["low"] == pytest.approx(120 - half)
    assert reward["mean"]["high"] == pytest.approx(120 + half)
    assert (reward["median"], reward["min"], reward["max"]) == (120.0, 100.0, 140.0)
    assert reward["seed_dispersion"] == pytest.approx(20.0)  # sd below 4 seeds
    sds = [40 / math.sqrt(2), 20 / math.sqrt(2), 20 / math.sqrt(2)]
    assert reward["episode_dispersion"] == pytest.approx(sum(sds) / 3)
    assert reward["episode_cvar10"] is None
    assert reward["episode_cvar10_reason"] == "fewer than 50 episodes"
    assert reward["success_rate"]["estimate"] == pytest.approx(0.5)  # 140, 130, 150 of six
    assert reward["success_rate"]["high"] == 1.0  # cut to what a share can be
    assert reward["score"]["estimate"] == 1.0
    assert reward["score"]["low"] == pytest.approx((120 - half - 20) / 100)
    assert ppo["to_best"] is None
    identity = [ppo[key] for key in ("name", "agent", "algorithm", "recipe_hash")]
    assert identity == ["ppo", "ppo_agent", "PPO", "0123abcd"]


def test_an_interval_ends_where_returns_must():
    near = [[490.0, 500.0], [500.0, 500.0], [400.0, 500.0]]
    mean = compared({"ppo": near})["contestants"][0]["reward"]["mean"]
    assert mean["low"] < mean["estimate"] < mean["high"] == 500.0
    assert mean["method"] == "95% t over 3 training seeds, cut at the ceiling 500"
    assert "cut at the ceiling 500" in mean["label"]
    inside = compared({"ppo": [[100.0, 140.0], [90.0, 110.0]]})["contestants"][0]["reward"]
    assert inside["mean"]["method"] == "95% t over 2 training seeds"
    low = dataclasses.replace(ANCHORS, ceiling=450.0)  # a return has passed it: it is none
    mean = compared({"ppo": near}, anchors=low)["contestants"][0]["reward"]["mean"]
    assert mean["high"] > 500.0
    assert "ceiling" not in mean["method"]


def test_cvar_is_per_seed_then_averaged():
    matrix = [np.arange(50.0), np.arange(50.0) + 100]
    (ppo,) = compared({"ppo": matrix})["contestants"]
    assert ppo["reward"]["episode_cvar10"] == pytest.approx((2.0 + 102.0) / 2)


def test_one_checkpoint_makes_a_claim_about_itself_only():
    (ppo,) = compared({"ppo": noise(0, 1, 20)})["contestants"]
    reward = ppo["reward"]
    assert (reward["claim"], reward["indicative"]) == ("policy", False)
    assert reward["success_rate"]["method"] == "95% Wilson over 20 episodes"
    assert reward["seed_dispersion"] is None
    assert reward["seed_dispersion_reason"] == "one training seed"


def test_without_anchors_there_is_no_score():
    scores = compared({"ppo": noise(0, 3, 5)}, anchors=None)
    reward = scores["contestants"][0]["reward"]
    assert scores["anchors"] is None
    assert reward["score"] is reward["success_rate"] is None
    assert reward["score_reason"] == "no anchors are known for CartPole-v1"
    assert scores["scale_reason"] == reward["score_reason"]


@pytest.mark.parametrize("solved", [None, 20.0, 5.0])
def test_no_threshold_above_random_play(solved):
    """The best agent's mean stands for it, in every block alike, and the file says so."""
    anchors = dataclasses.replace(ANCHORS, solved=solved)
    rows = [
        r
        for name, levels in {"best": (70.0, 45.0, 20.0), "other": (45.0, 45.0, 45.0)}.items()
        for r in (
            *records(name, [[levels[0]] * 5] * 2),
            *records(name, [[levels[1]] * 5] * 2, FACTS.name, 0.5),
            *records(name, [[levels[2]] * 5] * 2, FACTS.name, 1.0),
        )
    ]
    who = [contestant(name, (0, 1)) for name in ("other", "best")]
    scores = compare(rows, who, ENVIRONMENT, anchors, protocol(5, 5))
    label = "relative to best agent in this comparison"
    assert scores["scale"] == {"random": 20.0, "solved": 70.0, "label": label}
    best, other = scores["contestants"]
    assert best["reward"]["score"]["estimate"] == pytest.approx(1.0)
    assert other["reward"]["score"]["estimate"] == pytest.approx(0.5)
    assert best["reward"]["success_rate"] is None
    assert "counts as solved" in best["reward"]["success_rate_reason"]
    # trapezoids over 0, 0.5, 1 of 1, 0.5, 0 and of 0.5 throughout
    assert best["robustness"]["auc"]["estimate"] == pytest.approx(0.5)
    assert other["robustness"]["auc"]["estimate"] == pytest.approx(0.5)
    assert best["robustness"]["auc"]["label"].endswith(label)
    assert ("nominal score", "1.00 [1.00, 1.00]", f"2 training seeds, {label}") in card.card(best)


def test_two_shifts_at_once_without_any_alone():
    cells = tuple(
        GridCell((a, b), (f"wind+rain@{b:g}" if b else "wind", a, "none") if a else NOMINAL)
        for a in (0.0, 1.0)
        for b in (0.0, 1.0)
    )
    how = dataclasses.replace(protocol(5), shift_episodes=5, grid=Grid(("wind", "rain"), cells))
    rows = [
        *records("a", [[120.0] * 5] * 2),
        *records("a", [[70.0] * 5] * 2, "wind", 1.0),
        *records("a", [[45.0] * 5] * 2, "wind+rain@1", 1.0),
    ]
    (found,) = compare(rows, [contestant("a", (0, 1))], ENVIRONMENT, ANCHORS, how)["contestants"]
    block = found["robustness"]
    assert block["learned"] is True
    assert (block["shifts"], block["auc"], block["auc_reason"]) == ([], None, NO_SHIFT)
    scores = {tuple(cell["deltas"]): cell["score"] for cell in block["grid"]["cells"]}
    assert scores == {(0, 0): 1.0, (0, 1): 1.0, (1, 0): 0.5, (1, 1): 0.25}
    assert card.has_card(found)
    shown = card.card(found)
    assert ("robustness area", "-", NO_SHIFT) in shown
    ends = "0.25 [0.25, 0.25] / 0.25"
    row = ("two at once: worst / far end", ends, "wind and rain, 4 pairs of magnitudes")
    assert row in shown
    gone = compare(rows[:-1], [contestant("a", (0, 1))], ENVIRONMENT, ANCHORS, how)["contestants"]
    assert gone[0]["robustness"]["grid"]["worst"]["method"].startswith("95% bootstrap")
    nothing = compare(rows[:10], [contestant("a", (0, 1))], ENVIRONMENT, ANCHORS, how)
    assert nothing["contestants"][0]["robustness"] is None


def test_no_agent_better_than_random_play():
    scores = compared({"a": noise(0, 3, 5, mean=5.0)}, dataclasses.replace(ANCHORS, solved=None))
    reason = "no threshold above random play, and no agent better than random play"
    assert (scores["scale"], scores["scale_reason"]) == (None, reason)
    assert scores["contestants"][0]["reward"]["score_reason"] == reason


# --- labels ----------------------------------------------------------------------------------


def labels(matrices):
    best, *others = compared(matrices)["contestants"]
    return best["reward"]["mean"]["label"], *(c["to_best"]["delta"]["label"] for c in others)


def test_labels_below_ten_seeds():
    a, b = [[110.0, 130.0]] * 5, [[90.0, 110.0]] * 3
    assert labels({"a": a, "b": b}) == (
        "mean 120.0 [120.0, 120.0]  95% t over 5 training seeds | 2 shared evaluation seeds"
        " | deterministic | undiscounted return | CartPole-v1",
        "delta -20.0 [-20.0, -20.0]  95% Welch t over 3 and 5 training seeds"
        " | 2 shared evaluation seeds | A = b, B = a",
    )


def test_labels_from_ten_seeds():
    a, b = [[120.0, 120.0]] * 10, [[100.0, 100.0]] * 10
    assert labels({"a": a, "b": b}) == (
        "mean 120.0 [120.0, 120.0]  95% crossed bootstrap, 10 training seeds,"
        " 2 shared evaluation seeds | deterministic | undiscounted return | CartPole-v1",
        "delta -20.0 [-20.0, -20.0]  95% crossed bootstrap, 10 training seeds,"
        " 2 shared evaluation seeds | A = b, B = a",
    )


def test_labels_of_checkpoints():
    assert labels({"a": [[120.0, 120.0]], "b": [[100.0, 100.0]]}) == (
        "mean 120.0 [120.0, 120.0]  95% t over 2 episodes | THIS CHECKPOINT ONLY (1 training seed)",
        "delta -20.0 [-20.0, -20.0]  95% paired t over 2 shared evaluation seeds"
        " | A = b, B = a | THESE CHECKPOINTS ONLY (1 training seed each)",
    )


def test_labels_without_an_interval():
    assert labels({"a": [[120.0]], "b": [[100.0]] * 2})[0] == (
        "mean 120.0  one episode: no interval | THIS CHECKPOINT ONLY (1 training seed)"
    )
    assert labels({"a": [[120.0]], "b": [[100.0]] * 2})[1] == (
        "delta -20.0  2 training seeds against 1: no interval | 1 shared evaluation seed"
        " | A = b, B = a"
    )


# --- comparing -------------------------------------------------------------------------------


def test_the_best_is_first_and_the_others_are_compared_with_it():
    a, b, c = noise(1, 5, 6), noise(2, 5, 6, 60.0), noise(3, 5, 6, 90.0)
    scores = compared({"b": b, "a": a, "c": c})
    assert [x["name"] for x in scores["contestants"]] == ["a", "c", "b"]
    best, *others = scores["contestants"]
    assert best["to_best"] is None
    expected = [
        scipy.stats.ttest_ind(x.mean(axis=1), a.mean(axis=1), equal_var=False).pvalue
        for x in (c, b)
    ]
    assert [x["to_best"]["p_value"] for x in others] == pytest.approx(expected)
    holm = statistics.holm(expected)
    assert [x["to_best"]["p_holm"] for x in others] == pytest.approx(holm)
    assert others[1]["to_best"]["delta"]["estimate"] == pytest.approx(b.mean() - a.mean())
    assert others[1]["to_best"]["prob_improvement"] == 0.0
    assert others[1]["to_best"]["against"] == "a"


def test_win_rate_is_the_contestants_not_the_bests():
    scores = compared({"a": [[5.0, 5.0, 5.0, 5.0]], "b": [[6.0, 5.0, 1.0, 1.0]]})
    to_best = scores["contestants"][1]["to_best"]
    assert to_best["win_rate"] == 1.5 / 4
    assert to_best["prob_improvement"] is None


def test_pairs_without_a_test_stay_out_of_holm():
    scores = compared({"a": noise(1, 3, 4), "b": noise(2, 1, 4, 50.0), "c": noise(3, 3, 4, 20.0)})
    b, c = scores["contestants"][1:]
    assert b["to_best"]["p_value"] is b["to_best"]["p_holm"] is None
    assert c["to_best"]["p_holm"] == c["to_best"]["p_value"]


def test_the_order_of_records_and_contestants_does_not_matter():
    matrices = {"a": noise(1, 10, 6), "b": noise(2, 10, 6), "c": noise(3, 4, 6)}
    rows = [r for name, matrix in matrices.items() for r in records(name, matrix)]
    who = [contestant(name, range(len(matrix))) for name, matrix in matrices.items()]
    failures = [{"contestant": "c", "training_seed": s, "message": "no policy"} for s in (5, 4)]
    arguments = (ENVIRONMENT, ANCHORS, protocol(6))
    first = json.dumps(compare(rows, who, *arguments, failures))
    shuffled = random.Random(0)
    for _ in range(3):
        shuffled.shuffle(rows)
        shuffled.shuffle(who)
        shuffled.shuffle(failures)
        assert json.dumps(compare(rows, who, *arguments, failures)) == first


def test_a_contestants_numbers_do_not_depend_on_who_else_takes_part():
    a, b = noise(1, 10, 6), noise(2, 10, 6)
    alone = compared({"a": a})["contestants"][0]
    together = {c["name"]: c for c in compared({"b": b, "a": a})["contestants"]}["a"]
    assert together["reward"] == alone["reward"]


# --- incomplete ------------------------------------------------------------------------------


def test_only_complete_training_seeds_count():
    matrix = noise(1, 4, 5)
    rows = [r for r in records("a", matrix) if (r.training_seed, r.evaluation_seed) != (2, FIRST)]
    failures = [{"contestant": "a", "training_seed": 2, "message": "hung"}]
    scores = compare(rows, [contestant("a", range(4))], ENVIRONMENT, ANCHORS, protocol(5), failures)
    (a,) = scores["contestants"]
    assert a["training_seeds"] == [0, 1, 2, 3]
    assert list(a["reward"]["per_seed"]) == ["0", "1", "3"]
    assert a["reward"]["mean"]["estimate"] == pytest.approx(matrix[[0, 1, 3]].mean())
    assert scores["failures"] == failures


def test_a_contestant_without_a_complete_seed_is_listed_last():
    rows = records("a", noise(1, 2, 5)) + records("b", noise(1, 2, 5))[:3]
    who = [contestant("b", range(2), TRAINING), contestant("a", range(2))]
    scores = compare(rows, who, ENVIRONMENT, ANCHORS, protocol(5), [])
    a, b = scores["contestants"]
    assert (a["name"], b["name"]) == ("a", "b")
    assert b["reward"] is b["to_best"] is b["robustness"] is None
    assert b["reward_reason"] == "none of 2 training seeds has all 5 episodes"
    assert b["training"] == TRAINING
    assert scores["verdict"].endswith("; b could not be scored.")


def test_records_of_others_are_left_aside():
    rows = records("a", noise(1, 2, 5))
    more = records("x", noise(2, 2, 5)) + records("a", noise(3, 2, 5), environment="Acrobot-v1")
    who = [contestant("a", range(2))]
    arguments = (who, ENVIRONMENT, ANCHORS, protocol(5))
    assert compare(rows + more, *arguments) == compare(rows, *arguments)


def test_records_that_contradict_each_other_are_an_error():
    rows = records("a", noise(1, 2, 5))
    who = [contestant("a", range(2))]
    compare(rows + rows, who, ENVIRONMENT, ANCHORS, protocol(5))
    for value in (1.0, math.nan, math.inf):
        wrong = [*rows, dataclasses.replace(rows[0], episode_return=value)]
        with pytest.raises(BadInput, match="one finite return per episode"):
            compare(wrong, who, ENVIRONMENT, ANCHORS, protocol(5))


def test_names_are_unique():
    with pytest.raises(BadInput, match="a different name for each"):
        compare([], [contestant("a", [0])] * 2, ENVIRONMENT, ANCHORS, protocol(5))


def test_nobody_to_compare():
    scores = compare([], [], ENVIRONMENT, ANCHORS, protocol(5))
    assert scores["contestants"] == []
    assert "nothing can be compared" in scores["verdict"]


# --- robustness ------------------------------------------------------------------------------


def shifted(name, scores_nl, k=3, nominal_episodes=5):
    """Records whose scores at magnitudes 0, 0.5 and 1 are given per training seed [n, 3]."""
    returns = 20 + 100 * np.asarray(scores_nl, dtype=float)
    rows = records(name, np.repeat(returns[:, :1], nominal_episodes, axis=1))
    for level, delta in ((1, 0.5), (2, 1.0)):
        matrix = np.repeat(returns[:, level : level + 1], k, axis=1)
        rows += records(name, matrix, "pole_length", delta)
    return rows


def robustness(rows, seeds, anchors=ANCHORS, how=None):
    who = [contestant("a", seeds)]
    scores = compare(rows, who, ENVIRONMENT, anchors, how or protocol(5, 3))
    return scores["contestants"][0]


def along(found):
    """The block of the one shift."""
    (block,) = found["shifts"]
    return block


def test_robustness_by_hand():
    # areas: (1 + 0.6)/4 + (0.6 + 0.2)/4 = 0.6; clipped (1 + 1)/4 + (1 + 0)/4 = 0.75
    found = robustness(shifted("a", [[1.0, 0.6, 0.2], [1.2, 1.0, -0.4]]), [0, 1])["robustness"]
    assert found["per_seed_auc"] == pytest.approx({"0": 0.6, "1": 0.75})
    assert found["auc"]["estimate"] == pytest.approx(0.675)
    assert (found["auc"]["low"], found["auc"]["high"]) == (0.0, 1.0)  # t at n = 2 is wide; cut
    assert found["auc"]["label"] == (
        "auc 0.675 [0.000, 1.000]  95% t over 2 training seeds, cut to [0, 1]"
        " | 3 shared evaluation seeds | deterministic | shift pole_length | CartPole-v1"
    )
    # per seed 0.2 and -0.4
    assert found["worst"]["estimate"] == pytest.approx(-0.1)
    assert found["learned"] is True
    assert along(found)["auc"] == found["auc"]
    found = along(found)
    assert (found["shift"], found["parameter"], found["unit"]) == ("pole_length", "length", "m")
    assert found["saturated"] is False
    assert [level["delta"] for level in found["levels"]] == [0.0, 0.5, 1.0]
    assert [level["value"] for level in found["levels"]] == [0.5, 0.75, 1.0]
    assert [level["score"] for level in found["levels"]] == pytest.approx([1.1, 0.8, -0.1])
    assert [level["mean_return"] for level in found["levels"]] == pytest.approx([130, 100, 10])
    half = 12.706204736174698 * 0.2  # t(0.975, 1) * sd / sqrt(2), sd = 0.4 / sqrt(2)
    assert found["levels"][1]["low"] == pytest.approx(0.8 - half)


def test_what_is_kept_along_the_shift_by_hand():
    # of the first seed's 1.0 the share 0.85 is kept at 0.5; of the second's 1.2 only 0.625
    found = robustness(shifted("a", [[1.0, 0.85, 0.2], [1.2, 0.75, -0.4]]), [0, 1])["robustness"]
    found = along(found)
    kept = [level["retention"] for level in found["levels"]]
    assert kept == pytest.approx([1.0, (0.85 + 0.625) / 2, (0.2 - 0.4 / 1.2) / 2])
    half = 12.706204736174698 * (0.85 - 0.625) / 2  # t(0.975, 1) * sd / sqrt(2)
    assert found["levels"][1]["retention_low"] == pytest.approx(kept[1] - half)
    assert found["levels"][1]["retention_high"] == pytest.approx(kept[1] + half)
    assert (found["critical_shift"], found["critical_shift_text"]) == (0.25, "0.25")
    assert found["per_seed_critical_shift"] == {"0": "0.5", "1": "0.0"}
    whole = along(robustness(shifted("a", [[1.0, 0.9, 0.9]] * 2), [0, 1])["robustness"])
    assert whole["saturated"] is True
    assert (whole["critical_shift"], whole["critical_shift_text"]) == (1.0, ">1.0")


def test_seeds_that_had_nothing_to_lose_are_left_out_of_what_is_kept():
    rows = shifted("a", [[1.0, 0.9, 0.9], [1.0, 0.9, 0.5], [0.05, 0.9, 0.9]])
    found = along(robustness(rows, [0, 1, 2])["robustness"])
    reason = "without 1 training seed: nominal not learned"
    # one is never lost, one is lost beyond 0.5: at least the middle of 0.5 and 1
    assert (found["critical_shift"], found["critical_shift_text"]) == (0.75, ">0.75")
    assert found["critical_shift_reason"] == reason
    assert found["per_seed_critical_shift"]["2"] == "undefined: nominal not learned"
    assert [level["retention"] for level in found["levels"]] == pytest.approx([1.0, 0.9, 0.7])
    assert {level["retention_reason"] for level in found["levels"]} == {reason}


def test_a_shift_that_was_not_run_leaves_the_others_theirs():
    other = ShiftFacts("gravity", "g", "m/s^2", 0.5, ((0.0, 9.8), (0.5, 12.0), (1.0, 15.0)))
    how = dataclasses.replace(protocol(5, 3), shifts=(FACTS, other))
    rows = shifted("a", [[1.0, 0.6, 0.2]] * 2)
    scored = robustness(rows, [0, 1], how=how)
    found = scored["robustness"]
    assert found["shifts"][0]["auc"]["estimate"] == pytest.approx(0.6)
    assert found["shifts"][1]["levels"] == []
    assert found["shifts"][1]["levels_reason"] == "not all of its episodes were run"
    assert found["learned"] is True
    for key in ("auc", "worst", "cvar10"):
        assert found[key] is None
        assert found[f"{key}_reason"] == "no training seed has all its shifted episodes"
    assert not unexplained(found)
    rows = [row for row in card.card(scored) if row[0] == "robustness area"]
    assert [value[:4] for _, value, _ in rows] == ["-", "0.60", "-"]
    assert rows[0][2] == "no training seed has all its shifted episodes"
    assert rows[2][2] == "gravity: not all of its episodes were run"


def test_the_card_shows_the_mean_of_several_shifts_first():
    other = dataclasses.replace(FACTS, name="gravity")
    how = dataclasses.replace(protocol(5, 3), shifts=(FACTS, other))
    rows = shifted("a", [[1.0, 0.6, 0.2]] * 2)
    rows += [
        dataclasses.replace(r, shift="gravity", episode_return=120.0) for r in rows if r.delta > 0
    ]
    found = card.card(robustness(rows, [0, 1], how=how))
    areas = [(value[:4], where) for what, value, where in found if what == "robustness area"]
    assert areas == [
        ("0.80", "mean of 2 shifts"),
        ("0.60", "pole_length, length 0.5 to 1, 3 levels"),
        (
            "1.00",
            "gravity, length 0.5 to 1, 3 levels; still solved at the far end: a harder shift would"
            " say more",
        ),
    ]
    assert ("gap seeds / near / far", "-", "no contexts were drawn") in found


def test_the_worst_tenth_is_per_seed_and_over_all_levels():
    rows = shifted("a", [[1.0, 0.5, 0.0], [1.0, 1.0, 0.2]], k=20, nominal_episodes=20)
    # 60 scores each; the worst sixth of them are all alike, so are the worst tenth
    found = robustness(rows, [0, 1], how=protocol(20, 20))["robustness"]
    assert found["cvar10"]["estimate"] == pytest.approx((0.0 + 0.2) / 2)
    few = robustness(shifted("a", [[1.0, 0.5, 0.0]] * 2), [0, 1])["robustness"]
    assert few["cvar10"] is None
    assert few["cvar10_reason"] == "fewer than 50 episodes along the shift"


def test_what_has_not_been_learned_cannot_be_lost():
    found = robustness(shifted("a", [[0.05, 0.05, 0.01]] * 2), [0, 1])["robustness"]
    assert found["learned"] is False
    (row,) = [row for row in card.card({"robustness": found}) if row[0] == "robustness area"]
    assert row[2].endswith("3 levels; nominal not learned")
    found = along(found)
    reason = "undefined: nominal not learned"
    assert found["critical_shift"] is None
    assert found["critical_shift_reason"] == found["critical_shift_text"] == reason
    assert {level["retention_reason"] for level in found["levels"]} == {reason}
    assert not unexplained(found)


def test_level_zero_uses_the_first_nominal_episodes():
    rows = shifted("a", [[1.0, 1.0, 1.0]] * 2)
    late = [r for r in rows if r.shift == "none" and r.evaluation_seed >= FIRST + 3]
    changed = [r for r in rows if r not in late]
    changed += [dataclasses.replace(r, episode_return=-999.0) for r in late]
    assert robustness(changed, [0, 1])["robustness"]["shifts"][0]["levels"][0]["score"] == 1.0


@pytest.mark.parametrize(
    ("n", "method"),
    [
        (1, "95% bootstrap over 3 episodes"),
        (10, "95% crossed bootstrap, 10 training seeds, 3 shared evaluation seeds"),
    ],
)
def test_area_is_bootstrapped_where_t_does_not_apply(n, method):
    g = np.random.default_rng(0)
    rows = [
        dataclasses.replace(r, episode_return=r.episode_return + g.normal(0, 5))
        for r in shifted("a", [[0.9, 0.6, 0.2]] * n)
    ]
    auc = robustness(rows, range(n))["robustness"]["auc"]
    assert auc["method"] == method
    assert auc["low"] < auc["estimate"] < auc["high"]
    assert auc["estimate"] == pytest.approx(0.575, abs=0.05)


@pytest.mark.parametrize("n", [1, 3, 10])
def test_area_of_equal_runs_has_no_width(n):
    auc = robustness(shifted("a", [[1.0, 0.6, 0.2]] * n), range(n))["robustness"]["auc"]
    assert auc["low"] == auc["high"] == auc["estimate"] == pytest.approx(0.6)


def test_robustness_says_why_it_is_missing():
    rows = shifted("a", [[1.0, 0.6, 0.2]] * 2)
    assert robustness(rows, [0, 1], anchors=None)["robustness_reason"] == (
        "no anchors are known for CartPole-v1"
    )
    nominal = [r for r in rows if r.shift == "none"]
    found = robustness(nominal, [0, 1])
    assert found["robustness"] is None
    assert found["robustness_reason"] == "no training seed has all its shifted episodes"
    assert robustness(rows, [0, 1], how=protocol(5))["robustness_reason"] == (
        "no shift was evaluated"
    )
    assert "robustness_reason" not in robustness(rows, [0, 1])


def test_robustness_uses_the_seeds_that_are_complete_under_the_shift():
    rows = shifted("a", [[1.0, 0.6, 0.2], [1.0, 1.0, 1.0]])
    rows = [r for r in rows if (r.training_seed, r.delta) != (0, 1.0)]
    found = robustness(rows, [0, 1])
    assert list(found["reward"]["per_seed"]) == ["0", "1"]
    assert found["robustness"]["per_seed_auc"] == {"1": 1.0}


def test_magnitudes_that_do_not_reach_one_have_no_area():
    how = dataclasses.replace(protocol(5, 3), deltas=(0.5,))
    found = robustness(shifted("a", [[1.0, 0.6, 0.2]] * 2), [0, 1], how=how)["robustness"]
    assert found["auc"]["estimate"] is None
    assert found["auc"]["method"].startswith("magnitudes end at 0.5")
    assert found["per_seed_auc"] == {"0": None, "1": None}
    assert len(along(found)["levels"]) == 2


# --- the whole file --------------------------------------------------------------------------


def test_the_content_is_as_documented():
    scores = compared({"a": noise(1, 3, 4), "b": noise(2, 3, 4)})
    assert list(scores) == [
        "format_version",
        "environment",
        "anchors",
        "scale",
        "protocol",
        "contestants",
        "generalisation_matrix",
        "generalisation_matrix_reason",
        "verdict",
        "failures",
    ]
    assert scores["anchors"] == dataclasses.asdict(ANCHORS)
    assert scores["protocol"] == {
        "episodes": 4,
        "seed": 0,
        "evaluation_seeds": [FIRST, FIRST + 3],
        "shifts": [],
        "deltas": [],
        "shift_episodes": 0,
        "grid": [],
        "schedule": "none",
        "context_sets": {},
        "step_limit": 1_000,
        "deterministic": True,
    }
    wanted = "name agent algorithm recipe_hash training_seeds reward to_best robustness training"
    assert set(wanted.split()) <= set(scores["contestants"][0])
    to_best = "against delta p_value p_holm prob_improvement prob_improvement_interval"
    to_best += " win_rate win_rate_interval"
    assert list(scores["contestants"][1]["to_best"]) == to_best.split()
    assert json.loads(json.dumps(scores, allow_nan=False)) == scores


@pytest.mark.parametrize("anchors", [None, ANCHORS])
@pytest.mark.parametrize("k", [1, 4])
def test_what_is_missing_is_null_beside_a_reason(k, anchors):
    matrices = {"a": noise(1, 3, k), "b": noise(2, 1, k), "c": noise(3, 1, k), "d": []}
    rows = [r for name, matrix in matrices.items() for r in records(name, matrix)]
    who = [contestant(name, range(len(matrix)), TRAINING) for name, matrix in matrices.items()]
    scores = compare(rows, who, ENVIRONMENT, anchors, protocol(k, 1))
    assert not has_nan(scores)
    # Null by their meaning: to_best of the best; p_holm, whose reason is p_value's; a score's
    # ends, whose reason is the mean's method.
    allowed = (".to_best", ".p_holm", ".anchors", ".score.low", ".score.high")
    left = [p for p in unexplained(scores) if not p.endswith(allowed)]
    assert left == []
