"""The tables of the results page, in Markdown, filled in where ``studies/results/paper/README.md`` marks their place.

A table stands between ``<!-- NAME -->`` and ``<!-- end -->``; the text around it is written by hand.
"""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import Any

import pandas as pd

from dst.errors import InputError
from studies.comparing import PaperComparison
from studies.findings import NETWORKS, paired_differences

_PLACE = re.compile(r"(<!-- (?P<name>[a-z_]+) -->\n)(?P<old>.*?)(<!-- end -->)", re.DOTALL)
Row = Mapping[Hashable, Any]
_METRICS = {"neuron_attribution": "attribution", "neuron_strength": "strength"}


def fill(page: str, tables: Mapping[str, str]) -> str:
    """Return the page with each of its tables as given.

    Args:
        page: text with places for tables.
        tables: Markdown by name; those without a place are left out.

    Raises:
        InputError: the page has a place for a table that is not given.
    """

    def filled(place: re.Match[str]) -> str:
        if (name := place["name"]) not in tables:
            raise InputError(f"a place on the page must name one of {', '.join(tables)}, but got {name}")
        return f"{place[1]}\n{tables[name]}\n\n{place[4]}"

    return _PLACE.sub(filled, page)


def comparison_tables(found: PaperComparison) -> dict[str, str]:
    """Return what a comparison with the paper says, in Markdown.

    Returns:
        ``reached`` (datasets at the paper's level), ``claims`` and ``rivals`` (paired differences), ``accuracies``,
        ``as_good`` (rivals that SET does not beat) and ``coverage``.
    """
    networks = found.pairs["than"].map(lambda name: str(name).partition(", ")[0]).isin(NETWORKS)
    return {
        "reached": _reached(found.accuracy),
        "claims": _claims(found.pairs[networks], found.accuracy),
        "rivals": _rivals(found.pairs[~networks]),
        "accuracies": _accuracies(found.accuracy, found.ranks),
        "as_good": _as_good_rivals(found.rivals),
        "coverage": _coverage(found.coverage),
    }


def sparsity_table(beside: pd.DataFrame) -> str:
    """Return :func:`studies.findings.beside_reference`, a line per entry."""
    rows = [
        [_short(row["entry"]), _percent(row["reference_mean"]), _percent(row["mean"]), *_difference(row)]
        for row in beside.to_dict("records")
    ]
    return _markdown(["", "the paper's grid", "0.3, 0.6, 0.7", "difference", "won, lost", "p"], rows)


def stability_table(stability: pd.DataFrame) -> str:
    """Return means over datasets of two measures of :mod:`studies.attribution_stability`, by depth and sparsity."""
    measures = {"epoch_overlap": "between epochs", "seed_stability": "between seeds"}
    means = stability.groupby(["depth", "sparsity"])[list(measures)].mean()
    sparsities = sorted(stability["sparsity"].unique())
    rows = [
        [title, str(depth), *(f"{means.loc[(depth, sparsity), measure]:.2f}" for sparsity in sparsities)]
        for measure, title in measures.items()
        for depth in sorted(stability["depth"].unique())
    ]
    names = ["dense" if sparsity == 0 else f"{sparsity:g}" for sparsity in sparsities]
    return _markdown(["", "hidden layers", *names], rows)


def loss_table(losses: pd.DataFrame) -> str:
    """Return :func:`studies.published_loss.compare`, a line per dataset."""
    rows = []
    for dataset, here in losses.groupby("dataset", sort=False):
        of = {(row["importance"], row["loss"]): row for row in here.to_dict("records")}
        cells = [of[metric, loss] for metric in _METRICS for loss in ("classes", "batch")]
        rows.append([str(dataset), *(f"{_percent(row['val_accuracy'])} ± {_percent(row['std'])}" for row in cells)])
    header = [f"{title}, {loss}" for title in _METRICS.values() for loss in ("ours", "published")]
    return _markdown(["", *header], rows)


def _reached(accuracy: pd.DataFrame) -> str:
    known = accuracy[accuracy["reached"].notna()]
    rows = []
    for method in ("set", "rigl", "dense"):
        cells = []
        for metric in _METRICS:
            judged = known[(known["method"] == method) & (known["importance"] == metric)]
            difference = 100 * judged["difference"].astype(float).mean()
            cells.append(f"{int(judged['reached'].sum())} of {len(judged)} ({difference:+.1f})" if len(judged) else "-")
        rows.append([_network(method), *cells])
    return _markdown(["", *_METRICS.values()], rows)


