"""What studies chose, on outer splits that chose nothing: ``python -m studies.analyses.other_splits``.

Of each dataset (of the registry) and method of a finished study, and for each K, the configuration and the ranking that
the study's own rule puts first are taken (:mod:`studies.choice.for_k`, validation rows alone): once among all
rankings, and once among those that take the top of a list, as the authors of most methods do. Each configuration is
trained again on every other outer split: test rows drawn anew by class, network and validation rows by the same number.
One training serves every K and ranking that its configuration was chosen for. The scorer of the K columns is fitted on
all rows that are not test rows.

One thing is not new on these splits: the settings were chosen on rows of the same tables, so that rows which are test
rows here took part in the choice. The rivals' settings were chosen in the same way.

With ``--own`` the test rows of the study's own split are opened for the same choices instead, from the rankings in its
records: that is how accuracies for a K come about that the study itself did not choose for.

Rows are appended to ``--out`` as they come, one split after the other, and those that are there are not computed again.
"""

from __future__ import annotations

import argparse
import csv
import itertools
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from dst.data import load_dataset
from dst.errors import InputError
from dst.selection import selection_of
from dst.trial.run import run_trial, score_every_k_on_test
from dst.trial.spec import TrialSpec
from studies.choice.for_k import Choice, Wanted, choices_of
from studies.store.archive import StudyArchive
from studies.store.folder import StudyFolder
from studies.store.record_codec import RecordError
from studies.store.record_schema import importances_of

FIRST_SEED = 101
"""Draws the test rows of the first outer split."""

KEY = ("study", "dataset", "method", "variant", "rules", "k", "split", "seed")
"""The columns that tell rows of the file apart; ``variant`` names the setting that was changed after the choice."""

COLUMNS = (*KEY, "place", "number", "importance", "val_score", "test_score", "seconds")
"""Of the file: ``place`` is the method's among those of the study, 1 is best, ``number`` the search trial of the
configuration, ``val_score`` its mean over the confirming seeds, ``test_score`` the accuracy on test rows, ``seconds``
those of the trial, whatever K it serves."""


@dataclass(frozen=True)
class Opening:
    """Test rows to be opened for what one configuration was chosen for.

    Attributes:
        study: the name of the study's folder.
        choices: all of one configuration.
        trial: the trial that ranks the columns on the split.
        ranked: the columns by ranking; None: they are ranked first.
        variant: the setting that was changed after the choice, ``""``: none.
    """

    study: str
    choices: tuple[Choice, ...]
    trial: TrialSpec
    ranked: Mapping[str, Sequence[int]] | None = None
    variant: str = ""

    @property
    def dataset(self) -> str:
        """The dataset's name."""
        return self.choices[0].records[0]["dataset"]

    def key(self, choice: Choice) -> tuple[str, ...]:
        """Return the values of :data:`KEY` in a choice's row."""
        by_choice = (choice.method, self.variant, choice.rules, choice.k)
        return (*map(str, (self.study, self.dataset, *by_choice, self.trial.design.split, self.trial.seed)),)


def on_other_splits(
    archive: StudyArchive, wanted: Wanted, seeds: Iterable[int], *, settings: Mapping[str, Any] | None = None
) -> Iterator[Opening]:
    """Yield the openings of a study's choices on other outer splits, one split after the other.

    Args:
        archive: of a finished study.
        wanted: what is chosen for.
        seeds: of the outer splits; each draws test rows, validation rows and the network.
        settings: settings that are changed after the choice; what has them already is left out.
    """
    changed = dict(settings or {})
    variant = ",".join(f"{name}={value}" for name, value in changed.items())
    by_dataset = [choices_of(archive, name, wanted) for name in archive.datasets]
    for seed, choices in itertools.product(seeds, itertools.chain.from_iterable(by_dataset)):
        first = choices[0].records[0]
        used = dict(first.get("settings") or {})
        if changed and all(used.get(name) == value for name, value in changed.items()):
            continue
        counts = sorted({choice.k for choice in choices})
        trial = TrialSpec(
            first["method"],
            used | changed,
            split="stratified",
            seed=seed,
            split_seed=seed,
            test_seed=seed,
            inner_splits=1,
            k=counts[0],
            k_values=counts[1:],
            scorer=archive.spec.scoring.scorer,
            selections=sorted({selection_of(choice.importance).name for choice in choices}),
        )
        yield Opening(archive.folder.path.name, choices, trial, variant=variant)


