"""What names an evaluation: the same work has the same eight digits."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from rl_lab import files, provenance
from rl_lab.evaluation.facing import Piece
from rl_lab.evaluation.plan import Entrant, Task, Tasks
from rl_lab.shifts import Context


def fingerprint(work: Sequence[Task], contestants: Sequence[Entrant], step_limit: int) -> str:
    """Eight digits that name an evaluation: whatever can move a return is in them.

    Those are the policies, the environment, its contexts and seeds, the limit on steps, and the
    versions of what simulates and decides.
    """
    hashes = {(e.contestant, e.training_seed): e.card.onnx_sha256 for e in contestants}
    faced: dict[tuple[str, int], list[int]] = {}
    met: list[tuple[Context, Sequence[Piece]]] = []
    for context, who, pieces in _met(work):
        for one in who:
            faced.setdefault(one, []).append(len(met))
        met.append((context, pieces))
    # Thousands of policies face the same; that is turned into text once.
    plain = {id(context): context.to_data() for context, _ in met}
    texts = {
        places: files.canonical_hash(
            [[plain[id(met[i][0])], seeds] for i in places for seeds in met[i][1]]
        )
        for places in set(map(tuple, faced.values()))
    }
    data = [[*one, hashes[one], texts[tuple(places)]] for one, places in faced.items()]
    installed = provenance.versions()
    engine = [installed.get(p) for p in ("gymnasium", "mujoco", "box2d", "onnxruntime", "numpy")]
    environment = contestants[0].card.environment
    return files.canonical_hash([data, environment, step_limit, engine])


def _met(
    work: Sequence[Task],
) -> Iterator[tuple[Context, Iterable[tuple[str, int]], Sequence[Piece]]]:
    """Each world, who lives there, and the seeds, in the order of the work."""
    if not isinstance(work, Tasks):
        yield from (
            (task.context, [(task.contestant, task.training_seed)], [task.evaluation_seeds])
            for task in work
        )
        return
    names = [(entrant.contestant, entrant.training_seed) for entrant in work.contestants]
    for share in work.shares:
        yield share.context, [names[i] for i in share.policies], share.pieces
