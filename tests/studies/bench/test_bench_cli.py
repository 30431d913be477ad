"""``dst bench`` prints what was measured, as JSON, as a table and as a figure, and refuses wrong calls first."""

from __future__ import annotations

import json
from dataclasses import asdict

import pytest
from typer.testing import CliRunner

from dst.bench.shapes import SHAPES, Shape
from dst.bench.step import StepRow
from studies.bench.plot import speed_up
from studies.cli.main import app, main


@pytest.fixture(autouse=True)
def tiny(monkeypatch):
    monkeypatch.setitem(SHAPES, "TINY", Shape("TINY", features=60, classes=3, batch=10, hidden=(30, 20)))


def bench(*arguments):
    result = CliRunner().invoke(app, ["bench", *map(str, arguments)], catch_exceptions=False)
    assert result.exit_code == 0
    return result


@pytest.mark.parametrize(("command", "n_rows"), [("step", 2), ("topology", 4), ("attribution", 2)])
def test_json_is_one_object_and_progress_goes_elsewhere(command, n_rows):
    result = bench(
        command, "--shape", "TINY", "--sparsity", 0.5, "--sparsity", 0.9, "--seconds", 0, "--threads", 1, "--json"
    )
    document = json.loads(result.stdout)
    assert list(document) == ["machine", "rows"]
    assert document["machine"]["threads"] == 1
    assert len(document["rows"]) == n_rows
    assert result.stderr.count("shape TINY") == n_rows


def test_a_table_has_a_line_a_row_below_the_machine():
    lines = bench("topology", "--shape", "TINY", "--sparsity", 0.9, "--seconds", 0).stdout.splitlines()
    assert lines[0].startswith("cpu ")
    assert lines[2].split() == ["shape", "sparsity", "method", "step_ms", "update_ms", "dense_step_ms"]
    assert [line.split()[:3] for line in lines[3:]] == [["TINY", "0.9", "set"], ["TINY", "0.9", "rigl"]]


@pytest.mark.parametrize(("suffix", "start"), [(".svg", b"<?xml"), (".png", b"\x89PNG")])
def test_the_figure_is_written(tmp_path, suffix, start):
    path = tmp_path / f"speed{suffix}"
    bench("step", "--shape", "TINY", "--sparsity", 0.9, "--seconds", 0, "--plot", path)
    assert path.read_bytes().startswith(start)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["step", "--shape", "tinny"], "unknown shape 'tinny': did you mean 'TINY'"),
        (["step", "--sparsity", "1.5"], "0 < sparsity < 1 must hold, but got sparsity=1.5"),
        (["step", "--plot", "speed.pdf"], "--plot must name a .png or .svg file, but got speed.pdf"),
        (["topology", "--threads", "0"], "'--threads'"),
    ],
)
def test_wrong_calls_end_with_one_line_and_status_2(arguments, message, capsys):
    with pytest.raises(SystemExit) as ended:
        main(["bench", *arguments])
    assert ended.value.code == 2
    captured = capsys.readouterr()
    assert message in captured.err
    assert captured.err.count("\n") == 1
    assert not captured.out


def test_each_panel_shows_the_ratio_to_dense_and_the_ideal():
    def row(shape, sparsity, dense, ours):
        return asdict(StepRow(shape, 32, sparsity, "static", ours, dense, 2 * dense, dense / 2, dense, dense / ours))

    rows = [row("B", 0.9, 10.0, 1.0), row("B", 0.5, 8.0, 4.0), row("A", 0.5, 6.0, 2.0)]
    figure = speed_up(rows)
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["B", "A"]
    lines = {line.get_label(): line for line in figure.axes[0].get_lines()}
    assert list(lines["1 / density"].get_xdata()) == pytest.approx([0.5, 0.1])
    assert list(lines["1 / density"].get_ydata()) == pytest.approx([2, 10])
    assert list(lines["sparse engine"].get_ydata()) == pytest.approx([2, 10])
    assert list(lines["torch masked"].get_ydata()) == pytest.approx([0.5, 0.5])
    assert list(lines["torch CSR"].get_ydata()) == pytest.approx([2, 2])
    assert {axes.get_xscale() for axes in figure.axes} == {axes.get_yscale() for axes in figure.axes} == {"log"}
