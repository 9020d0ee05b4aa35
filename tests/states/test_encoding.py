"""Values that go through JSON and arrays come back as they were."""

from __future__ import annotations

import collections
import json
import random
import threading
from typing import Any, NamedTuple

import gymnasium
import numpy as np
import pytest

from rl_lab.states import StateMismatch, decode, encode


def through(value: Any, current: Any = None) -> Any:
    arrays: dict[str, np.ndarray] = {}
    data = json.loads(json.dumps(encode(value, arrays, "x"), allow_nan=False))
    return decode(data, {k: v.copy() for k, v in arrays.items()}, current)


PLAIN = [
    None,
    True,
    -3,
    2**100,
    0.1,
    float("inf"),
    "ü\n",
    b"\x00\xff",
    [1, [2.5, None]],
    (1, (2,)),
    {"a": {"b": 1}},
    {1: "x", ("a", 2): "y"},
    {"$array": "not an array"},
    {3, 1},
    collections.deque([1, 2], maxlen=3),
]


@pytest.mark.parametrize("value", PLAIN, ids=repr)
def test_plain_values_come_back_equal_and_of_their_type(value: Any) -> None:
    back = through(value)
    assert back == value
    assert type(back) is type(value)


def test_a_deque_keeps_its_length() -> None:
    assert through(collections.deque([1], maxlen=7)).maxlen == 7


def test_not_a_number_comes_back() -> None:
    assert np.isnan(through(float("nan")))


@pytest.mark.parametrize("dtype", ["f4", "f8", "i8", "u1", "?", ">f8"])
def test_arrays_and_scalars_keep_bits_and_type(dtype: str) -> None:
    array = np.arange(6).reshape(2, 3).astype(dtype)
    back = through(array)
    assert back.dtype == array.dtype
    np.testing.assert_array_equal(back, array)
    scalar = array[1, 1]
    assert type(through(scalar)) is type(scalar)
    assert through(scalar) == scalar


@pytest.mark.parametrize("kind", ["PCG64", "MT19937", "Philox", "SFC64"])
def test_generators_go_on_where_they_were(kind: str) -> None:
    generator = np.random.Generator(getattr(np.random, kind)(3))
    generator.random(5)
    back = through(generator)
    np.testing.assert_array_equal(back.random(1000), generator.random(1000))


def test_old_generators_keep_the_gaussian_that_they_hold_back() -> None:
    old = np.random.RandomState(1)
    old.normal()
    back = through(old)
    np.testing.assert_array_equal(back.normal(size=1000), old.normal(size=1000))
    python = random.Random(2)
    python.gauss(0, 1)
    back = through(python)
    assert [back.gauss(0, 1) for _ in range(9)] == [python.gauss(0, 1) for _ in range(9)]


def test_spaces_go_on_sampling() -> None:
    space = gymnasium.spaces.Dict(
        a=gymnasium.spaces.Discrete(1000), b=gymnasium.spaces.Box(0, 1, (3,))
    )
    space.seed(4)
    space.sample()
    other = gymnasium.spaces.Dict(
        a=gymnasium.spaces.Discrete(1000), b=gymnasium.spaces.Box(0, 1, (3,))
    )
    assert through(space, other) is other
    for _ in range(5):
        one, two = space.sample(), other.sample()
        assert one["a"] == two["a"]
        np.testing.assert_array_equal(one["b"], two["b"])


class Pair(NamedTuple):
    left: Any
    right: Any


class Thing:
    def __init__(self) -> None:
        self.number = 0
        self.array = np.zeros(3)
        self.view = self.array
        self.other: Any = None
        self.lock = threading.Lock()
        self.pair = Pair(0, 0)


def test_an_object_is_written_into_and_never_made() -> None:
    one, two = Thing(), Thing()
    one.number, one.pair = 5, Pair(1, 2)
    one.array[:] = 7
    lock, array = two.lock, two.array
    assert through(one, two) is two
    assert (two.number, two.pair) == (5, Pair(1, 2))
    assert two.lock is lock, "what cannot be written stays"
    assert two.array is array, "who else holds the array sees the new values"
    assert two.array.tolist() == [7, 7, 7]
    assert through(one, None) is None, "no class is made because a file names it"


def test_arrays_that_were_one_are_one_again() -> None:
    one, two = Thing(), Thing()
    two.view = np.zeros(3)
    through(one, two)
    assert two.array is two.view


def test_arrays_that_were_two_are_two_again() -> None:
    one, two = Thing(), Thing()
    one.view = np.array([1.0, 2, 3])
    through(one, two)
    assert two.array.tolist() == [0, 0, 0]
    assert two.view.tolist() == [1, 2, 3]


def test_objects_in_a_circle_are_no_trouble() -> None:
    one, two = Thing(), Thing()
    for thing in (one, two):
        thing.other = Thing()
        thing.other.other = thing
    one.other.number = 9
    through(one, two)
    assert two.other.number == 9
    assert two.other.other is two


def test_an_object_that_writes_itself_down() -> None:
    class Own:
        def __init__(self, x: int) -> None:
            self.x = x

        def checkpoint_state(self) -> Any:
            return {"x": self.x}

        def restore_checkpoint_state(self, state: Any) -> None:
            self.x = state["x"] * 10

    target = Own(0)
    through(Own(3), target)
    assert target.x == 30


def test_what_cannot_be_written_is_named() -> None:
    with pytest.raises(StateMismatch, match="x holds a function"):
        encode(lambda: 0, {}, "x")
    with pytest.raises(StateMismatch, match=r"unknown entry '\$call'"):
        decode({"$call": "os.system"}, {}, None)
