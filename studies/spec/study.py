"""The study spec: what a user writes, checked before anything happens."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from dst.errors import unknown_name
from dst.rankers import RANKERS
from dst.training.config import TrainingConfig
from studies.spec.dataset import DatasetSpec, each_combination
from studies.spec.objective import ObjectiveSpec
from studies.spec.search import PrunerSpec, SearchSpec
from studies.spec.section import Section, is_list
from studies.spec.sections import ConfirmSpec, ResourcesSpec, ScoringSpec, TrainingSpec
from studies.spec.tracking import TrackingSpec


class StudySpec(Section):
    """A whole study.

    Attributes:
        name: letters, digits, ``_``, ``-`` and ``.``; names the folder and the W&B runs.
        seed: all of a study's randomness comes from it, but for which values a dataset's ``missing`` removes: that has
            a seed of its own.
        datasets: at least one, each under a name of its own.
        absent_datasets: the treatment of datasets whose files are not at hand: ``error`` ends the study before it
            begins, ``skip`` leaves them out, as long as there is one left.
        methods: rankers that compete, see ``dst.rankers.RANKERS``.
        space: a packaged search space by name, or one written inline.
        out: the study's folder; None: ``runs/NAME``.
        storage: Optuna storage URL; None: SQLite in the study's folder. A password in it is used and written nowhere;
            without one the driver looks where it does, e.g. in ``PGPASSWORD`` or ``~/.pgpass``.
    """

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]*$")]
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 0
    datasets: Annotated[tuple[DatasetSpec, ...], Field(min_length=1)]
    absent_datasets: Literal["error", "skip"] = "error"
    methods: Annotated[tuple[str, ...], Field(min_length=1)] = ("set",)
    space: str | dict[str, Any] = "default"
    objective: ObjectiveSpec = ObjectiveSpec()
    training: TrainingSpec = TrainingSpec()
    scoring: ScoringSpec = ScoringSpec()
    search: SearchSpec = SearchSpec()
    confirm: ConfirmSpec = ConfirmSpec()
    resources: ResourcesSpec = ResourcesSpec()
    tracking: TrackingSpec = TrackingSpec()
    storage: str | None = None
    out: str | None = None

    @field_validator("datasets", mode="before")
    @classmethod
    def _names_are_datasets(cls, given: Any) -> Any:
        if not is_list(given):
            return given
        items = [{"path": item} if isinstance(item, str) else item for item in given]
        return [dataset for item in items for dataset in each_combination(item)]

    @field_validator("methods")
    @classmethod
    def _known_methods(cls, methods: tuple[str, ...]) -> tuple[str, ...]:
        for method in methods:
            if method not in RANKERS:
                raise ValueError(unknown_name("method", method, RANKERS))
        if len(set(methods)) < len(methods):
            raise ValueError(f"each method once, got {', '.join(methods)}")
        return methods

    @model_validator(mode="before")
    @classmethod
    def _several_objectives_have_no_pruner(cls, given: Any) -> Any:
        """Take ``none`` for the pruner that a spec with several objectives does not name."""
        if not isinstance(given, dict):
            return given
        objective, search = given.get("objective"), given.get("search") or {}
        metric: Any = objective.get("metric") if isinstance(objective, dict) else getattr(objective, "metric", None)
        if not is_list(metric) or len(metric) < 2:
            return given
        if isinstance(search, dict) and "pruner" not in search:
            return {**given, "search": {**search, "pruner": "none"}}
        if isinstance(search, SearchSpec) and "pruner" not in search.model_fields_set:
            return {**given, "search": search.model_copy(update={"pruner": PrunerSpec(name="none")})}
        return given

    @model_validator(mode="after")
    def _objective_fits(self) -> StudySpec:
        self.objective.check_selections(self.scoring.selections)
        self.objective.check_methods(self.methods, self.training.importances or TrainingConfig().importances)
        if self.objective.several and self.search.pruner.name != "none":
            raise ValueError(
                "search.pruner: a trial is stopped by one value, but there are several objectives: leave it out, or "
                f"name none, but got {self.search.pruner.name!r}"
            )
        return self

    @model_validator(mode="after")
    def _outer_splits_draw_test_rows(self) -> StudySpec:
        ordered = next((dataset for dataset in self.datasets if dataset.split == "time"), None)
        if self.confirm.outer_splits and ordered is not None:
            raise ValueError(
                "confirm.outer_splits draws test rows anew, but split 'time' tests on the latest rows: leave it out, "
                f"or the dataset, but got confirm.outer_splits={self.confirm.outer_splits} with {ordered.path}"
            )
        return self

    @model_validator(mode="after")
    def _resources_fit_training(self) -> StudySpec:
        device, gpus, threads, cpus = (
            self.training.device,
            self.resources.gpus,
            self.training.threads,
            self.resources.cpus,
        )
        if device == "cuda" and gpus == 0:
            raise ValueError("training.device cuda needs resources.gpus above 0, but got resources.gpus=0")
        if device == "cuda" and self.training.engine == "sparse":
            raise ValueError("training.engine sparse runs on training.device cpu only, but got training.device=cuda")
        if threads is not None and threads > cpus:
            raise ValueError(
                "training.threads <= resources.cpus must hold, "
                f"but got training.threads={threads}, resources.cpus={cpus}"
            )
        return self


RESUMABLE = ("resources", "tracking", "out")
"""Keys that may differ when a study goes on: they change how it runs, not what its results mean."""

MAY_GROW = ("search.trials", "confirm.top", "confirm.seeds", "confirm.outer_splits")
"""Keys that may become larger when a study goes on: it is extended, and what it has found so far stays true."""
