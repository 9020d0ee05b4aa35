"""How fast frozen policies decide: MLPerf's scenario names, our own numbers.

SingleStream and MultiStream are closed loops and give service times; Server has an open loop and
gives response times. None of it is an MLPerf result.
"""

from rl_lab.evaluation.speed.contrast import Known
from rl_lab.evaluation.speed.measuring import measure
from rl_lab.evaluation.speed.settings import Settings

__all__ = ["Known", "Settings", "measure"]
