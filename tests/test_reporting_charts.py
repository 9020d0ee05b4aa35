"""Drawing: positions, ticks, bands, the Pareto front, colours one can read."""

from __future__ import annotations

import dataclasses
import json
import math
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markupsafe import Markup

import rl_lab.reporting
from rl_lab.reporting import arranging, curve_figures, curves, figures, lines, scatter, strips, text
from rl_lab.reporting.curves import Band, Curve
from rl_lab.reporting.scatter import Point
from rl_lab.reporting.svg import Scale, domain, element, log_ticks, nice_ticks, stretches, tick_text

numbers = st.floats(-1e9, 1e9).map(lambda value: round(value, 3))


@given(low=numbers, share=st.floats(1e-6, 1e3))
@settings(max_examples=200, deadline=None)
def test_ticks_are_round_and_inside(low: float, share: float) -> None:
    width = share * max(abs(low), 1.0)
    ticks = nice_ticks(low, low + width)
    steps = np.diff(ticks)
    assert len(ticks) <= 7
    assert all(low - 1e-6 * width <= t <= low + 1.000001 * width for t in ticks)
    assert len({tick_text(t) for t in ticks}) == len(ticks)
    if len(steps):
        step = float(f"{steps[0]:.3g}")
        assert np.allclose(steps, step, rtol=1e-3)
        assert f"{step:.0e}"[0] in "125"


@given(low=st.floats(1e-3, 1e6), ratio=st.floats(1.05, 1e6), count=st.integers(2, 6))
@settings(max_examples=300, deadline=None)
def test_an_axis_never_has_a_single_tick(low: float, ratio: float, count: int) -> None:
    for ticks in (nice_ticks(low, low * ratio, count), log_ticks(low, low * ratio)):
        assert len(ticks) >= 2
        assert all(low * 0.999999 <= tick <= low * ratio * 1.000001 for tick in ticks)


def test_ticks_by_example() -> None:
    assert nice_ticks(0.05, 0.89, 4) == [0.2, 0.4, 0.6, 0.8]
    assert nice_ticks(1, 103) == [20.0, 40.0, 60.0, 80.0, 100.0]
    assert log_ticks(12, 18) == [12.0, 14.0, 16.0, 18.0]
    assert nice_ticks(0, 1) == [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]
    assert nice_ticks(-3, 497) == [0.0, 100.0, 200.0, 300.0, 400.0]
    assert log_ticks(15, 400) == [20.0, 50.0, 100.0, 200.0]
    assert log_ticks(1, 1e9) == [1.0, 100.0, 1e4, 1e6, 1e8]
    assert [tick_text(t) for t in (0.0, 0.25, 500.0, 20_000.0, 1.5e6)] == [
        "0",
        "0.25",
        "500",
        "20k",
        "1.5M",
    ]


def test_scales_place_their_ends() -> None:
    for scale in (Scale(2, 8, 10, 90), Scale(2, 8, 90, 10), Scale(2, 8, 10, 90, log=True)):
        assert scale(2) == pytest.approx(scale.start)
        assert scale(8) == pytest.approx(scale.end)
    assert Scale(1, 100, 0, 10, log=True)(10) == pytest.approx(5)


def test_a_domain_is_never_empty() -> None:
    for values in ([], [math.nan], [0.0], [500.0, 500.0]):
        low, high = domain(values)
        assert low < high


def test_elements_escape_what_they_are_given() -> None:
    made = element("text", "</text><script>", class_='"><b>', x=1.04, text_anchor="end", id=None)
    attributes = 'class="&#34;&gt;&lt;b&gt;" x="1" text-anchor="end"'
    assert made == f"<text {attributes}>&lt;/text&gt;&lt;script&gt;</text>"


def test_lines_break_where_numbers_are_missing() -> None:
    assert stretches([True, True, False, True]) == [range(0, 2), range(3, 4)]
    gap = [1.0, math.nan, 2.0, 3.0]
    series = lines.Series("s0", [0, 1, 2, 3], gap, [math.nan] * 4, gap)
    axes = lines.axes([series], "x", "y", (420, 260), 1.0)
    drawn = lines.draw([series], axes, "title", "text", "key")
    assert drawn.count("<polyline") == 2
    assert "<polygon" not in drawn
    assert "nan" not in drawn


points = st.lists(st.tuples(st.integers(1, 5), st.integers(0, 5)), min_size=1, max_size=8)


@given(points)
def test_the_front_holds_exactly_the_unbeaten(places: list[tuple[int, int]]) -> None:
    given_ = [Point(str(i), "s0", (x, x, x), (y, y, y)) for i, (x, y) in enumerate(places)]
    for point in scatter.front(given_):
        x, y = point.x[0], point.y[0]
        beaten = any((a <= x and b > y) or (a < x and b >= y) for a, b in places)
        assert point.on_front == (not beaten)


def test_letters_go_on_after_z() -> None:
    assert [scatter.letters(i) for i in (0, 25, 26, 27, 52)] == ["A", "Z", "AA", "AB", "BA"]


def test_a_band_is_the_mean_and_the_extremes_on_the_shared_range() -> None:
    x = np.arange(0.0, 1000.0, 10.0)
    one = Curve(x, x / 2, 2 * x)
    two = Curve(x[5:], x[5:] / 2, 4 * x[5:])
    band = curves.band([one, two], "steps")
    assert isinstance(band, Band)
    assert (band.x[0], band.x[-1], band.seeds) == (50.0, 990.0, 2)
    np.testing.assert_allclose(band.mean, 3 * band.x)
    np.testing.assert_allclose(band.low, 2 * band.x)
    np.testing.assert_allclose(band.high, 4 * band.x)
    apart = Curve(x + 5000, x + 5000, x)
    assert curves.band([one, apart], "steps") == "the steps of its training seeds do not overlap"


