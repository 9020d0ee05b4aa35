"""`DummyVecEnv` without its copies of infos."""

from __future__ import annotations

from typing import Any

import numpy as np
from stable_baselines3.common.vec_env import DummyVecEnv


class LeanVecEnv(DummyVecEnv):
    """Steps environments one after another; arrays are copied, infos are handed on as they came.

    The library copies the infos of every step deeply, so that an environment may go on using its
    own; environments give fresh ones, and a copy of each costs as much as a small step.
    """

    def step_wait(self) -> Any:
        """One step of each environment; those whose episode ends are reset."""
        infos = []
        for i, env in enumerate(self.envs):
            observation, reward, terminated, truncated, given = env.step(self.actions[i])
            info = dict(given)
            info["TimeLimit.truncated"] = truncated and not terminated
            self.buf_rews[i] = reward
            self.buf_dones[i] = done = terminated or truncated
            if done:
                info["terminal_observation"] = observation
                observation, self.reset_infos[i] = env.reset()
            self._save_obs(i, observation)
            infos.append(info)
        self.buf_infos = infos
        return self._obs_from_buf(), self.buf_rews.copy(), self.buf_dones.copy(), infos

    def _obs_from_buf(self) -> Any:
        if self.keys == [None]:
            observations: np.ndarray = self.buf_obs[None].copy()  # type: ignore[index]
            return observations
        return super()._obs_from_buf()
