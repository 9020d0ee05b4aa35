"""Each wrapper against numbers worked out by hand, and through freezing and evaluation."""

from __future__ import annotations

import inspect
import itertools
from pathlib import Path
from typing import Any

import fakes
import gymnasium
import numpy as np
import pytest

from rl_lab import cli, environments, wrappers
from rl_lab.environments import EnvironmentRecipe

assert fakes  # it registers a goal environment


class Line(gymnasium.Env[Any, Any]):
    """Shows the step and the last action, pays the step; ends after 5 steps."""

    observation_space = gymnasium.spaces.Box(-9.0, 9.0, (2,), np.float32)
    action_space = gymnasium.spaces.Box(-1.0, 1.0, (1,), np.float32)

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        super().reset(seed=seed)
        self.acted: list[float] = []
        return np.array([1.0, 0.0], np.float32), {}

    def step(self, action: Any) -> Any:
        self.acted.append(float(action[0]))
        step = len(self.acted)
        observation = np.array([step + 1, action[0]], np.float32)
        return observation, float(step), step == 5, False, {"is_success": step >= 2}


def act(value: float) -> np.ndarray:
    return np.array([value], np.float32)


def seen(env: Any, *actions: float, seed: int = 3) -> list[list[float]]:
    observation, _ = env.reset(seed=seed)
    shown = [observation]
    for action in actions:
        observation, *_ = env.step(act(action))
        assert env.observation_space.contains(observation)
        shown.append(observation)
    return [np.round(o, 6).tolist() for o in shown]


def test_hidden_entries_are_zero_and_lie_in_the_space() -> None:
    env = wrappers.MaskObservation(Line(), [1])
    assert seen(env, 0.5, -0.5) == [[1, 0], [2, 0], [3, 0]]
    assert env.observation_space == Line.observation_space


@pytest.mark.parametrize("indices", [[], [2], [-1]])
def test_an_index_beyond_the_observation_is_refused(indices: list[int]) -> None:
    with pytest.raises(ValueError, match="0 to 1"):
        wrappers.MaskObservation(Line(), indices)


def test_time_left_runs_from_1_to_0() -> None:
    env = wrappers.TimeLeft(Line(), steps=4)
    assert [row[-1] for row in seen(env, 0, 0, 0, 0)] == [1, 0.75, 0.5, 0.25, 0]
    assert [row[-1] for row in seen(env, 0)] == [1, 0.75], "a reset winds the clock"
    constant = wrappers.TimeLeft(Line(), steps=4, constant=0.5)
    assert [row[-1] for row in seen(constant, 0, 0)] == [0.5] * 3
    registered = wrappers.TimeLeft(gymnasium.make("Pendulum-v1"))
    registered.reset(seed=0)
    assert registered.step(act(0))[0][-1] == pytest.approx(1 - 1 / 200)


def test_history_is_oldest_first_and_zero_before_the_beginning() -> None:
    env = wrappers.History(Line(), horizon=2)
    shown = seen(env, 0.5, -0.5)
    assert shown == [
        [0, 0, 1, 0, 0, 0],
        [1, 0, 2, 0.5, 0, 0.5],
        [2, 0.5, 3, -0.5, 0.5, -0.5],
    ]
    assert seen(env, 0.5) == shown[:2], "a reset forgets"


def test_history_and_clock_change_only_the_observation_of_a_goal_environment() -> None:
    for env in (
        wrappers.History(gymnasium.make("FakeGoal-v0"), 2),
        wrappers.TimeLeft(gymnasium.make("FakeGoal-v0")),
    ):
        observation, _ = env.reset(seed=0)
        following = env.step(act(1.0))[0]
        for part in (observation, following):
            assert env.observation_space.contains(part)
            assert part["achieved_goal"].shape == part["desired_goal"].shape == (1,)
        assert len(following["observation"]) > 1


