"""Who faces which seeds in which world, against the plainest way to say it."""

from __future__ import annotations

import random
from types import SimpleNamespace
from typing import Any

from rl_lab.evaluation import facing


def world(name: str) -> Any:
    return SimpleNamespace(key=(name, 0.0, "none"))


def plainly(count: int, common: Any, own: Any, size: int) -> list[tuple[str, int, list[Any]]]:
    names: dict[str, None] = {}
    seeds: dict[tuple[str, int], dict[int, None]] = {}
    everyone = [(i, faced) for i in range(count) for faced in common]
    alone = [(i, faced) for i in sorted(own) for faced in own[i]]
    for i, (context, some) in [*everyone, *alone]:
        names[context.key[0]] = None
        seeds.setdefault((context.key[0], i), {}).update(dict.fromkeys(some))
    found = []
    for name in names:
        for i in range(count):
            mine = list(seeds.get((name, i), []))
            if mine:
                parts = [tuple(mine[k : k + size]) for k in range(0, len(mine), size)]
                found.append((name, i, parts))
    return found


def test_pieces_are_those_of_the_plain_way() -> None:
    rng = random.Random(0)
    for _ in range(300):
        count, size = rng.randrange(1, 5), rng.randrange(1, 4)

        def some() -> list[Any]:
            return [
                (world(rng.choice("abcd")), [rng.randrange(9) for _ in range(rng.randrange(1, 6))])
                for _ in range(rng.randrange(1, 4))
            ]

        common = some()
        own = {i: some() for i in range(count) if rng.random() < 0.5}
        found = list(facing.shares(count, common, own, size))
        made = [(s.context.key[0], i, s.pieces) for s in found for i in s.policies]
        assert made == plainly(count, common, own, size)
        assert [len(s) for s in found] == [len([*s.policies]) * len(s.pieces) for s in found]


def test_equal_pieces_are_one_object() -> None:
    own = {1: [(world("b"), [7])], 2: [(world("b"), [7])]}
    first, *others = facing.shares(3, [(world("a"), [1, 2, 3])], own, 2)
    assert (first.policies, first.pieces) == (range(3), [(1, 2), (3,)])
    assert [(s.policies, s.pieces) for s in others] == [((1,), [(7,)]), ((2,), [(7,)])]
    assert others[0].pieces is others[1].pieces
