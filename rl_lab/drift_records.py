"""Records of the drift block: each evaluation seed lived with a moving context and without."""

from __future__ import annotations

import contextlib
import dataclasses
import json
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from rl_lab.statistics.resampling import FloatArray

FORMAT_VERSION = 1
JOURNAL_VERSION = 2
COLUMNS = (
    "contestant", "training_seed", "shift", "delta", "schedule", "evaluation_seed", "length",
    "terminated", "truncated", "episode_return", "return_after", "recovery", "alarm_step",
    "residual_after", "novelty_after",
)  # fmt: skip
STILL = "none"


@dataclasses.dataclass(frozen=True)
class DriftRecord:
    """One episode of the drift block; "after" counts from the change on.

    Attributes:
        contestant: The recipe's name.
        training_seed: Of the policy.
        shift: What moved; `none` where nothing did.
        delta: What its magnitude moved to; with episodes for a clock, that of this episode.
        schedule: How it moved; `none` where it did not.
        evaluation_seed: Given to `env.reset`.
        length: Steps.
        terminated: The environment reached a final state.
        truncated: A limit cut it.
        episode_return: Sum of rewards.
        return_after: The same from the change on.
        recovery: Mean reward of the last third after the change minus the first third; None with
            fewer than three steps there.
        alarm_step: Observations after which the monitor's alarm went up; None: never.
        residual_after: Mean residual of the one-step model; None without.
        novelty_after: Share of steps outside of the usual range; None without a monitor.
        samples: Thinned observations after the change [t, s]; None without.
        no_monitor: Why there is none; else "".
        reference_novelty: Share of novel steps in the policy's reference; None without.
        false_alarm_rate: That the alarm is calibrated to; None without an alarm.
        sd_s: The reference's units [s]; None without.
        categories: Observations are one discrete variable; None without a reference.
        change_step: Steps before the change that "after" counts from.
        reference_sha256: Of the reference's file; `none` without one.
    """

    contestant: str
    training_seed: int
    shift: str
    delta: float
    schedule: str
    evaluation_seed: int
    length: int
    terminated: bool
    truncated: bool
    episode_return: float
    return_after: float
    recovery: float | None
    alarm_step: int | None
    residual_after: float | None
    novelty_after: float | None
    samples: FloatArray | None
    no_monitor: str
    reference_novelty: float | None
    false_alarm_rate: float | None
    sd_s: FloatArray | None
    categories: bool | None
    change_step: int
    reference_sha256: str

    @property
    def drift(self) -> bool:
        """Whether the context moved."""
        return self.schedule != STILL

    @property
    def key(self) -> tuple[str, int, tuple[str, float, str], int]:
        """What was evaluated, as `EpisodeRecord.key` has it."""
        world = (self.shift, self.delta, self.schedule)
        return self.contestant, self.training_seed, world, self.evaluation_seed


def to_csv(found: Iterable[DriftRecord]) -> str:
    """All records in the order given, as CSV text; what is missing is empty."""
    rows = [",".join(("format_version", *COLUMNS))]
    for record in found:
        cells = [_cell(getattr(record, name)) for name in COLUMNS]
        rows.append(",".join([str(FORMAT_VERSION), *cells]))
    return "\n".join(rows) + "\n"


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "1" if value else "0"
    return repr(value) if isinstance(value, float) else str(value)


def to_line(record: DriftRecord) -> str:
    """All of a record as one line of JSON, for a journal."""
    data = {field.name: getattr(record, field.name) for field in dataclasses.fields(record)}
    arrays = {key: value.tolist() for key, value in data.items() if isinstance(value, np.ndarray)}
    return json.dumps({"format_version": JOURNAL_VERSION, **data, **arrays}) + "\n"


def read_journal(path: Path) -> list[DriftRecord]:
    """The whole lines of a journal that may end in the middle of one."""
    if not path.exists():
        return []
    found = []
    for line in path.read_text(encoding="utf-8").split("\n")[:-1]:
        # What cannot be read is lived again; the journal only saves work.
        with contextlib.suppress(ValueError, TypeError, KeyError):
            data = json.loads(line)
            if data.pop("format_version") == JOURNAL_VERSION:
                found.append(_record(data))
    return found


def _record(data: dict[str, object]) -> DriftRecord:
    record = DriftRecord(**data)  # type: ignore[arg-type]
    if record.sd_s is None or record.samples is None:
        return record
    sd_s = np.array(record.sd_s, dtype=float)
    samples = np.array(record.samples, dtype=float).reshape(-1, len(sd_s))
    return dataclasses.replace(record, sd_s=sd_s, samples=samples)
