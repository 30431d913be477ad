"""Tables of the wide search's page: ``python -m studies.analyses.wide_search``.

They are drawn from what is committed beside the page: of each study what :func:`studies.analyses.paper_results.gather`
keeps, and the test scores of what was chosen, ``own_split.csv`` and ``other_splits.csv``
(:mod:`studies.analyses.other_splits`). ``--study DIR`` gathers a finished study's files first.

A network here is the best one of a dataset, whatever its method; a rival is each ranker that is none.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from dst.errors import InputError
from studies.analyses.chosen_scores import (
    NETWORK,
    NOISY,
    beside_paper,
    mean_test_scores,
    paired,
    parts,
    parts_of_training,
    rankings_of,
    with_networks_together,
)
from studies.analyses.markdown import markdown, percent, spread
from studies.analyses.paper_results import gather
from studies.analyses.results_page import cost_table, fill
from studies.choice.for_k import ANY
from studies.compare.small_tables import to_csv
from studies.store.archive import StudyArchive
from studies.store.files import write_text
from studies.store.folder import StudyFolder
from studies.store.record_codec import RecordError
from studies.store.spent import read_spent

FOLDER = Path(__file__).parents[1] / "results" / "paper_search"


def page_tables(folder: Path) -> dict[str, str]:
    """Return the page's tables, in Markdown by name, of what is in its folder.

    Raises:
        InputError: a file lacks something.
        OSError: a file is not there.
    """
    studies = {path.parent.name: path.parent for path in sorted(folder.glob("*/cost.csv"))}
    costs = {name: pd.read_csv(path / "cost.csv") for name, path in studies.items()}
    seconds = {name: read_spent(path / "spent.json").wall_seconds for name, path in studies.items()}
    tables = {"cost": cost_table({name: (costs[name], seconds[name], False) for name in studies})}
    own = with_networks_together(_read(folder / "own_split.csv"))
    found = {name: pd.read_csv(path / "rankings.csv") for name, path in studies.items()}
    tables |= {f"rankings, {name}": _rankings(rankings) for name, rankings in found.items()}
    tables |= {
        f"parts, {path.parent.name}": _training(pd.read_csv(path)) for path in sorted(folder.glob("*/parts.csv"))
    }
    tables["winners"] = _winners(own, {name: pd.read_csv(path / "search.csv") for name, path in studies.items()})
    tables["paper"] = _paper(beside_paper(own))
    tables |= _beside_rivals("own split", own)
    if (path := folder / "other_splits.csv").exists():
        others = with_networks_together(_read(path))
        tables |= _beside_rivals("other splits", others) | {"parts": _parts(parts(others, 25))}
    return tables


def main(arguments: Sequence[str] | None = None) -> int:
    """Fill in the page; return 2 if something is not there."""
    parser = argparse.ArgumentParser(description="Tables of the wide search's page.")
    parser.add_argument("--study", type=Path, action="append", default=[], help="a finished study's folder; repeatable")
    parser.add_argument("--out", type=Path, default=FOLDER, help=f"the page's folder (default {FOLDER})")
    options = parser.parse_args(arguments)
    try:
        for study in options.study:
            folder, kept = StudyFolder(study), options.out / study.resolve().name
            gather(folder, kept)
            archive = StudyArchive(folder)
            write_text(kept / "rankings.csv", to_csv(rankings_of(archive)))
            of_parts = parts_of_training(archive)
            if _is_grid(of_parts):
                write_text(kept / "parts.csv", to_csv(of_parts))
        page = options.out / "README.md"
        write_text(page, fill(page.read_text(encoding="utf-8"), page_tables(options.out)))
    except (InputError, RecordError, OSError) as error:
        sys.stderr.write(f"error: {error}\n")
        return 2
    sys.stdout.write(f"{page}\n")
    return 0


def _read(path: Path) -> pd.DataFrame:
    return pd.read_csv(path, keep_default_na=False, na_values={"seconds": [""], "number": [""]})


def _beside_rivals(title: str, scores: pd.DataFrame) -> dict[str, str]:
    """Return for each K the tables ``TITLE, K`` of means, and ``TITLE, K, paired`` of what the network is ahead."""
    tables = {}
    for k in sorted(set(scores["k"]) & {25, 50, 100}):
        chosen = scores[scores["variant"] == ""]
        tables[f"{title}, {k}"] = _means(mean_test_scores(chosen, k))
        tables[f"{title}, {k}, paired"] = _paired(paired(chosen, k))
    return tables


def _name(method: str, rules: str) -> str:
    return method if rules == "top" else f"{method}, any rule"


def _means(table: pd.DataFrame) -> str:
    means = table.mean(axis="columns").sort_values(ascending=False)
    best = table.max()
    rows = []
    for entry in means.index:
        cells = []
        for dataset in table.columns:
            cell = percent(table.loc[entry, dataset])
            cells.append(f"**{cell}**" if table.loc[entry, dataset] == best[dataset] else cell)
        rows.append([_name(*entry), percent(means[entry]), *cells])
    return markdown(["", "mean", *map(str, table.columns)], rows)


def _paired(found: pd.DataFrame) -> str:
    rows = [
        [
            _name(row["method"], row["rules"]),
            spread(row["difference"], row["low"], row["high"]),
            _record(row),
            str(row["splits"]),
        ]
        for row in found.sort_values("difference", kind="stable").to_dict("records")
    ]
    return markdown(["the network, less", "difference", "won, lost", "splits"], rows)


def _record(row: Mapping[Any, Any]) -> str:
    return f"{row['wins']}, {row['losses']}"


def _parts(found: pd.DataFrame) -> str:
    rows = [
        [f"`{row['part']}`", str(row["datasets"]), spread(row["difference"], row["low"], row["high"])]
        for row in found.to_dict("records")
    ]
    return markdown(["the choice, less the same with", "datasets that it changes", "difference"], rows)


def _is_grid(found: pd.DataFrame) -> bool:
    """Return whether every dataset has the same numbers of networks and rounds, more than one."""
    combinations = [set(zip(rows["networks"], rows["rounds"], strict=True)) for _, rows in found.groupby("dataset")]
    return all(len(each) > 1 and each == combinations[0] for each in combinations)


def _training(found: pd.DataFrame) -> str:
    """Return mean scores over datasets, a line per networks, rounds and metric, a column per K and rule."""
    common = found[found["dataset"] != NOISY]
    key = ["networks", "rounds", "metric"]
    means = common.pivot_table("mean", key, ["k", "rule"], sort=False).sort_index()
    labels = [f"`{column[1]}`, {column[0]}" for column in means.columns.to_list()]
    means.columns = pd.Index(labels)
    rows = [
        [f"{row['networks']} x {row['rounds']}", f"`{row['metric']}`", *(percent(row[label]) for label in labels)]
        for row in means.reset_index().to_dict("records")
    ]
    return markdown(["networks x rounds", "metric", *labels], rows)


def _paper(found: pd.DataFrame) -> str:
    rows = []
    for row in found.to_dict("records"):
        words = [word for word, held in (("networks", row["above"]), ("all", row["above_all"])) if held]
        verdict = "above " + " and ".join(words) if words else "within one error" if row["reached"] else "below"
        rows.append(
            [
                str(row["dataset"]),
                f"{percent(row['mean'])} ± {percent(row['std'])}",
                f"{percent(row['dst_mean'])} ± {percent(row['dst_std'])}",
                percent(row["all_mean"]),
                verdict,
            ]
        )
    return markdown(["", "ours", "the paper's best network", "the paper's best of all", ""], rows)


def _rankings(rankings: pd.DataFrame) -> str:
    """Return mean scores over a dataset's trials, a line per rule and one per metric, of the others' means."""
    datasets = list(dict.fromkeys(rankings["dataset"]))
    rows = []
    for part in ("rule", "metric"):
        means = rankings.pivot_table("mean", part, "dataset", sort=False)
        for name, line in means.iterrows():
            shares = [float(line[dataset]) for dataset in datasets]
            rows.append([f"`{name}`", percent(sum(shares) / len(shares)), *map(percent, shares)])
    return markdown(["", "mean", *datasets], rows)


_SETTINGS = ("sparsity", "l2", "lr", "batch_size", "dropout", "label_smoothing", "group_penalty", "distribution")
_SHORT = {"label_smoothing": "smoothing", "group_penalty": "group", "batch_size": "batch"}


def _winners(own: pd.DataFrame, searches: Mapping[str, pd.DataFrame]) -> str:
    """Return, by dataset, the configuration that was chosen for the study's own K and what it came to."""
    ours = own[(own["method"] == NETWORK) & (own["rules"] == ANY)]
    ours = ours[ours["k"] == ours.groupby("dataset")["k"].transform("min")]
    rows = []
    for dataset, of_dataset in ours.groupby("dataset", sort=False):
        first = of_dataset.iloc[0]
        search = searches[first["study"]]
        at = (search["dataset"] == dataset) & (search["number"] == int(first["number"]))
        trial = search[at].iloc[0]
        params = json.loads(trial["params"])
        settings = ", ".join(f"{_SHORT.get(name, name)} {_shown(params[name])}" for name in _SETTINGS if name in params)
        test = of_dataset["test_score"]
        rows.append(
            [
                str(dataset),
                f"{params['method']}, {params['networks']} x {params['rounds']}",
                settings,
                f"`{first['importance']}`",
                percent(first["val_score"]),
                f"{percent(test.mean())} ± {percent(test.std(ddof=1))}",
            ]
        )
    return markdown(["", "method, networks x rounds", "settings", "ranking", "validation", "test"], rows)


def _shown(value: float | str) -> str:
    return str(value) if isinstance(value, str | int) else f"{value:.2g}"


if __name__ == "__main__":
    sys.exit(main())
