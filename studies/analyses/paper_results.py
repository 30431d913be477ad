"""Tables and figures of the paper's study: ``python -m studies.analyses.paper_results``.

They are drawn from small tables that are committed, a folder for each study with ``study.yaml`` (what ran, with
versions and data hashes), ``test_scores.csv``, ``search.csv``, ``cost.csv`` and ``spent.json`` (its time on the clock);
``--study DIR`` gathers these from a finished study's folder first. Studies that share entries, like one network at
other sparsities, go into a folder of their own, ``--out results/paper/sparsities``. When the folder above is drawn,
they stand beside the rivals there that they lack, and ``beside.csv`` has their networks less those there. The tables on
the page, ``README.md``, are filled in from all of them.
"""

from __future__ import annotations

import argparse
import math
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from dst.errors import InputError
from studies.analyses.results_page import (
    beside_table,
    comparison_tables,
    cost_table,
    fill,
    loss_table,
    rows_table,
    stability_table,
    weight_decay_table,
)
from studies.compare.paper import PaperComparison, compare_with_paper
from studies.compare.reference import paper_rows
from studies.compare.small_tables import to_csv
from studies.compare.statistics import NETWORKS, beside_reference
from studies.compare.write import write_comparison
from studies.report.test_scores import read_opened_scores
from studies.store.files import write_text
from studies.store.folder import StudyFolder
from studies.store.record_codec import RecordError
from studies.store.record_schema import Stage
from studies.store.spent import read_spent
from studies.store.study_file import read_study

FOLDER = Path(__file__).parents[1] / "results" / "paper"

_BESIDE = {
    "sparsities": ("the paper's grid", "0.3, 0.6, 0.7"),
    "stronger_decay": ("as printed", "stronger decay"),
    "by_svm": ("by validation loss", "by the SVM"),
    "by_svm_again": ("by validation loss", "by the SVM"),
}
"""Folders with studies below :data:`FOLDER`: what the page calls the entries above them and theirs."""

_COPIED = ("spec", "test_scores", "best_by_method", "spent")
"""Files of a study's folder that are kept as they are."""

_SEARCHED = ["dataset", "number", "method", "sparsity", "l2", "state", "val_score", "val_loss", "epochs", "flops"]
_SEARCHED += ["seconds", "seed", "params"]
"""Columns of ``trials.csv`` that are kept of the search."""


