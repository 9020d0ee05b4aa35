"""What an evaluation consists of, decided before the first episode."""

from __future__ import annotations

import contextlib
import dataclasses
import gc
import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from rl_lab import files, frozen_policy, paths, provenance, seeding
from rl_lab.errors import BadInput
from rl_lab.evaluation import facing
from rl_lab.frozen_policy import Card
from rl_lab.shifts import NOMINAL, Context


@dataclasses.dataclass(frozen=True)
class Entrant:
    """One frozen policy in an evaluation.

    Attributes:
        contestant: The recipe's name within the evaluation.
        training_seed: Tells the recipe's policies apart.
        folder: The frozen policy.
        card: Its card.
        run: The run it comes from, or None.
    """

    contestant: str
    training_seed: int
    folder: Path
    card: Card
    run: Path | None


@dataclasses.dataclass(frozen=True)
class Task:
    """Episodes of one policy in one context; what a worker is handed at a time."""

    contestant: str
    training_seed: int
    folder: Path
    context: Context
    evaluation_seeds: tuple[int, ...]

    @property
    def keys(self) -> list[tuple[str, int, tuple[str, float, str], int]]:
        """What names its episodes in records."""
        who = (self.contestant, self.training_seed, self.context.key)
        return [(*who, seed) for seed in self.evaluation_seeds]


@dataclasses.dataclass(frozen=True)
class Failure:
    """Why a contestant's policy has no complete records."""

    contestant: str
    training_seed: int
    message: str


def entrants(folders: Sequence[Path]) -> tuple[list[Entrant], list[Failure]]:
    """Group policies into contestants: one recipe is one contestant.

    Raises:
        BadInput: The policies come from different environments, or two are the same seed of the
            same recipe.
    """
    cards, damaged = _read_cards(folders)
    if not cards:
        raise BadInput(
            "no policy of the selection can be read", "frozen policies", damaged[0].message
        )
    _require_one_environment(cards)
    names = _names([card for _, card in cards])
    made = [
        Entrant(names[card.agent, card.recipe_hash], card.training_seed, folder, card, _run(folder))
        for folder, card in cards
    ]
    made.sort(key=lambda e: (e.contestant, e.training_seed, str(e.folder)))
    for one, two in itertools.pairwise(made):
        if (one.contestant, one.training_seed) == (two.contestant, two.training_seed):
            raise BadInput(
                f"{one.folder} and {two.folder} are the same seed of the same recipe",
                "each training seed once",
                "Leave one of them out.",
            )
    return made, damaged


def _read_cards(folders: Sequence[Path]) -> tuple[list[tuple[Path, Card]], list[Failure]]:
    cards, damaged = [], []
    with _without_collector():
        for folder in folders:
            try:
                cards.append((folder, frozen_policy.read_card(folder)))
            except BadInput as error:
                damaged.append(Failure(str(folder), seeding.UNKNOWN, str(error)))
    return cards, damaged


def by_environment(folders: Sequence[Path]) -> dict[str, list[Path]]:
    """Policies grouped by their environment's id, sorted.

    Raises:
        BadInput: A policy cannot be read.
    """
    cards, damaged = _read_cards(folders)
    if damaged:
        raise BadInput(damaged[0].message, "readable policies in a suite", "Leave it out.")
    groups: dict[str, list[Path]] = {}
    for folder, card in cards:
        groups.setdefault(str(card.environment["id"]), []).append(folder)
    return dict(sorted(groups.items()))


def _require_one_environment(cards: Sequence[tuple[Path, Card]]) -> None:
    first_folder, first = cards[0]
    for folder, card in cards[1:]:
        if card.environment != first.environment:
            raise BadInput(
                f"{first_folder} was trained in {_where(first)}, {folder} in {_where(card)}",
                "contestants of one environment",
                "Evaluate them apart, with runs=FOLDER for each, or together with suite=true.",
            )


def require_unseen(contestants: Sequence[Entrant], evaluation_seeds: Sequence[int]) -> None:
    """Refuse evaluation seeds that a policy from elsewhere may have been trained on.

    Runs of the lab train on seeds of another block; a foreign training gave its environments its
    own seed and the numbers after it.

    Raises:
        BadInput: They overlap; names them.
    """
    for entrant in contestants:
        first = entrant.card.training_seed
        trained = range(first, first + seeding.SEEDS_PER_RUN)
        if shared := [seed for seed in evaluation_seeds if seed in trained]:
            raise BadInput(
                f"{entrant.folder} was trained on seeds from {first} on, among them the evaluation "
                f"seeds {shared[0]} to {shared[-1]}",
                "evaluation seeds that no contestant was trained on",
                "Choose another list with evaluation.seed=NUMBER.",
            )


