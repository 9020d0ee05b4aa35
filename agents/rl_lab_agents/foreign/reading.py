"""The door: from a zip or a Zoo folder to a policy that can be frozen."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from rl_lab.errors import BadInput
from rl_lab_agents.foreign import archive, origin, renames, zoo
from rl_lab_agents.foreign.zoo import ZooRun

# Torch and stable-baselines3 are imported once the words on the command line are known to be right.
if TYPE_CHECKING:
    import gymnasium

    from rl_lab_agents.foreign.families import Family
    from rl_lab_agents.foreign.hints import Saved

_NONE = "none"
_MEMBERS = ("data", "policy.pth", "_stable_baselines3_version")


def open_source(
    *,
    zip: Path | None,
    zoo_folder: Path | None,
    env: str | None,
    keep_env: bool,
    normalizer: str | None,
    which: str,
) -> Source:
    """Find a policy's files; reads YAML at most, and nothing of the policy itself.

    Args:
        zip: A zip that stable-baselines3's `save` wrote.
        zoo_folder: Or a run folder of the RL Zoo.
        env: The environment's id if the user gave one, of any age.
        keep_env: Whether that id is meant as it is: a package of the user's registers it.
        normalizer: A `vecnormalize.pkl`, or "none"; None is the Zoo folder's own.
        which: Of a Zoo folder: `final` or `best`.

    Raises:
        BadInput: A file is missing, or its environment's id has no successor.
    """
    run = zoo.read(zoo_folder, which) if zoo_folder is not None else None
    model = run.model if run else zip
    assert model is not None
    statistics = run.normalizer if run else None
    if normalizer is not None:
        statistics = None if normalizer == _NONE else Path(normalizer)
    elif statistics is not None and not statistics.is_file():
        raise BadInput(
            f"{statistics} is missing, though the run normalised its observations",
            "the statistics",
            "Give normalizer=FILE, or normalizer=none to go without.",
        )
    for path in (model, statistics):
        if path is not None and not path.is_file():
            raise BadInput(f"{path} is not a file", "an existing file", "Check the path.")
    found = env or (run.environment if run else None)
    renamed = None
    if found:
        kept = env is not None and keep_env
        renamed = (
            renames.Renamed(found, found, "")
            if kept
            else renames.today(found, explicit=env is not None)
        )
    stated = normalizer == _NONE or (run is not None and run.configured)
    return Source(model, run, renamed, statistics, stated)


class Source:
    """A policy's files, found but not read.

    Args:
        model: The zip.
        run: What the Zoo folder says; None for a zip alone.
        renamed: The environment's id; None where nobody said.
        normalizer: A `vecnormalize.pkl`, or None.
        stated: Whether the user said that there is no normaliser.
    """

    def __init__(
        self,
        model: Path,
        run: ZooRun | None,
        renamed: renames.Renamed | None,
        normalizer: Path | None,
        stated: bool,
    ) -> None:
        self._model, self._run, self._renamed = model, run, renamed
        self._normalizer, self._stated = normalizer, stated
        self.environment = renamed.id if renamed else None
        self.env_kwargs: Mapping[str, Any] = run.env_kwargs if run else {}
        self.withheld: Mapping[str, str] = run.withheld if run else {}
        self.wrappers: tuple[str, ...] = run.wrappers if run else ()

    def read(
        self,
        make_env: Callable[[], gymnasium.Env[Any, Any]],
        *,
        algorithm: str | None,
        activation_fn: str | None,
        frame_stack: int | None,
        trust: bool,
    ) -> origin.Reading:
        """Read the policy.

        Args:
            make_env: Makes the environment that it is to act in.
            algorithm: Dotted path of its class; None: told by the file.
            activation_fn: Of its network; None: told by the file, else the algorithm's default.
            frame_stack: Observations stacked; None: told by the Zoo folder, else 1.
            trust: Whether the file may run code.

        Raises:
            BadInput: The file is damaged or hostile, does not suffice, or is of other spaces.
        """
        from rl_lab_agents import acting
        from rl_lab_agents.foreign import hints, rebuilding, statistics, trusted, weights

        file = archive.read(self._model, _MEMBERS)
        saved = hints.read(_member(file, "data"), file.name)
        moments = statistics.read(self._normalizer) if self._normalizer else None
        self._require_normalizer(saved)
        frames = frame_stack or (self._run.frame_stack if self._run else 1)
        env = rebuilding.surround(make_env, moments, frames)
        if fault := hints.space_fault(saved, env.observation_space, env.action_space):
            raise BadInput(
                f"{file.name} is of another environment: {fault}",
                "the environment of the training",
                "Check env=, its env.kwargs, and frame_stack=.",
            )
        tensors = weights.read(_member(file, "policy.pth"), file.name)
        family = self._family(algorithm, tensors, saved, trust)
        path = family.algorithm if family else str(algorithm)
        if trust:
            _require_unset(activation_fn)
            policy = trusted.policy(file.content, path, env)
        else:
            assert family is not None
            words = self._words(saved, activation_fn)
            policy = rebuilding.policy(family, tensors, saved, words, env)
        traced = acting.traced(cast(Any, rebuilding.Model(policy, env)), path)
        return origin.describe(
            traced,
            family.name if family else None,
            saved,
            {
                **origin.of_file(file, trust),
                **origin.of_environment(self._renamed),
                "normalizer_sha256": moments.sha256 if moments else None,
                "frame_stack": frames,
            },
        )

    def _require_normalizer(self, saved: Saved) -> None:
        # Off-policy algorithms keep the original observation without a normaliser too.
        shows = "_last_original_obs" in saved.remarks and not saved.has("buffer_size")
        if self._normalizer or self._stated or not shows:
            return
        raise BadInput(
            f"{self._model.name} was trained behind a VecNormalize",
            "its statistics, without which the policy sees what it never saw",
            "Give normalizer=vecnormalize.pkl, or normalizer=none if only rewards were normalised.",
        )

    def _family(
        self, algorithm: str | None, tensors: Mapping[str, Any], saved: Saved, trust: bool
    ) -> Family | None:
        """The known algorithm; None for one that only its own class can load."""
        from rl_lab_agents.foreign import families

        if algorithm is not None:
            return families.named(algorithm) if not trust else families.find(algorithm)
        said = families.find(self._run.algorithm or "") if self._run else None
        return said or families.detect(tensors.keys(), saved)

    def _words(self, saved: Saved, activation_fn: str | None) -> dict[str, Any]:
        from rl_lab_agents.foreign import keywords

        module = saved.policy_module
        if module and not module.startswith(("stable_baselines3.", "sb3_contrib.")):
            raise BadInput(
                f"the policy is of the class {module}.{saved.policy_class}",
                "a policy of stable-baselines3 or sb3-contrib",
                keywords.TRUST,
            )
        of_zoo = self._run.policy_keywords if self._run else {}
        return keywords.known({**of_zoo, **saved.policy_keywords}, activation_fn)


def _member(file: archive.Archive, name: str) -> bytes:
    if name not in file.members:
        raise BadInput(
            f"{file.name} has no member {name!r}",
            "a zip that stable-baselines3's or sb3-contrib's save() wrote",
            "Files of SBX and of stable-baselines 2 cannot be read.",
        )
    return file.members[name]


def _require_unset(activation_fn: str | None) -> None:
    if activation_fn is not None:
        raise BadInput(
            f"activation_fn={activation_fn} with trust=true",
            "one of them: with trust, the file itself says it",
        )
