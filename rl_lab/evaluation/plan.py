"""What an evaluation consists of, decided before the first episode."""

from __future__ import annotations

import bisect
import dataclasses
import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, overload

from rl_lab import frozen_policy, garbage, paths, seeding
from rl_lab.errors import BadInput
from rl_lab.evaluation import facing
from rl_lab.evaluation.facing import Piece, Share
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


@garbage.uncollected()
def _read_cards(folders: Sequence[Path]) -> tuple[list[tuple[Path, Card]], list[Failure]]:
    cards, damaged = [], []
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
) -> Sequence[Task]:
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
    return Tasks(contestants, tuple(facing.shares(len(contestants), everywhere, alone, block)))


class Tasks(Sequence[Task]):
    """Tasks that are made as they are looked at: thousands of policies have hundreds each.

    Args:
        contestants: Who is evaluated.
        shares: What they face; the tasks are in its order.
    """

    def __init__(self, contestants: Sequence[Entrant], shares: Sequence[Share]) -> None:
        self.contestants, self.shares = contestants, shares
        self._ends = list(itertools.accumulate(map(len, shares)))

    def __len__(self) -> int:
        return self._ends[-1] if self._ends else 0

    def __iter__(self) -> Iterator[Task]:
        for share in self.shares:
            for i in share.policies:
                for piece in share.pieces:
                    yield self._task(i, share, piece)

    @overload
    def __getitem__(self, index: int) -> Task: ...

    @overload
    def __getitem__(self, index: slice) -> list[Task]: ...

    def __getitem__(self, index: int | slice) -> Task | list[Task]:
        if isinstance(index, slice):
            return [self._at(i) for i in range(*index.indices(len(self)))]
        return self._at(range(len(self))[index])

    def _at(self, index: int) -> Task:
        place = bisect.bisect_right(self._ends, index)
        share = self.shares[place]
        which, piece = divmod(index - self._ends[place] + len(share), len(share.pieces))
        return self._task(share.policies[which], share, share.pieces[piece])

    def _task(self, policy: int, share: Share, piece: Piece) -> Task:
        who = self.contestants[policy]
        return Task(who.contestant, who.training_seed, who.folder, share.context, piece)


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
