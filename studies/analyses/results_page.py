"""The tables of the results page, in Markdown, filled in where ``studies/results/paper/README.md`` marks their place.

A table stands between ``<!-- NAME -->`` and ``<!-- end -->``; the text around it is written by hand.
"""

from __future__ import annotations

import math
import re
from collections.abc import Hashable, Mapping
from typing import Any

import pandas as pd

from dst.errors import InputError
from studies.analyses.markdown import markdown, percent
from studies.compare.paper import PaperComparison
from studies.compare.statistics import NETWORKS, paired_differences

_MARK = re.compile(r"<!-- (.*?) -->\n")
_END = "end"
_ON_GPU = "on a GPU"
_METRICS = {"neuron_attribution": "attribution", "neuron_strength": "strength"}


def fill(page: str, tables: Mapping[str, str]) -> str:
    """Return the page with each of its tables as given.

    Args:
        page: text with places for tables.
        tables: Markdown by name; those without a place are left out.

    Raises:
        InputError: a place names no table that is given, or does not end before the next begins.
    """
    parts, at, name = [], 0, ""
    for mark in _MARK.finditer(page):
        if (mark[1] == _END) == (not name):
            raise InputError(
                f"each table on the page must begin and end, but {mark[0].strip()} comes after {name or _END}"
            )
        if name:
            parts.append(f"\n{tables[name]}\n\n{mark[0]}")
            name = ""
        elif mark[1] not in tables:
            raise InputError(f"a place on the page must name one of {', '.join(tables)}, but got {mark[1]}")
        else:
            parts.append(page[at : mark.end()])
            name = mark[1]
        at = mark.end()
    if name:
        raise InputError(f"each table on the page must begin and end, but {name} has no <!-- {_END} -->")
    return "".join((*parts, page[at:]))


def comparison_tables(found: PaperComparison) -> dict[str, str]:
    """Return what a comparison with the paper says, in Markdown.

    Returns:
        ``reached`` (datasets at the paper's level), ``claims``, ``rivals`` and ``rivals_few`` (paired differences),
        ``accuracies``, ``better`` (rivals beyond SET), ``over_k``, ``flops`` and ``coverage``.
    """
    return {
        "reached": _reached(found.accuracy),
        "claims": _claims(found.pairs[_of_networks(found.pairs)], found.accuracy),
        "rivals": _rivals(found.pairs[~_of_networks(found.pairs)]),
        "rivals_few": _rivals(found.pairs_few[~_of_networks(found.pairs_few)]),
        "accuracies": _accuracies(found.accuracy, found.ranks),
        "better": _better_rivals(found.rivals, found.accuracy),
        "over_k": _over_k(found.over_k),
        "flops": _flops(found.flops),
        "coverage": _coverage(found.coverage),
    }


def _of_networks(pairs: pd.DataFrame) -> pd.Series[bool]:
    return pairs["than"].map(lambda name: str(name).partition(", ")[0]).isin(NETWORKS)


def cost_table(studies: Mapping[str, tuple[pd.DataFrame, float, bool]]) -> str:
    """Return what studies took.

    Args:
        studies: by name, the rows of ``cost.csv``, the seconds on the clock, and whether a GPU computed.
    """
    rows = []
    for name, (cost, wall_seconds, on_gpu) in studies.items():
        core_hours = _ON_GPU if on_gpu else f"{cost['core_seconds'].sum() / 3600:.1f}"
        rows.append([name, str(int(cost["trials"].sum())), core_hours, f"{wall_seconds / 3600:.1f}"])
    return markdown(["study", "trainings", "core-hours", "hours on the clock"], rows)


def beside_table(beside: pd.DataFrame, reference: str, here: str) -> str:
    """Return :func:`studies.compare.statistics.beside_reference`, a line per entry.

    Args:
        beside: the entries.
        reference: what the reference is called.
        here: what is put beside it.
    """
    rows = [
        [_short(row["entry"]), percent(row["reference_mean"]), percent(row["mean"]), *_difference(row)]
        for row in beside.to_dict("records")
    ]
    return markdown(["", reference, here, *_DIFFERENCE], rows)


def rows_table(rows: pd.DataFrame) -> str:
    """Return :func:`studies.compare.reference.paper_rows`, a column per dataset."""
    lines = [("there are", rows["rows"]), ("its FLOPs say", rows["implied_rows"])]
    return markdown(["rows", *rows["dataset"]], [[title, *map(str, counts)] for title, counts in lines])


