from __future__ import annotations

import gymnasium
import numpy as np
import pytest
from fakes import always, countdown_return

from rl_lab import episodes
from rl_lab.environments import EnvironmentRecipe, make
from rl_lab.errors import BadInput, EnvironmentFault


def test_return_and_length_are_those_worked_out_by_hand() -> None:
    policy = always(1)
    env = episodes.make_for(policy)
    for seed in range(5):
        episode = episodes.run_episode(env, policy, seed, 100)
        assert episode == episodes.Episode(countdown_return(seed), 3 + seed, True, False)


def test_the_other_action_earns_nothing() -> None:
    policy = always(0)
    assert episodes.run_episode(episodes.make_for(policy), policy, 2, 100).episode_return == 0.0


def test_the_tape_of_a_rollout() -> None:
    policy = always(1)
    tape = list(episodes.rollout(episodes.make_for(policy), policy, 0, 100))
    assert [(o.tolist(), int(a), r, te, tr) for o, a, r, te, tr in tape] == [
        ([0.0, 3.0], 1, 1.0, False, False),
        ([1.0, 2.0], 1, 2.0, False, False),
        ([2.0, 1.0], 1, 3.0, True, False),
    ]


def test_a_limit_truncates_and_does_not_terminate() -> None:
    policy = always(1, "FakeEndless-v0")
    episode = episodes.run_episode(episodes.make_for(policy), policy, 0, 10)
    assert (episode.length, episode.terminated, episode.truncated) == (10, False, True)


def test_the_limit_is_the_environments_own_where_it_has_one() -> None:
    assert episodes.step_limit(gymnasium.make("CartPole-v1"), 7) == 500
    assert episodes.step_limit(gymnasium.make("FakeEndless-v0"), 7) == 7


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("raise", "raised RuntimeError: the motor is on fire"),
        ("nan_observation", "NaN"),
        ("nan_reward", "returned the reward nan"),
        ("shape", "shape"),
    ],
)
def test_a_fault_names_environment_seed_and_step(fault: str, words: str) -> None:
    policy = always(1, "FakeFaulty-v0", kwargs={"fault": fault})
    with pytest.raises(EnvironmentFault, match=words) as caught:
        episodes.run_episode(episodes.make_for(policy), policy, 4, 100)
    assert "FakeFaulty-v0" in str(caught.value)
    assert "seed 4, episode 1, step 2" in str(caught.value)


@pytest.mark.filterwarnings("ignore:overflow encountered in dot")
def test_the_quick_check_lets_large_finite_values_pass() -> None:
    space = gymnasium.spaces.Box(-np.inf, np.inf, (3,), np.float32)
    finite = episodes.finite_check(space)
    assert finite(np.array([1e30, 1e30, 0], np.float32))
    assert not finite(np.array([np.nan, 0, 0], np.float32))
    assert not finite(np.array([0, -np.inf, 0], np.float32))


def test_a_policy_of_other_spaces_is_refused_by_field() -> None:
    with pytest.raises(BadInput, match=r"observation space: shape \[4\] instead of \[2\]"):
        episodes.require_fit(gymnasium.make("CartPole-v1"), always(1).card)


def probe(environment: str) -> bool:
    recipe = EnvironmentRecipe(environment, {}, (), None)
    return episodes.reuse_is_exact(recipe, lambda: make(recipe))


@pytest.mark.parametrize("environment", ["CartPole-v1", "Pendulum-v1", "Acrobot-v1"])
def test_simple_environments_may_be_reused(environment: str) -> None:
    assert probe(environment)


def test_bipedal_walker_may_not_be_reused() -> None:
    pytest.importorskip("Box2D", reason="needs rl-lab[box2d]")
    assert not probe("BipedalWalker-v3")
    assert probe("LunarLander-v3")