def _claims(claims: pd.DataFrame, accuracy: pd.DataFrame) -> str:
    """Return each claim beside what the paper's own means say on the same datasets."""
    published = accuracy[accuracy["paper_mean"].notna()].assign(mean=accuracy["paper_mean"])
    theirs = {(row["better"], row["than"]): row for row in paired_differences(published).to_dict("records")}
    rows = []
    for row in claims.to_dict("records"):
        paper = theirs.get((row["better"], row["than"]))
        rows.append([_claim(row), *_difference(row), f"{row['p_holm']:.2g}", _difference(paper)[0] if paper else "-"])
    return _markdown(["claim", "difference", "won, lost", "p", "adjusted", "the paper's means"], rows)


def _rivals(pairs: pd.DataFrame) -> str:
    rows = [[_short(row["than"]), *_difference(row), f"{row['p_holm']:.2g}"] for row in pairs.to_dict("records")]
    return _markdown(["SET with attribution, less", "difference", "won, lost", "p", "adjusted"], rows)


def _difference(row: Row) -> list[str]:
    low, high, difference = (100 * row[name] for name in ("low", "high", "difference"))
    won = f"{row['wins']}, {row['losses']}"
    return [f"{difference:z.1f} [{low:z.1f}, {high:z.1f}]", won, f"{row['p']:.2g}"]


def _claim(row: Row) -> str:
    method, metric = str(row["better"]).split(", ")
    other, other_metric = str(row["than"]).split(", ")
    if method == other:
        return f"{_METRICS[metric]} better than {_METRICS[other_metric]}, {_network(method)}"
    return f"{_network(method)} better than {_network(other)}, {_METRICS[metric]}"


def _accuracies(accuracy: pd.DataFrame, ranks: pd.DataFrame) -> str:
    datasets = list(dict.fromkeys(accuracy["dataset"]))
    best = accuracy.groupby("dataset")["mean"].max()
    rows = []
    for rank in ranks.itertuples():
        entry = accuracy[(accuracy["method"] == rank.method) & (accuracy["importance"] == rank.importance)]
        means = entry.set_index("dataset")["mean"]
        cells = [
            f"**{_percent(means[dataset])}**" if means[dataset] == best[dataset] else _percent(means[dataset])
            for dataset in datasets
        ]
        seconds = f"{entry['seconds'].median():.2g}"
        rows.append([_short(f"{rank.method}, {rank.importance}"), *cells, f"{rank.rank:.1f}", seconds])
    return _markdown(["", *datasets, "mean rank", "seconds"], rows)


def _as_good_rivals(rivals: pd.DataFrame) -> str:
    """Return, by dataset, the rivals that SET beats with neither metric."""
    rows = []
    for dataset, here in rivals.groupby("dataset", sort=False):
        ours = here.drop_duplicates("importance").to_dict("records")
        means = ", ".join(f"{_METRICS[row['importance']]} {_percent(row['set_mean'])}" for row in ours)
        as_good = here.groupby("rival").filter(lambda pairs: (pairs["difference"] <= 0).all())
        listed = as_good.drop_duplicates("rival").sort_values("rival_mean", ascending=False, kind="stable")
        names = [
            f"{_short(row['rival'])} {_percent(row['rival_mean'])} ({row['rival_seconds']:.2g} s)"
            for row in listed.to_dict("records")
        ]
        rows.append([str(dataset), f"{means} ({ours[0]['seconds']:.2g} s)", ", ".join(names) or "none"])
    return _markdown(["", "SET", "as good as SET with both metrics, or better"], rows)


def _coverage(coverage: pd.DataFrame) -> str:
    datasets = sorted(coverage["dataset"].unique(), key=lambda name: int(str(name).rpartition("_")[2]))
    rows = []
    for (method, importance), entry in coverage.groupby(["method", "importance"], sort=False):
        of = entry.set_index("dataset")
        cells = []
        for dataset in datasets:
            ours, paper = of["coverage"].get(dataset), of["paper_coverage"].get(dataset)
            cells.append("-" if ours is None else _percent(ours) + ("" if pd.isna(paper) else f" ({100 * paper:.0f})"))
        rows.append([_short(f"{method}, {importance}"), *cells])
    return _markdown(["", *(f"{str(name).rpartition('_')[2]} rows" for name in datasets)], rows)


def _short(entry: str) -> str:
    """Return "SET, strength" of ``set, neuron_strength``, and of a rival, which has one metric, its name."""
    method, _, importance = entry.partition(", ")
    return f"{_network(method)}, {_METRICS.get(importance, importance)}" if method in NETWORKS else method


def _network(method: str) -> str:
    return {"set": "SET", "rigl": "RigL"}.get(method, method)


def _percent(share: float) -> str:
    return f"{100 * share:.1f}"


def _markdown(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