def gather(study: StudyFolder, out: Path) -> None:
    """Copy what the tables need from a study's folder, what its search found, and what its trials cost.

    Raises:
        InputError: the folder is not that of a study with results.
    """
    read_opened_scores(study.path)
    out.mkdir(parents=True, exist_ok=True)
    for name in _COPIED:
        path: Path = getattr(study, name)
        shutil.copyfile(path, out / path.name)
    trials = pd.read_csv(study.trials_csv)
    searched = trials[trials["stage"] == Stage.SEARCH].sort_values(["dataset", "number"], kind="stable")
    write_text(out / "search.csv", to_csv(searched[[name for name in _SEARCHED if name in searched]]))
    cost = trials.groupby(["dataset", "method", "stage", "state"], sort=False)["seconds"].agg(["count", "sum"])
    columns = {"count": "trials", "sum": "core_seconds"}
    write_text(out / "cost.csv", to_csv(cost.rename(columns=columns).reset_index()))


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the tables and figures; return 2 if there is nothing to write them from."""
    parser = argparse.ArgumentParser(description="Tables and figures of the paper's study.")
    parser.add_argument("--study", type=Path, action="append", default=[], help="a finished study's folder; repeatable")
    parser.add_argument("--out", type=Path, default=FOLDER, help=f"where they are written (default {FOLDER})")
    options = parser.parse_args(arguments)
    try:
        new = {folder.resolve().name: folder for folder in options.study}
        if len(new) < len(options.study):
            raise InputError(
                f"--study folders must have names of their own, but got {', '.join(map(str, options.study))}"
            )
        if new:
            compare_with_paper(_scores(_studies(options.out) | new))  # what does not go together changes nothing
        for name, folder in new.items():
            gather(StudyFolder(folder), options.out / name)
        compared = _compare(options.out)
        if not compared:
            raise InputError(f"{options.out} has no study: gather one with --study DIR")
        for group, found in compared.items():
            write_comparison(found, group)
            if (above := compared.get(group.parent)) is not None:
                write_text(group / "beside.csv", to_csv(_networks_beside(found, above)))
            sys.stdout.write(f"{group}\n")
        if options.out in compared and (page := options.out / "README.md").exists():
            write_text(page, fill(page.read_text(encoding="utf-8"), _page_tables(compared, options.out)))
    except (InputError, RecordError, OSError) as error:
        sys.stderr.write(f"error: {error}\n")
        return 2
    return 0


def _compare(out: Path) -> dict[Path, PaperComparison]:
    """Return, for each folder with studies in it, what they say beside the paper; a folder before those in it.

    Raises:
        InputError: scores cannot be read, or two studies of a folder have the same entry.
    """
    groups = {
        group: _scores(_studies(group)) for group in sorted({p.parent.parent for p in out.rglob("test_scores.csv")})
    }
    return {
        group: compare_with_paper(_with_rivals(scores, groups.get(group.parent, {})))
        for group, scores in groups.items()
    }


def _page_tables(compared: Mapping[Path, PaperComparison], out: Path) -> dict[str, str]:
    """Return the page's tables, those of the comparisons and those of further CSV files that are there.

    Raises:
        InputError: a file lacks something.
    """
    found = compared[out]
    tables = comparison_tables(found)
    for name, titles in _BESIDE.items():
        if (below := compared.get(out / name)) is not None:
            tables |= {f"{name}, {table}": text for table, text in comparison_tables(below).items()}
            tables[name] = beside_table(_networks_beside(below, found), *titles)
    by_loss, by_svm = (compared.get(out / name) for name in ("stronger_decay", "by_svm"))
    if by_loss is not None and by_svm is not None:
        tables["rules"] = beside_table(_networks_beside(by_svm, by_loss), *_BESIDE["by_svm"])
    rows = paper_rows()
    tables["rows"] = rows_table(rows[rows["dataset"].isin(found.accuracy["dataset"])])
    studies = {path.parent.relative_to(out).as_posix(): path.parent for path in sorted(out.rglob("spent.json"))}
    tables["cost"] = cost_table(
        {
            name: (pd.read_csv(path / "cost.csv"), read_spent(path / "spent.json").wall_seconds, _on_gpu(path))
            for name, path in studies.items()
        }
    )
    for name, path, markdown in (
        ("stability", out / "stability.csv", stability_table),
        ("losses", out / "losses.csv", loss_table),
        ("weight_decay", out / "weight_decay.csv", weight_decay_table),
    ):
        if path.exists():
            try:
                tables[name] = markdown(pd.read_csv(path))
            except KeyError as error:
                raise InputError(f"{path} lacks {error}") from error
    return tables


def _studies(group: Path) -> dict[str, Path]:
    """Return the folders of the studies that are right in a folder, by name."""
    return {path.parent.name: path.parent for path in sorted(group.glob("*/test_scores.csv"))}


def _networks_beside(found: PaperComparison, above: PaperComparison) -> pd.DataFrame:
    networks = found.accuracy["method"].isin(NETWORKS)
    return beside_reference(found.accuracy[networks], above.accuracy)


def _with_rivals(inner: Mapping[str, pd.DataFrame], above: Mapping[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
    """Return the scores of some studies, and on their datasets of the rivals that others have and they lack."""
    ours = pd.concat(inner.values())
    own = {*NETWORKS, *ours["method"]}
    return dict(inner) | {
        f"{name}, above": scores[~scores["method"].isin(own) & scores["dataset"].isin(ours["dataset"])]
        for name, scores in above.items()
    }


def _on_gpu(folder: Path) -> bool:
    return read_study(StudyFolder(folder))[0].training.device == "cuda"


def _scores(folders: Mapping[str, Path]) -> dict[str, pd.DataFrame]:
    """Return the scores of studies by name; those of a GPU without seconds, since the others' are of one core."""
    found = {name: read_opened_scores(folder) for name, folder in folders.items()}
    for name, folder in folders.items():
        if _on_gpu(folder):
            found[name] = found[name].assign(seconds=math.nan)
    return found


if __name__ == "__main__":
    sys.exit(main())
