"""Which random streams and which numbers of a replay buffer a state holds, and which it leaves."""

from __future__ import annotations

from typing import Any

import fake_parts
import numpy as np
import pytest
import torch
from rl_lab_agents import remembering
from small_agents import CORE, agent_of

from rl_lab import states

assert fake_parts  # named in settings
ON = (CORE + "A2C", "CartPole-v1", {"policy_kwargs": {"net_arch": [8]}, "n_steps": 8}, {}, 1)


class Cards:
    """Stands for `torch.cuda` with two cards, and notes which of them are asked."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.words = [torch.full((16,), i, dtype=torch.uint8) for i in range(2)]
        self.asked: list[Any] = []
        monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
        monkeypatch.setattr(torch.cuda, "get_rng_state", self._get)
        monkeypatch.setattr(torch.cuda, "set_rng_state", self._set)
        for name in ("get_rng_state_all", "set_rng_state_all"):
            monkeypatch.setattr(torch.cuda, name, lambda *unused: self.asked.append("all"))

    def _get(self, device: torch.device) -> torch.Tensor:
        self.asked.append(device)
        return self.words[device.index].clone()

    def _set(self, words: torch.Tensor, device: torch.device) -> None:
        self.asked.append(device)
        self.words[device.index] = words.clone()


def restore_streams(model: Any, state: states.State) -> None:
    remembering.restore_surroundings(model, state, [states.RANDOM], [])


def test_the_streams_of_cards_are_left_alone_by_who_learns_on_the_cpu(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model, cards = agent_of(ON)._model, Cards(monkeypatch)
    restore_streams(model, remembering.capture(model, {}, 0))
    assert cards.asked == []


def test_of_all_cards_only_the_model_s_own_is_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    model, cards = agent_of(ON)._model, Cards(monkeypatch)
    on_cpu = remembering.capture(model, {}, 0)
    second = torch.device("cuda:1")
    monkeypatch.setattr(model, "device", second)
    state = remembering.capture(model, {}, 0)
    cards.words = [torch.full((16,), 9, dtype=torch.uint8) for _ in range(2)]
    restore_streams(model, state)
    assert [int(words[0]) for words in cards.words] == [9, 1]
    assert set(cards.asked) == {second}
    # Where it learned on the CPU before, the card's stream is that of the new run.
    cards.words[1].fill_(7)
    restore_streams(model, on_cpu)
    assert int(cards.words[1][0]) == 7
    # And the other way round: no card is looked for.
    cards.asked.clear()
    monkeypatch.setattr(model, "device", torch.device("cpu"))
    restore_streams(model, state)
    assert cards.asked == []


OFF = {"policy_kwargs": {"net_arch": [8]}, "learning_starts": 500, "buffer_size": 150}
TAKEN = [states.WEIGHTS, states.NORMALIZER, states.REPLAY]  # as a warm start does
# What the old run asked for, what the new one asks for, and where the buffer shows it.
ASKED: dict[str, tuple[str, str, Any, Any, dict[str, Any]]] = {
    "hindsight": (
        "SAC",
        "FakeGoal-v0",
        {"replay_buffer": {"her": {"n_sampled_goal": 4}}},
        {"replay_buffer": {"her": {"n_sampled_goal": 1}}},
        {"n_sampled_goal": 1, "her_ratio": 0.5},
    ),
    "steps ahead": (
        "SAC",
        "Pendulum-v1",
        {"n_steps": 3, "gamma": 0.9},
        {"n_steps": 2, "gamma": 0.8},
        {"n_steps": 2, "gamma": 0.8},
    ),
    "one's own": (
        "DQN",
        "CartPole-v1",
        {"replay_buffer": {"fake_parts.Prioritised": {"floor": 0.2}}},
        {"replay_buffer": {"fake_parts.Prioritised": {"floor": 0.5}}},
        {"floor": 0.5},
    ),
}


class Nobody:
    def metrics(self, step: int, values: Any) -> None:
        """Told, and silent."""

    def boundary(self, step: int) -> bool:
        return True


def learned(case: Any, steps: int) -> Any:
    agent = agent_of(case)
    agent.learn(steps, Nobody())
    return agent


@pytest.mark.parametrize("name", ASKED)
def test_another_run_takes_the_rows_and_keeps_its_own_hyperparameters(name: str) -> None:
    kind, environment, old, new, shown = ASKED[name]
    before = learned((CORE + kind, environment, {**OFF, **old}, {}, 1), 60)
    after = agent_of((CORE + kind, environment, {**OFF, **new}, {}, 1))
    state = before.state()
    after.restore(state, TAKEN)
    source, buffer = before._model.replay_buffer, after._model.replay_buffer
    assert {key: getattr(buffer, key) for key in shown} == pytest.approx(shown)
    assert (buffer.pos, buffer.full) == (source.pos, source.full) == (60, False)
    assert np.array_equal(buffer.rewards, source.rewards)
    for mark in ("ep_start", "ep_length", "priorities"):
        # The episode that was under way ends where the rows do.
        rows = np.flatnonzero(source.dones[:60])[-1] + 1
        one, other = (getattr(each, mark, np.zeros(0))[:rows] for each in (buffer, source))
        assert np.array_equal(one, other)


@pytest.mark.parametrize(
    ("changes", "n_envs", "differs"),
    [({"buffer_size": 100}, 1, "buffer_size=150"), ({"buffer_size": 300}, 2, "n_envs=1")],
)
def test_rows_that_lie_elsewhere_are_not_taken_for_another_size(
    changes: Any, n_envs: int, differs: str
) -> None:
    shelf = {**OFF, "replay_buffer": {"fake_parts.Shelf": {}}}
    state = learned((CORE + "DQN", "CartPole-v1", shelf, {}, 1), 30).state()
    agent = agent_of((CORE + "DQN", "CartPole-v1", {**shelf, **changes}, {}, n_envs))
    with pytest.raises(states.StateMismatch, match=f"replay buffer has {differs}"):
        agent.restore(state, TAKEN)
    assert agent._model.replay_buffer.rows == []
