"""Copy a run's frozen policy into a folder of its own, proved to act as it did.

usage: rl-lab freeze run=FOLDER to=FOLDER [which=final|best]

Every finished run holds two frozen policies already, policy/ (the final one) and best/ (the best on
the selection seeds). A frozen policy is a folder with policy.onnx and policy.json, as specified in
docs/frozen-policy.md.
"""

from __future__ import annotations

from pathlib import Path

from rl_lab import frozen_policy, paths, runs
from rl_lab.cli import config, typed
from rl_lab.cli.options import Options
from rl_lab.errors import EXIT_DONE, BadInput
from rl_lab.frozen_policy import FrozenPolicy, load_policy

_FOLDERS = {"final": "policy", "best": "best"}


def run(options: Options, words: list[str]) -> int:
    """Freeze; returns the exit code."""
    data = config.compose("freeze", config.expand(words, multirun=False)[0], options)
    if options.show_config:
        print(config.to_yaml(data), end="")
        return EXIT_DONE
    for key in ("run", "to"):
        if data[key] is None:
            raise BadInput(f"no {key}=", "run=FOLDER to=FOLDER", "`rl-lab list` shows the runs.")
    which = typed.value(data["which"], str, "which")
    if which not in _FOLDERS:
        raise BadInput(f"which={which}", "final or best")
    source, target = paths.one(str(data["run"])), Path(str(data["to"]))
    runs.require_complete(source)
    paths.require_writable(target)
    policy = load_policy(source / _FOLDERS[which])
    frozen_policy.save(policy, target)
    print(card_text(policy))
    print(f"\nfrozen policy: {target}")
    return EXIT_DONE


def card_text(policy: FrozenPolicy) -> str:
    """A policy's card for people."""
    card = policy.card
    rows = {
        "agent": f"{card.agent} ({card.algorithm}), {card.provenance.get('settings', '')}",
        "environment": card.environment["id"],
        "learned from": f"{card.steps} steps, training seed {card.training_seed}",
        "observation": policy.observation_space,
        "action": policy.action_space,
        "memory": ", ".join(str(s["name"]) for s in card.state) or "none",
        "size": f"{card.parameters} parameters, {len(policy.graph)} bytes",
        "SHA-256": card.onnx_sha256,
    }
    return "\n".join(f"{key + ':':<14}{value}" for key, value in rows.items())
