"""``dst compare``: studies beside the paper's tables, or beside one another."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dst.errors import InputError
from studies.cli.terminal import AsJson, print_json, print_table
from studies.surroundings import say

if TYPE_CHECKING:
    import pandas as pd

_SHARES = {
    "mean",
    "std",
    "low",
    "high",
    "paper_mean",
    "paper_std",
    "difference",
    "difference_low",
    "difference_high",
    "set_mean",
    "rival_mean",
    "coverage",
    "paper_coverage",
    "better",
    "alike",
    "worse",
}
"""Columns that are printed in percent; files hold shares."""

_AT_K = "K = "
"""Starts the names of columns that hold shares at a K."""

_TITLES = {
    "accuracy": "Test accuracy in % beside the paper's tables 6 and 4 (interval: Student's t, 95%, over seeds)",
    "flops": "Training FLOPs beside the paper's table 5",
    "ranks": "Mean rank by test accuracy (1 is best), as in the paper's appendix B",
    "mean_ranks": "Mean rank over the datasets that all have (1 is best)",
    "pairwise": "The first less each other one, percentage points (95%; p: Wilcoxon, p_holm: for all pairs), and how "
    "likely (%) it is better by more than a point, alike, or worse",
    "pairs": "Mean difference of accuracy over datasets, percentage points (95%; p: Wilcoxon, p_holm: for all)",
    "pairs_few": "The same at the least K, over the datasets but Madelon",
    "rivals": "Rivals as good as SET or better: SET less the rival in percentage points (interval: paired over seeds)",
    "over_k": "Mean accuracy in % over the datasets but Madelon, by K",
    "coverage": "Informative columns among as many selected, in %, beside the paper's figure 8",
}


def compare(
    folders: Annotated[list[Path], typer.Argument(metavar="DIR...", help="Folders of studies, or of their tables.")],
    paper: Annotated[bool, typer.Option("--paper", help="Beside the paper's tables 4, 5 and 6.")] = False,
    out: Annotated[Path | None, typer.Option(help="Also write the tables (CSV) and figures into this folder.")] = None,
    as_json: AsJson = False,
) -> None:
    """Put studies beside the paper's tables, or beside one another."""
    from studies.report.test_scores import read_opened_scores

    names = _names(folders)
    scores = {name: read_opened_scores(folder) for name, folder in names.items()}
    tables = _paper(scores, out) if paper else _studies(names, scores)
    if out is not None and not paper:
        _write(tables, out)
    if as_json:
        print_json({name: _plain(table) for name, table in tables.items()})
        return
    for number, (name, table) in enumerate((name, table) for name, table in tables.items() if len(table)):
        if name in _TITLES:
            typer.echo(("\n" if number else "") + _TITLES[name] + "\n")
        printed = _PRINTED[name](table) if name in _PRINTED else table
        print_table(list(printed.columns), _cells(printed))
    if paper:
        _say_counts(tables["accuracy"])
    elif len(tables["mean_ranks"]):
        _say_differences(tables["mean_ranks"])


def _names(folders: list[Path]) -> dict[str, Path]:
    names: dict[str, Path] = {}
    for folder in folders:
        name = folder.resolve().name
        if name in names:
            raise InputError(f"each study once, but {names[name]} and {folder} have the same name")
        names[name] = folder
    if any(not folder.is_dir() for folder in folders):
        raise InputError(f"{next(folder for folder in folders if not folder.is_dir())} is no folder")
    return names


def _paper(scores: Mapping[str, pd.DataFrame], out: Path | None) -> dict[str, pd.DataFrame]:
    from studies.compare.paper import compare_with_paper
    from studies.compare.write import write_comparison

    found = compare_with_paper(scores)
    if found.missing:
        say(f"Not in these studies: {', '.join(found.missing)}")
    if out is not None:
        write_comparison(found, out)
    return found.tables()


def _studies(names: Mapping[str, Path], scores: Mapping[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
    import pandas as pd

    from studies.compare.over_datasets import mean_ranks_of
    from studies.compare.pairwise import pairwise
    from studies.compare.studies import compare_studies
    from studies.store.folder import StudyFolder

    chosen = {}
    for name, folder in names.items():
        path = StudyFolder(folder).best_by_method
        try:
            chosen[name] = pd.read_csv(path)[["dataset", "method", "importance", "k"]]
        except (OSError, ValueError, KeyError) as error:
            raise InputError(f"{path}: cannot be read as a study's best_by_method.csv ({error})") from error
    table = compare_studies(scores, chosen)
    return {"studies": table, "mean_ranks": mean_ranks_of(table), "pairwise": pairwise(table)}


def _write(tables: Mapping[str, pd.DataFrame], out: Path) -> None:
    from studies.store.files import write_text

    for name, table in tables.items():
        write_text(out / f"{name}.csv", table.to_csv(index=False, lineterminator="\n"))


def _say_counts(accuracy: pd.DataFrame) -> None:
    say("\nMeans at the paper's less one of its standard deviations, or above; its means within our intervals:")
    for (method, importance), rows in accuracy[accuracy["reached"].notna()].groupby(["method", "importance"]):
        judged = rows[rows["within"].notna()]
        within = f"{int(judged['within'].sum())} of {len(judged)}"
        say(f"  {method}, {importance}: {int(rows['reached'].sum())} of {len(rows)} datasets; {within}")


def _say_differences(ranks: pd.DataFrame) -> None:
    first = ranks.iloc[0]
    say(
        f"\nFriedman's test that all are equal: p = {first['friedman_p']:.2g}. Two differ where their mean ranks are "
        f"{first['critical_difference']:.2f} apart or more (Nemenyi, 5% for all pairs together)."
    )
    if first["datasets"] < _ENOUGH:
        say(
            f"These are {first['datasets']} datasets: with fewer than {_ENOUGH} such tests find large differences only."
        )


_ENOUGH = 10
"""Datasets from which on mean ranks say something (Demsar 2006)."""


def _plain(table: pd.DataFrame) -> list[dict[str, Any]]:
    plain = table.astype(object).where(table.notna(), None)
    return [{str(name): value for name, value in row.items()} for row in plain.to_dict("records")]


def _by_k(over_k: pd.DataFrame) -> pd.DataFrame:
    """Return a line per method and importance metric, a column per K."""
    wide = over_k.pivot_table(index=["method", "importance", "datasets"], columns="k", values="mean")
    return wide.rename(columns=lambda k: f"{_AT_K}{k}").rename_axis(columns=None).reset_index()


def _not_behind(rivals: pd.DataFrame) -> pd.DataFrame:
    return rivals[rivals["difference"] <= 0].drop(columns=["seconds", "rival_seconds"])


def _without_tests(ranks: pd.DataFrame) -> pd.DataFrame:
    return ranks.drop(columns=["friedman_p", "critical_difference"])


def _of_first(pairs: pd.DataFrame) -> pd.DataFrame:
    first = pairs.head(1)[["study", "method"]]
    rows = pairs.merge(first, on=["study", "method"]).drop(columns=["study", "method"])
    return rows.rename(columns={"than_study": "study", "than_method": "method"})


_PRINTED = {"pairwise": _of_first, "over_k": _by_k, "rivals": _not_behind, "mean_ranks": _without_tests}
"""Tables that are printed in part, though their files hold all: a name and the part."""


def _cells(table: pd.DataFrame) -> list[list[str]]:
    return [[_cell(name, row[name]) for name in table.columns] for row in _plain(table)]


def _cell(column: str, value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if column in _SHARES or column.startswith(_AT_K):
        return f"{100 * value:.1f}"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
