"""Two runtimes may choose differently between equals, and nowhere else."""

from __future__ import annotations

import numpy as np
import pytest
from fakes import linear_policy

from rl_lab.freezing import ties


def judge(first: float, second: float) -> ties.Judge:
    """Of a policy whose two scores are `first` and `second` whatever it sees."""
    return ties.Judge(
        ties.gaps(linear_policy("FakeCountdown-v0", np.zeros((2, 2)), [first, second]))
    )


@pytest.mark.parametrize(
    ("first", "second", "tied"),
    [
        (1.0, 1.0, True),
        (0.5, 0.50005, True),
        (0.5, 0.5003, False),
        (-3.0, 3.0, False),
        (90_000.0, 90_001.0, True),  # float32 has no finer steps than 0.008 here
        (90_000.0, 90_020.0, False),
    ],
)
def test_a_mismatch_is_excused_where_neither_choice_is_better(
    first: float, second: float, tied: bool
) -> None:
    observations = np.zeros((3, 2), np.float32)
    one, two = np.array([0, 1, 1]), np.array([0, 1, 0])
    assert judge(first, second).only_ties(one, two, observations, (), None) is tied


def test_only_the_row_that_is_tied_is_excused() -> None:
    # Scores are x and y: a tie on the diagonal.
    made = ties.Judge(ties.gaps(linear_policy("FakeCountdown-v0", np.eye(2), [0, 0])))
    observations = np.array([[1, 1], [1, 2]], np.float32)
    truth = np.array([0, 1])
    assert made.only_ties(np.array([1, 1]), truth, observations, (), None)
    assert not made.only_ties(np.array([0, 0]), truth, observations, (), None)
    assert not made.only_ties(np.array([0.0, 0.0]), truth * 1.0, observations, (), None)


def test_close_calls_are_not_kept_as_golden_vectors() -> None:
    made = ties.Judge(ties.gaps(linear_policy("FakeCountdown-v0", np.eye(2), [0, 0])))
    observations = np.array([[1, 1], [1, 2], [3, 3.0005], [2, 1]], np.float32)
    assert made.clear_first(observations, None, 4).tolist() == [1, 3, 0, 2]


def test_a_probability_stands_against_its_complement() -> None:
    scores = np.array([[0.5, 0.9], [0.50004, 0.2]])
    found = ties._gap(scores, "Round", 2)
    assert found == pytest.approx(np.array([[0.0, 0.8], [0.00008, 0.6]]))
    assert ties._gap(scores[0], "ArgMax", 2).shape == (2, 0)
    assert np.isinf(ties._gap(scores[:, :1], "ArgMax", 2)).all()
