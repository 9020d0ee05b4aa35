"""A real browser, what is seen in it, and episodes to play."""

from __future__ import annotations

import contextlib
import dataclasses
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from axe_playwright_python.sync_playwright import Axe
from fakes import clipped, linear_policy, recorded
from playwright.sync_api import Browser, Page, sync_playwright

from rl_lab import files

CHROMIUM = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
STANDS = [[-0.1, -0.5, -3.0, -1.0], [0.1, 0.5, 3.0, 1.0]]
FALLS = [[0.0, 0.0, -1.0, 0.0], [0.0, 0.0, 1.0, 0.0]]
LEANS = [[0.0, 0.0, -1.0, -0.2], [0.0, 0.0, 1.0, 0.2]]
SEED = 2_000_000_003
WIDTHS = (360, 768, 1440)
HOSTILE = [
    "</script><img src=x onerror=alert(1)>",
    '=HYPERLINK("http://example.org","x")',
    "\u202e\u05e9\u05dc\u05d5\u05dd" + "x" * 300,
]


@contextlib.contextmanager
def chromium() -> Iterator[Browser]:
    program = next(filter(None, map(shutil.which, CHROMIUM)), None)
    assert program, f"no Chromium ({', '.join(CHROMIUM)}): apt-get install chromium-headless-shell"
    with sync_playwright() as playwright:
        # Root, as in a container, cannot have Chromium's sandbox; the pages are our own.
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield browser
        browser.close()


def add_replays(folder: Path, names: list[str]) -> None:
    """Three episodes of one seed, and one of them beside itself."""
    clips: dict[str, Any] = {}
    for name, weight in zip(names, (STANDS, LEANS, FALLS), strict=True):
        policy = linear_policy("CartPole-v1", weight, [0.0, 0.0], agent=name)
        made = clipped(recorded(policy, SEED), size=160)
        assert made.sheet is not None
        file = f"replays/clip-{len(clips):02d}.webp"
        files.write_bytes(folder / file, made.sheet)
        clips[f"clip-{len(clips):02d}"] = {**made.data, "sheet": file}
    keys = list(clips)
    players = [{"name": n, "clip": k} for n, k in zip(names, keys, strict=True)]
    scenes = [
        {"title": f"The same episode seed {SEED}", "players": players},
        {"title": f"{names[0]}: best and worst", "players": [players[0], players[2]]},
    ]
    data = {"format_version": 1, "recordings": [], "scenes": scenes, "clips": clips, "missing": []}
    files.write_json(folder / "replays" / "replays.json", data)


@dataclasses.dataclass
class Visit:
    """An open page, and everything that went wrong on it or left it."""

    page: Page
    faults: list[str]

    def overflow(self) -> float:
        """Pixels by which the page is wider than its window."""
        root = "document.documentElement"
        return float(self.page.evaluate(f"{root}.scrollWidth - {root}.clientWidth"))


def visit(browser: Browser, path: Path, width: int = 1440, **options: Any) -> Visit:
    context = browser.new_context(viewport={"width": width, "height": 900}, **options)
    page, faults = context.new_page(), []

    def asked(request: Any) -> None:
        if not request.url.startswith(("data:", path.as_uri())):
            faults.append(f"asked for {request.url}")

    page.on("console", lambda message: faults.append(f"{message.type}: {message.text}"))
    page.on("pageerror", lambda error: faults.append(f"error: {error}"))
    page.on("dialog", lambda dialog: (faults.append("dialog"), dialog.dismiss()))
    page.on("request", asked)
    page.goto(path.as_uri())
    return Visit(page, faults)


def serious_issues(page: Page) -> list[tuple[str, list[str]]]:
    """What an accessibility checker finds serious or worse, with some of the places."""
    return [
        (one["id"], [node["html"][:150] for node in one["nodes"]][:3])
        for one in Axe().run(page).response["violations"]
        if one["impact"] in ("serious", "critical")
    ]
