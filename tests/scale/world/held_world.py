"""CartPole whose steps take long while a file exists: its trainings are caught in the middle."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import gymnasium
from gymnasium.envs.classic_control.cartpole import CartPoleEnv

_HOLD = Path(os.environ["RL_LAB_TEST_HOLD"])


class Held(CartPoleEnv):
    """CartPole."""

    def step(self, action: Any) -> Any:
        """One step, in no time or in a twentieth of a second."""
        if _HOLD.exists():
            time.sleep(0.05)
        return super().step(action)


gymnasium.register("Held-v0", entry_point=Held, max_episode_steps=200)
