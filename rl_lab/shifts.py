"""Shifts: declared one-parameter paths away from the training context."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

import gymnasium

from rl_lab.errors import BadInput, closest

NO_SHIFT = "none"


@dataclasses.dataclass(frozen=True)
class Shift:
    """A path of contexts; magnitude 0 is the training context, magnitude 1 the far end.

    Attributes:
        name: Short name, unique within the environment.
        environment: The Gymnasium id it is for.
        parameter: Attribute of `env.unwrapped` that changes.
        unit: Unit of the parameter.
        path: `multiplicative`: nominal * (far / nominal) ** delta; `additive`: nominal +
            delta * (far - nominal).
        nominal: The parameter's value in the training context; checked against the environment.
        near: Value up to which the shift counts as near (interpolation).
        far: Value at magnitude 1.
        derived: Attributes to recompute afterwards: `{name: {product|sum: [attribute, ...]}}`.
        source: Where the range comes from.
    """

    name: str
    environment: str
    parameter: str
    unit: str
    path: str
    nominal: float
    near: float
    far: float
    derived: Mapping[str, Mapping[str, Any]]
    source: str

    def value(self, delta: float) -> float:
        """The parameter's value at magnitude `delta`.

        Raises:
            BadInput: `delta` lies outside [0, 1].
        """
        if not 0.0 <= delta <= 1.0:
            raise BadInput(f"delta={delta}", "a magnitude in [0, 1]", "1 is the shift's far end.")
        if delta == 0.0:
            return self.nominal
        if self.path == "multiplicative":
            return float(self.nominal * (self.far / self.nominal) ** delta)
        return self.nominal + delta * (self.far - self.nominal)


def from_data(data: Mapping[str, Any]) -> Shift:
    """Check and type a shift's configuration.

    Raises:
        BadInput: A field is missing, unknown or out of range.
    """
    names = [field.name for field in dataclasses.fields(Shift)]
    for key in data:
        if key not in names:
            raise BadInput(f"shift.{key}", f"one of {', '.join(names)}", closest(key, names))
    if missing := [name for name in names if name not in data]:
        raise BadInput(f"shift {data.get('name', '?')} lacks {', '.join(missing)}")
    shift = Shift(**data)
    if shift.path not in ("multiplicative", "additive"):
        raise BadInput(f"shift.path={shift.path}", "multiplicative or additive")
    if shift.path == "multiplicative" and not shift.nominal * shift.far > 0:
        raise BadInput(
            f"shift {shift.name}: a multiplicative path from {shift.nominal} to {shift.far}",
            "two values of the same sign, neither 0",
            "Use path: additive.",
        )
    return shift


def apply(env: gymnasium.Env[Any, Any], shift: Shift, delta: float) -> None:
    """Put an environment into the context at magnitude `delta`, before it is reset.

    At magnitude 0 nothing is touched, so the result is the bare environment to the bit.

    Raises:
        BadInput: The environment has no such parameter, or another nominal value.
    """
    value = shift.value(delta)
    if env.spec is not None and env.spec.id != shift.environment:
        raise BadInput(
            f"shift {shift.name} is for {shift.environment}, not for {env.spec.id}",
            "a shift of the same environment",
            f"`rl-lab list shift/{env.spec.id}` shows them.",
        )
    target = env.unwrapped
    nominal = _get(target, shift.parameter, shift)
    if not math.isclose(float(nominal), shift.nominal, rel_tol=1e-9):
        raise BadInput(
            f"shift {shift.name}: {shift.parameter} is {nominal} in {shift.environment}",
            f"the nominal value {shift.nominal}",
            "The environment's version or arguments differ from those the shift was written for.",
        )
    if delta == 0.0:
        return
    # As a float even where the nominal value is whole: cut to int, a small shift would be none.
    setattr(target, shift.parameter, value)
    for name, formula in shift.derived.items():
        _get(target, name, shift)
        setattr(target, name, _evaluate(target, formula, shift))


def _get(target: object, name: str, shift: Shift) -> Any:
    if not hasattr(target, name):
        raise BadInput(
            f"shift {shift.name}: {shift.environment} has no attribute {name!r}",
            "an attribute of env.unwrapped",
            closest(name, vars(target)),
        )
    return getattr(target, name)


def _evaluate(target: object, formula: Mapping[str, Any], shift: Shift) -> float:
    operation, names = next(iter(formula.items()))
    values = [float(_get(target, n, shift)) if isinstance(n, str) else float(n) for n in names]
    if operation == "product":
        return math.prod(values)
    if operation == "sum":
        return math.fsum(values)
    raise BadInput(f"shift {shift.name}: derived operation {operation!r}", "product or sum")
