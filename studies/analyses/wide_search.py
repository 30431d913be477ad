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

import numpy as np
import pandas as pd

from dst.errors import InputError
from dst.intervals import t_interval
from dst.rankers import method_groups
from studies.analyses.markdown import markdown, percent, spread
from studies.analyses.paper_results import gather
from studies.analyses.results_page import cost_table, fill
from studies.choice.for_k import ANY
from studies.compare.reference import bound, paper_accuracy, paper_k
from studies.store.files import write_text
from studies.store.folder import StudyFolder
from studies.store.record_codec import RecordError
from studies.store.spent import read_spent

FOLDER = Path(__file__).parents[1] / "results" / "paper_search"

NETWORK = "network"
"""The entry of the networks: of each dataset the method that validation rows put first."""

NOISY = "Madelon"
"""The dataset that has a K of its own, and stays out of means over datasets."""

_ENTRY = ["method", "rules"]


def with_networks_together(scores: pd.DataFrame) -> pd.DataFrame:
    """Return test scores with one entry for the networks: for each dataset, K and rules the method that was put first.

    Args:
        scores: rows of :mod:`studies.analyses.other_splits`.
    """
    networks = scores["method"].isin(method_groups()[NETWORK])
    ours = scores[networks]
    first = ours.groupby(["dataset", "rules", "k", "variant"])["place"].transform("min") == ours["place"]
    return pd.concat([ours[first].assign(method=NETWORK), scores[~networks]], ignore_index=True)


def over_datasets(scores: pd.DataFrame, k: int) -> pd.DataFrame:
    """Return the mean test score of each entry, a row per entry and a column per dataset; an entry has them all.

    Args:
        scores: rows of :mod:`studies.analyses.other_splits`, of one variant.
        k: number of columns; datasets with a K of their own stay out.
    """
    here = scores[(scores["k"] == k) & (scores["dataset"] != NOISY)]
    table = here.pivot_table("test_score", _ENTRY, "dataset", aggfunc="mean")
    return table.dropna()


def paired(table: pd.DataFrame, ours: tuple[str, str] = (NETWORK, ANY)) -> pd.DataFrame:
    """Return what our entry is ahead of each other one, over datasets.

    Args:
        table: of :func:`over_datasets`.
        ours: method and rules of our entry.

    Returns:
        A row per other entry: ``difference``, ``low`` and ``high`` (95%, Student's t over datasets), ``wins`` and
        ``losses``.
    """
    rows = []
    entries = [(str(method), str(rules)) for method, rules in table.index]
    scores = dict(zip(entries, table.to_numpy(), strict=True))
    for method, rules in entries if ours in scores else ():
        if (method, rules) == ours:
            continue
        differences = (scores[ours] - scores[method, rules]).round(12)
        low, high = t_interval(differences.tolist())
        counts = {"wins": int((differences > 0).sum()), "losses": int((differences < 0).sum())}
        found = {"difference": float(differences.mean()), "low": low, "high": high, **counts}
        rows.append({"method": method, "rules": rules, **found})
    return pd.DataFrame(rows, columns=[*_ENTRY, "difference", "low", "high", "wins", "losses"])


def parts(scores: pd.DataFrame, k: int) -> pd.DataFrame:
    """Return what each part of the network's choice is worth: the choice less the same without it.

    Args:
        scores: rows of :mod:`studies.analyses.other_splits`, all variants, networks together.
        k: number of columns.

    Returns:
        A row per part: ``part`` (``rules=top``, or the variant), ``datasets`` on which it changes anything,
        ``difference`` with ``low`` and ``high`` (95%, Student's t over all datasets; one that it does not change counts
        as 0).
    """
    here = scores[(scores["k"] == k) & (scores["dataset"] != NOISY) & (scores["method"] == NETWORK)]
    chosen = here[(here["variant"] == "") & (here["rules"] == ANY)]
    others = {"rules=top": here[(here["variant"] == "") & (here["rules"] == "top")]}
    changed = here[(here["variant"] != "") & (here["rules"] == ANY)]
    others |= {str(variant): rows for variant, rows in changed.groupby("variant")}
    key = ["dataset", "seed"]
    datasets = sorted(chosen["dataset"].unique())
    found = []
    for part, rows in others.items():
        both = chosen.merge(rows, on=key, suffixes=("", "_without"))
        by_dataset = (both["test_score"] - both["test_score_without"]).groupby(both["dataset"]).mean()
        differences = by_dataset.reindex(datasets, fill_value=0.0).round(12)
        low, high = t_interval(differences.tolist())
        counted = {"part": part, "datasets": len(by_dataset), "difference": float(differences.mean())}
        found.append({**counted, "low": low, "high": high})
    return pd.DataFrame(found)


def beside_paper(own: pd.DataFrame) -> pd.DataFrame:
    """Put the networks on the paper's own test rows beside its tables 6 and 4, at its K.

    Args:
        own: rows of :mod:`studies.analyses.other_splits` of the paper's split, networks together.

    Returns:
        A row per dataset: ``mean`` and ``std`` over seeds, ``dst_mean`` and ``dst_std`` of the best of the paper's six
        columns of networks, ``all_mean`` of the best of all its columns, and ``reached`` (at or above the networks'
        best less one standard error, a tenth of the variance of ten seeds), ``above`` (at or above their best) and
        ``above_all``; means are compared as published, rounded to two digits of percent.
    """
    published = paper_accuracy()
    networks = published[published["importance"].str.startswith("neuron")]
    rows = []
    ours = own[(own["method"] == NETWORK) & (own["rules"] == ANY) & (own["variant"] == "")]
    for dataset, of_dataset in ours.groupby("dataset", sort=False):
        scores = of_dataset[of_dataset["k"] == paper_k(str(dataset))]["test_score"]
        if scores.empty:
            continue
        theirs = networks[networks["dataset"] == dataset].sort_values("mean").iloc[-1]
        every = published[published["dataset"] == dataset]["mean"].max()
        mean = round(float(scores.mean()), 4)
        rows.append(
            {
                "dataset": dataset,
                "mean": mean,
                "std": float(scores.std(ddof=1)),
                "dst_mean": theirs["mean"],
                "dst_std": theirs["std"],
                "all_mean": every,
                "reached": mean >= bound(theirs["mean"], theirs["std"] / np.sqrt(_PAPER_SEEDS)),
                "above": mean >= theirs["mean"],
                "above_all": mean >= every,
            }
        )
    return pd.DataFrame(rows)


_PAPER_SEEDS = 10


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
            gather(StudyFolder(study), options.out / study.resolve().name)
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
        table = over_datasets(scores[scores["variant"] == ""], k)
        tables[f"{title}, {k}"] = _means(table)
        tables[f"{title}, {k}, paired"] = _paired(paired(table))
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
        [_name(row["method"], row["rules"]), spread(row["difference"], row["low"], row["high"]), _record(row)]
        for row in found.sort_values("difference", kind="stable").to_dict("records")
    ]
    return markdown(["the network, less", "difference", "won, lost"], rows)


def _record(row: Mapping[Any, Any]) -> str:
    return f"{row['wins']}, {row['losses']}"


def _parts(found: pd.DataFrame) -> str:
    rows = [
        [f"`{row['part']}`", str(row["datasets"]), spread(row["difference"], row["low"], row["high"])]
        for row in found.to_dict("records")
    ]
    return markdown(["the choice, less the same with", "datasets that it changes", "difference"], rows)


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
    return value if isinstance(value, str) else f"{value:.2g}"


if __name__ == "__main__":
    sys.exit(main())
