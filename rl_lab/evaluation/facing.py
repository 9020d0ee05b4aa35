"""Who faces which seeds in which world; quick for thousands of policies with the same list."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping, Sequence

from rl_lab.shifts import Context

Faced = Iterable[tuple[Context, Sequence[int]]]
Piece = tuple[int, ...]
_Key = tuple[str, float, str]


@dataclasses.dataclass(frozen=True)
class Share:
    """Policies that face the same seeds in a world.

    Attributes:
        context: The world.
        policies: Their numbers, in order.
        pieces: The seeds.
    """

    context: Context
    policies: Sequence[int]
    pieces: Sequence[Piece]

    def __len__(self) -> int:
        """How many pieces all of them face together."""
        return len(self.policies) * len(self.pieces)


def shares(count: int, common: Faced, own: Mapping[int, Faced], size: int) -> Iterator[Share]:
    """Each world, the policies that live there in order, and their seeds in pieces of a size.

    Seeds that several policies face are the same objects.

    Args:
        count: Policies, which are numbered.
        common: What all of them face.
        own: What some face besides.
        size: The last piece is shorter where the seeds do not divide.
    """
    worlds: dict[_Key, Context] = {}
    shared = _by_key(common, worlds)
    alone: dict[_Key, dict[int, dict[int, None]]] = {}
    for i, faced in own.items():
        for key, more in _by_key(faced, worlds).items():
            alone.setdefault(key, {})[i] = more
    made: dict[Piece, list[Piece]] = {}

    def cut(seeds: Piece) -> list[Piece]:
        if seeds not in made:
            made[seeds] = list(map(tuple, blocks(seeds, size)))
        return made[seeds]

    for key, context in worlds.items():
        usual, mine = tuple(shared.get(key, ())), alone.get(key, {})
        first = 0
        for i in sorted(mine):
            if usual and first < i:
                yield Share(context, range(first, i), cut(usual))
            yield Share(context, (i,), cut(tuple(dict.fromkeys((*usual, *mine[i])))))
            first = i + 1
        if usual and first < count:
            yield Share(context, range(first, count), cut(usual))


def _by_key(faced: Faced, worlds: dict[_Key, Context]) -> dict[_Key, dict[int, None]]:
    """Seeds by world, each once; takes note of worlds that are new."""
    found: dict[_Key, dict[int, None]] = {}
    for context, seeds in faced:
        worlds.setdefault(context.key, context)
        found.setdefault(context.key, {}).update(dict.fromkeys(seeds))
    return found


def blocks(seeds: Sequence[int], size: int) -> Iterator[Sequence[int]]:
    """Seeds in pieces of a size, the last one shorter where they do not divide."""
    return (seeds[i : i + size] for i in range(0, len(seeds), size))
