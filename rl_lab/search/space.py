"""What may be searched: typed ranges with constraints, as a file under `conf/search/` has them."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from rl_lab.errors import BadInput, closest

# Looks up what the configuration says of a key that is not searched.
Configured = Callable[[str], Any]


class Trial(Protocol):
    """The part of an Optuna trial that draws values."""

    def suggest_categorical(self, name: str, choices: Sequence[str]) -> Any:
        """One of the texts."""

    def suggest_float(self, name: str, low: float, high: float, *, log: bool = False) -> float:
        """A number within [low, high]."""

    def suggest_int(self, name: str, low: int, high: int, *, log: bool = False) -> int:
        """A whole number within [low, high]."""


@dataclasses.dataclass(frozen=True)
class Parameter:
    """One value of a trial. Exactly one of choices, range, same_as and fields is given.

    Attributes:
        key: What it sets; one without a dot is only there for others to refer to.
        choices: The values to choose from.
        low: The smallest number.
        high: The largest one.
        whole: Whole numbers only.
        log: Equal ratios are equally likely.
        power_of: The number is this to a whole power; 0 is any number.
        one_minus: What is drawn is 1 minus the number, as suits a discount.
        at_most: Keys whose product the number must not exceed.
        same_as: The key whose value it has.
        divided_by: With `same_as`: the key of a divisor; the result is whole, at least 1.
        fields: The value is a mapping: names and the keys of their values; null where one is null.
    """

    key: str
    choices: tuple[Any, ...] = ()
    low: float = math.nan
    high: float = math.nan
    whole: bool = False
    log: bool = False
    power_of: int = 0
    one_minus: bool = False
    at_most: tuple[str, ...] = ()
    same_as: str = ""
    divided_by: str = ""
    fields: tuple[tuple[str, str], ...] = ()

    @property
    def drawn_as(self) -> str:
        """The name under which a trial draws it."""
        if self.power_of:
            return f"{self.key} (power of {self.power_of})"
        return f"1 - {self.key}" if self.one_minus and not self.whole else self.key

    def drawn(self, trial: Trial, value_of: Configured) -> Any:
        """This parameter's value in a trial.

        Raises:
            BadInput: A constraint leaves no value.
        """
        if self.choices:
            texts = [json.dumps(choice) for choice in self.choices]
            return json.loads(trial.suggest_categorical(self.key, texts))
        if self.same_as:
            return self._derived(value_of)
        if self.fields:
            mapping = {name: value_of(key) for name, key in self.fields}
            return None if None in mapping.values() else mapping
        low, high = self.low, min(self.high, self._limit(value_of))
        if low > high:
            raise self._empty(high)
        return self._number(trial, low, high)

    def _number(self, trial: Trial, low: float, high: float) -> Any:
        if self.power_of:
            ends = [int(math.log(end, self.power_of) + 1e-9) for end in (low, high)]
            exponent = trial.suggest_int(self.drawn_as, *ends)
            return self.power_of**exponent
        if self.whole:
            return trial.suggest_int(self.key, int(low), int(high), log=self.log)
        if self.one_minus:
            return 1.0 - trial.suggest_float(self.drawn_as, 1 - high, 1 - low, log=self.log)
        return trial.suggest_float(self.key, low, high, log=self.log)

    def _limit(self, value_of: Configured) -> float:
        return math.prod(float(value_of(key)) for key in self.at_most) if self.at_most else math.inf

    def _derived(self, value_of: Configured) -> Any:
        value = value_of(self.same_as)
        return max(1, int(value) // int(value_of(self.divided_by))) if self.divided_by else value

    def _empty(self, high: float) -> BadInput:
        limit = " * ".join(self.at_most)
        return BadInput(
            f"search space: {self.key} from {self.low:g} up, but at most {limit} = {high:g}",
            "a range that the constraint leaves open",
            f"Lower {self.key}'s low, or raise what limits it.",
        )


@dataclasses.dataclass(frozen=True)
class Space:
    """All parameters of a search, in an order in which each can refer to those before it."""

    parameters: tuple[Parameter, ...]

    def draw(self, trial: Trial, configured: Configured) -> dict[str, Any]:
        """The values of a trial by the key they set.

        Args:
            trial: Draws them.
            configured: What the configuration says of keys that are not searched.
        """
        values: dict[str, Any] = {}

        def value_of(key: str) -> Any:
            return values[key] if key in values else configured(key)

        for parameter in self.parameters:
            values[parameter.key] = parameter.drawn(trial, value_of)
        return {key: value for key, value in values.items() if "." in key}

    def to_data(self) -> list[dict[str, Any]]:
        """Plain data that tells two spaces apart."""
        return [json.loads(json.dumps(dataclasses.asdict(p))) for p in self.parameters]


def from_data(data: Any, where: str) -> Space:
    """A space from a file's contents.

    Args:
        data: `{space: {KEY: {low:, high:} or {choices:} or {same_as:}}}`.
        where: The file, for messages.

    Raises:
        BadInput: Something in it is unknown, missing or contradicts itself.
    """
    space = data.get("space") if isinstance(data, Mapping) else None
    if not isinstance(space, Mapping) or not space or set(data) != {"space"}:
        raise BadInput(f"{where} is no search space", "one key `space` with a range per key")
    made: list[Parameter] = []
    for key, spec in space.items():
        made.append(_parameter(str(key), spec, where, {p.key for p in made}))
    return Space(tuple(made))


_NAMES = [f.name for f in dataclasses.fields(Parameter) if f.name not in ("key", "whole")]


def _parameter(key: str, spec: Any, where: str, known: set[str]) -> Parameter:
    place = f"{where}: {key}"
    if not isinstance(spec, Mapping):
        raise BadInput(f"{place}: {spec!r}", "a mapping such as {low: 1, high: 8}")
    for name in spec:
        if name not in _NAMES:
            raise BadInput(
                f"{place}: unknown {name!r}", ", ".join(_NAMES), closest(str(name), _NAMES)
            )
    ranges = "low" in spec and "high" in spec
    if ranges + sum(name in spec for name in ("choices", "same_as", "fields")) != 1:
        raise BadInput(f"{place}: {dict(spec)}", "one of: low and high, choices, same_as, fields")
    _require_earlier(place, spec, known)
    if not ranges:
        return _listed(key, spec, place)
    low, high = spec["low"], spec["high"]
    numbers = all(isinstance(x, int | float) and not isinstance(x, bool) for x in (low, high))
    log = bool(spec.get("log", False) or spec.get("power_of"))
    drawn_low = 1 - high if numbers and spec.get("one_minus") else low
    if not numbers or low > high or (log and drawn_low <= 0):
        raise BadInput(f"{place}: low {low!r}, high {high!r}", "low <= high, above 0 where log")
    whole = isinstance(low, int) and isinstance(high, int)
    return Parameter(
        key,
        low=low,
        high=high,
        whole=whole,
        log=bool(spec.get("log", False)),
        power_of=int(spec.get("power_of", 0)),
        one_minus=bool(spec.get("one_minus", False)),
        at_most=_keys(spec.get("at_most", ())),
    )


def _listed(key: str, spec: Mapping[str, Any], place: str) -> Parameter:
    if "same_as" in spec:
        return Parameter(
            key, same_as=str(spec["same_as"]), divided_by=str(spec.get("divided_by", ""))
        )
    if "fields" in spec:
        return Parameter(key, fields=tuple((str(n), str(k)) for n, k in spec["fields"].items()))
    choices = spec["choices"]
    if not isinstance(choices, list) or not choices:
        raise BadInput(f"{place}: choices {choices!r}", "a list with at least one value")
    return Parameter(key, choices=tuple(choices))


def _keys(given: Any) -> tuple[str, ...]:
    return tuple(map(str, given if isinstance(given, list | tuple) else [given]))


def _require_earlier(place: str, spec: Mapping[str, Any], known: set[str]) -> None:
    names = [*_keys(spec.get("at_most", ()))]
    names += [str(spec[name]) for name in ("same_as", "divided_by") if name in spec]
    names += [str(name) for name in dict(spec.get("fields", {})).values()]
    for name in names:
        if name not in known and "." not in name:
            raise BadInput(f"{place} refers to {name!r}", "a parameter above it, or a key")
