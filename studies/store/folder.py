"""The folder of a study, whose names are a contract with its users."""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from dst.errors import InputError

_LONGEST_DATASET = 240
"""Characters of a dataset's name, which is a part of the names of files."""

_DATASET_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]*")


@dataclass(frozen=True)
class StudyFolder:
    """Names every path of a study's folder. Reads and writes nothing, except that :meth:`create` makes the folder.

    Attributes:
        path: the folder; it need not exist.
    """

    path: Path

    def create(self) -> StudyFolder:
        """Make the folder and its ``records/``, if missing, and return this object."""
        self.records.mkdir(parents=True, exist_ok=True)
        return self

    def check_inside(self) -> None:
        """Refuse a folder, e.g. from an archive, whose links lead what is written into it somewhere else.

        Raises:
            InputError: a folder or a file that may be written is a link.
        """
        folders = (self.records, self.checkpoints)
        inside = (*folders, self.plots, self.latex, self.wandb, self.path / "best", self.path / "features", self.lock)
        parts = [part for folder in folders if folder.is_dir() for part in folder.iterdir()]
        for path in (*inside, self.storage, self.storage.with_name("study.db-wal"), *parts):
            if path.is_symlink():
                raise InputError(f"{path} is a link: a study's folder must hold what is written into it")

    def check_kept(self) -> None:
        """Refuse a folder that goes with a session of Ray: there lies the working folder of a job that was submitted.

        Raises:
            InputError: the folder is within ``session_*/runtime_resources``.
        """
        parts = self.path.absolute().parts
        if any(above.startswith("session_") and part == "runtime_resources" for above, part in pairwise(parts)):
            raise InputError(
                f"{self.path} lies among the files of a Ray session, which are removed with it: name a folder that is "
                "kept by --out, e.g. --out /data/studies/NAME"
            )

    @property
    def spec(self) -> Path:
        """``study.yaml``: the resolved spec."""
        return self.path / "study.yaml"

    @property
    def storage(self) -> Path:
        """``study.db``: Optuna's storage, unless the spec names another."""
        return self.path / "study.db"

    @property
    def lock(self) -> Path:
        """``.lock``: who runs the study."""
        return self.path / ".lock"

    @property
    def records(self) -> Path:
        """``records/``: a folder per dataset, a record per trial."""
        return self.path / "records"

    @property
    def trials_parquet(self) -> Path:
        """``trials.parquet``: one row per trial."""
        return self.path / "trials.parquet"

    @property
    def trials_csv(self) -> Path:
        """``trials.csv``: the same rows as text."""
        return self.path / "trials.csv"

    @property
    def best(self) -> Path:
        """``best.csv``: one row per dataset."""
        return self.path / "best.csv"

    @property
    def best_by_method(self) -> Path:
        """``best_by_method.csv``: one row per dataset and method."""
        return self.path / "best_by_method.csv"

    @property
    def pareto(self) -> Path:
        """``pareto.csv``: with several objectives, one row per trial that no other beats."""
        return self.path / "pareto.csv"

    @property
    def test_scores(self) -> Path:
        """``test_scores.csv``: each seed's test accuracy on the columns that it selected itself."""
        return self.path / "test_scores.csv"

    @property
    def outer_splits(self) -> Path:
        """``outer_splits.csv``: each method's test accuracy on other outer splits, where the spec asks for them."""
        return self.path / "outer_splits.csv"

    @property
    def report(self) -> Path:
        """``report.html``."""
        return self.path / "report.html"

    @property
    def report_md(self) -> Path:
        """``report.md``: the same as Markdown, with the pictures of ``plots/``."""
        return self.path / "report.md"

    @property
    def latex(self) -> Path:
        """``latex/``: the report's tables, for a paper."""
        return self.path / "latex"

    @property
    def plots(self) -> Path:
        """``plots/``: the report's figures as PNG and SVG, and what they draw as CSV."""
        return self.path / "plots"

    @property
    def wandb(self) -> Path:
        """``wandb/``: offline runs until they are synced, and the note of what was sent."""
        return self.path / "wandb"

    @property
    def spent(self) -> Path:
        """``spent.json``: what the study has used up besides what its records say."""
        return self.path / "spent.json"

    @property
    def checkpoints(self) -> Path:
        """``checkpoints/``: where trials go on from that are interrupted; gone when the study is finished."""
        return self.path / "checkpoints"

    def best_spec(self, dataset: str) -> Path:
        """``best/DATASET.yaml``: a spec that reruns the winner."""
        return self.path / "best" / f"{_checked(dataset)}.yaml"

    def features(self, dataset: str) -> Path:
        """``features/DATASET.csv``: the columns of a dataset, ranked."""
        return self.path / "features" / f"{_checked(dataset)}.csv"

    def record(self, dataset: str, number: int) -> Path:
        """``records/DATASET/NUMBER.json``: what became of a trial; its presence says that the trial is recorded."""
        return self.records / _checked(dataset) / f"{number}.json"

    def checkpoint(self, dataset: str, number: int) -> Path:
        """``checkpoints/DATASET/NUMBER.npz``: how far a trial has come that runs, or was interrupted."""
        return self.checkpoints / _checked(dataset) / f"{number}.npz"

    def scores(self, dataset: str, number: int) -> Path:
        """``records/DATASET/NUMBER.npz``: the trial's feature scores, an array per importance metric."""
        return self.records / _checked(dataset) / f"{number}.npz"

    def columns(self, dataset: str) -> Path:
        """``records/DATASET/columns.json``: the names of the dataset's columns."""
        return self.records / _checked(dataset) / "columns.json"

    def test(self, dataset: str, number: int) -> Path:
        """``records/DATASET/NUMBER.test.json``: the test accuracy of a confirming trial whose test rows were opened."""
        return self.records / _checked(dataset) / f"{number}.test.json"

    def list_scores(self, dataset: str, number: int, seeds: int) -> Path:
        """``records/DATASET/NUMBER.list-SEEDS.json``: what a list over so many seeds is worth on a trial's splits."""
        return self.records / _checked(dataset) / f"{number}.list-{seeds}.json"

    def outer_split(self, dataset: str, number: int, index: int) -> Path:
        """``records/DATASET/NUMBER.split-INDEX.json``: a trial's configuration tested on another outer split."""
        return self.records / _checked(dataset) / f"{number}.split-{index}.json"


def _checked(dataset: str) -> str:
    """Return the name if it can name a file and nothing outside the folder."""
    if _DATASET_NAME.fullmatch(dataset) is None or len(dataset) > _LONGEST_DATASET:
        raise InputError(
            f"a dataset's name holds letters, digits, '_', '-' and '.' only, at most {_LONGEST_DATASET} of them, and "
            f"does not begin with '.', but got {dataset!r}"
        )
    return dataset