def on_own_split(archive: StudyArchive, wanted: Wanted) -> Iterator[Opening]:
    """Yield the openings of a study's choices on the test rows of its own split, a seed after the other.

    Args:
        archive: of a finished study.
        wanted: what is chosen for.
    """
    for dataset in archive.datasets:
        for choices in choices_of(archive, dataset, wanted):
            for record in choices[0].records:
                trial = TrialSpec(
                    record["method"],
                    split=record["split"],
                    seed=record["seed"] or 0,
                    test_seed=archive.spec.seed,
                    scorer=archive.spec.scoring.scorer,
                )
                found = {choice.importance: importances_of(record)[choice.importance] for choice in choices}
                ranked = {name: result.get("ranked", result["selected"]) for name, result in found.items()}
                yield Opening(archive.folder.path.name, choices, trial, ranked)


def open_test_rows(opening: Opening) -> list[dict[str, Any]]:
    """Rank the columns where that is to be done, open the test rows, and return a row of the file for each choice.

    Raises:
        InputError: the dataset is not at hand, or has too few rows.
    """
    data = load_dataset(opening.dataset)
    ranked, seconds = opening.ranked, None
    if ranked is None:
        result = run_trial(data, opening.trial)
        ranked = {choice.importance: result.importances[choice.importance].ranked for choice in opening.choices}
        seconds = round(result.seconds["total"], 2)
    every_k = {name: sorted({c.k for c in opening.choices if c.importance == name}) for name in ranked}
    opened = score_every_k_on_test(data, opening.trial, {name: (ranked[name], every_k[name]) for name in ranked})
    return [
        {
            **dict(zip(KEY, opening.key(choice), strict=True)),
            "place": choice.place,
            "number": choice.number,
            "importance": choice.importance,
            "val_score": choice.val_score,
            "test_score": opened[choice.importance][choice.k],
            "seconds": seconds,
        }
        for choice in opening.choices
    ]


def measure(openings: Iterable[Opening], out: Path, processes: int) -> None:
    """Append the rows of the openings that the file lacks, as soon as each is there.

    Args:
        openings: in the order in which they are begun.
        out: the file; its folder is made.
        processes: openings at a time.
    """
    out.parent.mkdir(parents=True, exist_ok=True)
    done = set()
    if out.exists():
        with out.open(newline="", encoding="utf-8") as file:
            done = {tuple(row[name] for name in KEY) for row in csv.DictReader(file)}
    missing = [opening for opening in openings if not done.issuperset(map(opening.key, opening.choices))]
    with out.open("a", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        if not out.stat().st_size:
            writer.writeheader()
        with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
            running = [pool.submit(open_test_rows, opening) for opening in missing]
            try:
                for count, ended in enumerate(as_completed(running), 1):
                    rows = ended.result()
                    writer.writerows(row for row in rows if tuple(row[name] for name in KEY) not in done)
                    file.flush()
                    row = rows[0]
                    sys.stderr.write(f"{count}/{len(missing)} {row['dataset']} {row['method']} {row['seed']}\n")
            finally:
                pool.shutdown(wait=False, cancel_futures=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the file; return 2 if a study or its data cannot be read."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--study", type=Path, action="append", required=True, help="a finished study; repeatable")
    parser.add_argument(
        "--k", type=int, nargs="+", default=[25, 50, 100], help="numbers of columns (default 25 50 100)"
    )
    parser.add_argument("--splits", type=int, default=10, help=f"outer splits, seeds from {FIRST_SEED} on (default 10)")
    parser.add_argument("--method", action="append", default=[], help="those alone; repeatable")
    parser.add_argument("--winner", action="store_true", help="of all methods the best alone")
    parser.add_argument(
        "--with", dest="changed", default="", metavar="SETTING=NUMBER", help="change a setting after the choice"
    )
    parser.add_argument("--own", action="store_true", help="open the test rows of the study's own split instead")
    parser.add_argument("--processes", type=int, default=2, help="trainings at a time (default 2)")
    parser.add_argument("--out", type=Path, required=True, help="the CSV file")
    options = parser.parse_args(arguments)
    name, _, value = options.changed.partition("=")
    if options.changed and not value.isdecimal():
        parser.error(f"--with must be SETTING=NUMBER, but got {options.changed!r}")
    changed = {name: int(value)} if options.changed else {}
    wanted = Wanted(tuple(options.k), tuple(options.method), options.winner)
    seeds = range(FIRST_SEED, FIRST_SEED + options.splits)
    try:
        openings: list[Opening] = []
        for folder in options.study:
            archive = StudyArchive(StudyFolder(folder))
            if options.own:
                openings += on_own_split(archive, wanted)
            else:
                openings += on_other_splits(archive, wanted, seeds, settings=changed)
        openings.sort(key=lambda opening: opening.trial.seed)
        measure(openings, options.out, options.processes)
    except (InputError, RecordError, OSError) as error:
        sys.stderr.write(f"error: {error}\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
