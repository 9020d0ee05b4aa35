"""Three ways to bring an environment back to where it stood in the middle of an episode."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import gymnasium
import numpy as np

from rl_lab.states.decoding import decode
from rl_lab.states.encoding import encode
from rl_lab.states.state import StateMismatch

SNAPSHOT, REPLAY, BARRIER, RESET = "snapshot", "replay", "barrier", "reset"

Env = gymnasium.Env[Any, Any]
MakeEnv = Callable[[], Env]


def prepared(make_env: MakeEnv, strategy: str) -> MakeEnv:
    """Environments of which a strategy can write down the state.

    Args:
        make_env: Makes one environment.
        strategy: SNAPSHOT: attributes and simulator data are read. REPLAY: the episode so far is
            played again. BARRIER: an environment can only be brought back to the beginning of an
            episode, so that all begin anew when a checkpoint is taken. RESET: not even that; all
            begin anew when a run is continued.
    """
    kinds: dict[str, MakeEnv] = {
        SNAPSHOT: make_env,
        REPLAY: lambda: Journal(make_env()),
        BARRIER: lambda: FromStart(make_env),
        RESET: lambda: Unkept(make_env()),
    }
    return kinds[strategy]


class Journal(gymnasium.Wrapper[Any, Any, Any, Any]):
    """Remembers what led to where an environment stands: its state before the reset, the actions.

    Args:
        env: The environment.
    """

    def __init__(self, env: Env) -> None:
        super().__init__(env)
        self._before: tuple[str, dict[str, np.ndarray]] | None = None
        self._reset: tuple[int | None, Any] = (None, None)
        self._actions: list[Any] = []

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        """Reset, remembering the random streams before it."""
        arrays: dict[str, np.ndarray] = {}
        self._before = json.dumps(encode(self.env, arrays, "before")), arrays
        self._reset = seed, options
        self._actions = []
        return self.env.reset(seed=seed, options=options)

    def step(self, action: Any) -> Any:
        """Step, remembering the action."""
        self._actions.append(action.copy() if hasattr(action, "copy") else action)
        return self.env.step(action)

    def checkpoint_state(self) -> dict[str, Any]:
        """The state before the last reset, its arguments, and the actions since."""
        if self._before is None:
            return {"before": None}
        before, arrays = self._before
        seed, options = self._reset
        actions = np.stack(self._actions) if self._actions else None
        data = {"before": before, "arrays": dict(arrays), "seed": seed, "options": options}
        return {**data, "actions": actions}

    def restore_checkpoint_state(self, state: dict[str, Any]) -> None:
        """Reset and act as before."""
        if state["before"] is None:
            return
        decode(json.loads(state["before"]), state["arrays"], self.env)
        self.reset(seed=state["seed"], options=state["options"])
        for action in () if state["actions"] is None else state["actions"]:
            self.step(action)


class FromStart(gymnasium.Wrapper[Any, Any, Any, Any]):
    """Remembers the seed of a reset, as long as no step has followed it.

    Args:
        make_env: Makes the environment.
    """

    def __init__(self, make_env: MakeEnv) -> None:
        super().__init__(make_env())
        self._make_env = make_env
        self._seed: int | None = None

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        """Reset, remembering the seed."""
        self._seed = seed
        return self.env.reset(seed=seed, options=options)

    def step(self, action: Any) -> Any:
        """Step; from here on there is no way back."""
        self._seed = None
        return self.env.step(action)

    def checkpoint_state(self) -> dict[str, Any]:
        """The seed, or None in the middle of an episode."""
        return {"seed": self._seed}

    def restore_checkpoint_state(self, state: dict[str, Any]) -> None:
        """Reset a fresh environment with the same seed: a second reset may not be as the first."""
        if state["seed"] is None:
            raise StateMismatch(
                "the checkpoint was taken in the middle of an episode that cannot be repeated",
                "one taken where the environments began anew",
            )
        self.env.close()
        self.env = self._make_env()
        self.reset(seed=state["seed"])


class Unkept(gymnasium.Wrapper[Any, Any, Any, Any]):
    """Keeps an environment's state out of checkpoints."""

    def checkpoint_state(self) -> dict[str, Any]:
        """Nothing."""
        return {}

    def restore_checkpoint_state(self, state: dict[str, Any]) -> None:
        """Nothing is there to restore."""
