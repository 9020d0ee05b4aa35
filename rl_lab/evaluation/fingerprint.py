"""What names an evaluation: the same work has the same eight digits."""

from __future__ import annotations

from collections.abc import Sequence

from rl_lab import files, provenance
from rl_lab.evaluation.facing import Share
from rl_lab.evaluation.plan import Entrant, Task, Tasks


def fingerprint(work: Sequence[Task], contestants: Sequence[Entrant], step_limit: int) -> str:
    """Eight digits that name an evaluation: whatever can move a return is in them.

    Those are the policies, the environment, its contexts and seeds, the limit on steps, and the
    versions of what simulates and decides.
    """
    hashes = {(e.contestant, e.training_seed): e.card.onnx_sha256 for e in contestants}
    who, met = _met(work)
    faced: list[list[int]] = [[] for _ in who]
    for place, share in enumerate(met):
        for policy in share.policies:
            faced[policy].append(place)
    # Thousands of policies face the same; that is turned into text once.
    plain = {id(share.context): share.context.to_data() for share in met}
    texts = {
        places: files.canonical_hash(
            [[plain[id(met[i].context)], seeds] for i in places for seeds in met[i].pieces]
        )
        for places in set(map(tuple, faced))
    }
    data = [
        [*one, hashes[one], texts[tuple(places)]]
        for one, places in zip(who, faced, strict=True)
        if places
    ]
    installed = provenance.versions()
    engine = [installed.get(p) for p in ("gymnasium", "mujoco", "box2d", "onnxruntime", "numpy")]
    environment = contestants[0].card.environment
    return files.canonical_hash([data, environment, step_limit, engine])


def _met(work: Sequence[Task]) -> tuple[list[tuple[str, int]], Sequence[Share]]:
    """Who has work, and what they face, both in the order of the work."""
    if isinstance(work, Tasks):
        return [(e.contestant, e.training_seed) for e in work.contestants], work.shares
    places: dict[tuple[str, int], int] = {}
    shares = [
        Share(
            task.context,
            (places.setdefault((task.contestant, task.training_seed), len(places)),),
            [task.evaluation_seeds],
        )
        for task in work
    ]
    return list(places), shares
