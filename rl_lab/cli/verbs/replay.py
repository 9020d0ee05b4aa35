"""Watch, record or re-verify episodes of a frozen policy.

usage: rl-lab replay run=FOLDER [to=FILE.webp] [episodes=N] [seed=K]
       rl-lab replay policy=FOLDER [to=FILE.webp]
       rl-lab replay evaluation=FOLDER [contestant=NAME] [pick=best|median|worst]
       rl-lab replay file=EPISODE.json [to=FILE.webp] [verify=true]

Without to= a window opens where there is a display; elsewhere the episode is drawn, headless, to
an animated WebP under outputs/replay. A recording beside it (.json, kilobytes) holds seed, actions
and hashes, so that the episode can be lived again, proved identical and drawn at any size later.

  to=FILE      .webp, .png (animated), .gif, .txt (text environments), .json (the recording)
  to=FOLDER    a .webp of a telling name
  size=480     pixels of the longer side
  fps=30       pictures per second
  seed=K       the episode's seed is the first of published list K (0 unless said otherwise)
  imports=[PACKAGE]   packages that register the environment
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from rl_lab import files, frozen_policy, paths, records, replay, runs, seeding
from rl_lab.cli import config, typed
from rl_lab.cli.options import Options
from rl_lab.environments import register
from rl_lab.errors import EXIT_DONE, EXIT_FAILED, BadInput, Failed
from rl_lab.frozen_policy import load_policy
from rl_lab.replay import Replay
from rl_lab.replay.drawing import has_display

_SOURCES = ("run", "policy", "evaluation", "file")


def run(options: Options, words: list[str]) -> int:
    """Replay; returns the exit code."""
    # To Hydra `evaluation` is a group of files, so the key has another name behind the scenes.
    words = [re.sub("^evaluation=", "from_evaluation=", word) for word in words]
    data = config.compose("replay", config.expand(words, multirun=False)[0], options)
    data["evaluation"] = data.pop("from_evaluation")
    if options.show_config:
        print(config.to_yaml(data), end="")
        return EXIT_DONE
    given = [name for name in _SOURCES if data[name] is not None]
    if len(given) != 1:
        raise BadInput(
            f"{' and '.join(given) or 'nothing'} to replay",
            f"one of {', '.join(f'{name}=' for name in _SOURCES)}",
            "`rl-lab list` shows what is at hand.",
        )
    imports = typed.value(data["imports"], tuple[str, ...], "imports")
    register(imports)
    if data["to"] is not None:
        target = Path(str(data["to"]))
        paths.require_writable(target.parent if _is_file(target) else target)
    faithful = True
    if given[0] in ("run", "policy") and data["episodes"] != 1 and _is_file(data["to"]):
        raise BadInput(
            f"episodes={data['episodes']} into the one file {data['to']}",
            "a folder for several episodes",
            "Give to=FOLDER, or episodes=1.",
        )
    for episode in _episodes(given[0], data, imports):
        print(_line(episode))
        faithful &= _show(episode, data, imports, recorded=given[0] == "file")
    return EXIT_DONE if faithful else EXIT_FAILED


def _is_file(to: object) -> bool:
    return to is not None and Path(str(to)).suffix != ""


def _episodes(source: str, data: Mapping[str, Any], imports: tuple[str, ...]) -> Iterator[Replay]:
    place = paths.one(str(data[source]))
    if source == "file":
        yield replay.load(place)
    elif source == "evaluation":
        yield _picked(place, data, imports)
    else:
        if source == "run":
            runs.require_complete(place)
        policy = load_policy(place)
        episodes = typed.value(data["episodes"], int, "episodes")
        typed.positive(episodes, "episodes")
        root = typed.value(data["seed"], int, "seed")
        for seed in seeding.evaluation_seeds(root, episodes, keys=("seed", "episodes")):
            yield replay.record(policy, seed, imports=imports)


def _picked(folder: Path, data: Mapping[str, Any], imports: tuple[str, ...]) -> Replay:
    scores = files.read_json(folder / paths.SCORES)
    names = [c["name"] for c in scores["contestants"]]
    name = data["contestant"] or (names[0] if len(names) == 1 else None)
    if name not in names:
        raise BadInput(
            f"contestant={data['contestant']}",
            f"one of {', '.join(names)}",
            "Give contestant=NAME.",
        )
    mine = [r for r in records.read(folder / paths.EPISODES) if r.contestant == name]
    chosen = replay.pick(mine, str(data["pick"] or "best"))
    for place in scores["contestants"][names.index(name)]["policies"]:
        if frozen_policy.read_card(Path(place)).training_seed != chosen.training_seed:
            continue
        limit = int(scores["protocol"]["step_limit"])
        episode = replay.record(
            load_policy(place), chosen.evaluation_seed, imports=imports, step_limit=limit
        )
        if episode.episode_return != chosen.episode_return:
            raise Failed(
                f"the episode returns {episode.episode_return:g}, not {chosen.episode_return:g}",
                "the policy and the environment of the evaluation",
                "Evaluate again: the policy, the environment or a library has changed.",
            )
        return episode
    raise BadInput(
        f"the policy of {name}, training seed {chosen.training_seed}, is gone",
        f"the folders that {folder / paths.SCORES} names",
        "Run this from the folder in which the evaluation was run.",
    )


def _line(episode: Replay) -> str:
    who = f"{episode.agent}, training seed {episode.training_seed}"
    return (
        f"{episode.environment['id']}, {who}, episode seed {episode.seed}: "
        f"return {episode.episode_return:g}, {episode.length} steps, {episode.ended}"
    )


def _show(
    episode: Replay, data: Mapping[str, Any], imports: tuple[str, ...], recorded: bool
) -> bool:
    """Verify, watch or draw one episode; whether it was the recorded one to the bit."""
    if typed.value(data["verify"], bool, "verify"):
        verdict = replay.verify(episode, imports)
        print(verdict)
        return verdict.identical
    target = data["to"]
    if target is None and has_display():
        verdict = replay.watch(episode, imports)
    else:
        folder = Path(str(data["output"])) / "replay"
        path = Path(str(target)) if target is not None else folder
        if path.suffix == ".json":
            replay.save(episode, path)
            print(f"recording: {path}")
            return True
        drawn = replay.render(
            episode,
            path,
            fps=typed.value(data["fps"], float | None, "fps"),
            overlay=typed.value(data["overlay"], bool, "overlay"),
            size=typed.value(data["size"], int | None, "size"),
            imports=imports,
        )
        verdict = drawn.verdict
        print(f"pictures: {drawn.path} ({drawn.frames} frames)")
        if not recorded:
            replay.save(episode, drawn.path.with_suffix(".json"))
            print(f"recording: {drawn.path.with_suffix('.json')}")
    if not verdict.identical:
        print(verdict)
    return verdict.identical
