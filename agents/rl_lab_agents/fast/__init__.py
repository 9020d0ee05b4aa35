"""Agents of stable-baselines3 whose rollouts and updates are compiled for the CPU."""

from __future__ import annotations

from rl_lab.errors import BadInput

try:
    import numba
    import threadpoolctl
except ImportError as error:
    raise BadInput(
        f"the fast agents need {error.name}, which is not installed",
        "the extra 'fast'",
        'Install it: pip install "rl-lab[fast]". The agents without fast_ need nothing more.',
    ) from error

assert numba
assert threadpoolctl
