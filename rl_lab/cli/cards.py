"""A frozen policy's card on the screen."""

from __future__ import annotations

from rl_lab.frozen_policy import FrozenPolicy


def card_text(policy: FrozenPolicy) -> str:
    """A policy's card for people."""
    card = policy.card
    source = card.provenance.get("source")
    source = source if isinstance(source, dict) else {}
    renamed = source.get("environment") not in (None, card.environment["id"])
    note = f"; {source['renamed_note']}" if source.get("renamed_note") else ""
    rows = {
        "agent": f"{card.agent} ({card.algorithm}), {card.provenance.get('settings', '')}",
        "environment": card.environment["id"]
        + (f" (trained in {source['environment']}{note})" if renamed else ""),
        "learned from": f"{card.steps} steps, training seed {card.training_seed}",
        "observation": policy.observation_space,
        "action": policy.action_space,
        "memory": ", ".join(str(s["name"]) for s in card.state) or "none",
        "size": f"{card.parameters} parameters, {len(policy.graph)} bytes",
        "SHA-256": card.onnx_sha256,
    }
    # Some of this is what a file says; it must not get to steer the terminal.
    return "\n".join(f"{key + ':':<14}{_printable(value)}" for key, value in rows.items())


def _printable(value: object) -> str:
    return "".join(c for c in " ".join(str(value).split()) if c.isprintable())
