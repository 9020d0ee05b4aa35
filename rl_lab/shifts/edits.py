"""Writing a shift's value into a live environment, and taking it out again."""

from __future__ import annotations

import contextlib
import copy
import importlib
import math
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from rl_lab.errors import BadInput
from rl_lab.shifts import paths
from rl_lab.shifts.declaration import ANY_ENVIRONMENT, Shift

Writer = Callable[[float], None]


def writer(root: Any, shift: Shift, place: str) -> Writer:
    """What puts the shift at a magnitude, for the steps of one place.

    Args:
        root: The unwrapped environment.
        shift: The shift.
        place: `before_reset` or `after_reset`.

    Raises:
        BadInput: An attribute is missing, no number, or has another nominal value.
    """
    with _about(shift, root):
        steps = [_step(root, step, shift, place) for step in shift.acts[place]]
        return _sequence(steps, shift)


@contextlib.contextmanager
def _about(shift: Shift, root: Any) -> Iterator[None]:
    """Say which shift and environment a message is about."""
    try:
        yield
    except BadInput as error:
        name = root.spec.id if getattr(root, "spec", None) else type(root).__name__
        raise BadInput(
            f"shift {shift.name} in {name}: {error.came}", error.expected, error.do
        ) from (error)


def _sequence(writers: Sequence[Writer], shift: Shift) -> Writer:
    def put(delta: float) -> None:
        shift.value(delta)
        for write in writers:
            write(delta)

    return put


def _step(root: Any, step: Mapping[str, Any], shift: Shift, place: str) -> Writer:
    if "refresh" in step:
        return _refresh(root, step)
    verb = "set" if "set" in step else "scale"
    slots = paths.slots(root, step[verb])
    if verb == "scale":
        return _each(slots, lambda slot, delta: slot.scale(shift.value(delta)))
    if "to" in step:
        return _each(slots, lambda slot, delta: slot.write(step["to"]))
    if "product" in step or "sum" in step:
        # What a reset has made of a shifted number is shifted already, and no value to go back to.
        return _each(
            slots, lambda slot, _: slot.write(_derived(root, step)), place == "after_reset"
        )
    for slot in slots:
        _require_nominal(slot, step[verb], shift)
    # As a float even where the nominal value is whole: cut to int, a small shift would be none.
    return _each(slots, lambda slot, delta: slot.write(shift.value(delta)))


def _each(
    slots: Sequence[paths.Slot],
    write: Callable[[paths.Slot, float], None],
    always: bool = False,
) -> Writer:
    def put(delta: float) -> None:
        for slot in slots:
            if delta == 0.0 and not always:
                slot.restore()
            else:
                write(slot, delta)

    return put


def _require_nominal(slot: paths.Slot, path: str, shift: Shift) -> None:
    for value in slot.first.ravel().tolist():
        if not math.isclose(float(value), shift.nominal, rel_tol=1e-9):
            raise BadInput(
                f"{path} is {value:g}",
                f"the nominal value {shift.nominal:g}",
                "The environment's version or arguments differ from those the shift is for.",
            )


def _derived(root: Any, step: Mapping[str, Any]) -> float:
    kind = "product" if "product" in step else "sum"
    values = [paths.number(root, v) if isinstance(v, str) else float(v) for v in step[kind]]
    return math.prod(values) if kind == "product" else math.fsum(values)


def _refresh(root: Any, step: Mapping[str, Any]) -> Writer:
    if step["refresh"] == "mujoco":
        mujoco = importlib.import_module("mujoco")
        model = paths.target(root, step.get("of", "model"))
        # Into scratch data: mj_setConst overwrites the state of the data it is given.
        return lambda delta: mujoco.mj_setConst(model, mujoco.MjData(model))
    if step["refresh"] == "box2d_mass":
        body = paths.target(root, step["of"])
        return lambda delta: body.ResetMassData()
    raise BadInput(f"refresh: {step['refresh']}", "mujoco or box2d_mass")


def transitions(root: Any, shift: Shift) -> Writer:
    """What mixes a toy-text table: with the value as probability another move is made.

    Raises:
        BadInput: The environment has no such table, or not these actions.
    """
    with _about(shift, root):
        table = getattr(root, "P", None)
        if not isinstance(table, dict):
            raise BadInput("there is no transition table P", "a toy-text environment")
        moves = shift.acts["transitions"].get("actions")
        known = set(table[0])
        if not isinstance(moves, list) or len(moves) < 2 or not set(moves) <= known:
            raise BadInput(f"transitions.actions={moves}", f"two or more of {sorted(known)}")
    first = copy.copy(table)

    def put(delta: float) -> None:
        slip = shift.value(delta)
        root.P = first if delta == 0.0 else {s: _mixed(first[s], moves, slip) for s in first}

    return put


def _mixed(row: Mapping[int, Any], moves: Sequence[int], slip: float) -> dict[int, Any]:
    mixed = dict(row)
    for move in moves:
        others = [o for o in moves if o != move]
        mixed[move] = [((1.0 - slip) * p, *rest) for p, *rest in row[move]]
        for other in others:
            mixed[move] += [(slip / len(others) * p, *rest) for p, *rest in row[other]]
    return mixed


class Constants:
    """Numbers at the top of the environment's module and its neighbours, while they are shifted.

    Every environment of the process reads them, so they are put in place for one call at a time.
    """

    def __init__(self, root: Any, shift: Shift) -> None:
        package = type(root).__module__.rpartition(".")[0]
        self._shift, self._slots = shift, []
        with _about(shift, root):
            for step in shift.acts["module"]:
                verb = "set" if "set" in step else "scale"
                name, _, constant = step[verb].rpartition(".")
                module = sys.modules.get(f"{package}.{name}")
                if module is None or "." in name:
                    raise BadInput(f"no module {name!r} beside {type(root).__module__}", "a module")
                slot = paths.slots(module, constant)[0]
                if verb == "set":
                    _require_nominal(slot, step[verb], shift)
                self._slots.append((slot, verb))

    @contextlib.contextmanager
    def at(self, delta: float) -> Iterator[None]:
        """Shifted while the body runs, exactly as before afterwards."""
        value = self._shift.value(delta)
        try:
            for slot, verb in self._slots if delta > 0.0 else ():
                slot.scale(value) if verb == "scale" else slot.write(value)
            yield
        finally:
            for slot, _ in self._slots:
                slot.restore()


def arguments(shift: Shift, delta: float, place: str) -> dict[str, Any]:
    """Keywords with the shift's value in them: for the constructor, or the options of a reset."""
    value = shift.value(delta)
    words = {"value": value, "-value": -value}
    return {
        key: words.get(given, given) if isinstance(given, str) else given
        for key, given in shift.acts[place].items()
    }


def require_id(name: str, shift: Shift) -> None:
    """Refuse a shift that was declared for another environment than `name`.

    Raises:
        BadInput: It was.
    """
    if shift.environment not in (ANY_ENVIRONMENT, name):
        raise BadInput(
            f"shift {shift.name} is for {shift.environment}, not for {name}",
            "a shift of the same environment",
            f"`rl-lab list shift/{name}` shows them, and shift/any those that fit all.",
        )
