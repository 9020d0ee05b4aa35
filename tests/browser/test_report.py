"""The report in a real browser: it loads, sorts, hides, plays, scrubs, and says who may do what."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import fake_evaluation as fake
import pytest

from rl_lab.reporting import write_report

pytest.importorskip("playwright", reason="`make test-browser` installs what drives a browser")
from browsing import HOSTILE, WIDTHS, Visit, add_replays, chromium, serious_issues, visit
from playwright.sync_api import Browser, Page, expect

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as one:
        yield one


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report of three contestants."""
    folder = tmp_path_factory.mktemp("report") / "outputs" / "evaluate" / "demo"
    scores = fake.build(folder, fake.names(3))
    add_replays(folder, [c["name"] for c in scores["contestants"]])
    return write_report(folder)


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_loads_alone_and_fits(browser: Browser, report: Path, width: int, scheme: str) -> None:
    seen = visit(browser, report, width, color_scheme=scheme)
    expect(seen.page.locator("h1")).to_have_text("demo")
    for summary in seen.page.locator("summary").all():
        summary.click()
    assert seen.overflow() == 0
    ground = seen.page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (sum(map(int, re.findall(r"\d+", ground)[:3])) < 200) == (scheme == "dark")
    assert seen.faults == []


@pytest.mark.parametrize("width", WIDTHS)
def test_a_caption_is_in_view_however_far_its_table_is_scrolled(
    browser: Browser, report: Path, width: int
) -> None:
    seen = visit(browser, report, width)
    for summary in seen.page.locator("summary").all():
        summary.click()
    wide = 0.0
    for box in seen.page.locator(".scroll:has(caption)").all():
        outer, caption = box.bounding_box(), box.locator("caption")
        assert outer is not None
        for far in (0, 10_000):
            wide += float(box.evaluate("(box, far) => (box.scrollLeft = far, box.scrollLeft)", far))
            inner = caption.bounding_box()
            assert inner is not None
            assert inner["x"] >= outer["x"]
            assert inner["x"] + inner["width"] <= outer["x"] + outer["width"]
        assert caption.evaluate("one => one.scrollWidth <= one.clientWidth")
    assert wide > 0 or width > 360, "no table is wider than the window"


def column(page: Page, place: int) -> list[float]:
    cells = page.locator(f"#leaderboard tbody tr > *:nth-child({place})")
    return [float(cell.get_attribute("data-value") or "nan") for cell in cells.all()]


@pytest.mark.parametrize("width", WIDTHS)
def test_a_table_sorts_both_ways_and_says_so(browser: Browser, report: Path, width: int) -> None:
    seen = visit(browser, report, width)
    heading = seen.page.locator("#leaderboard th", has_text="mean return")
    place = 1 + int(heading.evaluate("cell => cell.cellIndex"))
    for direction in ("ascending", "descending"):
        heading.get_by_role("button").click()
        expect(heading).to_have_attribute("aria-sort", direction)
        values = column(seen.page, place)
        assert values == sorted(values, reverse=direction == "descending")
        assert len(set(values)) == 3
    assert seen.faults == []


@pytest.mark.parametrize("width", WIDTHS)
def test_a_series_can_be_hidden_and_shown(browser: Browser, report: Path, width: int) -> None:
    seen = visit(browser, report, width)
    figure = seen.page.locator("#learning figure").first
    button, line = figure.locator(".toggle").nth(1), figure.locator(".plot .s1 .line")
    expect(line).to_be_visible()
    button.click()
    expect(line).to_be_hidden()
    expect(button).to_have_attribute("aria-pressed", "false")
    expect(figure.locator(".plot .s0 .line")).to_be_visible()
    button.press("Enter")
    expect(line).to_be_visible()
    assert seen.faults == []


def picture(page: Page, clip: int = 0) -> str:
    """The pixels of a player's picture."""
    return str(page.locator(".clip canvas").nth(clip).evaluate("canvas => canvas.toDataURL()"))


def until(done: Callable[[], bool]) -> None:
    """Wait; a page with a strict policy evaluates no conditions of Playwright's."""
    for _ in range(100):
        if done():
            return
        time.sleep(0.05)
    raise AssertionError("it never came to that")


def fact(page: Page, name: str, clip: int = 0) -> str:
    row = page.locator(".clip").nth(clip).locator(".readout div", has_text=name)
    return str(row.locator("dd").text_content())


@pytest.mark.parametrize("width", WIDTHS)
def test_a_replay_plays_and_scrubs(browser: Browser, report: Path, width: int) -> None:
    seen = visit(browser, report, width)
    page, scrubber = seen.page, seen.page.locator("[data-part=scrub]")
    expect(page.locator(".clip")).to_have_count(3)
    blank = "canvas => canvas.getContext('2d').getImageData(80, 100, 1, 1).data[3] === 0"
    until(lambda: not page.locator(".clip canvas").first.evaluate(blank))
    first = picture(page)
    page.locator("[data-part=play]").click()
    until(lambda: int(scrubber.input_value()) > 5)
    page.locator("[data-part=play]").click()
    assert picture(page) != first
    scrubber.fill("12")
    for clip in range(3):
        assert fact(page, "step", clip) == "12"
        assert float(fact(page, "return", clip)) == 12.0  # CartPole pays 1 per step
    expect(scrubber).to_have_attribute("aria-valuetext", re.compile("step 12 of"))
    assert seen.faults == []


