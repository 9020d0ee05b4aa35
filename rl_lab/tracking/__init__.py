"""What is logged while it happens: TensorBoard events and `metrics.jsonl`, without torch."""

from __future__ import annotations

from rl_lab.tracking import tags
from rl_lab.tracking.events import EventWriter, Layout, NullWriter, Plain
from rl_lab.tracking.metrics import MetricsLog, read_metrics

__all__ = ["EventWriter", "Layout", "MetricsLog", "NullWriter", "Plain", "read_metrics", "tags"]
