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
        made = [(c.key[0], i, p) for c, i, p in facing.pieces(count, common, own, size) if p]
        assert made == plainly(count, common, own, size)


def test_equal_pieces_are_one_object() -> None:
    own = {1: [(world("b"), [7])], 2: [(world("b"), [7])]}
    made = list(facing.pieces(3, [(world("a"), [1, 2, 3])], own, 2))
    assert [(i, p) for _, i, p in made] == [(k, [(1, 2), (3,)]) for k in range(3)] + [
        (1, [(7,)]),
        (2, [(7,)]),
    ]
    assert made[0][2] is made[1][2]
    assert made[3][2] is made[4][2]
