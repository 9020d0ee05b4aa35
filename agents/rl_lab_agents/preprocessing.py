"""What happens to an observation before the policy sees it, as torch modules."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import torch
from stable_baselines3.common.vec_env import VecNormalize
from stable_baselines3.common.vec_env.stacked_observations import StackedObservations


class Normalizer(torch.nn.Module):
    """VecNormalize's observation path: float64 arithmetic, then float32.

    Args:
        mean: Running mean, of the observation's shape.
        variance: Running variance, of the same shape.
        epsilon: Added to the variance.
        limit: Results are clipped to plus and minus this.
    """

    mean: torch.Tensor
    deviation: torch.Tensor

    def __init__(self, mean: Any, variance: Any, epsilon: float, limit: float) -> None:
        super().__init__()
        deviation = np.sqrt(np.array(variance, np.float64) + epsilon)
        self.register_buffer("mean", torch.from_numpy(np.array(mean, np.float64)))
        self.register_buffer("deviation", torch.from_numpy(np.asarray(deviation)))
        self.limit = float(limit)

    def forward(self, observation: torch.Tensor) -> torch.Tensor:
        """Normalise a batch `[N, ...]`."""
        scaled = (observation.double() - self.mean) / self.deviation
        return scaled.clamp(-self.limit, self.limit).float()


def normalizer(source: VecNormalize | None, key: str | None) -> Normalizer | None:
    """The normaliser of one observation (or one key of a Dict); None where there is none."""
    if source is None or not source.norm_obs:
        return None
    moments: Any = source.obs_rms
    if key is not None:
        if key not in (source.norm_obs_keys or ()):
            return None
        moments = moments[key]
    return Normalizer(moments.mean, moments.var, source.epsilon, source.clip_obs)


@dataclasses.dataclass(frozen=True)
class Stack:
    """How one observation is stacked.

    Attributes:
        dimension: The axis of the batch along which frames are joined.
        shape: Of the stacked observation.
        dtype: Its NumPy type name.
    """

    dimension: int
    shape: tuple[int, ...]
    dtype: str


def stack(source: StackedObservations[Any] | None, key: str | None) -> Stack | None:
    """The stacking of one observation (or one key of a Dict); None where there is none."""
    if source is None:
        return None
    inner = source.sub_stacked_observations[key] if key is not None else source
    shape = tuple(inner.stacked_shape)
    return Stack(inner.stack_dimension, shape, np.dtype(inner.stacked_obs.dtype).name)


class Part(torch.nn.Module):
    """What happens to one observation (or one key of a Dict) before the policy sees it.

    Args:
        normalize: Applied first, or None.
        frames: Applied next, or None.
        transpose: Whether an image goes from channels-last to channels-first at the end.
    """

    def __init__(self, normalize: Normalizer | None, frames: Stack | None, transpose: bool) -> None:
        super().__init__()
        self.normalize, self.frames, self.transpose = normalize, frames, transpose

    def forward(
        self, observation: torch.Tensor, stacked: torch.Tensor | None
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Preprocess a batch; also give the next stack where there is one."""
        if self.normalize is not None:
            observation = self.normalize(observation)
        following = None
        if self.frames is not None and stacked is not None:
            axis = self.frames.dimension
            # As the library's stack does: it keeps the type of the space, even where normalising
            # made fractions of integers.
            observation = observation.to(getattr(torch, self.frames.dtype))
            kept = stacked.narrow(axis, observation.shape[axis], self._kept(observation))
            observation = following = torch.cat([kept, observation], dim=axis)
        if self.transpose:
            observation = observation.permute(0, 3, 1, 2)
        return observation, following

    def _kept(self, observation: torch.Tensor) -> int:
        assert self.frames is not None
        axis = self.frames.dimension
        whole = self.frames.shape[axis - 1 if axis > 0 else axis]
        return int(whole - observation.shape[axis])
