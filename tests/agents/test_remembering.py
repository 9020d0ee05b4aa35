"""Which random streams and which numbers of a replay buffer a state holds, and which it leaves."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from rl_lab_agents import remembering
from small_agents import CORE, agent_of

from rl_lab import states

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