def _where(card: Card) -> str:
    extras = {k: v for k, v in card.environment.items() if k != "id" and v}
    return f"{card.environment['id']}{f' with {extras}' if extras else ''}"


def _names(cards: Sequence[Card]) -> dict[tuple[str, str], str]:
    recipes = sorted({(card.agent, card.recipe_hash) for card in cards})
    agents = [agent for agent, _ in recipes]
    return {
        (agent, code): agent if agents.count(agent) == 1 else f"{agent}-{code}"
        for agent, code in recipes
    }


def _run(folder: Path) -> Path | None:
    run = folder.parent
    return run if (run / paths.RUN_CARD).is_file() else None


def tasks(
    contestants: Sequence[Entrant],
    evaluation_seeds: Sequence[int],
    contexts: Iterable[tuple[Context, Sequence[int]]] = (),
    own: Mapping[tuple[str, int], Sequence[tuple[Context, Sequence[int]]]] | None = None,
    block: int = 10,
) -> list[Task]:
    """All the work, in blocks of episodes.

    Args:
        contestants: Who is evaluated.
        evaluation_seeds: Faced in the training context.
        contexts: Other worlds, and the seeds faced there; an episode that is asked for twice, or
            that belongs to the training context, is run once.
        own: The same for one policy alone, by contestant and training seed.
        block: Episodes that a worker is handed at a time.
    """
    alone = {
        i: mine
        for i, e in enumerate(contestants)
        if (mine := (own or {}).get((e.contestant, e.training_seed)))
    }
    everywhere = [(NOMINAL, evaluation_seeds), *contexts]
    with _without_collector():
        return [
            Task(who.contestant, who.training_seed, who.folder, context, piece)
            for context, i, some in facing.pieces(len(contestants), everywhere, alone, block)
            for who in (contestants[i],)
            for piece in some
        ]


@contextlib.contextmanager
def _without_collector() -> Iterator[None]:
    """Make what is kept: looking for garbage among hundreds of thousands takes seconds."""
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collects:
            gc.enable()


def worlds(work: Iterable[Task]) -> list[Context]:
    """What has to be tried before any of the work counts: each path at its far end.

    That is one context for every set of shifts and every schedule, at the largest magnitudes that
    the path declares.
    """
    found: dict[tuple[Any, ...], Context] = {}
    for task in work:
        names = tuple(shift.name for shift, _ in task.context.parts)
        schedule = task.context.schedule if task.context.moves else None
        if names:
            parts = tuple((shift, 1.0) for shift, _ in task.context.parts)
            found.setdefault((names, schedule), Context(parts, schedule, None))
    return list(found.values())


def fingerprint(work: Sequence[Task], contestants: Sequence[Entrant], step_limit: int) -> str:
    """Eight digits that name an evaluation: whatever can move a return is in them.

    Those are the policies, the environment, its contexts and seeds, the limit on steps, and the
    versions of what simulates and decides.
    """
    hashes = {(e.contestant, e.training_seed): e.card.onnx_sha256 for e in contestants}
    contexts: dict[tuple[str, int], list[tuple[int, int]]] = {}
    objects: dict[int, Any] = {}
    with _without_collector():
        for t in work:
            objects[one := id(t.context)] = t.context
            objects[two := id(t.evaluation_seeds)] = t.evaluation_seeds
            contexts.setdefault((t.contestant, t.training_seed), []).append((one, two))
    # Thousands of policies face the same contexts; those are turned into text once.
    plain = {key: c.to_data() for key, c in objects.items() if isinstance(c, Context)}
    texts = {
        faced: files.canonical_hash([[plain[key], objects[seeds]] for key, seeds in faced])
        for faced in set(map(tuple, contexts.values()))
    }
    data = [[*who, hashes[who], texts[tuple(faced)]] for who, faced in contexts.items()]
    installed = provenance.versions()
    engine = [installed.get(p) for p in ("gymnasium", "mujoco", "box2d", "onnxruntime", "numpy")]
    environment = contestants[0].card.environment
    return files.canonical_hash([data, environment, step_limit, engine])
