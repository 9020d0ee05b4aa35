"""What a shift's file declares: a path of contexts, and where in the world it acts."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

from rl_lab.errors import BadInput, closest
from rl_lab.shifts.disturbances import COUNTING

ANY_ENVIRONMENT = "any"
PLACES = (
    "before_reset",
    "after_reset",
    "module",
    "constructor",
    "reset_options",
    "transitions",
    "disturbance",
)
_STEPS = ("before_reset", "after_reset", "module")
_VERBS = ("set", "scale", "refresh")
_SOURCES = ("to", "product", "sum")
# Of a value: a magnitude that stands for a whole number gives it, rounding and all.
_ROUNDING = 1e-9
_RETIRED = {"derived": "acts: {before_reset: [{set: NAME, product: [A, B]}]}"}


@dataclasses.dataclass(frozen=True)
class Shift:
    """A path of contexts; magnitude 0 is the training context, magnitude 1 the far end.

    Attributes:
        name: Short name, unique within the environment.
        environment: The Gymnasium id it is for; `any` where it fits whatever has what it changes.
        parameter: What changes, in words or as the attribute is called.
        unit: Unit of the parameter.
        path: `multiplicative`: nominal * (far / nominal) ** delta; `additive`: nominal +
            delta * (far - nominal).
        nominal: The parameter's value in the training context; checked against the environment.
        near: Value up to which the shift counts as near (interpolation).
        far: Value at magnitude 1.
        bounds: Lowest and highest value that is physically possible; None for no bound.
        acts: How the value reaches the world, see docs/shifts.md.
        source: Where the range comes from.
        whole: The value counts something: on the way it is the next whole number away from nominal,
            so that every magnitude above 0 is another world.
    """

    name: str
    environment: str
    parameter: str
    unit: str
    path: str
    nominal: float
    near: float
    far: float
    bounds: tuple[float | None, float | None]
    acts: Mapping[str, Any]
    source: str
    whole: bool

    def value(self, delta: float) -> float:
        """The parameter's value at magnitude `delta`.

        Raises:
            BadInput: `delta` lies outside [0, 1].
        """
        if not 0.0 <= delta <= 1.0:
            raise BadInput(f"delta={delta}", "a magnitude in [0, 1]", "1 is the shift's far end.")
        if delta == 0.0:
            return self.nominal
        if delta == 1.0:
            return self.far
        value = self.nominal + delta * (self.far - self.nominal)
        if self.path == "multiplicative":
            value = float(self.nominal * (self.far / self.nominal) ** delta)
        return self._away(value) if self.whole else value

    def _away(self, value: float) -> float:
        if self.far > self.nominal:
            return float(math.ceil(value - _ROUNDING))
        return float(math.floor(value + _ROUNDING))

    def delta(self, value: float) -> float:
        """The magnitude at which the parameter has a value; the inverse of `value`."""
        if self.path == "multiplicative":
            return math.log(value / self.nominal) / math.log(self.far / self.nominal)
        return (value - self.nominal) / (self.far - self.nominal)

    @property
    def near_delta(self) -> float:
        """The magnitude at which near ends and far begins."""
        return self.delta(self.near)

    def to_data(self) -> dict[str, Any]:
        """The declaration as JSON-ready data."""
        data = {**dataclasses.asdict(self), "bounds": list(self.bounds)}
        return data if self.whole else {key: data[key] for key in data if key != "whole"}


def from_file(data: Mapping[str, Any]) -> Shift:
    """Check and type a shift's declaration as its author wrote it.

    Raises:
        BadInput: As `from_data`, or it counts steps and lacks `whole`.
    """
    shift = from_data(data)
    kind = shift.acts.get("disturbance", {}).get("kind")
    if kind in COUNTING and not shift.whole:
        raise BadInput(
            f"shift {shift.name}: {kind} by fractions of a step",
            "whole numbers",
            "Add whole: true.",
        )
    return shift


def from_data(data: Mapping[str, Any]) -> Shift:
    """Check and type a shift's declaration as it was stored.

    Before there was `whole`, what counts steps was stored without it; that is still read.

    Raises:
        BadInput: A field is missing, unknown or out of range.
    """
    names = [field.name for field in dataclasses.fields(Shift)]
    for key in data:
        if key not in names:
            do = f"Write {_RETIRED[key]}." if key in _RETIRED else closest(key, names)
            raise BadInput(f"shift.{key}", f"one of {', '.join(names)}", do)
    data = {"whole": False, **data}
    name = data.get("name", "?")
    if missing := [field for field in names if field not in data]:
        raise BadInput(f"shift {name} lacks {', '.join(missing)}", "every field of a shift")
    for key in ("name", "environment", "parameter", "unit", "path", "source"):
        _require(isinstance(data[key], str), data, key, "text")
    for key in ("nominal", "near", "far"):
        _require(_is_number(data[key]), data, key, "a number")
    _require(_are_bounds(data["bounds"]), data, "bounds", "[lowest, highest], null for no bound")
    _require(isinstance(data["acts"], Mapping) and data["acts"], data, "acts", "a mapping")
    _require(isinstance(data["whole"], bool), data, "whole", "true or false")
    low, high = data["bounds"]
    numbers = {key: float(data[key]) for key in ("nominal", "near", "far")}
    shift = Shift(**{**data, **numbers, "bounds": (low, high)})
    _check_bounds(shift)
    _check_path(shift)
    _check_acts(shift)
    _check_whole(shift)
    return shift


def _require(fits: object, data: Mapping[str, Any], key: str, expected: str) -> None:
    if not fits:
        raise BadInput(f"shift {data['name']}: {key}={data[key]!r}", expected)


def _is_number(value: object) -> bool:
    plain = isinstance(value, int | float) and not isinstance(value, bool)
    return plain and math.isfinite(value)  # type: ignore[arg-type]


def _are_bounds(value: object) -> bool:
    if not isinstance(value, list | tuple) or len(value) != 2:
        return False
    return all(end is None or _is_number(end) for end in value)


def _check_path(shift: Shift) -> None:
    where = f"shift {shift.name}"
    if shift.path not in ("multiplicative", "additive"):
        raise BadInput(f"{where}: path={shift.path}", "multiplicative or additive")
    ends = (shift.near, shift.far)
    if shift.path == "multiplicative" and not all(shift.nominal * end > 0 for end in ends):
        raise BadInput(
            f"{where}: a multiplicative path from {shift.nominal} over {shift.near} to {shift.far}",
            "values of the same sign, none of them 0",
            "Use path: additive.",
        )
    if shift.far == shift.nominal or not 0.0 < shift.near_delta <= 1.0:
        raise BadInput(
            f"{where}: nominal {shift.nominal}, near {shift.near}, far {shift.far}",
            "near on the way from nominal to far",
        )


def _check_bounds(shift: Shift) -> None:
    low, high = shift.bounds
    for name in ("nominal", "near", "far"):
        value = getattr(shift, name)
        if (low is not None and value < low) or (high is not None and value > high):
            raise BadInput(
                f"shift {shift.name}: {name}={value:g} {shift.unit}".rstrip(),
                f"a {shift.parameter} from {_end(low)} to {_end(high)}",
                "Such a world is physically impossible; mend the shift's range or its bounds.",
            )


def _check_whole(shift: Shift) -> None:
    ends = [shift.nominal, shift.near, shift.far]
    if shift.whole and not all(end.is_integer() for end in ends):
        raise BadInput(
            f"shift {shift.name}: whole with nominal, near, far {', '.join(map(str, ends))}",
            "whole numbers",
        )


def _end(value: float | None) -> str:
    return "any" if value is None else f"{value:g}"


def _check_acts(shift: Shift) -> None:
    for place, content in shift.acts.items():
        if place not in PLACES:
            raise BadInput(
                f"shift {shift.name}: acts.{place}",
                f"one of {', '.join(PLACES)}",
                closest(place, PLACES),
            )
        kind = list if place in _STEPS else Mapping
        if not isinstance(content, kind) or not content:
            expected = "a list of steps" if kind is list else "a mapping"
            raise BadInput(f"shift {shift.name}: acts.{place}={content!r}", expected)
        for step in content if isinstance(content, list) else ():
            _check_step(shift, place, step)


def _check_step(shift: Shift, place: str, step: object) -> None:
    verbs = [v for v in _VERBS if v in step] if isinstance(step, Mapping) else []
    known = {*_VERBS, *_SOURCES, "of"}
    good = len(verbs) == 1 and isinstance(step, Mapping) and {*step} <= known
    if not good or (place == "module" and verbs == ["refresh"]):
        raise BadInput(
            f"shift {shift.name}: the step {step!r} of acts.{place}",
            f"one of {', '.join(_VERBS)}, with {', '.join(_SOURCES)} or nothing",
            "See docs/shifts.md.",
        )
    if verbs == ["scale"] and shift.nominal != 1.0:
        raise BadInput(
            f"shift {shift.name}: nominal={shift.nominal:g} where it scales {step['scale']}",  # type: ignore[index]
            "nominal 1, the factor that changes nothing",
        )
