"""The command line: `rl-lab VERB [key=value ...]`; each verb is a file under `verbs/`."""

from __future__ import annotations

import importlib
import os
import signal
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path

from rl_lab import __version__
from rl_lab.cli.options import Options, split
from rl_lab.errors import EXIT_FAILED, EXIT_INTERRUPTED, BadInput, LabError, closest

_VERBS = Path(__file__).with_name("verbs")
# A person's order, first things first; a verb that is not named here still comes, at the end.
_ORDER = (
    "train",
    "tune",
    "freeze",
    "evaluate",
    "adapt",
    "report",
    "replay",
    "list",
    "tensorboard",
    "doctor",
)


def main(words: Sequence[str]) -> int:
    """Run one command and return its exit code; every error is one line on stderr."""
    try:
        options, rest = split(words)
    except LabError as error:
        return _complain(error, debug=False)
    signal.signal(signal.SIGTERM, _interrupt)
    warnings.showwarning = _warn
    try:
        return _dispatch(options, rest)
    except LabError as error:
        return _complain(error, options.debug)
    except KeyboardInterrupt:
        print("rl-lab: stopped", file=sys.stderr)
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        # The reader of our output (a pager, `head`) has seen enough.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 128 + getattr(signal, "SIGPIPE", 13)
    except Exception as error:
        if options.debug:
            raise
        text = " ".join(str(error).split())[:300]
        print(f"rl-lab: unexpected {type(error).__name__}: {text}. ", end="", file=sys.stderr)
        print("Repeat the command with --debug to see where.", file=sys.stderr)
        return EXIT_FAILED


def _interrupt(number: int, frame: object) -> None:
    # As Ctrl-C: whoever holds processes or files lets go of them on the way out.
    raise KeyboardInterrupt


def _warn(message: Warning | str, *where: object, **more: object) -> None:
    """A library's warning as one line, without the place in the library."""
    text = " ".join(str(message).split())
    if text not in _warned:
        _warned.add(text)
        print(f"rl-lab: warning: {text}", file=sys.stderr)


_warned: set[str] = set()


def _complain(error: LabError, debug: bool) -> int:
    if debug:
        import traceback

        traceback.print_exc()
    # A message may quote a file, which must not get to steer the terminal.
    text = "".join(c for c in " ".join(str(error).split()) if c.isprintable())
    print(f"rl-lab: {text}", file=sys.stderr)
    return error.exit_code


def _dispatch(options: Options, words: list[str]) -> int:
    if options.version:
        print(f"rl-lab {__version__}")
        return 0
    if not words:
        print(_overview())
        return 0
    verb, rest = words[0], words[1:]
    known = known_verbs()
    if verb not in known:
        raise BadInput(f"unknown verb {verb!r}", f"one of {', '.join(known)}", closest(verb, known))
    module = importlib.import_module(f"rl_lab.cli.verbs.{known[verb]}")
    if options.help:
        print((module.__doc__ or "").strip())
        return 0
    code: int = module.run(options, rest)
    return code


def known_verbs() -> dict[str, str]:
    """Verb -> module name, as found in the folder of verbs."""
    found = {p.stem.rstrip("_"): p.stem for p in _VERBS.glob("*.py") if p.stem != "__init__"}
    rank = {verb: i for i, verb in enumerate(_ORDER)}
    return {v: found[v] for v in sorted(found, key=lambda v: (rank.get(v, len(rank)), v))}


def _overview() -> str:
    lines = [
        "rl-lab: train agents, freeze their policies, compare them on reward, speed, adaptability.",
        "",
        "usage: rl-lab VERB [key=value ...]",
        "",
    ]
    lines += [f"  {verb:<12} {_first_line(stem)}" for verb, stem in known_verbs().items()]
    lines += [
        "",
        "  rl-lab VERB --help    a verb's keys and examples",
        "  -m                    train: every combination of comma-separated values",
        "  --cfg                 print the resolved configuration and stop",
        "  --config-dir DIR      add your own configuration folder",
        "  --debug               show where an error comes from",
        "  --version",
    ]
    return "\n".join(lines)


def _first_line(stem: str) -> str:
    # Read, not imported: help answers at once.
    text = (_VERBS / f"{stem}.py").read_text(encoding="utf-8")
    return text.split('"""', 2)[1].strip().split("\n")[0].rstrip(".")
