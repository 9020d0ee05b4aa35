"""A graph's bytes against a closed list of fields, before any library interprets them.

ONNX can carry functions, subgraphs, training graphs, paths to other files and custom fields; what
rl-lab writes needs none of these, and refusing them here keeps them from every parser behind. The
walk also bounds what parsing costs: two bytes of empty message take a hundred in memory.
"""

from __future__ import annotations

from rl_lab.errors import BadInput
from rl_lab.frozen_policy.rules import Rule, refused

_FIELDS = 50_000  # the largest graph of the test grid has under 5000
_TEXT = 4096  # bytes of a name, and of a list of integers
# Field numbers of onnx.proto. "int", "float", "text" and "data" are values, other words messages;
# a star marks fields that may come several times.
_SCHEMA: dict[str, dict[int, str]] = {
    "model": {
        **{1: "int", 2: "text", 3: "text", 4: "text", 5: "int", 6: "text"},
        **{7: "graph", 8: "opset*"},
    },
    "opset": {1: "text", 2: "int"},
    "graph": {1: "node*", 2: "text", 5: "tensor*", 10: "text", 11: "value*", 12: "value*"},
    "node": {1: "text*", 2: "text*", 3: "text", 4: "text", 5: "attribute*", 6: "text", 7: "text"},
    "attribute": {
        **{1: "text", 2: "float", 3: "int", 4: "text", 5: "tensor", 8: "int*", 20: "int"},
    },
    "tensor": {1: "int*", 2: "int", 8: "text", 9: "data"},
    "value": {1: "text", 2: "type"},
    "type": {1: "tensor_type"},
    "tensor_type": {1: "int", 2: "shape"},
    "shape": {1: "dimension*"},
    "dimension": {1: "int", 2: "text"},
}
_NAMED = {
    ("tensor", 13): (Rule.EXTERNAL_DATA, "data in another file"),
    ("tensor", 14): (Rule.EXTERNAL_DATA, "data in another place"),
    ("model", 20): (Rule.CODE, "a training graph"),
    ("model", 25): (Rule.CODE, "a function of its own"),
    ("attribute", 6): (Rule.CODE, "a graph within a node"),
    ("attribute", 11): (Rule.CODE, "graphs within a node"),
    ("attribute", 21): (Rule.CODE, "an attribute of a function"),
}
_FORMS = {"int": (0,), "int*": (0, 2), "float": (5,)}


def scan(data: bytes) -> None:
    """Refuse bytes that are not a plain ONNX model.

    Raises:
        BadInput: They are no protobuf, or hold a field that rl-lab does not write.
    """
    # onnxruntime tells its own flat format by this mark, which a protobuf can be made to carry.
    if data[4:8] == b"ORTM":
        raise _malformed("it is in onnxruntime's own format")
    _Walk(data).message("model", 0, len(data))


class _Walk:
    def __init__(self, data: bytes) -> None:
        self._data = data
        self._left = _FIELDS

    def message(self, kind: str, at: int, end: int) -> None:
        """Walk one message; recursion is as deep as the schema, never as the file."""
        seen: set[int] = set()
        schema = _SCHEMA[kind]
        while at < end:
            self._left -= 1
            if self._left < 0:
                raise refused(Rule.SIZES, f"the graph has over {_FIELDS} fields", "fewer")
            key, at = self._varint(at, end)
            number, form = key >> 3, key & 7
            field = schema.get(number)
            if field is None:
                raise _foreign(kind, number)
            if number in seen and field[-1] != "*":
                raise _malformed(f"field {number} of a {kind} comes twice")
            seen.add(number)
            if form not in _FORMS.get(field, (2,)):
                raise _malformed(f"field {number} of a {kind} is encoded as another type")
            at = self._value(field.rstrip("*"), form, at, end)

    def _value(self, field: str, form: int, at: int, end: int) -> int:
        """Pass over one value; where the next field begins."""
        if form == 0:
            return self._varint(at, end)[1]
        if form == 5:
            following = at + 4
        else:
            size, at = self._varint(at, end)
            following = at + size
        if following > end:
            raise _malformed("a field is longer than what holds it")
        if form == 2 and field in ("text", "int") and following - at > _TEXT:
            raise refused(Rule.SIZES, f"a name or list of {following - at} bytes", f"{_TEXT}")
        if field == "text":
            self._require_utf8(at, following)
        if field in _SCHEMA:
            self.message(field, at, following)
        return following

    def _require_utf8(self, at: int, end: int) -> None:
        # Python's protobuf hands out bytes in place of a text that is none.
        try:
            self._data[at:end].decode()
        except UnicodeDecodeError as error:
            raise _malformed("a name is not UTF-8") from error

    def _varint(self, at: int, end: int) -> tuple[int, int]:
        value = shift = 0
        while at < end and shift < 70:
            byte = self._data[at]
            at += 1
            value |= (byte & 127) << shift
            if byte < 128:
                return value, at
            shift += 7
        raise _malformed("it ends within a number, or holds one of over 64 bits")


def _foreign(kind: str, number: int) -> BadInput:
    if (kind, number) in _NAMED:
        rule, what = _NAMED[kind, number]
        return refused(rule, f"the graph holds {what}", "a graph that stands alone")
    return _malformed(f"field {number} of a {kind} is none that rl-lab writes")


def _malformed(what: str) -> BadInput:
    return refused(Rule.GRAPH_FORMAT, f"the graph is not a plain ONNX model: {what}")
