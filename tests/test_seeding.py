from __future__ import annotations

import pytest

from rl_lab import seeding
from rl_lab.errors import BadInput


def test_streams_repeat_and_differ_by_name_and_root() -> None:
    draws = {
        (root, name): tuple(seeding.generator(root, name).integers(0, 2**32, 4))
        for root in (0, 1)
        for name in ("a", "b")
    }
    assert len(set(draws.values())) == 4
    assert draws[0, "a"] == tuple(seeding.generator(0, "a").integers(0, 2**32, 4))


def test_names_are_not_glued_together() -> None:
    one, two = seeding.generator(0, "ab", "c"), seeding.generator(0, "a", "bc")
    assert one.integers(2**62) != two.integers(2**62)


def test_a_named_stream_never_changes() -> None:
    # A change here would change every published result.
    assert seeding.generator(7, "golden").integers(0, 1000, 5).tolist() == [678, 718, 562, 197, 836]


def test_training_selection_and_evaluation_seeds_never_meet() -> None:
    last_run = seeding.TRAINING_SEED_LIMIT - 1
    training = [seeding.training_seed(0), seeding.training_seed(last_run) + 999]
    selection = [seeding.selection_seeds(0, 1)[0], seeding.selection_seeds(last_run, 1000)[-1]]
    evaluation = [seeding.evaluation_seeds(0, 1)[0], seeding.evaluation_seeds(9999, 100_000)[-1]]
    assert training[0] == 0
    assert training[1] < selection[0] <= selection[1] < evaluation[0] <= evaluation[1] < 2**32


@pytest.mark.parametrize("seed", [-1, 10**6])
def test_a_run_seed_out_of_range_is_refused(seed: int) -> None:
    with pytest.raises(BadInput, match=f"seed={seed}"):
        seeding.training_seed(seed)


def test_zero_episodes_are_refused() -> None:
    with pytest.raises(BadInput, match=r"evaluation.episodes=0"):
        seeding.evaluation_seeds(0, 0)
