"""An off-policy agent that learns in one thread while it takes its next steps in another.

For environments that make it wait: a robot, a game in real time, a slow simulator. It acts with the
weights of the update before. Between two updates, where the state is whole, only one thread runs.
"""

from __future__ import annotations

import contextlib
import copy
import functools
import threading
from collections.abc import Callable, Iterator
from typing import Any

import torch
from stable_baselines3 import HerReplayBuffer
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.logger import Logger
from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm
from stable_baselines3.common.vec_env import VecNormalize

from rl_lab import states
from rl_lab.errors import BadInput

PENDING = "pending_gradient_steps"


def require_possible(model: BaseAlgorithm) -> None:
    """Refuse what cannot learn and act at the same time.

    Raises:
        BadInput: It has no actor that could act with older weights, its class has an update of its
            own, or its replay buffer asks the environments while it is read.
    """
    kind = type(model)
    own = getattr(kind, "collect_rollouts", None) is OffPolicyAlgorithm.collect_rollouts
    if not own or not hasattr(model.policy, "actor"):
        raise BadInput(
            f"training.parallel_updates=true with {kind.__name__}",
            "an off-policy agent with an actor whose steps are the library's own: sac, td3, ddpg, "
            "tqc, crossq",
            "Leave it out; agent=fast_... is the way to speed where steps are fast.",
        )
    trains = next(ancestor for ancestor in kind.__mro__ if "train" in vars(ancestor))
    if not states.is_of_the_library(trains.__module__):
        raise BadInput(
            f"training.parallel_updates=true with {kind.__name__}, which has its own train",
            "an agent whose updates are the library's: attributes that another train sets would "
            "be lost with the thread's copy of the agent",
            f"Leave it out, or leave train to {kind.__mro__[1].__name__}.",
        )
    if isinstance(getattr(model, "replay_buffer", None), HerReplayBuffer):
        raise BadInput(
            "training.parallel_updates=true with hindsight replay",
            "a replay buffer that does not ask the environments for rewards",
            "Leave one of them out.",
        )


@contextlib.contextmanager
def updates(model: BaseAlgorithm, counts: dict[str, int]) -> Iterator[None]:
    """Within this block, updates run while the next steps are taken.

    Args:
        model: Who learns; its loop collects and updates in turn.
        counts: Where it is kept how many gradient steps are still owed.
    """
    learner = _Learner(model, counts)
    learner.install()
    try:
        yield
    finally:
        learner.remove()


class _Learner:
    def __init__(self, model: Any, counts: dict[str, int]) -> None:
        self._model, self._counts = model, counts
        self._collect, self._train = model.collect_rollouts, type(model).train
        self._acting = _twin(model.policy)
        self._lock = threading.Lock()
        self._buffer = model.replay_buffer

    def install(self) -> None:
        self._model.collect_rollouts, self._model.train = self._collected, self._owe
        self._model.learn = self._learned
        for name in ("add", "sample"):
            setattr(self._buffer, name, _locked(self._lock, getattr(self._buffer, name)))

    def remove(self) -> None:
        for owner, names in (
            (self._model, ("collect_rollouts", "train", "learn")),
            (self._buffer, ("add", "sample")),
        ):
            for name in names:
                vars(owner).pop(name, None)

    def _owe(self, gradient_steps: int, batch_size: int) -> None:
        """In place of `train`: what is due now is done while the next steps are taken."""
        self._counts[PENDING] = gradient_steps

    def _collected(self, *args: Any, **keywords: Any) -> Any:
        # Both are copied before the thread starts: it writes into the actor that the twin copies.
        learner = self._learner()
        with self._acting_apart(), self._learning(learner):
            return self._collect(*args, **keywords)

    def _learned(self, *args: Any, **keywords: Any) -> Any:
        """In place of `learn`: all of it, and the update that is still owed at its end."""
        result = type(self._model).learn(self._model, *args, **keywords)
        with self._learning(self._learner()):
            pass
        return result

    def _learner(self) -> Any:
        """The model as the thread sees it: the same networks, but nothing that steps rewrite."""
        # Counters and log are its own while the other thread goes on counting and logging.
        learner = copy.copy(self._model)
        learner._logger = Logger(None, [])
        learner._vec_normalize_env = _frozen(self._model.get_vec_normalize_env())
        return learner

    @contextlib.contextmanager
    def _learning(self, learner: Any) -> Iterator[None]:
        """Update in a thread; at the end of the block it is done, whatever ended the block."""
        steps = self._counts.pop(PENDING, 0)
        if not steps:
            yield
            return
        failures: list[BaseException] = []
        work = functools.partial(self._train, learner, steps, self._model.batch_size)
        thread = threading.Thread(target=_run, args=(work, failures), daemon=True)
        thread.start()
        try:
            yield
        finally:
            thread.join()
        if failures:
            raise failures[0]
        self._model._n_updates = learner._n_updates
        for name, value in learner.logger.name_to_value.items():
            self._model.logger.record(name, value)

    @contextlib.contextmanager
    def _acting_apart(self) -> Iterator[None]:
        """Act with a copy of the actor, as it was before the update that runs meanwhile."""
        model, own = self._model, self._model.policy
        with torch.no_grad():
            for mine, live in zip(_tensors(self._acting.actor), _tensors(own.actor), strict=True):
                mine.copy_(live)
        model.policy, model.actor = self._acting, self._acting.actor
        try:
            yield
        finally:
            model.policy, model.actor = own, own.actor


def _run(work: Callable[[], object], failures: list[BaseException]) -> None:
    try:
        work()
    except BaseException as error:
        failures.append(error)


def _locked(lock: threading.Lock, call: Callable[..., Any]) -> Callable[..., Any]:
    """No row is read while it is being written."""

    def locked(*args: Any, **keywords: Any) -> Any:
        with lock:
            return call(*args, **keywords)

    return locked


def _frozen(normalizer: VecNormalize | None) -> VecNormalize | None:
    """A normaliser with the statistics of now, for rows that are read while others are counted."""
    if normalizer is None:
        return None
    frozen = copy.copy(normalizer)  # without its environments
    for name in {"obs_rms", "ret_rms"} & set(vars(normalizer)):
        setattr(frozen, name, copy.deepcopy(getattr(normalizer, name)))
    return frozen


def _tensors(module: torch.nn.Module) -> list[torch.Tensor]:
    return [*module.parameters(), *module.buffers()]


def _twin(policy: Any) -> Any:
    """A policy like another one, made without touching any random stream."""
    with torch.random.fork_rng(devices=[]):
        return type(policy)(**policy._get_constructor_parameters()).to(policy.device)
