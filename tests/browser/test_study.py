"""A study's page in a real browser."""

from __future__ import annotations

import copy
import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rl_lab.reporting import study_page

pytest.importorskip("playwright", reason="`make test-browser` installs what drives a browser")
from browsing import HOSTILE, WIDTHS, chromium, serious_issues, visit
from playwright.sync_api import Browser, expect

pytestmark = pytest.mark.browser
GOLDEN = Path(__file__).parent.parent / "golden" / "study_v1" / "study.json"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as one:
        yield one


def stored(folder: Path, count: int, name: str = "a2c") -> Path:
    """The golden study with so many more trials; every third was given up."""
    data: dict[str, Any] = copy.deepcopy(json.loads(GOLDEN.read_text()))
    first = data["trials"][0]
    for number in range(len(data["trials"]), len(data["trials"]) + count):
        value = 60.0 + 40.0 * math.sin(number)
        trial = {**first, "number": number, "objectives": [value, 4.0 + number / 10]}
        if number % 3 == 0:
            trial |= {"state": "pruned", "objectives": None, "returns": None}
        data["trials"].append({**trial, "values": {f"agent.{name}": number / 7}})
    data |= {"name": name, "agent": name}
    data["importance"] = {f"agent.{name}": 0.7, **data["importance"]}
    (folder / "study.json").write_text(json.dumps(data))
    return study_page.write(folder)


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_loads_alone_fits_and_sorts(
    browser: Browser, tmp_path: Path, width: int, scheme: str
) -> None:
    seen = visit(browser, stored(tmp_path, 30), width, color_scheme=scheme)
    expect(seen.page.locator(".plot")).to_have_count(3)
    assert seen.overflow() == 0
    heading = seen.page.locator("#trials th", has_text="return")
    heading.get_by_role("button").click()
    expect(heading).to_have_attribute("aria-sort", "ascending")
    cells = seen.page.locator("#trials tbody tr > *:nth-child(2)").all()
    values = [float(cell.get_attribute("data-value") or "nan") for cell in cells]
    assert values == sorted(values)
    assert len(values) > 20
    assert seen.faults == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious(browser: Browser, tmp_path: Path, scheme: str) -> None:
    path = stored(tmp_path, 10)
    seen = visit(browser, path, 768, color_scheme=scheme, bypass_csp=True)
    assert serious_issues(seen.page) == []


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_stay_text(browser: Browser, tmp_path: Path, name: str) -> None:
    seen = visit(browser, stored(tmp_path, 3, name), 360)
    assert seen.page.locator("img").count() == 0
    expect(seen.page.locator("h1")).to_contain_text(name.replace("\u202e", "\ufffd"))
    assert seen.overflow() == 0
    assert seen.faults == []


def test_a_study_that_has_found_nothing_says_so(browser: Browser, tmp_path: Path) -> None:
    data = json.loads(GOLDEN.read_text())
    data |= {"trials": [], "importance": None, "winner": None}
    (tmp_path / "study.json").write_text(json.dumps(data))
    seen = visit(browser, study_page.write(tmp_path), 768)
    expect(seen.page.get_by_text("no trial has been proved")).to_be_visible()
    expect(seen.page.get_by_text("missing: no trial has one")).to_be_visible()
    assert seen.faults == []