def test_actions_are_averaged_from_zero() -> None:
    env = wrappers.SmoothAction(Line(), keep=0.5)
    seen(env, 1.0, 1.0, -1.0)
    assert env.unwrapped.acted == [0.5, 0.75, -0.125]  # type: ignore[attr-defined]
    assert seen(env, 1.0)[1][1] == 0.5, "a reset forgets"


def test_action_noise_has_its_deviation_and_stays_in_the_space() -> None:
    env = wrappers.ActionNoise(Line(), std=0.1)
    draws = [seen(env, 0.0, seed=seed)[1][1] for seed in range(400)]
    assert np.std(draws) == pytest.approx(0.1, abs=0.012)  # three standard errors
    assert np.mean(draws) == pytest.approx(0.0, abs=0.016)
    wild = wrappers.ActionNoise(Line(), std=100.0)
    assert {abs(seen(wild, 0.0, seed=seed)[1][1]) for seed in range(5)} == {1.0}


@pytest.mark.parametrize("kind", [wrappers.ActionNoise, wrappers.ObservationNoise])
def test_noise_depends_on_the_seed_of_reset_alone(kind: Any) -> None:
    one, other = kind(Line(), std=0.1), kind(Line(), std=0.1)
    np.random.seed(0)
    first = seen(one, 0, 0, seed=5)
    np.random.seed(1)
    assert seen(other, 0, 0, seed=5) == first
    assert seen(other, 0, 0, seed=6) != first
    one.reset()
    assert one.step(act(0))[0].tolist() != first[1], "without a seed it goes on"
    with pytest.raises(ValueError, match="below 0"):
        kind(Line(), std=-1)


def test_frames_are_skipped_until_the_end() -> None:
    env = wrappers.FrameSkip(Line(), skip=3)
    env.reset()
    assert env.step(act(0))[1:3] == (1 + 2 + 3, False)
    assert env.step(act(0))[1:3] == (4 + 5, True)


def test_rewards_wait_and_all_are_paid() -> None:
    env = wrappers.DelayReward(Line(), steps=2)
    for _ in range(2):
        env.reset()
        assert [env.step(act(0))[1] for _ in range(5)] == [0, 3, 0, 7, 5]


def test_success_truncates_after_as_many_in_a_row() -> None:
    env = wrappers.TruncateOnSuccess(Line(), successes=3, reward_offset=-1.0)
    for _ in range(2):
        env.reset()
        steps = [env.step(act(0)) for _ in range(4)]
        assert [step[3] for step in steps] == [False, False, False, True]
        assert [step[1] for step in steps] == [0, 1, 2, 3]
    goal = wrappers.TruncateOnSuccess(gymnasium.make("FakeGoal-v0"), reward_offset=1.0)
    near = np.zeros((2, 1), np.float32)
    assert goal.compute_reward(near, np.array([[0.0], [5.0]]), {}).tolist() == [1.0, 0.0]


class Fire(Line):
    """A game that waits for FIRE."""

    action_space = gymnasium.spaces.Discrete(3)  # type: ignore[assignment]
    meanings = ("NOOP", "FIRE", "LEFT")

    def get_action_meanings(self) -> list[str]:
        return list(self.meanings)

    def step(self, action: Any) -> Any:
        return super().step(act(action))


class Direction(Fire):
    """A game that does not."""

    meanings = ("NOOP", "UP", "LEFT")


def test_fire_is_pressed_only_where_a_game_waits_for_it() -> None:
    for kind, shown in ((Fire, [2, 1]), (Direction, [1, 0])):
        observation, _ = wrappers.FireOnReset(kind()).reset(seed=0)
        assert observation.tolist() == shown


def test_pictures_take_a_list_for_their_shape() -> None:
    pytest.importorskip("cv2", reason="resizing needs the extra 'atari'")

    class Picture(Line):
        observation_space = gymnasium.spaces.Box(0, 255, (8, 6, 3), np.uint8)

    assert wrappers.Resize(Picture(), [4, 3]).observation_space.shape == (4, 3, 3)


