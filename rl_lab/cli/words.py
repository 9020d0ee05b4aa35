"""Words of the small verbs, which answer too quickly to wait for Hydra."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rl_lab.errors import BadInput, closest


def only(words: Sequence[str], known: Mapping[str, str | None]) -> dict[str, str | None]:
    """`key=value` words over their defaults.

    Raises:
        BadInput: A word is not `key=value`, or the key is unknown.
    """
    values = dict(known)
    for word in words:
        key, equals, value = word.partition("=")
        if not equals or key not in known:
            hint = closest(key, known)
            raise BadInput(f"unknown word {word!r}", " ".join(f"{k}=VALUE" for k in known), hint)
        values[key] = value
    return values