def test_the_player_obeys_keys_and_changes_scenes(browser: Browser, report: Path) -> None:
    seen = visit(browser, report)
    page, scrubber = seen.page, seen.page.locator("[data-part=scrub]")
    scrubber.focus()
    page.keyboard.press("ArrowRight")
    after = int(scrubber.input_value())
    assert after >= 1
    page.keyboard.press("ArrowLeft")
    assert scrubber.input_value() == "0"
    page.keyboard.press("End")
    assert scrubber.input_value() == scrubber.get_attribute("max")
    assert "terminated" in fact(page, "step", 2)
    page.keyboard.press("+")
    expect(page.locator("[data-part=speed]")).to_have_value("2")
    page.keyboard.press("Home")
    page.keyboard.press(" ")
    expect(page.locator("[data-part=play]")).to_have_text("Pause")
    page.keyboard.press(" ")
    expect(page.locator("[data-part=play]")).to_have_text("Play")
    page.locator("[data-part=scene]").select_option(index=1)
    expect(page.locator(".clip")).to_have_count(2)
    track = page.locator(".track").first
    box = track.bounding_box()
    assert box
    track.click(position={"x": box["width"] / 2, "y": box["height"] / 2})
    middle = int(scrubber.get_attribute("max") or 0) / 2
    assert abs(int(scrubber.input_value()) - middle) <= 2
    assert seen.faults == []


@pytest.mark.parametrize("width", [360, 1440])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious(browser: Browser, report: Path, width: int, scheme: str) -> None:
    seen = visit(browser, report, width, color_scheme=scheme, bypass_csp=True)
    for summary in seen.page.locator("summary").all():
        summary.click()
    assert serious_issues(seen.page) == []


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("hostile") / "outputs" / "evaluate" / "demo"
    scores = fake.build(folder, HOSTILE)
    message = {"contestant": HOSTILE[0], "training_seed": 0, "message": HOSTILE[0]}
    scores |= {"failures": [message], "verdict": HOSTILE[0], "command": HOSTILE[0]}
    fake.write(folder, scores)
    add_replays(folder, [c["name"] for c in scores["contestants"]])
    return write_report(folder)


@pytest.mark.parametrize("width", WIDTHS)
def test_hostile_names_stay_text(browser: Browser, hostile: Path, width: int) -> None:
    seen = visit(browser, hostile, width)
    assert seen.page.locator("img").count() == 0
    expect(seen.page.locator(".sentence")).to_have_text(HOSTILE[0])
    names = seen.page.locator(".clip .name").all_text_contents()
    assert HOSTILE[0] in names
    assert seen.overflow() == 0
    assert seen.faults == []


def test_a_copied_cell_is_no_formula(browser: Browser, hostile: Path) -> None:
    permissions = ["clipboard-read", "clipboard-write"]
    seen = visit(browser, hostile, permissions=permissions)
    button = seen.page.locator(".copy[data-table=leaderboard]")
    button.click()
    expect(button).to_have_text("Copied")
    text = str(seen.page.evaluate("navigator.clipboard.readText()"))
    lines = [line.split("\t") for line in text.splitlines()]
    assert len(lines) == 4
    assert len({len(line) for line in lines}) == 1
    assert f"'{HOSTILE[1]}" in {line[1] for line in lines}
    assert not any(re.match(r"[=+@]", cell) for line in lines for cell in line)


def test_the_policy_holds(browser: Browser, report: Path) -> None:
    seen = visit(browser, report)
    answered: list[str] = []
    seen.page.on("response", lambda response: answered.append(response.url))
    seen.page.evaluate(
        """() => {
          const script = document.createElement("script");
          script.textContent = "window.ran = true";
          document.body.append(script);
          const image = document.createElement("img");
          image.src = "https://example.org/x.png";
          document.body.append(image);
          document.body.insertAdjacentHTML("beforeend", "<b onclick='window.ran = true'>x</b>");
          document.body.lastElementChild.click();
        }"""
    )
    seen.page.wait_for_timeout(200)
    assert seen.page.evaluate("window.ran") is None
    refused = [fault for fault in seen.faults if "Content Security Policy" in fault]
    assert len(refused) >= 3
    assert answered == []


def test_tables_and_charts_need_no_script(browser: Browser, report: Path) -> None:
    seen = visit(browser, report, java_script_enabled=False)
    expect(seen.page.locator("#leaderboard tbody tr")).to_have_count(3)
    expect(seen.page.locator("#learning .plot").first).to_be_visible()
    expect(seen.page.get_by_text("Playing needs JavaScript")).to_be_visible()
    assert seen.page.locator("button:visible").count() == 0


def test_it_prints_light_and_without_controls(browser: Browser, report: Path) -> None:
    seen = visit(browser, report, color_scheme="dark")
    seen.page.emulate_media(media="print")
    expect(seen.page.locator("nav")).to_be_hidden()
    expect(seen.page.locator(".controls")).to_be_hidden()
    ground = seen.page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert ground == "rgb(255, 255, 255)"
    assert seen.page.pdf().startswith(b"%PDF")


@pytest.mark.parametrize("count", [0, 1, 2, 20])
def test_any_number_of_contestants(browser: Browser, tmp_path: Path, count: int) -> None:
    folder = tmp_path / "outputs" / "evaluate" / "demo"
    fake.build(folder, fake.names(count), seeds=1 if count == 1 else 3)
    seen: Visit = visit(browser, write_report(folder), 768)
    assert seen.overflow() == 0
    assert seen.faults == []
