"""Learning while the next steps are taken: nothing is lost, and only one thread is left."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from identical import attempt, dying_at, run_in
from rl_lab_agents import parallel
from small_agents import agent_of
from stable_baselines3 import SAC

from rl_lab import cli, runs, states
from rl_lab.errors import BadInput
from rl_lab.training.recorder import Recorder

OFF = {
    "policy_kwargs": {"net_arch": [16]},
    "learning_starts": 40,
    "batch_size": 16,
    "buffer_size": 150,
}
AT_ONCE = {"parallel_updates": True}
CORE, CONTRIB = "stable_baselines3.", "sb3_contrib."


class Watching:
    """Notes what is at work where the state is whole."""

    def __init__(self) -> None:
        self.threads: list[int] = []

    def metrics(self, step: int, values: Any) -> None:
        self.values = values

    def boundary(self, step: int) -> bool:
        self.threads.append(threading.active_count())
        return True


def learned(kind: str, **settings: Any) -> Any:
    case = (kind, "Pendulum-v1", {**OFF, **settings}, AT_ONCE, 1)
    agent, listener = agent_of(case), Watching()
    before = threading.active_count()
    agent.learn(120, listener)
    assert set(listener.threads) == {before}, "at a boundary nobody learns"
    return agent


@pytest.mark.parametrize(
    ("kind", "settings"),
    [
        (CORE + "SAC", {}),
        (CORE + "SAC", {"use_sde": True, "train_freq": 4, "gradient_steps": 4}),
        (CORE + "TD3", {"action_noise": {"kind": "normal", "std": 0.1}}),
        (CONTRIB + "TQC", {}),
        (CONTRIB + "CrossQ", {}),
    ],
)
def test_as_many_updates_as_in_turn(kind: str, settings: Any) -> None:
    agent = learned(kind, **settings)
    in_turn = agent_of((kind, "Pendulum-v1", {**OFF, **settings}, {}, 1))
    in_turn.learn(120, Watching())
    assert agent.costs() == in_turn.costs()
    assert agent._model._n_updates == in_turn._model._n_updates
    assert agent._counts.get(parallel.PENDING) is None
    model = agent._model
    assert model.policy.actor is model.actor
    assert not {"train", "learn", "collect_rollouts"} & set(vars(model))
    assert not {"add", "sample"} & set(vars(model.replay_buffer))


def test_it_acts_and_learns_with_what_was_there_before(monkeypatch: pytest.MonkeyPatch) -> None:
    agent = agent_of(
        (CORE + "SAC", "Pendulum-v1", OFF, {**AT_ONCE, "normalize_observation": True}, 1)
    )
    model, before, met = agent._model, [], []
    normalizer: Any = model.get_vec_normalize_env()
    updated, stepped = threading.Event(), threading.Event()

    class Prompt(threading.Thread):
        """Has changed all weights before whoever starts it does anything more."""

        def start(self) -> None:
            stepped.clear()
            super().start()
            assert updated.wait(20)
            updated.clear()

    def train(learner: Any, gradient_steps: int, batch_size: int) -> None:
        mean = learner.get_vec_normalize_env().obs_rms.mean.copy()
        with torch.no_grad():
            for parameter in learner.policy.actor.parameters():
                parameter.add_(1.0)
        beside = model.num_timesteps < 60  # the last update has no step beside it
        updated.set()
        if beside:
            assert stepped.wait(20)
            assert np.array_equal(learner.get_vec_normalize_env().obs_rms.mean, mean)
            assert not np.array_equal(normalizer.obs_rms.mean, mean)

    def step(actions: Any) -> Any:
        acting = weights_of(model.actor)
        assert all(map(np.array_equal, acting, before[-1]))
        result = type(normalizer).step(normalizer, actions)
        met.append(threading.active_count() - alone)
        stepped.set()
        return result

    class Looking(Watching):
        def boundary(self, step: int) -> bool:
            before.append(weights_of(model.actor))
            return True

    monkeypatch.setattr(type(model), "train", train)
    monkeypatch.setattr(threading, "Thread", Prompt)
    normalizer.step = step
    alone = threading.active_count()
    agent.learn(60, Looking())
    assert met == [0] * 41 + [1] * 19
    assert not any(map(np.array_equal, before[41], before[43]))


def weights_of(actor: Any) -> list[np.ndarray]:
    return [parameter.detach().numpy().copy() for parameter in actor.parameters()]


def test_what_is_owed_outlasts_a_stop() -> None:
    case = (CORE + "SAC", "Pendulum-v1", OFF, AT_ONCE, 1)
    agent = agent_of(case)

    class Stopping(Watching):
        def boundary(self, step: int) -> bool:
            if step == 80:
                self.state = agent.state()
            return step < 80

    listener = Stopping()
    agent.learn(120, listener)
    again = agent_of(case)
    again.restore(listener.state, states.ALL)
    assert again._counts[parallel.PENDING] == 1
    again.learn(120, Watching())
    assert again.costs()["gradient_updates"] == learned(CORE + "SAC").costs()["gradient_updates"]


def test_steps_are_taken_while_it_learns() -> None:
    agent = agent_of((CORE + "SAC", "Pendulum-v1", OFF, AT_ONCE, 1))
    met: list[int] = []
    # Whoever comes first waits; in turn they would never meet.
    both = threading.Barrier(2, lambda: met.append(1), timeout=20)
    buffer: Any = agent._model.replay_buffer
    sample = buffer.sample

    def meeting(*args: Any, **keywords: Any) -> Any:
        if len(met) < 20:
            both.wait()
        return sample(*args, **keywords)

    class Meeting(gymnasium.Wrapper[Any, Any, Any, Any]):
        def step(self, action: Any) -> Any:
            if threading.active_count() > before and len(met) < 20:
                both.wait()
            return self.env.step(action)

    buffer.sample = meeting
    inner: Any = agent._model.get_env()
    inner.envs[0] = Meeting(inner.envs[0])
    before = threading.active_count()
    agent.learn(120, Watching())
    assert len(met) == 20


def test_an_error_of_the_other_thread_ends_the_training() -> None:
    agent = agent_of((CORE + "SAC", "Pendulum-v1", OFF, AT_ONCE, 1))

    def refuse(*unused: Any, **keywords: Any) -> None:
        raise ZeroDivisionError("in the other thread")

    agent._model.replay_buffer.sample = refuse
    with pytest.raises(ZeroDivisionError, match="in the other thread"):
        agent.learn(120, Watching())


@pytest.mark.parametrize(
    ("kind", "environment"), [(CORE + "DQN", "CartPole-v1"), (CORE + "PPO", "Pendulum-v1")]
)
def test_what_cannot_act_with_older_weights_is_refused(kind: str, environment: str) -> None:
    settings = OFF if kind.endswith("DQN") else {}
    with pytest.raises(BadInput, match="parallel_updates=true with"):
        agent_of((kind, environment, settings, AT_ONCE, 1))


class Counting(SAC):
    """Keeps something in an attribute that each update binds anew."""

    losses: float = 0.0

    def train(self, gradient_steps: int, batch_size: int = 64) -> None:
        super().train(gradient_steps, batch_size)
        self.losses = self.losses + 1.0


def test_an_update_of_ones_own_is_refused() -> None:
    with pytest.raises(BadInput) as refused:
        agent_of((f"{__name__}.Counting", "Pendulum-v1", OFF, AT_ONCE, 1))
    assert "parallel_updates=true with Counting, which has its own train" in refused.value.came
    assert "would be lost" in refused.value.expected
    assert "leave train to SAC" in refused.value.do
    agent_of((f"{__name__}.Counting", "Pendulum-v1", OFF, {}, 1))


def test_a_run_says_that_it_is_not_exact_and_goes_on(tmp_path: Path) -> None:
    words = "env=Pendulum-v1 agent=sac tuned=none monitoring=none training.steps=200"
    words += " agent.learning_starts=40 agent.batch_size=16 checkpoint.every_steps=50"
    words += " training.selection_every_steps=0 training.parallel_updates=true"
    words += " agent.policy_kwargs.net_arch=[16]"
    command = [*words.split(), f"output={tmp_path}"]
    assert attempt(command, lambda: dying_at(Recorder, "boundary", 120)) != 0
    assert cli.main(["train", *command]) == 0
    resume = runs.read(run_in(tmp_path))["resume"]
    assert (resume["level"], resume["from_step"]) == ("equivalent", 100)
    assert "two threads" in resume["reasons"][0]
