"""From episode records to `scores.json`: per training seed first, then intervals over the seeds."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from rl_lab import measures, robustness, seeding, statistics, tables, wording
from rl_lab.statistics import Interval

if TYPE_CHECKING:
    from rl_lab.environments import Anchors
    from rl_lab.records import EpisodeRecord
