"""Frozen policies: deterministic, immutable, on disk; they can only act.

The format is specified in docs/frozen-policy.md. Loading needs NumPy, Gymnasium's spaces and
onnxruntime: no torch, no stable-baselines3, no Hydra.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

from rl_lab import files, paths, spaces
from rl_lab.errors import BadInput

FORMAT = "rl_lab.frozen_policy"
FORMAT_VERSION = 1
# Two runtimes sum in different orders; five decimals of the action's range are the promise.
BOX_TOLERANCE = 1e-5

State = tuple[np.ndarray, ...]


@dataclasses.dataclass(frozen=True)
class Card:
    """What `policy.json` says; plain data throughout.

    Attributes:
        agent: Short name of the agent, for tables.
        algorithm: What trained it.
        training_seed: The run's seed; -1 where it is not known.
        steps: Environment steps learned from.
        recipe_hash: Names the recipe; equal for runs that differ only in their seed.
        environment: The environment's recipe.
        anchors: The environment's scale when the policy was frozen; None where it has none.
        observation_space: Of the environment, as in `rl_lab.spaces`.
        action_space: Of the environment.
        state: `{name, shape, dtype}` of each array carried along.
        parameters: Numbers in the graph that were learned.
        provenance: Versions, commit, library facts.
        onnx_sha256: Of `policy.onnx`.
        golden: Observations, and the actions (and first next state) they must give.
    """

    agent: str
    algorithm: str
    training_seed: int
    steps: int
    recipe_hash: str
    environment: Mapping[str, Any]
    anchors: Mapping[str, Any] | None
    observation_space: spaces.SpaceData
    action_space: spaces.SpaceData
    state: tuple[Mapping[str, Any], ...]
    parameters: int
    provenance: Mapping[str, Any]
    onnx_sha256: str
    golden: Mapping[str, Any]

    def to_data(self) -> dict[str, Any]:
        """The card as JSON-ready data, format and version first."""
        fields = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        return {"format": FORMAT, "format_version": FORMAT_VERSION, **fields}


class FrozenPolicy:
    """A policy that can only act.

    Args:
        card: What the policy is.
        graph: The ONNX file's bytes.
        threads: Threads of onnxruntime; 1 is fastest for small networks.

    Attributes:
        act: `action, state = policy.act(observation, state)`, one decision. `observation` is one
            member of `observation_space` (for a Dict space a dict), `state` what the previous
            call gave or `reset()`; a policy without memory needs none. The action has the form
            that `env.step` takes. Raises BadInput where the observation has another shape or the
            state is missing.
    """

    act: Callable[..., tuple[Any, State]]

    def __init__(self, card: Card, graph: bytes, threads: int = 1) -> None:
        self.card = card
        self.graph = graph
        self._observation_space = spaces.from_data(card.observation_space)
        self._action_space = spaces.from_data(card.action_space)
        self._session = _session(graph, threads)
        self.act = _Binding(self._session, card).act

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
        return tuple(np.zeros((1, *s["shape"]), s["dtype"]) for s in self.card.state)

    def act_batch(self, observations: Any, state: State = ()) -> tuple[np.ndarray, State]:
        """Many decisions at once: observations `[N, ...]` (a Dict: one batch per key).

        Args:
            observations: The batch.
            state: Arrays `[N, ...]`; zeros where `()` is given to a policy with memory.

        Returns:
            Actions `[N, ...]` and the next state.
        """
        feeds = _feeds(self.card, observations)
        count = len(next(iter(feeds.values())))
        for spec, array in zip(self.card.state, state or self._zeros(count), strict=True):
            feeds[spec["name"]] = array
        outputs = self._session.run(None, feeds)
        return outputs[0], tuple(outputs[1:])

    def _zeros(self, count: int) -> State:
        return tuple(np.zeros((count, *s["shape"]), s["dtype"]) for s in self.card.state)


def _session(graph: bytes, threads: int) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    # A spinning pool would slow whatever shares the machine.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])


def input_names(observation_space: spaces.SpaceData) -> list[str]:
    """Graph inputs that carry the observation: one, or one per key of a Dict space."""
    if observation_space["kind"] == "dict":
        return [f"observation.{key}" for key in observation_space["spaces"]]
    return ["observation"]


def input_spaces(observation_space: spaces.SpaceData) -> list[spaces.SpaceData]:
    """The spaces of those inputs, in the same order."""
    if observation_space["kind"] == "dict":
        return list(observation_space["spaces"].values())
    return [observation_space]


def array_type(space: spaces.SpaceData) -> tuple[tuple[int, ...], np.dtype[Any]]:
    """Shape and dtype in which a graph takes one member of a space."""
    kind = space["kind"]
    if kind == "box":
        return tuple(space["shape"]), np.dtype(space["dtype"])
    if kind == "discrete":
        return (), np.dtype(np.int64)
    if kind == "multi_discrete":
        return (len(space["nvec"]),), np.dtype(np.int64)
    return (space["n"],), np.dtype(np.int8)


def _feeds(card: Card, observations: Any) -> dict[str, np.ndarray]:
    parts = (
        [observations[key] for key in card.observation_space["spaces"]]
        if card.observation_space["kind"] == "dict"
        else [observations]
    )
    feeds = {}
    names, kinds = input_names(card.observation_space), input_spaces(card.observation_space)
    for name, space, part in zip(names, kinds, parts, strict=True):
        shape, dtype = array_type(space)
        array = np.ascontiguousarray(part, dtype)
        if array.shape[1:] != shape:
            raise _wrong_shape(name, array.shape[1:], shape)
        feeds[name] = array
    return feeds


def _wrong_shape(name: str, found: object, expected: object) -> BadInput:
    return BadInput(
        f"{name} of shape {found}",
        f"shape {expected}",
        "Give the environment's raw observation; the policy does its own preprocessing.",
    )


class _Binding:
    """Buffers bound once to a session, so that a decision copies in, runs and copies out."""

    def __init__(self, session: onnxruntime.InferenceSession, card: Card) -> None:
        binding = session.io_binding()
        space = card.observation_space
        self._keys = list(space["spaces"]) if space["kind"] == "dict" else None
        self._inputs = []
        for name, part in zip(input_names(space), input_spaces(space), strict=True):
            shape, dtype = array_type(part)
            self._inputs.append(self._bind_input(binding, name, (1, *shape), dtype))
        self._state = [
            self._bind_input(binding, s["name"], (1, *s["shape"]), np.dtype(s["dtype"]))
            for s in card.state
        ]
        shape, dtype = array_type(card.action_space)
        self._action = self._bind_output(binding, "action", (1, *shape), dtype)
        self._next = [
            self._bind_output(binding, f"next_{s['name']}", (1, *s["shape"]), np.dtype(s["dtype"]))
            for s in card.state
        ]
        self._scalar = shape == ()
        # The wrapper methods of onnxruntime add a tenth of a small network's whole cost.
        self._run = session._sess.run_with_iobinding
        self._io = binding._iobinding
        self._keep = binding
        self.act = self._choose()

    @staticmethod
    def _bind_input(binding: Any, name: str, shape: tuple[int, ...], dtype: Any) -> np.ndarray:
        array = np.zeros(shape, dtype)
        binding.bind_input(name, "cpu", 0, dtype.type, shape, array.ctypes.data)
        return array

    @staticmethod
    def _bind_output(binding: Any, name: str, shape: tuple[int, ...], dtype: Any) -> np.ndarray:
        array = np.zeros(shape, dtype)
        binding.bind_output(name, "cpu", 0, dtype.type, shape, array.ctypes.data)
        return array

    def _choose(self) -> Any:
        if self._keys is None and not self._state:
            return self._make_simple()
        return self._act_general

    def _make_simple(self) -> Any:
        """The common case as a closure over local names: one array in, one action out."""
        row, shape = self._inputs[0], self._inputs[0].shape[1:]
        run, io, action, scalar = self._run, self._io, self._action, self._scalar
        scalar_input = shape == ()

        def act(observation: Any, state: State = ()) -> tuple[Any, State]:
            if not scalar_input and getattr(observation, "shape", None) != shape:
                observation = _as_array(observation, shape)
            row[0] = observation
            run(io, None)
            return (action[0] if scalar else action[0].copy()), ()

        return act

    def _act_general(self, observation: Any, state: State = ()) -> tuple[Any, State]:
        parts = [observation] if self._keys is None else [observation[k] for k in self._keys]
        for buffer, part in zip(self._inputs, parts, strict=True):
            shape = buffer.shape[1:]
            buffer[0] = part if getattr(part, "shape", None) == shape else _as_array(part, shape)
        if len(state) != len(self._state):
            raise BadInput(
                f"{len(state)} state arrays",
                f"{len(self._state)}",
                "Give what the previous act() returned, or policy.reset() to start an episode.",
            )
        for buffer, array in zip(self._state, state, strict=True):
            buffer[:] = array
        self._run(self._io, None)
        action = self._action[0] if self._scalar else self._action[0].copy()
        return action, tuple(array.copy() for array in self._next)


def _as_array(observation: Any, shape: tuple[int, ...]) -> np.ndarray:
    array = np.asarray(observation)
    if array.shape != shape:
        raise _wrong_shape("observation", array.shape, shape)
    return array


def load_policy(folder: str | Path, threads: int = 1) -> FrozenPolicy:
    """Load a frozen policy and prove that it still acts as it did when it was frozen.

    Args:
        folder: Holds `policy.json` and `policy.onnx`; a run folder is taken for its `policy/`.
        threads: Threads of onnxruntime.

    Raises:
        BadInput: The folder is not a frozen policy, is damaged, or is of a newer format.
    """
    folder = locate(Path(folder))
    card = read_card(folder)
    try:
        graph = (folder / paths.POLICY_GRAPH).read_bytes()
    except OSError as error:
        raise BadInput(
            f"cannot read {folder / paths.POLICY_GRAPH}: {error.strerror}", "the policy's graph"
        ) from error
    if files.sha256(graph) != card.onnx_sha256:
        raise BadInput(
            f"{folder / paths.POLICY_GRAPH} is not the file its card was written for",
            f"SHA-256 {card.onnx_sha256[:12]}...",
            "Freeze the run again: the folder was changed or damaged.",
        )
    try:
        policy = FrozenPolicy(card, graph, threads)
    except BadInput:
        raise
    except Exception as error:
        raise BadInput(
            f"onnxruntime refuses {folder / paths.POLICY_GRAPH}: {str(error)[:200]}",
            "a graph that rl-lab wrote",
            "Freeze the run again.",
        ) from error
    _prove(policy, folder)
    return policy


def save(policy: FrozenPolicy, folder: Path) -> None:
    """Put a policy on disk; a policy that was there is replaced as a whole.

    Raises:
        BadInput: The folder holds something that is not a frozen policy.
        Failed: The disk is full or read-only.
    """
    if folder.exists():
        ours = {paths.POLICY_CARD, paths.POLICY_GRAPH}
        others = sorted({p.name for p in folder.iterdir()} - ours)
        if others:
            raise BadInput(
                f"{folder} holds other files: {', '.join(others[:5])}",
                "a new folder, or a frozen policy to replace",
                "Choose another to=FOLDER.",
            )
    # Graph first: a card is never newer than what it vouches for by more than one write, and a
    # reader in between is told that the hash differs instead of acting wrongly.
    files.write_bytes(folder / paths.POLICY_GRAPH, policy.graph)
    files.write_json(folder / paths.POLICY_CARD, policy.card.to_data())


def locate(folder: Path) -> Path:
    """The frozen policy at `folder`: itself, or the final one of a run folder.

    Raises:
        BadInput: There is none.
    """
    for candidate in (folder, folder / "policy"):
        if (candidate / paths.POLICY_CARD).is_file():
            return candidate
    raise BadInput(
        f"{folder} holds no frozen policy",
        f"a folder with {paths.POLICY_CARD} and {paths.POLICY_GRAPH}, or a finished run",
        "`rl-lab list` shows what is at hand; `rl-lab freeze run=FOLDER to=FOLDER` makes one.",
    )


def read_card(folder: Path) -> Card:
    """Read and check a policy's card.

    Raises:
        BadInput: It is not a card, is of a newer format, or lacks a field.
    """
    path = folder / paths.POLICY_CARD
    data = files.read_json(path)
    if not isinstance(data, dict) or data.get("format") != FORMAT:
        raise BadInput(f"{path} is not the card of a frozen policy", f'"format": "{FORMAT}"')
    if data.get("format_version") != FORMAT_VERSION:
        raise BadInput(
            f"{path} has format_version {data.get('format_version')!r}",
            f"version {FORMAT_VERSION}, the one this rl-lab reads",
            "Update rl-lab, or freeze the run again with this one.",
        )
    fields = {f.name for f in dataclasses.fields(Card)}
    found = set(data) - {"format", "format_version"}
    if fields != found:
        wrong = sorted(fields ^ found)
        raise BadInput(f"{path}: missing or unknown fields {', '.join(wrong)}", "a card by rl-lab")
    data = {name: data[name] for name in fields}
    return Card(**{**data, "state": tuple(data["state"])})


def golden_batch(card: Card) -> Any:
    """The golden observations as a batch that `act_batch` takes."""
    stored = card.golden["observations"]
    if card.observation_space["kind"] == "dict":
        kinds = card.observation_space["spaces"]
        return {k: np.array(stored[k], array_type(s)[1]) for k, s in kinds.items()}
    return np.array(stored, array_type(card.observation_space)[1])


def actions_differ(space: Any, one: np.ndarray, two: np.ndarray) -> str:
    """How two batches of actions differ beyond the promise, as a clause; "" where they do not."""
    one, two = np.asarray(one), np.asarray(two)
    if one.shape != two.shape:
        return f"actions of shape {one.shape} instead of {two.shape}"
    if one.dtype.kind != "f":
        wrong = int((one != two).reshape(len(one), -1).any(axis=1).sum())
        return f"{wrong} of {len(one)} actions differ" if wrong else ""
    scale = np.asarray(space.high, np.float64) - np.asarray(space.low, np.float64)
    error = np.abs(one.astype(np.float64) - two.astype(np.float64)) / scale
    worst = float(np.max(error)) if error.size else 0.0
    if worst <= BOX_TOLERANCE:
        return ""
    return f"actions differ by {worst:.1e} of the action range (allowed: {BOX_TOLERANCE:.0e})"


def _prove(policy: FrozenPolicy, folder: Path) -> None:
    actions, _ = policy.act_batch(golden_batch(policy.card))
    _, dtype = array_type(policy.card.action_space)
    expected = np.array(policy.card.golden["actions"], dtype)
    if text := actions_differ(policy.action_space, actions, expected):
        raise BadInput(
            f"{folder} does not act as when it was frozen: {text}",
            "the golden actions of its card",
            "Freeze the run again, or use the onnxruntime version it was frozen with.",
        )