def stability_table(stability: pd.DataFrame) -> str:
    """Return means over datasets of :mod:`studies.analyses.attribution_stability`, by depth and sparsity."""
    measures = {"epoch_overlap": "between epochs", "seed_stability": "between seeds"}
    means = stability.groupby(["depth", "sparsity"])[list(measures)].mean()
    sparsities = sorted(stability["sparsity"].unique())
    rows = [
        [title, str(depth), *(f"{means.loc[(depth, sparsity), measure]:.2f}" for sparsity in sparsities)]
        for measure, title in measures.items()
        for depth in sorted(stability["depth"].unique())
    ]
    names = ["dense" if sparsity == 0 else f"{sparsity:g}" for sparsity in sparsities]
    return markdown(["", "hidden layers", *names], rows)


def loss_table(losses: pd.DataFrame) -> str:
    """Return :func:`studies.analyses.published_loss.compare`, a line per dataset."""
    rows = []
    for dataset, here in losses.groupby("dataset", sort=False):
        of = {(row["importance"], row["loss"]): row for row in here.to_dict("records")}
        cells = [of[metric, loss] for metric in _METRICS for loss in ("classes", "batch")]
        rows.append([str(dataset), *(f"{percent(row['val_accuracy'])} ± {percent(row['std'])}" for row in cells)])
    header = [f"{title}, {loss}" for title in _METRICS.values() for loss in ("ours", "published")]
    return markdown(["", *header], rows)


def weight_decay_table(found: pd.DataFrame) -> str:
    """Return means of :func:`studies.analyses.weight_decay.over_seeds`, a line per L2; in brackets without Madelon."""
    key = ["l2", "importance", "history"]
    means, others = (rows.groupby(key)["val_accuracy"].mean() for rows in (found, found[found["dataset"] != "Madelon"]))
    cells = [(metric, history) for metric in _METRICS for history in ("best", "all")]
    rows = [
        [f"{l2:g}", *(f"{percent(means[l2, *cell])} ({percent(others[l2, *cell])})" for cell in cells)]
        for l2 in sorted(found["l2"].unique())
    ]
    until = {"best": "up to the best epoch", "all": "over all"}
    return markdown(["L2", *(f"{_METRICS[metric]}, {until[history]}" for metric, history in cells)], rows)


def _reached(accuracy: pd.DataFrame) -> str:
    known = accuracy[accuracy["reached"].notna()]
    rows = []
    for method in ("set", "rigl", "dense"):
        for metric in _METRICS:
            judged = known[(known["method"] == method) & (known["importance"] == metric)]
            if len(judged):
                counts = [f"{int(judged[name].sum())} of {len(judged)}" for name in ("reached", "within")]
                difference = f"{100 * judged['difference'].astype(float).mean():+z.1f}"
                rows.append([_short(f"{method}, {metric}"), *counts, difference])
    return markdown(["", "reached", "the paper's mean in our interval", "mean difference"], rows)


def _claims(claims: pd.DataFrame, accuracy: pd.DataFrame) -> str:
    """Return each claim beside what the paper's own means say on the same datasets."""
    published = accuracy[accuracy["paper_mean"].notna()].assign(mean=accuracy["paper_mean"])
    theirs = {(row["better"], row["than"]): row for row in paired_differences(published).to_dict("records")}
    rows = []
    for row in claims.to_dict("records"):
        paper = theirs.get((row["better"], row["than"]))
        rows.append([_claim(row), *_difference(row), f"{row['p_holm']:.2g}", _difference(paper)[1] if paper else "-"])
    return markdown(["claim", *_DIFFERENCE, "adjusted", "the paper's means"], rows)


def _rivals(pairs: pd.DataFrame) -> str:
    rows = [[_short(row["than"]), *_difference(row), f"{row['p_holm']:.2g}"] for row in pairs.to_dict("records")]
    return markdown(["SET with attribution, less", *_DIFFERENCE, "adjusted"], rows)


_DIFFERENCE = ("datasets", "difference", "won, lost", "p")


def _difference(row: Mapping[Hashable, Any]) -> list[str]:
    low, high, difference = (100 * row[name] for name in ("low", "high", "difference"))
    between = f"{difference:z.1f} [{low:z.1f}, {high:z.1f}]"
    return [str(row["datasets"]), between, f"{row['wins']}, {row['losses']}", f"{row['p']:.2g}"]


def _claim(row: Mapping[Hashable, Any]) -> str:
    method, metric = str(row["better"]).split(", ")
    other, other_metric = str(row["than"]).split(", ")
    if method == other:
        return f"{_METRICS[metric]} better than {_METRICS[other_metric]}, {_network(method)}"
    return f"{_network(method)} better than {_network(other)}, {_METRICS[metric]}"


