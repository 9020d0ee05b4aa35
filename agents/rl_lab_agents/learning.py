"""`learn` of stable-baselines3 with boundaries at the one place where the state is whole.

The library's callbacks come too early (in the middle of a step) or too late (after the noise of
gSDE has been drawn). The state is whole between two updates: where the loop of `learn` begins anew.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm

from rl_lab_agents import health

# What the loop calls first: all but ARS collect, ARS updates as a whole.
_FIRST_CALLS = ("collect_rollouts", "_do_one_update")


class _Stop(Exception):
    """The listener asked for a stop."""


def learn(
    model: BaseAlgorithm,
    steps: int,
    on_start: Callable[[], None],
    boundary: Callable[[int], bool],
    beside: Sequence[BaseCallback],
    keywords: Mapping[str, Any],
) -> None:
    """Let a model learn until `steps` environment steps are done in all.

    Args:
        model: Who learns; its `num_timesteps` are done already.
        steps: The target.
        on_start: Called once everything is set up, before the first step.
        boundary: Told the steps done wherever the state is whole; False stops.
        beside: Callbacks of the library.
        keywords: More of the library's `learn`.
    """
    done = model.num_timesteps
    # From zero, so that the target is the same number for a restored model: schedules run on it,
    # and ARS takes `learn`'s argument itself for the total.
    model.num_timesteps = 0
    start = _Start(done, on_start)
    places = [name for name in _FIRST_CALLS if hasattr(model, name)][:1]
    for name in places:
        setattr(model, name, _after(boundary, model, getattr(model, name)))
    more: dict[str, Any] = {}
    if isinstance(model, OnPolicyAlgorithm):
        more["log_interval"] = 1
        model.dump_logs = _numbered(model, model.dump_logs)  # type: ignore[method-assign]
    try:
        model.learn(
            steps, callback=[start, *beside], reset_num_timesteps=False, **{**more, **keywords}
        )
    except _Stop:
        # Should it go on later, then from the state before this.
        model.logger.dump(model.num_timesteps)
        return
    except Exception as error:
        # Weights that are not finite show first as an error from deep inside of a distribution.
        health.require_finite_weights(model, error)
        raise
    finally:
        for name in (*places, "dump_logs"):
            vars(model).pop(name, None)
    health.require_finite_losses(model)
    # The algorithm dumps at its own interval; what came after the last dump is kept too.
    model.logger.dump(model.num_timesteps)
    boundary(model.num_timesteps)


def _after(
    boundary: Callable[[int], bool], model: BaseAlgorithm, call: Callable[..., Any]
) -> Callable[..., Any]:
    def checked(*args: Any, **keywords: Any) -> Any:
        health.require_finite_losses(model)
        if not boundary(model.num_timesteps):
            raise _Stop
        return call(*args, **keywords)

    return checked


def _numbered(model: Any, dump: Callable[..., None]) -> Callable[..., None]:
    """Iterations counted from the beginning of the training, not of this call."""

    def numbered(iteration: int = 0) -> None:
        dump(model.num_timesteps // (model.n_steps * model.n_envs))

    return numbered


class _Start(BaseCallback):
    def __init__(self, done: int, on_start: Callable[[], None]) -> None:
        super().__init__()
        self._done, self._on_start = done, on_start

    def _on_training_start(self) -> None:
        self.model.num_timesteps = self.num_timesteps = self._done
        self.model._num_timesteps_at_start = self._done
        self._on_start()

    def _on_step(self) -> bool:
        return True
