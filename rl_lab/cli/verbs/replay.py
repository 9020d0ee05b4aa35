"""Watch, record or re-verify episodes of a frozen policy.

usage: rl-lab replay run=FOLDER [to=FILE.webp] [episodes=N] [seed=K]
       rl-lab replay policy=FOLDER [to=FILE.webp]
       rl-lab replay evaluation=FOLDER [contestant=NAME] [pick=best|median|worst]
       rl-lab replay file=EPISODE.json [to=FILE.webp] [verify=true]
       rl-lab replay run=[FOLDER,FOLDER] to=FILE.html
       rl-lab replay film run=FOLDER [to=FILE.webp]

Without to= a window opens where there is a display; elsewhere the episode is drawn, headless, to
an animated WebP under outputs/replay. A recording beside it (.json, kilobytes) holds seed, actions
and hashes, so that the episode can be lived again, proved identical and drawn at any size later.
A .html is a player that needs nothing else: frames with rewards and actions, and several policies
or recordings side by side, run= and policy= on the same episode seeds.
A film shows how a policy learned: one episode seed, played by every snapshot its run has kept.

  to=FILE      .webp, .png (animated), .gif, .mp4 (pip install "rl-lab[video]"), .html (a player),
               .txt (text environments), .json (the recording; one of another episode is
               never overwritten, nor are its pictures)
  to=-         text environments: every step on the terminal
  to=FOLDER    a .webp of a telling name
  shift=NAME   run, policy: in the context of conf/shift/ENVIRONMENT/NAME; .html: beside the
               training context
  delta=1      the shift's magnitude, from 0 to 1
  steps=200    run, policy: at most so many steps in all; the last episode is cut there
  size=480     pixels of the longer side
  fps=30       pictures per second
  seed=K       the episode's seed is the first of published list K (0 unless said otherwise)
  imports=[PACKAGE]   packages that register the environment
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rl_lab import paths, replay
from rl_lab.cli import config, destinations, players, typed
from rl_lab.cli import episodes as sources
from rl_lab.cli.destinations import Kind
from rl_lab.cli.episodes import Named
from rl_lab.cli.options import Options
from rl_lab.environments import register
from rl_lab.errors import EXIT_DONE, EXIT_FAILED, BadInput
from rl_lab.replay import ClipSettings, Replay
from rl_lab.replay.looking import has_display

_FILM = "film"
# Keys that only some sources know what to do with.
_USED_BY = {
    frozenset({"contestant", "pick"}): ("evaluation",),
    frozenset({"episodes", "shift", "delta"}): ("run", "policy"),
    frozenset({"seed", "steps"}): ("run", "policy", _FILM),
    frozenset({"verify"}): ("run", "policy", "evaluation", "file"),
}
_OF_FILES = {"fps", "size", "overlay"}
_OF_DRAWING = {"to", *_OF_FILES}


def run(options: Options, words: list[str]) -> int:
    """Replay; returns the exit code."""
    film = words[:1] == [_FILM]
    words = words[film:]
    given = {word.partition("=")[0].lstrip("+~") for word in words}
    # To Hydra these are groups of files, so the keys have other names behind the scenes.
    words = [re.sub(r"^(\+*)(evaluation|shift)=", r"\1from_\2=", word) for word in words]
    data = config.compose("replay", config.expand(words, multirun=False)[0], options)
    data |= {key: data.pop(f"from_{key}") for key in ("evaluation", "shift")}
    if options.show_config:
        print(config.to_yaml(data), end="")
        return EXIT_DONE
    if isinstance(data["verify"], str):
        raise BadInput(
            f"verify={data['verify']}", "verify=true", "Give file=RECORDING.json verify=true."
        )
    source = sources.source(data)
    _require_of_use(given, data, _FILM if film else source)
    imports = typed.value(data["imports"], tuple[str, ...], "imports")
    register(imports)
    to = destinations.given(data)
    what = destinations.kind(to)
    if to is not None and what is not Kind.TERMINAL:
        paths.require_writable(to if what is Kind.FOLDER else to.parent)
    drawing = _drawing(data)
    _require_drawing(to, drawing, film)
    if film:
        return _film(data, to, drawing, imports)
    if to is not None and what is Kind.PLAYER:
        return _player(data, to, drawing, options, imports)
    _require_one_file(source, data)
    faithful = True
    for named in sources.episodes(data, options, imports):
        print(sources.line(named.episode))
        if data["verify"]:
            faithful &= _verified(named.episode, imports)
        else:
            faithful &= _show(named.episode, to, data, imports, recorded=source == "file")
    return EXIT_DONE if faithful else EXIT_FAILED


def _require_of_use(given: set[str], data: Mapping[str, Any], source: str) -> None:
    """Refuse keys that would have no effect on what is asked for."""
    for keys, users in _USED_BY.items():
        for key in keys & given:
            if source not in users:
                known = " or ".join("`film`" if user == _FILM else f"{user}=" for user in users)
                raise BadInput(f"{key}= with {source}", f"{known} with it", f"Leave {key}= out.")
    if "delta" in given and data["shift"] in (None, "none"):
        raise BadInput("delta= without shift=", "the shift whose magnitude it is", "Leave it out.")
    what = destinations.kind(destinations.given(data))
    window = what is Kind.UNSAID and source != _FILM and has_display()
    if window and given & _OF_FILES:
        raise BadInput(
            f"{', '.join(f'{key}=' for key in sorted(given & _OF_FILES))} with a window",
            "to=FILE with it",
            "A window shows the environment as it draws itself, at its own speed.",
        )
    if what is Kind.TERMINAL and given & {"fps", "size"}:
        raise BadInput("fps= or size= with to=-", "to=FILE with it", "Text has neither.")
    if typed.value(data["verify"], bool, "verify") and given & _OF_DRAWING:
        raise BadInput(
            f"verify=true with {', '.join(f'{key}=' for key in sorted(given & _OF_DRAWING))}",
            "verify=true alone, which draws nothing",
            "Whatever is drawn from a recording is verified as it is drawn, and says so.",
        )


def _require_one_file(source: str, data: Mapping[str, Any]) -> None:
    several = data["episodes"] != 1 or isinstance(data[source], list)
    what = destinations.kind(destinations.given(data))
    if several and what in (Kind.RECORDING, Kind.PICTURES):
        raise BadInput(
            f"several episodes into the one file {data['to']}",
            "a folder for several episodes, or a player",
            "Give to=FOLDER or to=FILE.html, or episodes=1.",
        )


def _drawing(data: Mapping[str, Any]) -> dict[str, Any]:
    """How pictures are asked for."""
    kinds: dict[str, Any] = {"fps": float | None, "size": int | None, "overlay": bool}
    return {key: typed.value(data[key], kind, key) for key, kind in kinds.items()}


def _require_drawing(to: Path | None, drawing: Mapping[str, Any], film: bool) -> None:
    """Refuse, before an episode is lived, what could not be drawn whatever the environment."""
    replay.require_sizes(drawing["fps"], drawing["size"])
    what = destinations.kind(to)
    if to is None or what is Kind.TERMINAL:
        return
    if what is Kind.PLAYER and not drawing["overlay"]:
        raise BadInput(
            f"overlay=false with {to.name}",
            "overlay=true, or a file of pictures",
            "A player shows step, reward and return beside its pictures, never on them.",
        )
    if what is Kind.RECORDING and to.exists() and not film:
        replay.load(to)  # what is no recording is never replaced by one
    if what in (Kind.FOLDER, Kind.PICTURES):
        replay.target(to, "")


def _clip_settings(data: Mapping[str, Any], size: int | None) -> ClipSettings:
    own = data["clip"] if size is None else {**data["clip"], "size": size}
    return typed.build(ClipSettings, own, "clip")


def _player(
    data: Mapping[str, Any],
    to: Path,
    drawing: Mapping[str, Any],
    options: Options,
    imports: tuple[str, ...],
) -> int:
    """One page that plays all episodes, those of one seed side by side."""
    settings = _clip_settings(data, drawing["size"])
    replay.require_sizes(drawing["fps"], settings.size)
    found = list(sources.episodes(data, options, imports, beside=True))
    scenes: dict[str, list[Named]] = {}
    for named in found:
        print(sources.line(named.episode))
        scenes.setdefault(f"Episode seed {named.episode.seed}", []).append(named)
    names = list(dict.fromkeys(named.episode.agent for named in found))
    environments = list(dict.fromkeys(str(n.episode.environment["id"]) for n in found))
    title = f"{' and '.join(environments)}: {', '.join(names)}"
    same = players.write(scenes, title, to, settings, drawing["fps"], imports)
    return EXIT_DONE if same else EXIT_FAILED


def _film(
    data: Mapping[str, Any], to: Path | None, drawing: Mapping[str, Any], imports: tuple[str, ...]
) -> int:
    _, card = sources.filmed(data)
    run = f"{card['environment']}-{card['agent']}-seed_{card['seed']}"
    path = to or Path(str(data["output"])) / "replay"
    if destinations.kind(path) is Kind.FOLDER:
        path = path / f"{paths.file_name(run)}-film.webp"
    takes = sources.takes(data, path, imports)
    for take in takes:
        print(take.title)
    if destinations.kind(path) is Kind.PLAYER:
        scenes = {"How it learned": [Named(take.title, take.replay) for take in takes]}
        settings = _clip_settings(data, drawing["size"])
        title = f"{run}: how it learned"
        same = players.write(scenes, title, path, settings, drawing["fps"], imports)
        return EXIT_DONE if same else EXIT_FAILED
    shown = replay.film(takes, path, **drawing, imports=imports)
    print(f"film: {path} ({len(shown)} takes, {sum(one.frames for one in shown)} frames)")
    return EXIT_DONE if all(one.verdict.identical for one in shown) else EXIT_FAILED


def _verified(episode: Replay, imports: tuple[str, ...]) -> bool:
    verdict = replay.verify(episode, imports)
    print(verdict)
    return verdict.identical


def _show(
    episode: Replay,
    to: Path | None,
    data: Mapping[str, Any],
    imports: tuple[str, ...],
    recorded: bool,
) -> bool:
    """Watch, draw or keep one episode; whether it was the recorded one to the bit."""
    drawing = _drawing(data)
    if to is None and has_display():
        verdict = replay.watch(episode, imports)
        print(f"window closed: {verdict}")
        return verdict.identical
    if destinations.kind(to) is Kind.TERMINAL:
        verdict = replay.spell(episode, print, drawing["overlay"], imports)
        if recorded or not verdict.identical:
            print(verdict)
        return verdict.identical
    path = to or Path(str(data["output"])) / "replay"
    if destinations.kind(path) is Kind.RECORDING:
        return _keep(episode, path)
    own = destinations.kind(path) is Kind.FOLDER
    path = replay.target(path, replay.file_stem(episode))
    kept = path.with_suffix(destinations.RECORDING)
    if own:  # a name of our choice is one under which no other episode is kept yet
        kept = replay.free(kept, episode)
        path = kept.with_suffix(path.suffix)
    else:
        _require_own(kept, episode)
    drawn = replay.render(episode, path, **drawing, imports=imports)
    print(f"pictures: {drawn.path} ({drawn.frames} frames)")
    if not recorded:
        replay.save(episode, kept)
        print(f"recording: {kept}")
    if recorded or not drawn.verdict.identical:
        print(drawn.verdict)
    return drawn.verdict.identical


def _keep(episode: Replay, path: Path) -> bool:
    """Write the recording, unless the file holds another one."""
    _require_own(path, episode)
    replay.save(episode, path)
    print(f"recording: {path}")
    return True


def _require_own(path: Path, episode: Replay) -> None:
    """Refuse to replace a recording, or to draw beside it, where it is of another episode."""
    if path.exists() and not replay.holds(path, episode):
        raise BadInput(
            f"{path} holds another episode",
            "a name of its own for each recording and the pictures beside it",
            "Choose another to=, or delete that file.",
        )