def _accuracies(accuracy: pd.DataFrame, ranks: pd.DataFrame) -> str:
    """Return the entries by mean rank, and after them those that some dataset lacks."""
    rank_of = {f"{row.method}, {row.importance}": float(str(row.rank)) for row in ranks.itertuples()}
    entries = {
        f"{entry[0]}, {entry[1]}": rows for entry, rows in accuracy.groupby(["method", "importance"], sort=False)
    }
    datasets = list(dict.fromkeys(accuracy["dataset"]))
    best = accuracy.groupby("dataset")["mean"].max()
    rows = []
    for entry in sorted(entries, key=lambda entry: rank_of.get(entry, math.inf)):
        means = entries[entry].set_index("dataset")["mean"]
        cells = [percent(means[dataset]) if dataset in means else "-" for dataset in datasets]
        cells = [
            f"**{cell}**" if means.get(dataset) == best[dataset] else cell
            for cell, dataset in zip(cells, datasets, strict=True)
        ]
        rank = f"{rank_of[entry]:.1f}" if entry in rank_of else "-"
        rows.append([_short(entry), *cells, rank, _seconds(entries[entry]["seconds"].median())])
    return markdown(["", *datasets, "mean rank", "time"], rows)


def _better_rivals(rivals: pd.DataFrame, accuracy: pd.DataFrame) -> str:
    """Return, by dataset, the rivals that are ahead of SET with both metrics by more than the seeds' interval."""
    ours = accuracy[accuracy["method"] == "set"]
    rows = []
    for dataset, here in rivals.groupby("dataset", sort=False):
        set_rows = ours[ours["dataset"] == dataset].sort_values("importance").to_dict("records")
        means = ", ".join(f"{_METRICS[row['importance']]} {percent(row['mean'])}" for row in set_rows)
        ahead = here.groupby("rival").filter(lambda pairs: (pairs["high"] < 0).all()).drop_duplicates("rival")
        names = [
            f"{_short(row['rival'])} {percent(row['rival_mean'])} ({_seconds(row['rival_seconds'])})"
            for row in ahead.sort_values("rival_mean", ascending=False, kind="stable").to_dict("records")
        ]
        rows.append([str(dataset), f"{means} ({_seconds(set_rows[0]['seconds'])})", ", ".join(names) or "none"])
    return markdown(["", "SET", "ahead of both"], rows)


def _over_k(over_k: pd.DataFrame) -> str:
    sizes = sorted(over_k["k"].unique())
    rows = []
    for (method, importance), here in over_k.groupby(["method", "importance"]):
        means = here.set_index("k")["mean"]
        cells = [percent(means[k]) if k in means else "-" for k in sizes]
        rows.append((float(means.iloc[0]), [_short(f"{method}, {importance}"), *cells]))
    ordered = [row for _, row in sorted(rows, key=lambda pair: -pair[0])]
    return markdown(["", *(f"K = {k}" for k in sizes)], ordered)


def _flops(flops: pd.DataFrame) -> str:
    rows = [
        [_short(f"{method}, {importance}"), *(f"{value:.2g}" for value in (ratio.median(), ratio.min(), ratio.max()))]
        for (method, importance), ratio in flops.groupby(["method", "importance"], sort=False)["ratio"]
    ]
    return markdown(["FLOPs over the paper's", "median", "least", "most"], rows)


def _coverage(coverage: pd.DataFrame) -> str:
    datasets = sorted(coverage["dataset"].unique(), key=lambda name: int(str(name).rpartition("_")[2]))
    rows = []
    for (method, importance), entry in coverage.groupby(["method", "importance"], sort=False):
        of = entry.set_index("dataset")
        cells = []
        for dataset in datasets:
            ours, paper = of["coverage"].get(dataset), of["paper_coverage"].get(dataset)
            cells.append("-" if ours is None else percent(ours) + ("" if pd.isna(paper) else f" ({100 * paper:.0f})"))
        rows.append([_short(f"{method}, {importance}"), *cells])
    return markdown(["", *(f"{str(name).rpartition('_')[2]} rows" for name in datasets)], rows)


def _short(entry: str) -> str:
    """Return "SET, strength" of ``set, neuron_strength``, and of a rival, which has one metric, its name."""
    method, _, importance = entry.partition(", ")
    return f"{_network(method)}, {_METRICS.get(importance, importance)}" if method in NETWORKS else method


def _network(method: str) -> str:
    return {"set": "SET", "rigl": "RigL"}.get(method, method)


def _seconds(seconds: float) -> str:
    if math.isnan(seconds):
        return _ON_GPU
    return f"{seconds:.0f} s" if seconds >= 10 else f"{seconds:.2g} s"
