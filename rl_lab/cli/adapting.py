"""An adaptation's configuration checked and typed, before anything slow is imported."""

from __future__ import annotations

import dataclasses
import glob
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rl_lab import checkpoints, files, paths, runs, shifts
from rl_lab.adaptations import CONTINUED, KINDS, SCRATCH
from rl_lab.agent import Training
from rl_lab.cli import config, shift_choice, training_sections, typed
from rl_lab.cli.options import Options
from rl_lab.environments import EnvironmentRecipe, register
from rl_lab.errors import BadInput
from rl_lab.shifts import Context
from rl_lab.training.adaptation import AdaptationPlan
from rl_lab.training.plan import CheckpointSettings

_WANTED = {"true": KINDS, "false": (CONTINUED,), "only": (SCRATCH,)}


@dataclasses.dataclass(frozen=True)
class Piece:
    """One training of an adaptation.

    Attributes:
        plan: What is done.
        agent: The agent's configuration.
    """

    plan: AdaptationPlan
    agent: Mapping[str, Any]


def places(data: Mapping[str, Any]) -> list[Path]:
    """The runs that a configuration names.

    Raises:
        BadInput: It names none, or what is no run.
    """
    if (data["run"] is None) == (data["runs"] is None):
        raise BadInput(
            "no run=" if data["run"] is None else "run= and runs= at once",
            "run=FOLDER of one run, or runs=FOLDER of several",
            "`rl-lab list` shows the runs.",
        )
    if data["run"] is not None:
        return [paths.one(str(data["run"]))]
    given = data["runs"] if isinstance(data["runs"], list) else [data["runs"]]
    found = []
    for text in map(str, given):
        matches = sorted(glob.glob(text)) if glob.has_magic(text) else [text]
        found += [run for match in matches for run in paths.find(Path(match), paths.RUN_CARD)]
    if not found:
        raise BadInput(f"runs={data['runs']} holds no runs", "a folder of runs")
    return found


def pieces(run: Path, data: Mapping[str, Any], options: Options) -> list[Piece]:
    """What is to be trained for one run.

    Raises:
        BadInput: The run cannot be unfrozen, or the world is none to adapt to.
    """
    card = runs.require_complete(run)
    source = _config(run)
    recipe, anchors, imports = training_sections.environment(source["env"])
    register(imports)
    context = _context(data, recipe, imports, options)
    step = int(card["steps"])
    checkpoints.final(run, step)
    steps = typed.value(data["steps"], int | None, "steps")
    steps = max(1, step // 2) if steps is None else steps
    typed.positive(steps, "steps")
    snapshots = typed.value(data["snapshots"], int, "snapshots")
    if not 2 <= snapshots <= steps:
        raise BadInput(f"snapshots={snapshots}", f"a whole number from 2 to steps={steps}")
    wanted, keep = _kinds(data), _keeps_replay(data)
    training = _training(source["training"], typed.value(data["device"], str | None, "device"))
    asked = {"context": context.to_data(), "steps": steps, "snapshots": snapshots, "replay": keep}
    # As all adaptations are named that were made where their run was.
    if training.device != training_sections.training_of(source["training"]).device:
        asked["device"] = training.device
    recipe_name = f"{card['agent']}-{card['recipe_hash']}"
    where = f"{context.shift_name}-{context.delta:g}-{files.canonical_hash(asked)}"
    output = typed.folder(data["output"], "output")
    folder = output / "adapt" / paths.file_name(recipe.id) / recipe_name / paths.file_name(where)
    common = AdaptationPlan(
        folder=folder,
        kind=CONTINUED,
        source=run,
        source_step=step,
        source_digest=card.get("state_digest"),
        environment=recipe,
        context=context,
        anchors=anchors,
        imports=imports,
        agent=str(card["agent"]),
        settings=str(card["settings"]),
        training=training,
        seed=int(card["seed"]),
        recipe_hash=str(card["recipe_hash"]),
        steps=steps,
        snapshots=snapshots,
        keep_replay=keep,
        config_text=config.to_yaml({**data, "run": str(run), "asked": asked, "source": source}),
        tensorboard=typed.value(data["logger"]["tensorboard"], bool, "logger.tensorboard"),
        threads=typed.value(source["threads"], int, "threads"),
        checkpoint=_checkpoint(data["checkpoint"], steps),
        answer_within_s=typed.value(data["answer_within_s"], float, "answer_within_s"),
    )
    names = {CONTINUED: f"seed_{common.seed}", SCRATCH: f"scratch_{common.seed}"}
    return [
        Piece(dataclasses.replace(common, kind=k, folder=folder / names[k]), source["agent"])
        for k in wanted
    ]


def _config(run: Path) -> dict[str, Any]:
    """What the run was made with."""
    try:
        data = config.read_yaml(run / paths.RUN_CONFIG)
        return {key: data[key] for key in ("env", "agent", "training", "threads")}
    except (OSError, KeyError, TypeError) as error:
        raise BadInput(
            f"run {run} has no readable {paths.RUN_CONFIG}: {error}",
            "the configuration that it was trained with",
            "Train the run again.",
        ) from error


def _training(data: Mapping[str, Any], device: str | None) -> Training:
    """The run's preprocessing; its budgets, selections and contexts are over."""
    # A native vector environment would be made without the shift.
    off = {"seconds": None, "selection_every_steps": 0, "warm_start": None}
    chosen = {"device": device} if device else {}
    return training_sections.training_of({**data, **off, "vectorization": "sync", **chosen})


def _checkpoint(data: Mapping[str, Any], steps: int) -> CheckpointSettings:
    """How the state is saved on the way; nothing is chosen among, and nothing stays."""
    off = {"keep_best": False, "keep_every_steps": 0, "keep_replay_buffer": False}
    return training_sections.checkpoint({**data, **off}, steps)


def _context(
    data: Mapping[str, Any], recipe: EnvironmentRecipe, imports: tuple[str, ...], options: Options
) -> Context:
    delta = typed.value(data["delta"], float, "delta")
    if not 0.0 < delta <= 1.0:
        raise BadInput(
            f"delta={delta:g}", "a magnitude above 0, up to 1", "1 is the shift's far end."
        )
    asked = data["shifts"]
    if asked == shift_choice.HEADLINE:
        asked = shift_choice.headline(recipe.id, options)[:1]
    chosen = shift_choice.declared(asked, recipe.id, options, "shift")
    if len(chosen) != 1:
        raise BadInput(
            f"shift={data['shifts']}",
            "one shift to adapt to",
            f"`rl-lab list shift/{recipe.id}` shows them.",
        )
    context = shifts.shifted(chosen[0], delta)
    shifts.require_effective(recipe, context, imports)
    return context


def _kinds(data: Mapping[str, Any]) -> Sequence[str]:
    word = str(data["scratch"]).lower()
    if word not in _WANTED:
        raise BadInput(f"scratch={data['scratch']}", "true, false or only")
    return _WANTED[word]


def _keeps_replay(data: Mapping[str, Any]) -> bool:
    if data["replay_buffer"] not in ("keep", "empty"):
        raise BadInput(f"replay_buffer={data['replay_buffer']}", "keep or empty")
    return bool(data["replay_buffer"] == "keep")
