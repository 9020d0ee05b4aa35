"""Attacks by the card."""

from __future__ import annotations

from frozen_policy.attacking import ATTACKS, on_card, on_part, on_text
from frozen_policy.crafting import CARD, card, edit

from rl_lab.frozen_policy.rules import Rule

BOX = {"kind": "box", "shape": [2], "dtype": "float32", "low": -100.0, "high": 100.0}
for _name, _change in {
    "31 no elements": {"shape": [0]},
    "31 negative shape": {"shape": [-2]},
    "31 shape of fractions": {"shape": [2.0]},
    "31 shape of truth": {"shape": [True]},
    "38 enormous": {"shape": [10**9, 10**9]},
    "38 large": {"shape": [2**23]},
    "38 many axes": {"shape": [1] * 30},
    "40 low above high": {"low": 1.0, "high": -1.0},
    "40 low above high once": {"low": [0.0, 2.0], "high": [1.0, 1.0]},
    "40 other infinity": {"low": "-Infinity"},
    "40 three bounds": {"low": [0.0, 0.0, 0.0]},
    "40 null": {"low": None},
    "40 no type": {"dtype": "object"},
    "40 text type": {"dtype": "<U8"},
    "40 bound beyond float32": {"high": 1e39},
    "40 bounds out of type": {"dtype": "uint8", "low": -1, "high": 256},
    "40 unknown field": {"entry_point": "os:system"},
}.items():
    on_card(_name, Rule.SPACES, observation_space={**BOX, **_change})
for _name, _space in {
    "36 unknown kind": {"kind": "graph"},
    "36 kind no text": {"kind": ["box"]},
    "36 no object": "box",
    "36 nested dict": {"kind": "dict", "spaces": {"a": {"kind": "dict", "spaces": {"b": BOX}}}},
    "36 empty dict": {"kind": "dict", "spaces": {}},
    "36 key with escapes": {"kind": "dict", "spaces": {"\x1b[2J": BOX}},
    "34 no choice": {"kind": "discrete", "n": 0},
    "34 choices out of range": {"kind": "discrete", "n": 2**63},
    "34 choices of fractions": {"kind": "discrete", "n": 2.5},
    "38 switches": {"kind": "multi_binary", "n": 2**30},
    "34 nvec of nothing": {"kind": "multi_discrete", "nvec": []},
}.items():
    on_card(_name, Rule.SPACES, observation_space=_space)
on_card("36 dict of actions", Rule.SPACES, action_space={"kind": "dict", "spaces": {"a": BOX}})
on_card("36 masks of a box", Rule.SPACES, action_space=BOX, action_masks=True)
on_card("38 masks", Rule.SPACES, action_space={"kind": "discrete", "n": 2**30}, action_masks=True)
STATE = {"name": "h", "shape": [2], "dtype": "float32"}
on_card("36 state twice", Rule.SPACES, state=[STATE, STATE])
on_card("36 state as input", Rule.SPACES, state=[{**STATE, "name": "observation"}])
on_card("38 state", Rule.SPACES, state=[{**STATE, "shape": [2**30]}])
on_card("36 state of objects", Rule.SPACES, state=[{**STATE, "dtype": "object"}])
on_card("36 state of text", Rule.SPACES, state=["h"])
on_card("37 states", Rule.FIELDS, state=[STATE] * 1000)
on_card("36 state not in the graph", Rule.INTERFACE, state=[STATE])

# 33-45: the card.
for _name, _text in {
    "33 deep lists": "[" * 10**5,
    "33 deep objects": '{"a":' * 10**5,
    "33 deep in a valid field": '{"provenance":' + "[" * 40 + "]" * 40 + "}",
    "34 many lists": "[" + "[]," * 600_000 + "[]]",
    "34 many texts": "[" + '"ab",' * 200_000 + '"ab"]',
    "34 huge integer": "9" * 10**6,
    "34 not UTF-8": "\udcff",
    "34 nothing": "",
}.items():
    ATTACKS[_name] = (
        Rule.JSON,
        lambda f, t=_text: (f / CARD).write_bytes(t.encode(errors="surrogateescape")),
    )
ATTACKS["34 large"] = (Rule.SIZES, lambda f: (f / CARD).write_bytes(b" " * (8 * 2**20 + 1)))
ATTACKS["34 text only"] = (Rule.VERSION, lambda f: (f / CARD).write_bytes(b'"frozen"'))
for _value in ("1e999", "-1e999", "NaN", "Infinity", "-Infinity", "9" * 30, "-9223372036854775809"):
    on_text(f"34 steps {_value}", Rule.JSON, '"steps": 0', f'"steps": {_value}')
