"""Tables and figures as files: the stored numbers, and nothing that a name could break."""

from __future__ import annotations

import csv
import io
import re
import sys
import xml.etree.ElementTree as xml
from pathlib import Path

import fake_evaluation as fake
import pytest
from PIL import Image

from rl_lab import cli
from rl_lab.errors import BadInput
from rl_lab.reporting import parts, stored, write_files

SVG = "{http://www.w3.org/2000/svg}"
HOSTILE = ["=1+1|`<b>", "50%_of & $x^2~\\{}#", "</svg><script>alert(1)</script>"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "outputs" / "evaluate" / "demo"


def rows(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(path.read_text(encoding="utf-8"))))


def test_csv_holds_the_stored_numbers_whole(folder: Path, tmp_path: Path) -> None:
    scores = fake.build(folder, fake.names(3))
    written = write_files(folder, "csv", tmp_path / "to")
    assert [path.stem for path in written] == list(parts.tables(stored.load(folder)))
    for row, contestant in zip(
        rows(tmp_path / "to" / "leaderboard.csv"), scores["contestants"], strict=True
    ):
        mean = contestant["reward"]["mean"]
        assert row["contestant"] == contestant["name"]
        found = [float(row[f"mean return{end}"]) for end in ("", " low", " high")]
        assert found == [mean["estimate"], mean["low"], mean["high"]]
        assert float(row["training time (s)"]) == contestant["training"]["seconds"]


def test_what_is_missing_is_empty_in_csv_and_says_why_elsewhere(
    folder: Path, tmp_path: Path
) -> None:
    fake.build(folder, fake.names(2), speed=False)
    write_files(folder, "csv", tmp_path)
    assert {row["decision µs"] for row in rows(tmp_path / "leaderboard.csv")} == {""}
    (path,) = write_files(folder, "md", tmp_path)
    text = path.read_text(encoding="utf-8")
    assert r"missing \[1\]" in text
    assert "[1] there is no speed.json" in text


def test_hostile_names_stay_text_in_every_table(folder: Path, tmp_path: Path) -> None:
    fake.build(folder, HOSTILE)
    write_files(folder, "csv", tmp_path)
    assert {row["contestant"] for row in rows(tmp_path / "leaderboard.csv")} == {
        "'=1+1|`<b>",
        *HOSTILE[1:],
    }
    (path,) = write_files(folder, "md", tmp_path)
    lines = path.read_text(encoding="utf-8").splitlines()
    (table,) = [i for i, line in enumerate(lines) if line.startswith("**Leaderboard")]
    counts = {line.replace("\\|", "").count("|") for line in lines[table + 2 : table + 7]}
    assert len(counts) == 1
    assert not any("<script>" in line for line in lines)
    write_files(folder, "latex", tmp_path)
    text = (tmp_path / "leaderboard.tex").read_text(encoding="utf-8")
    escaped = r"50\%\_of \& \$x\textasciicircum{}2\textasciitilde{}\textbackslash{}\{\}\#"
    assert escaped in text
    rows_ = [line for line in text.splitlines() if line.endswith(r"\\")]
    assert {line.replace(r"\&", "").count("&") for line in rows_} == {10}


def test_no_row_is_taken_for_an_argument_of_the_one_before(folder: Path, tmp_path: Path) -> None:
    fake.build(folder, ["[2cm]", "* starred", " [x"])
    for path in write_files(folder, "latex", tmp_path):
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"\\\\\s*[\[*]", text), path.name
    assert "{}1 & [2cm] &" in (tmp_path / "leaderboard.tex").read_text(encoding="utf-8")


@pytest.mark.parametrize("count", [1, 3, 8])
def test_every_figure_is_a_file_that_stands_alone(folder: Path, tmp_path: Path, count: int) -> None:
    names = [*HOSTILE, *fake.names(5)][:count]
    fake.build(folder, names)
    written = write_files(folder, "svg", tmp_path)
    figures = parts.figures(stored.load(folder))
    assert [path.stem for path in written] == list(figures)
    for path in written:
        root = xml.fromstring(path.read_text(encoding="utf-8"))
        assert root.tag == f"{SVG}svg"
        texts = ["".join(node.itertext()) for node in root.iter(f"{SVG}text")]
        assert texts[0] == figures[path.stem].heading
        assert not list(root.iter(f"{SVG}script"))
        assert "var(" not in path.read_text(encoding="utf-8")
        for name in names:
            assert any(name in text for text in texts), (path.stem, name)


def test_figures_come_as_png_and_pdf(folder: Path, tmp_path: Path) -> None:
    pytest.importorskip("vl_convert", reason="needs vl-convert: pip install rl-lab[figures]")
    fake.build(folder, fake.names(2))
    write_files(folder, "svg", tmp_path)
    for path in write_files(folder, "png", tmp_path):
        root = xml.fromstring(path.with_suffix(".svg").read_text(encoding="utf-8"))
        with Image.open(path) as picture:
            assert picture.width == pytest.approx(3 * float(root.get("width") or 0), abs=1)
            colours = picture.convert("RGB").getcolors(1 << 22) or []
            assert {(0, 114, 178), (194, 84, 0)} <= {colour for _, colour in colours}
    assert all(p.read_bytes().startswith(b"%PDF") for p in write_files(folder, "pdf", tmp_path))


def test_without_the_library_nothing_is_written(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake.build(folder, fake.names(2))
    monkeypatch.setitem(sys.modules, "vl_convert", None)
    with pytest.raises(BadInput, match=r"rl-lab\[figures\]"):
        write_files(folder, "png", tmp_path / "to")
    assert not (tmp_path / "to").exists()


def test_the_command_writes_beside_the_evaluation_and_refuses_other_formats(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fake.build(folder, fake.names(2))
    assert cli.main(["report", f"evaluation={folder}", "format=csv"]) == 0
    assert str(folder / "export" / "leaderboard.csv") in capsys.readouterr().out
    assert cli.main(["report", f"evaluation={folder}", "format=cvs"]) == 2
    assert "Did you mean 'csv'?" in capsys.readouterr().err