def test_a_line_that_ends_before_its_longest_seed_says_so() -> None:
    x = np.arange(0.0, 1000.0, 10.0)
    quick, slow = Curve(x, x / 20, x), Curve(x, x / 5, x)
    band = curves.band([quick, slow], "seconds")
    assert isinstance(band, Band)
    assert (band.x[-1], band.longest) == (49.5, 198.0)
    line = curve_figures._learning_line("a", band, "s0", "seconds")
    assert line.value == "2 training seeds, to 50 s (the longest took 3 min 18 s)"
    assert line.value in line.text
    alike = curves.band([quick, quick], "seconds")
    assert isinstance(alike, Band)
    assert curve_figures._learning_line("a", alike, "s0", "seconds").value == "2 training seeds"


def test_the_name_of_a_reference_keeps_clear_of_the_lines() -> None:
    nothing = [math.nan] * 2
    placed = {}
    for key, ends in {"falls": (1.0, 0.02), "rises": (0.02, 1.0)}.items():
        series = lines.Series("s0", [0.0, 1.0], ends, nothing, nothing)
        axes = lines.axes([series], "x", "y", (420, 260), 1.0)
        axes = dataclasses.replace(axes, references=((0.0, "random"),), y=(-0.06, 1.06))
        drawn = lines.draw([series], axes, "title", "text", "key")
        (placed[key],) = re.findall(r'text-anchor="(\w+)"[^>]*class="reference-name"', drawn)
    assert placed == {"falls": "start", "rises": "end"}


def test_a_curve_skips_what_it_cannot_use(tmp_path: Path) -> None:
    tag = curves.RETURN_TAG
    rows = [
        {"step": 10, "time_s": 1.0, tag: 5.0},
        {"step": 20, "time_s": 2.0, tag: None},
        {"step": 30, "time_s": 3.0, "eval/mean_reward": 9.0},
        {"step": 40, "time_s": 4.0, tag: 6.0},
        {"step": 40, "time_s": 4.5, tag: 7.0},
    ]
    text_ = "".join(json.dumps(row) + "\n" for row in rows) + 'nonsense\n{"step": 50, "ti'
    (tmp_path / "metrics.jsonl").write_text(text_)
    (curve,), missing = curves.of_contestant(tmp_path, {"name": "a", "runs": [str(tmp_path)]})
    assert not missing
    assert curve.steps.tolist() == [10, 40]
    assert curve.seconds.tolist() == [1.0, 4.5]
    assert curve.returns.tolist() == [5, 7]


@pytest.mark.parametrize("content", [None, "", '{"step": 1, "time_s": 1}\n'])
def test_a_run_without_a_curve_has_a_reason(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "metrics.jsonl").write_text(content)
    found, (missing,) = curves.of_contestant(tmp_path, {"name": "a", "runs": [str(tmp_path)]})
    assert not found
    assert "metrics.jsonl" in missing.reason


def test_far_references_do_not_press_the_data_together() -> None:
    near, far = strips.Reference(475.0, "solved"), strips.Reference(-5000.0, "random")
    assert strips.visible([near, far], [400.0, 450.0]) == ([near], [far])


def test_two_single_charts_stand_side_by_side() -> None:
    panel, key = figures.Panel("", Markup("<svg/>")), figures.Key("s0", "a")
    single = figures.Figure("h", "how", "aside", [panel], keys=[key])
    many = dataclasses.replace(single, kind="multiples")
    crowded = dataclasses.replace(single, keys=[key] * 7)
    empty = dataclasses.replace(single, panels=())
    rows = arranging.side_by_side([single, single, single, many, single, empty, crowded])
    kinds = [[one.kind for one in row] for row in rows]
    alone = [["aside"], ["multiples"], ["aside"], ["aside"], ["aside"]]
    assert kinds == [["single", "single"], *alone]


def test_dots_at_one_place_stay_apart() -> None:
    strip = strips.Strip("t", "d", "s0", {str(i): 500.0 for i in range(5)}, mark=500.0)
    drawn = strips.draw(strip, strips.scale(0, 600), [], "k")
    assert len(set(re.findall(r'cy="([\d.]+)"', drawn))) == 5


def test_numbers_are_never_rounded_to_a_zero_they_are_not() -> None:
    assert text.places([457.3, 12.0]) == 1
    assert text.places([457.3, 0.004]) == 3
    assert text.places([0.0, None]) == 1
    assert text.places([]) == 1
    assert [text.latency(v) for v in (21.37, 1500.0, 2e6)] == ["21.4 µs", "1.5 ms", "2 s"]
    assert [text.size(v) for v in (512, 45_678, 1.2e9)] == ["512 B", "45.7 kB", "1.2 GB"]


def luminance(colour: str) -> float:
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(a: str, b: str) -> float:
    light, dark = sorted((luminance(a), luminance(b)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def test_colours_have_the_contrast_that_wcag_asks_for() -> None:
    style = Path(rl_lab.reporting.__file__).with_name("report.css").read_text()
    blocks = re.findall(r":root \{(.*?)\}", style, re.S)[:2]
    for block in blocks:
        colour = dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", block))
        for name in ("ink", "muted", "accent"):
            for ground in ("page", "card", "faint"):
                assert contrast(colour[name], colour[ground]) >= 4.5, (name, ground)
        for name in ("s0", "s1", "s2", "s3", "s4", "s5"):
            assert contrast(colour[name], colour["card"]) >= 3.0, name
            assert contrast(colour[name], colour["on-spot"]) >= 4.5, name
