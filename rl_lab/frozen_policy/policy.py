"""The frozen policy as an object: it acts, one decision or many at a time."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from rl_lab import spaces
from rl_lab.errors import BadInput
from rl_lab.frozen_policy import layout
from rl_lab.frozen_policy.binding import State, bind
from rl_lab.frozen_policy.card import Card

if TYPE_CHECKING:
    import onnxruntime


class FrozenPolicy:
    """A policy that can only act.

    Args:
        card: What the policy is.
        graph: The ONNX file's bytes.
        threads: Threads of onnxruntime; 1 is fastest for small networks.

    Attributes:
        folder: Where it was loaded from; None where it was not.
        act: `action, state = policy.act(observation, state)`, one decision. `observation` is one
            member of `observation_space` (for a Dict space a dict), `state` what the previous
            call gave or `reset()`; a policy without memory needs none. A policy trained with
            action masks needs `action_mask=`. The action has the form that `env.step` takes.
            Raises BadInput where the observation has another shape, or where state or mask is
            missing, or given to a policy that has none.
    """

    act: Callable[..., tuple[Any, State]]

    def __init__(self, card: Card, graph: bytes, threads: int = 1) -> None:
        self.card = card
        self.graph = graph
        self.folder: Path | None = None
        self._observation_space = spaces.from_data(card.observation_space)
        self._action_space = spaces.from_data(card.action_space)
        self._session = _session(graph, threads)
        self.act = bind(self._session, card)

    @property
    def observation_space(self) -> Any:
        """The Gymnasium space of single observations."""
        return self._observation_space

    @property
    def action_space(self) -> Any:
        """The Gymnasium space of single actions."""
        return self._action_space

    def reset(self) -> State:
        """The state before an episode's first decision; `()` for a policy without memory."""
        return self._zeros(1)

    def _zeros(self, count: int) -> State:
        return tuple(np.zeros((count, *s["shape"]), s["dtype"]) for s in self.card.state)

    def act_batch(
        self, observations: Any, state: State = (), action_masks: Any = None
    ) -> tuple[np.ndarray, State]:
        """Many decisions at once.

        Args:
            observations: `[N, ...]`; for a Dict space a dict of batches.
            state: Arrays `[N, ...]`; zeros where `()` is given to a policy with memory.
            action_masks: Booleans `[N, choices]`, for a policy trained with masks.

        Returns:
            Actions `[N, ...]` and the next state.

        Raises:
            BadInput: An array has another shape, or state or masks are missing or unneeded.
        """
        feeds = self._feeds(observations)
        count = len(next(iter(feeds.values())))
        arrays = state or self._zeros(count)
        layout.require_states(len(arrays), len(self.card.state))
        for spec, array in zip(self.card.state, arrays, strict=True):
            shape = (count, *spec["shape"])
            feeds[spec["name"]] = layout.array_of(array, shape, f"state {spec['name']}")
        if self.card.action_masks:
            if action_masks is None:
                raise layout.masks_missing()
            width = layout.mask_width(self.card.action_space)
            masks = layout.array_of(action_masks, (count, width), layout.MASK)
            feeds[layout.MASK] = masks.astype(bool)
        elif action_masks is not None:
            raise layout.mask_unneeded()
        outputs = self._session.run(None, feeds)
        return outputs[0], tuple(outputs[1:])

    def _feeds(self, observations: Any) -> dict[str, np.ndarray]:
        space = self.card.observation_space
        triples = zip(
            layout.input_spaces(space),
            layout.input_names(space),
            layout.ordered_parts(space, observations),
            strict=True,
        )
        feeds = {name: layout.batch_of(kind, name, part) for kind, name, part in triples}
        if len({len(array) for array in feeds.values()}) > 1:
            lengths = {name: len(array) for name, array in feeds.items()}
            raise BadInput(f"parts of the batch with the lengths {lengths}", "one length for all")
        return feeds

    def predict(
        self,
        observation: Any,
        state: State | None = None,
        episode_start: Any = None,
        deterministic: bool = True,
        action_masks: Any = None,
    ) -> tuple[np.ndarray, State | None]:
        """Act with stable-baselines3's signature, so that its `evaluate_policy` takes us as we are.

        Args:
            observation: One observation, or a batch `[N, ...]`.
            state: What the previous call gave; None at the beginning.
            episode_start: `[N]`, true where a new episode begins; its state starts anew.
            deterministic: Must be true.
            action_masks: For a policy trained with masks.

        Returns:
            The action or the batch of actions, and the next state (None without memory).

        Raises:
            BadInput: `deterministic=False`: a frozen policy holds no distribution.
        """
        if not deterministic:
            raise BadInput(
                "deterministic=False",
                "deterministic=True",
                "A frozen policy keeps only the deterministic action; sample from the agent.",
            )
        single = self._is_single(observation)
        batch = _batched(observation) if single else observation
        if single and action_masks is not None:
            action_masks = np.asarray(action_masks).reshape(1, -1)
        carried = _restarted(state or (), episode_start)
        actions, following = self.act_batch(batch, carried, action_masks)
        return (actions[0] if single else actions), following or None

    def _is_single(self, observation: Any) -> bool:
        space = self.card.observation_space
        part = layout.ordered_parts(space, observation)[0]
        shape, _ = layout.array_type(layout.input_spaces(space)[0])
        try:
            return bool(np.shape(part) == shape)
        except ValueError:
            return False  # ragged, as (observation, info) is; act_batch says so


def _batched(observation: Any) -> Any:
    if isinstance(observation, dict):
        return {key: np.asarray(part)[None] for key, part in observation.items()}
    return np.asarray(observation)[None]


def _restarted(state: State, episode_start: Any) -> State:
    if not state or episode_start is None:
        return state
    going_on = 1 - layout.array_of(episode_start, (len(state[0]),), "episode_start").astype(np.int8)
    return tuple(
        (a * going_on.reshape(-1, *[1] * (a.ndim - 1))).astype(a.dtype, copy=False) for a in state
    )


def _session(graph: bytes, threads: int) -> onnxruntime.InferenceSession:
    # Its import starts a thread, and jobs that share imports are forked before there is one.
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    # Told, not guessed from the bytes: its own format would pass by the checks made on ONNX.
    options.add_session_config_entry("session.load_model_format", "ONNX")
    # A spinning pool would slow whatever shares the machine.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
