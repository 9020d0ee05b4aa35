"""Energy that the machine counts by itself: processor packages (RAPL) and NVIDIA GPUs (NVML)."""

from rl_lab.energy.counters import Counter, Counters
from rl_lab.energy.means import mean
from rl_lab.energy.meters import UNAVAILABLE, Meter, Meters, meters

__all__ = ["UNAVAILABLE", "Counter", "Counters", "Meter", "Meters", "mean", "meters"]