CHAINS: dict[str, tuple[str, dict[str, Any]]] = {
    "MaskObservation": ("Pendulum-v1", {"indices": [2]}),
    "TimeLeft": ("Pendulum-v1", {}),
    "History": ("Pendulum-v1", {"horizon": 2}),
    "ActionNoise": ("Pendulum-v1", {"std": 0.1}),
    "ObservationNoise": ("Pendulum-v1", {"std": 0.1}),
    "SmoothAction": ("Pendulum-v1", {"keep": 0.5}),
    "FrameSkip": ("Pendulum-v1", {"skip": 2}),
    "DelayReward": ("Pendulum-v1", {"steps": 5}),
    "MasksOfInfo": ("Taxi-v4", {}),
    "TruncateOnSuccess": ("FakeGoal-v0", {"successes": 2}),
}
# These need games or pictures, which the tests of Atari configurations have.
ELSEWHERE = {"FireOnReset", "Resize"}


def test_masks_are_those_of_the_latest_info() -> None:
    env = wrappers.MasksOfInfo(gymnasium.make("Taxi-v4"))
    _, info = env.reset(seed=0)
    assert env.action_masks().tolist() == info["action_mask"].astype(bool).tolist()
    before = env.action_masks().tolist()
    *_, info = env.step(int(np.flatnonzero(before)[0]))
    assert env.action_masks().tolist() == info["action_mask"].astype(bool).tolist() != before


def test_every_wrapper_is_named_here_and_documents_its_arguments() -> None:
    assert {*CHAINS, *ELSEWHERE} == set(wrappers.__all__)
    for name in wrappers.__all__:
        kind = getattr(wrappers, name)
        for argument in list(inspect.signature(kind).parameters):
            assert f"{argument}:" in (kind.__doc__ or ""), f"{name}: {argument}"


@pytest.mark.parametrize("name", CHAINS)
def test_a_recipe_names_it_and_two_environments_are_the_same(name: str) -> None:
    environment, kwargs = CHAINS[name]
    wrapper = {"name": f"rl_lab.wrappers.{name}", "kwargs": kwargs}
    recipe = EnvironmentRecipe.from_data(
        {"id": environment, "kwargs": {}, "wrappers": [wrapper], "max_episode_steps": None}
    )
    assert EnvironmentRecipe.from_data(recipe.to_data()) == recipe
    one, other = environments.make(recipe), environments.make(recipe)
    one.action_space.seed(0)
    one.reset(seed=1)
    other.reset(seed=1)
    for _ in itertools.repeat(None, 4):
        action = one.action_space.sample()
        a, b = one.step(action), other.step(action)
        assert one.observation_space.contains(a[0])
        assert str(a) == str(b)


def test_wrappers_travel_with_the_card_into_evaluation_and_replay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    chain = [
        "{name: rl_lab.wrappers.MaskObservation, kwargs: {indices: [2]}}",
        "{name: rl_lab.wrappers.ActionNoise, kwargs: {std: 0.1}}",
        "{name: rl_lab.wrappers.History, kwargs: {horizon: 2}}",
        "{name: rl_lab.wrappers.TimeLeft}",
    ]
    words = ["train", "env=Pendulum-v1", "agent=a2c", "debug=smoke"]
    assert cli.main([*words, f"env.wrappers=[{', '.join(chain)}]"]) == 0
    words = ["evaluate", "runs=outputs/train", "evaluation=quick", "name=e", "shift=none"]
    assert cli.main([*words, "evaluation.speed.calls=0", "evaluation.episodes=2"]) == 0
    (policy,) = tmp_path.rglob("policy/policy.json")
    words = ["replay", f"policy={policy.parent}", "to=e.json"]
    assert cli.main(words) == 0
    assert cli.main(["replay", "file=e.json", "verify=true"]) == 0
