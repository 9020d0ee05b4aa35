"""A reinforcement-learning lab: train, freeze, evaluate, compare and replay agents."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"
__all__ = ["DriftMonitor", "FrozenPolicy", "__version__", "load_policy"]

if TYPE_CHECKING:
    from rl_lab.drift.monitor import DriftMonitor
    from rl_lab.frozen_policy import FrozenPolicy, load_policy


def __getattr__(name: str) -> Any:
    # Loaded on first use, so that `rl-lab --help` does not wait for onnxruntime.
    if name == "DriftMonitor":
        from rl_lab.drift.monitor import DriftMonitor

        return DriftMonitor
    if name in ("FrozenPolicy", "load_policy"):
        from rl_lab import frozen_policy

        return getattr(frozen_policy, name)
    raise AttributeError(f"module 'rl_lab' has no attribute {name!r}")
