"""Which algorithm wrote a zip, and which of its tensors the deterministic action depends on."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection

from rl_lab.errors import BadInput, closest
from rl_lab_agents.foreign.hints import Saved

_ON_POLICY = ("pi_features_extractor.", "mlp_extractor.policy_net.", "action_net.")


@dataclasses.dataclass(frozen=True)
class Family:
    """One algorithm's zips.

    Attributes:
        name: Short name, as in conf/agent.
        algorithm: Dotted path of the algorithm's class.
        acting: Beginnings of the names of tensors that a deterministic action depends on.
        signs: Whether tensor names and saved attributes are this algorithm's.
    """

    name: str
    algorithm: str
    acting: tuple[str, ...]
    signs: Callable[[Collection[str], Saved], bool]


def _begins(names: Collection[str], start: str) -> bool:
    return any(name.startswith(start) for name in names)


# The first whose signs fit is it, so the more particular ones come first.
_FAMILIES = (
    Family(
        "recurrent_ppo",
        "sb3_contrib.RecurrentPPO",
        (*_ON_POLICY, "lstm_actor."),
        lambda names, saved: _begins(names, "lstm_actor."),
    ),
    Family(
        "maskable_ppo",
        "sb3_contrib.MaskablePPO",
        _ON_POLICY,
        lambda names, saved: "maskable" in saved.policy_module,
    ),
    Family(
        "trpo",
        "sb3_contrib.TRPO",
        _ON_POLICY,
        lambda names, saved: _begins(names, "mlp_extractor.") and saved.has("cg_max_steps"),
    ),
    Family(
        "ppo",
        "stable_baselines3.PPO",
        _ON_POLICY,
        lambda names, saved: "value_net.weight" in names and saved.has("clip_range"),
    ),
    Family(
        "a2c",
        "stable_baselines3.A2C",
        _ON_POLICY,
        lambda names, saved: "value_net.weight" in names and saved.has("gae_lambda"),
    ),
    Family(
        "crossq",
        "sb3_contrib.CrossQ",
        ("actor.",),
        lambda names, saved: "actor.latent_pi.0.ra_mean" in names,
    ),
    Family(
        "tqc",
        "sb3_contrib.TQC",
        ("actor.",),
        lambda names, saved: (
            _begins(names, "actor.latent_pi.") and saved.has("top_quantiles_to_drop_per_net")
        ),
    ),
    Family(
        "sac",
        "stable_baselines3.SAC",
        ("actor.",),
        lambda names, saved: _begins(names, "actor.latent_pi.") and saved.has("ent_coef"),
    ),
    Family(
        "ddpg",
        "stable_baselines3.DDPG",
        ("actor.",),
        lambda names, saved: (
            _begins(names, "actor.mu.")
            and not _begins(names, "critic.qf1.")
            and saved.plain.get("target_noise_clip") == 0
        ),
    ),
    Family(
        "td3",
        "stable_baselines3.TD3",
        ("actor.",),
        lambda names, saved: _begins(names, "actor.mu.") and saved.has("target_noise_clip"),
    ),
    Family(
        "qrdqn",
        "sb3_contrib.QRDQN",
        ("quantile_net.",),
        lambda names, saved: _begins(names, "quantile_net."),
    ),
    Family(
        "dqn", "stable_baselines3.DQN", ("q_net.",), lambda names, saved: _begins(names, "q_net.")
    ),
    Family(
        "ars",
        "sb3_contrib.ARS",
        ("action_net.",),
        lambda names, saved: all(name.startswith("action_net.") for name in names),
    ),
)


def detect(names: Collection[str], saved: Saved) -> Family:
    """The algorithm that a zip is of.

    Raises:
        BadInput: No known algorithm's signs fit.
    """
    for family in _FAMILIES:
        if names and family.signs(names, saved):
            return family
    raise BadInput(
        f"a zip of an unknown algorithm, with tensors such as {', '.join(sorted(names)[:3])}",
        f"one of {', '.join(sorted(f.name for f in _FAMILIES))}",
        "If it is one of these, give agent=NAME.",
    )


def find(name: str) -> Family | None:
    """The algorithm of a name, or of its class's dotted path; None where it is not known."""
    return next((f for f in _FAMILIES if name in (f.name, f.algorithm)), None)


def named(name: str) -> Family:
    """The algorithm of a name, or of its class's dotted path.

    Raises:
        BadInput: There is none.
    """
    if family := find(name):
        return family
    known = [family.name for family in _FAMILIES]
    raise BadInput(
        f"algorithm {name!r} is not known here",
        f"one of {', '.join(sorted(known))}",
        closest(name, known) or "trust=true lets its own class load the file.",
    )
