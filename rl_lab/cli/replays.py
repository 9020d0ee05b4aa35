"""An evaluation's replays: recordings of telling episodes, and the clips its report plays."""

from __future__ import annotations

import dataclasses
import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from rl_lab import files, frozen_policy, paths, replay
from rl_lab.errors import BadInput, LabError
from rl_lab.evaluation.plan import Entrant
from rl_lab.frozen_policy import FrozenPolicy
from rl_lab.records import EpisodeRecord
from rl_lab.replay import ClipSettings, Replay
from rl_lab.shifts import Shift

PICKS = ("best", "median", "worst")
_FAR_END = 1.0


@dataclasses.dataclass(frozen=True)
class Wanted:
    """What to keep of an evaluation.

    Attributes:
        folder: The evaluation's.
        entrants: Its policies.
        step_limit: For environments without a limit of their own.
        imports: Packages that register environments.
        shifts: The hardest of them is shown beside the training context.
        shown: How many contestants, the best first, have clips; the others have recordings.
        clip: How these are made.
    """

    folder: Path
    entrants: Sequence[Entrant]
    step_limit: int
    imports: tuple[str, ...]
    shifts: Sequence[Shift]
    shown: int
    clip: ClipSettings


def keep(wanted: Wanted, records: Iterable[EpisodeRecord], ranking: Sequence[str]) -> None:
    """Write recordings and clips below `replays/` of the evaluation's folder.

    Args:
        wanted: What to keep.
        records: All episodes.
        ranking: The contestants, best first.
    """
    for old in (wanted.folder / paths.REPLAYS).glob("*"):
        if old.suffix in (".json", ".webp"):
            old.unlink()
    stage = _Stage(wanted)
    rows = list(records)
    picked = {name: stage.record_picks(name, rows) for name in ranking}
    shown = [name for name in ranking if picked[name]][: wanted.shown]
    for scene in _scenes(stage, shown, picked, _hardest(wanted.shifts, rows)):
        stage.add_scene(*scene)
    stage.write()


def _hardest(shifts: Sequence[Shift], rows: Sequence[EpisodeRecord]) -> Shift | None:
    """The shift at whose far end the contestants return least."""

    def at_end(shift: Shift) -> float:
        found = [r.episode_return for r in rows if (r.shift, r.delta) == (shift.name, _FAR_END)]
        return statistics.fmean(found) if found else math.inf

    return min(shifts, key=at_end, default=None)


def _scenes(
    stage: _Stage,
    shown: Sequence[str],
    picked: Mapping[str, Mapping[str, EpisodeRecord]],
    shift: Shift | None,
) -> Iterable[tuple[str, list[tuple[str, Replay | None]]]]:
    """Title and the named episodes that are played side by side."""
    if not shown:
        return
    seed = picked[shown[0]]["median"].evaluation_seed
    seeds = {name: picked[name]["median"].training_seed for name in shown}
    nominal = {name: stage.live(name, seeds[name], seed) for name in shown}
    yield f"The same episode seed {seed}", list(nominal.items())
    if shift is not None:
        end = f"{shift.name} at {_FAR_END:g}"
        for name in shown:
            shifted = stage.live(name, seeds[name], seed, shift)
            both = [("training context", nominal[name]), (end, shifted)]
            yield f"{name}: training context beside {end}", both
    for name in shown:
        episodes = [
            (pick, stage.live(name, row.training_seed, row.evaluation_seed))
            for pick, row in picked[name].items()
        ]
        yield f"{name}: best, median and worst episode", episodes


class _Stage:
    """What has been recorded so far; no episode is lived twice.

    Args:
        wanted: What to keep.
    """

    def __init__(self, wanted: Wanted) -> None:
        self.wanted = wanted
        self._folder = wanted.folder / paths.REPLAYS
        self._places = {(e.contestant, e.training_seed): e.folder for e in wanted.entrants}
        self._policies: dict[Path, FrozenPolicy] = {}
        self._lived: dict[tuple[Any, ...], Replay | None] = {}
        self._clips: dict[str, dict[str, Any]] = {}
        self._ids: dict[int, str] = {}
        self._scenes: list[dict[str, Any]] = []
        self._recordings: list[dict[str, Any]] = []
        self._missing: list[dict[str, str]] = []

    def record_picks(self, name: str, records: Sequence[EpisodeRecord]) -> dict[str, EpisodeRecord]:
        """Write the best, median and worst episode of a contestant; pick -> its record."""
        mine = [record for record in records if record.contestant == name]
        found = {}
        for pick in PICKS:
            try:
                row = replay.pick(mine, pick)
            except BadInput as error:
                self._lack(name, error.came)
                return {}
            episode = self.live(name, row.training_seed, row.evaluation_seed)
            if episode is None:
                return {}
            if episode.episode_return != row.episode_return:
                again = f"{episode.episode_return:g} instead of {row.episode_return:g}"
                self._lack(name, f"its {pick} episode, lived again, returns {again}")
                return {}
            file = paths.file_name(f"{name}-{pick}") + ".json"
            replay.save(episode, self._folder / file)
            facts = {"contestant": name, "pick": pick, "file": f"{paths.REPLAYS}/{file}"}
            self._recordings.append({**facts, **_facts(episode)})
            found[pick] = row
        return found

    def live(
        self, name: str, training_seed: int, seed: int, shift: Shift | None = None
    ) -> Replay | None:
        """One episode, recorded; None where that failed."""
        key = (name, training_seed, seed, shift.name if shift else "")
        if key not in self._lived:
            self._lived[key] = None
            try:
                policy = self._policy(self._places[name, training_seed])
                self._lived[key] = replay.record(
                    policy,
                    seed,
                    self.wanted.step_limit,
                    shift,
                    _FAR_END if shift else 0.0,
                    self.wanted.imports,
                )
            except LabError as error:
                self._lack(name, f"episode {seed} of training seed {training_seed}: {error.came}")
        return self._lived[key]

    def _policy(self, folder: Path) -> FrozenPolicy:
        if folder not in self._policies:
            self._policies[folder] = frozen_policy.load_policy(folder)
        return self._policies[folder]

    def _lack(self, name: str, reason: str) -> None:
        self._missing.append({"name": name, "reason": reason})

    def add_scene(self, title: str, episodes: Sequence[tuple[str, Replay | None]]) -> None:
        """Make clips of some episodes, to be played side by side."""
        players = [
            {"name": name, "clip": self._clip(episode)}
            for name, episode in episodes
            if episode is not None
        ]
        if players:
            self._scenes.append({"title": title, "players": players})

    def _clip(self, episode: Replay) -> str:
        key = self._ids.setdefault(id(episode), f"clip-{len(self._ids):02d}")
        if key not in self._clips:
            made = replay.clip(episode, self.wanted.clip, self.wanted.imports)
            file = f"{paths.REPLAYS}/{key}.webp" if made.sheet else None
            if made.sheet:
                files.write_bytes(self.wanted.folder / str(file), made.sheet)
            self._clips[key] = {**made.data, "sheet": file}
        return key

    def write(self) -> None:
        """Write the index of all this."""
        data = {
            "format_version": 1,
            "recordings": self._recordings,
            "scenes": self._scenes,
            "clips": self._clips,
            "missing": self._missing,
        }
        files.write_json(self._folder / paths.REPLAYS_INDEX, data)


def _facts(episode: Replay) -> dict[str, Any]:
    return {
        "training_seed": episode.training_seed,
        "seed": episode.seed,
        "episode_return": episode.episode_return,
        "length": episode.length,
        "ended": episode.ended,
    }