on_text("35 key twice", Rule.JSON, '"steps": 0', '"steps": 0, "steps": 1')
on_text("35 key twice escaped", Rule.JSON, '"steps": 0', '"steps": 0, "\\u0073teps": 1')
on_text("32 changed after hashing", Rule.CARD_HASH, '"steps": 0', '"steps": 1')
on_card("42 other hash", Rule.GRAPH_HASH, onnx_sha256="0" * 64)
on_card("42 no hash", Rule.FIELDS, onnx_sha256="abc")
for _value in (999, "1", -1, 1.0, True, None, [1]):
    on_card(f"43 version {_value!r}", Rule.VERSION, format_version=_value)
for _field, _value in {
    "steps": -1,
    "training_seed": "0",
    "parameters": 1.5,
    "action_masks": 1,
    "provenance": [],
    "golden": [],
    "agent": "\x1b[31mred",
    "algorithm": "x" * 1000,
    "recipe_hash": None,
    "anchors": {"random": 0.0},
}.items():
    on_card(f"34 {_field}", Rule.FIELDS, **{_field: _value})
for _name, _value in {
    "escapes": {"settings": ["plain", {"a": "\x1b[2J"}]},
    "an odd key": {"a\nb": 1},
    "a long text": {"a": "x" * 3000},
    "many values": {"a": [[0] * 500] * 3},
}.items():
    on_card(f"34 provenance with {_name}", Rule.FIELDS, provenance=_value)
ANCHORS = {"random": None, "solved": 1.0, "ceiling": None, "control_period_s": None}
on_card("34 anchors", Rule.FIELDS, anchors=ANCHORS)
on_card("64 right to left", Rule.FIELDS, agent="ppo\u202egnp")
on_card("64 line", Rule.FIELDS, agent="ppo\nrm")
on_card("45 unknown field", Rule.FIELDS, entry_point="os:system")
for _value in ("os:system", "evil_module:Env-v0", "a/b/c", "", "../x", "x\n", 3, None, "x" * 300):
    on_part(f"44 id {str(_value)[:20]!r}", Rule.ENVIRONMENT, "environment", id=_value)
on_part("45 entry point", Rule.ENVIRONMENT, "environment", entry_point="os:system")
on_part("45 dunder argument", Rule.ENVIRONMENT, "environment", kwargs={"__class__": "x"})
on_part("45 no argument", Rule.ENVIRONMENT, "environment", kwargs={"a b": 1})
on_part("45 limit", Rule.ENVIRONMENT, "environment", max_episode_steps=0)
for _value in ("os:system", "os", "a..b", "a.b()", "", "a.b;c", None, "a.b\n"):
    on_part(f"44 wrapper {_value!r}", Rule.ENVIRONMENT, "environment", wrappers=[{"name": _value}])
on_part("44 wrapper text", Rule.ENVIRONMENT, "environment", wrappers=["os.system"])
on_card("44 no environment", Rule.ENVIRONMENT, environment={})
ATTACKS["39 more actions"] = (
    Rule.INTERFACE,
    lambda f: edit(
        f,
        action_space={"kind": "multi_discrete", "nvec": [2, 2]},
        golden={**card(f)["golden"], "actions": [[0, 0]] * 8},
    ),
)
ATTACKS["39 more observations"] = (
    Rule.INTERFACE,
    lambda f: edit(
        f,
        observation_space={**BOX, "shape": [3]},
        golden={**card(f)["golden"], "observations": [[0.0] * 3] * 8},
    ),
)
for _name, _change in {
    "42 no vectors": {"actions": [], "observations": []},
    "42 too many": {"actions": [0] * 5000},
    "42 fewer actions": {"actions": [0] * 7},
    "42 actions of fractions": {"actions": [0.5] * 8},
    "42 actions of truth": {"actions": [True] * 8},
    "42 actions out of type": {"actions": [2**63] * 8},
    "42 ragged": {"observations": [[0.0]] + [[0.0, 0.0]] * 7},
    "42 texts": {"observations": [["0", "0"]] * 8},
    "42 texts of one long": {"observations": [["0" * 10**5, "0"]] + [["0", "0"]] * 7},
    "42 out of type": {"observations": [[1e300, 0.0]] * 8},
    "42 objects": {"observations": {"a": 1}},
    "42 masks for none": {"action_masks": [[True, True]] * 8},
}.items():
    on_part(_name, Rule.GOLDEN_TYPES, "golden", **_change)
on_part("42 do not match", Rule.GOLDEN_ACTIONS, "golden", actions=[0] * 8)
