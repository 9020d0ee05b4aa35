"""A figure as an SVG file of its own: title, legend, charts, and the style they need."""

from __future__ import annotations

import re

from markupsafe import Markup

from rl_lab.reporting.figures import MOST_TOGETHER, Figure, Panel, short
from rl_lab.reporting.svg import element, group

_COLOURS = ("#0072b2", "#c25400", "#00875f", "#b0558a", "#8a6a00", "#4f5963")
_DASHES = ("none", "8 3", "2 3", "10 3 2 3", "5 2", "1.5 2.5")
_MUTED, _RULE, _INK, _GROUND = "#565f6a", "#dcdfe3", "#1b1f24", "#ffffff"
_MARGIN, _TITLE_PX, _ROW_PX, _SWATCH_PX = 16, 34, 20, 28
_WIDE = 520
_LABEL_PX, _STRIP_PX, _AXIS_PX = 190, 48, 40
_COLUMNS, _NAME_PX = 2, 20


def svg(figure: Figure) -> str:
    """The whole file; sizes in pixels, text as text."""
    body, height = _charts(figure, _TITLE_PX)
    legend, height = _legend(figure, height + 8)
    title = element("text", figure.heading, x=0, y=16, class_="title")
    inner = group([title, *body, *legend], transform=f"translate({_MARGIN} {_MARGIN})")
    width, height = _WIDE + 2 * _MARGIN, height + 2 * _MARGIN
    return str(
        element(
            "svg",
            element("style", Markup(_style())),
            element("rect", width=width, height=height, fill=_GROUND),
            inner,
            xmlns="http://www.w3.org/2000/svg",
            width=width,
            height=height,
            viewBox=f"0 0 {width} {height}",
        )
    )


def _charts(figure: Figure, top: int) -> tuple[list[Markup], int]:
    """The charts placed below `top`, and where they end."""
    if figure.kind == "strips":
        return _strips(figure, top)
    if figure.kind == "multiples":
        return _multiples(figure, top)
    (panel,) = figure.panels
    width, height = _view(panel)
    scaled = round(_WIDE * height / width)
    return [_placed(panel.picture, 0, top, _WIDE, scaled)], top + scaled


def _strips(figure: Figure, top: int) -> tuple[list[Markup], int]:
    parts = []
    width = _WIDE - _LABEL_PX
    for panel in figure.panels:
        parts += _named(panel, 0, top + 20)
        parts.append(_placed(panel.picture, _LABEL_PX, top, width, _STRIP_PX))
        top += _STRIP_PX
    if figure.axis:
        at = {"x": _LABEL_PX - 12, "y": top + 18, "text_anchor": "end"}
        parts.append(element("text", figure.axis_label, **at))
        parts.append(_placed(figure.axis, _LABEL_PX, top, width, _AXIS_PX))
        top += _AXIS_PX
    return parts, top


def _named(panel: Panel, x: int, y: int) -> list[Markup]:
    value = [element("text", panel.value, x=x, y=y + 15)] if panel.value else []
    return [element("text", short(panel.name), x=x, y=y, class_="name"), *value]


def _multiples(figure: Figure, top: int) -> tuple[list[Markup], int]:
    parts = []
    width = (_WIDE - (_COLUMNS - 1) * _MARGIN) // _COLUMNS
    row_px = 0
    for place, panel in enumerate(figure.panels):
        row, column = divmod(place, _COLUMNS)
        view = _view(panel)
        height = round(width * view[1] / view[0])
        row_px = _NAME_PX * 2 + height
        x, y = column * (width + _MARGIN), top + row * row_px
        parts += _named(panel, x, y + 12)
        parts.append(_placed(panel.picture, x, y + _NAME_PX + 14, width, height))
    rows = -(-len(figure.panels) // _COLUMNS)
    return parts, top + rows * row_px


def _legend(figure: Figure, top: int) -> tuple[list[Markup], int]:
    parts = []
    for key in figure.keys:
        top += _ROW_PX
        if key.sign:
            parts.append(element("text", key.sign, x=8, y=top, class_="name"))
        else:
            line = {"x1": 0, "x2": _SWATCH_PX, "y1": top - 4, "y2": top - 4, "class_": "line"}
            parts.append(group([element("line", **line)], class_=key.look))
        words = f"{short(key.name)}: {key.note}" if key.note else short(key.name)
        parts.append(element("text", words, x=_SWATCH_PX + 8, y=top))
    return parts, top


def _view(panel: Panel) -> tuple[float, float]:
    found = re.search(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', panel.picture)
    assert found, "every chart but a strip has a viewBox"
    return float(found[1]), float(found[2])


def _placed(picture: Markup, x: int, y: int, width: int, height: int) -> Markup:
    """A chart put at its place; the size of its own, where it has one, is replaced."""
    head, rest = str(picture).split(">", 1)
    head = re.sub(r' (?:width|height)="[^"]*"', "", head)
    place = f'<svg x="{x}" y="{y}" width="{width}" height="{height}" overflow="visible"'
    return Markup(f"{head.replace('<svg', place, 1)}>{rest}")


def _style() -> str:
    rules = [
        f'text {{ font: 12px "Helvetica Neue", Arial, sans-serif; fill: {_MUTED}; }}',
        f".title {{ font-size: 15px; font-weight: bold; fill: {_INK}; }}",
        f".name {{ font-size: 12.5px; font-weight: bold; fill: {_INK}; }}",
        f".reference-name {{ font-size: 11px; paint-order: stroke; stroke: {_GROUND}; "
        "stroke-width: 4px; stroke-linejoin: round; }",
        f".axis {{ stroke: {_MUTED}; fill: none; }}",
        f".grid {{ stroke: {_RULE}; fill: none; }}",
        f".reference, .front-line {{ stroke: {_MUTED}; stroke-dasharray: 4 3; fill: none; }}",
        ".line { fill: none; stroke-width: 2; stroke-linejoin: round; }",
        f".ghost .line {{ stroke: {_MUTED}; stroke-width: 1.2; stroke-dasharray: 4 3; }}",
        f".letter {{ font-size: 11px; font-weight: bold; fill: {_INK}; }}",
        f".front .letter {{ fill: {_GROUND}; }}",
    ]
    for place in range(MOST_TOGETHER):
        colour, one = _COLOURS[place], f".s{place}"
        rules += [
            f"{one} .line {{ stroke: {colour}; stroke-dasharray: {_DASHES[place]}; }}",
            f"{one} .band {{ fill: {colour}; fill-opacity: 0.16; }}",
            f"{one} .dot {{ fill: {colour}; }}",
            f"{one} .bar {{ fill: {colour}; fill-opacity: 0.38; }}",
            f"{one} .mark {{ stroke: {colour}; stroke-width: 3; }}",
            f"{one} .thin {{ stroke: {colour}; stroke-width: 1.2; }}",
            f"{one} .spot {{ stroke: {colour}; stroke-width: 2; fill: {_GROUND}; }}",
            f"{one}.front .spot {{ fill: {colour}; }}",
        ]
    return "".join(rules)
