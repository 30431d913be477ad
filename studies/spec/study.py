"""The study spec: what a user writes, checked before anything happens."""

from __future__ import annotations

import re
import typing
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal

import pydantic
from pydantic import BaseModel, Field, ValidationInfo, field_validator, model_validator

from dst.data import READERS
from dst.errors import InputError, unknown_name
from dst.importance.metrics import HELD_OUT_METRICS, METRICS
from dst.rankers import RANKERS
from dst.training.config import TrainingConfig
from search_spaces.documents import DocumentError, parse_yaml
from studies.spec.dataset import WORD_KEYS, DatasetSpec, PositiveInt, Section, each_combination, is_list
from studies.spec.documents import read_text
from studies.spec.objective import ObjectiveSpec
from studies.spec.unquoted import read_as, reading
from studies.spec.wandb_names import check_name


class SpecError(InputError):
    """A spec breaks a rule; the message is one line with the key, the rule and what was given."""


class ScoringSpec(Section):
    """What judges a ranking.

    Attributes:
        scorer: the classifier that sees the top K columns: ``svm`` (the default ``SVC()``), ``linear_svm``, ``knn`` or
            ``extra_trees``.
        k_values: numbers of columns that each ranking is scored on besides the dataset's K, which counts; those above
            a dataset's number of columns are left out for it.
        max_rows: rows, drawn by class, that the scorer of a search trial is fitted on and judged on, at most; None:
            all. Confirming trials and tests always take all.
    """

    scorer: Literal["svm", "linear_svm", "knn", "extra_trees"] = "svm"
    k_values: tuple[PositiveInt, ...] = ()
    max_rows: PositiveInt | None = None


class TrainingSpec(Section):
    """Settings that all trials share; None leaves the ranker's default (the paper's)."""

    epochs: PositiveInt = 200
    patience: PositiveInt = 50
    hidden: tuple[PositiveInt, ...] = (1000, 100)
    lr: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    optimizer: Literal["adam", "sgd"] | None = None
    momentum: Annotated[float, Field(ge=0, lt=1)] | None = None
    dropout: Annotated[float, Field(ge=0, lt=1)] | None = None
    update_interval: PositiveInt | None = None
    distribution: Literal["uniform", "er", "erk"] | None = None
    schedule: Literal["cosine", "linear", "constant"] | None = None
    stop_fraction: Annotated[float, Field(ge=0, le=1)] | None = None
    engine: Literal["auto", "sparse", "dense"] | None = None
    device: Literal["cpu", "cuda"] | None = None
    threads: PositiveInt | None = None
    importances: Annotated[tuple[str, ...], Field(min_length=1)] | None = None
    history: Literal["best", "all", "best_epoch", "last"] | None = None
    sampling: Literal["per_epoch", "per_step"] | None = None
    importance_rows: PositiveInt | None = None

    @field_validator("importances")
    @classmethod
    def _known_importances(cls, given: tuple[str, ...] | None) -> tuple[str, ...] | None:
        for name in given or ():
            if name not in METRICS.keys() | HELD_OUT_METRICS.keys():
                raise ValueError(unknown_name("importance", name, METRICS.keys() | HELD_OUT_METRICS.keys()))
        if given is not None and len(set(given)) < len(given):
            raise ValueError(f"each importance once, but got {', '.join(given)}")
        return given

    def settings(self) -> dict[str, Any]:
        """Return what is set, by the rankers' names."""
        return self.model_dump(exclude_none=True)


class NamedSpec(Section):
    """A sampler or pruner: its name, and options where it has any."""

    name: str
    options: dict[str, Any] = Field(default_factory=dict)

    @model_validator(mode="before")
    @classmethod
    def _from_name(cls, given: Any) -> Any:
        if isinstance(given, str):
            return {"name": given}
        if given is None:
            return {"name": "none"}
        if (why := reading(given)) is not None:
            raise ValueError(f"must be a name, or a mapping with a name, but {why}")
        if isinstance(given, dict) and "name" in given and "options" not in given:
            own = {key: value for key, value in given.items() if key in cls.model_fields}
            return {**own, "options": {key: value for key, value in given.items() if key not in own}}
        return given


class PrunerSpec(NamedSpec):
    """Who stops weak trials, and by what.

    Attributes:
        on: what trials report on their way, the best so far: ``val_loss`` (lowest) or ``val_accuracy`` (highest) of the
            ranker's own model, or ``val_score``, the scorer's accuracy on the network's strongest K inputs, fitted and
            judged on a few rows (:class:`studies.worker.rungs.CheapScore`). Rankers that have no such value at an epoch
            (``quickselection`` has errors of reconstruction, ``lassonet`` a path of penalties) report nothing and are
            never stopped.
    """

    on: Literal["val_loss", "val_accuracy", "val_score"] = "val_loss"


class SearchSpec(Section):
    """How configurations are proposed and weak trials stopped.

    Attributes:
        sampler: ``tpe``, ``random``, ``grid`` (each point of the space once), ``nsga2`` or ``gp``, or a mapping with
            ``name`` and options (:mod:`cluster.ledger.samplers.registry`).
        pruner: ``median``, ``asha`` (also ``successive_halving``), ``hyperband``, ``patience`` or ``none``, likewise
            (:mod:`cluster.ledger.pruners.registry`), with ``on`` beside the options. With several objectives it is
            ``none``.
        trials: per dataset; of a grid the most that it may have.
        batch: how many are proposed together. A batch learns from all batches before it and from nothing else, so the
            result does not depend on the number of workers.
        seconds: wall-clock time that the search may take over all datasets and all runs of the study; None: no limit.
            When it is up, the trials that run end and confirming begins. How many trials there are then depends on the
            machine; what each of them gives does not.
    """

    sampler: NamedSpec = NamedSpec(name="tpe")
    pruner: PrunerSpec = PrunerSpec(name="median")
    trials: PositiveInt = 30
    batch: PositiveInt = 10
    seconds: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None


class ConfirmSpec(Section):
    """How the best configurations are confirmed.

    Attributes:
        top: how many of a dataset's search trials are trained again (and the best of each method besides).
        seeds: over how many seeds, each with its own draw of validation rows.
    """

    top: PositiveInt = 5
    seeds: PositiveInt = 5


class ResourcesSpec(Section):
    """What one trial takes, and how often a trial whose process died is tried again.

    Attributes:
        cpus: cores of a trial.
        gpus: GPUs of a trial, or a share of one; a trial sees no more than it asked for.
        memory: bytes that a machine must have free for a trial, and that its process may hold for itself: a trial that
            takes more is ended, and has failed; None: no limit.
        trial_seconds: a trial that takes longer is ended, and has failed; None: no limit.
        retries: how often a trial is tried again whose process died.
        checkpoint_seconds: how often a trial writes down where it is, to go on from there when its process dies; it is
            not done more often than takes a twentieth of its time. None: such a trial starts over.
    """

    cpus: PositiveInt = 1
    gpus: Annotated[float, Field(ge=0)] = 0
    memory: PositiveInt | None = None
    trial_seconds: Annotated[float, Field(gt=0)] | None = None
    retries: Annotated[int, Field(ge=0)] = 2
    checkpoint_seconds: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = 30.0


BEGUN = "begun"
"""Context of the spec of a study that has begun: what only decides where its results are shown is not checked again."""


class WandbSpec(Section):
    """Weights & Biases: offline by default; nothing leaves the machine.

    Attributes:
        mode: ``offline``, ``online`` or ``disabled``.
        project: the W&B project (:func:`studies.spec.wandb_names.check_name`).
        entity: the W&B user or team; None: the account's default.
        runs: ``trials`` (a run per trial, and the study's) or ``study`` (only the study's).
    """

    mode: Literal["offline", "online", "disabled"] = "offline"
    project: str = "dst-studies"
    entity: str | None = None
    runs: Literal["trials", "study"] = "trials"

    @field_validator("project", "entity")
    @classmethod
    def _names_that_wandb_takes(cls, name: str | None, info: ValidationInfo) -> str | None:
        if name is None or info.context == BEGUN:  # which `dst track --project` may still send elsewhere
            return name
        return check_name(str(info.field_name), name)


class TrackingSpec(Section):
    """Where results are shown besides the study's folder."""

    wandb: WandbSpec = WandbSpec()

    @field_validator("wandb", mode="before")
    @classmethod
    def _is_no_switch(cls, given: Any) -> Any:
        if isinstance(given, bool):
            wanted = "offline" if given else "disabled"
            raise ValueError(f"must be a mapping, e.g. wandb: {{mode: {wanted}}}, but {read_as(given)}")
        return given


class StudySpec(Section):
    """A whole study.

    Attributes:
        name: letters, digits, ``_``, ``-`` and ``.``; names the folder and the W&B runs.
        seed: all of a study's randomness comes from it, but for which values a dataset's ``missing`` removes: that has
            a seed of its own.
        datasets: what is studied.
        absent_datasets: what becomes of datasets whose files are not at hand: ``error`` ends the study before it
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
        return [one for item in items for one in each_combination(item)]

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
        self.objective.check_methods(self.methods, self.training.importances or TrainingConfig().importances)
        if self.objective.several and self.search.pruner.name != "none":
            raise ValueError(
                "search.pruner: a trial is stopped by one value, but there are several objectives: leave it out, or "
                f"name none, but got {self.search.pruner.name!r}"
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

MAY_GROW = ("search.trials", "confirm.top", "confirm.seeds")
"""Keys that may become larger when a study goes on: it is extended, and what it has found so far stays true."""


def load_spec(source: str | Path, overrides: Sequence[str] = ()) -> StudySpec:
    """Read a spec from a YAML file, or a packaged one by its name.

    Args:
        source: a path, or the name of a spec that comes with this package (:func:`packaged_specs`).
        overrides: ``KEY=VALUE`` pairs that replace single values; keys are dotted (``search.trials=50``), values YAML.

    Raises:
        SpecError: the file cannot be read, or the spec breaks a rule.
    """
    path = Path(source)
    if path.is_file():
        try:
            text = read_text(path)
        except (OSError, DocumentError) as error:
            raise SpecError(f"{path}: cannot be read ({error})") from error
    elif str(source) in packaged_specs():
        text = resources.files("studies.spec").joinpath("packaged", f"{source}.yaml").read_text(encoding="utf-8")
    elif path.is_dir():
        raise SpecError(f"{path}: a spec is a YAML file, but this is a folder")
    else:
        raise SpecError(f"{unknown_name('spec', str(source), packaged_specs())}, or the path of a YAML file")
    try:
        document = parse_yaml(text, WORD_KEYS)
    except DocumentError as error:
        raise SpecError(f"{path}: {error}") from error
    if not isinstance(document, dict):
        raise SpecError(f"{path}: a spec is a mapping of keys, but this is a {type(document).__name__}")
    document.pop("resolved", None)  # what a run noted in the study.yaml that it wrote
    for override in overrides:
        _override(document, override)
    return _with_absolute_paths(parse_spec(document, str(source)), path.resolve().parent)


def parse_spec(document: dict[str, Any], source: str = "spec", *, begun: bool = False) -> StudySpec:
    """Check a spec that was read already.

    Args:
        document: the spec.
        source: where it comes from, for messages.
        begun: whether it is that of a study that has begun, and is looked at or reported.

    Raises:
        SpecError: the spec breaks a rule.
    """
    try:
        return StudySpec.model_validate(document, context=BEGUN if begun else None)
    except pydantic.ValidationError as error:
        raise SpecError(f"{source}: {_one_line(error)}") from None


def packaged_specs() -> tuple[str, ...]:
    """Names of the specs that come with this package."""
    files = resources.files("studies.spec").joinpath("packaged").iterdir()
    return tuple(sorted(file.name.removesuffix(".yaml") for file in files if file.name.endswith(".yaml")))


_PASSWORD = re.compile(r"://[^/]*:[^/]*@")


def _override(document: dict[str, Any], override: str) -> None:
    key, equals, text = override.partition("=")
    if not equals or not key:
        shown = override.split(":", 1)[0]  # what follows may be a URL with a password
        raise SpecError(f"--set takes KEY=VALUE, but got {shown!r}{' and more' if shown != override else ''}")
    if key.startswith("storage") and _PASSWORD.search(text):
        raise SpecError(
            "--set storage: a password on a command line is seen by everyone on the machine, and by Ray: leave it out "
            "and use PGPASSWORD or ~/.pgpass"
        )
    *parents, last = key.split(".")
    section = document
    for parent in parents:
        inner = section.setdefault(parent, {})
        if not isinstance(inner, dict):
            raise SpecError(f"--set {key}: {parent} is not a mapping, so {key} cannot be set")
        section = inner
    try:
        section[last] = parse_yaml(text, WORD_KEYS)
    except DocumentError as error:
        raise SpecError(f"--set {key}: the value {error}") from error


def _with_absolute_paths(spec: StudySpec, folder: Path) -> StudySpec:
    """Anchor relative dataset paths at the spec file's folder, so that a study can be resumed from anywhere."""

    def anchored(dataset: DatasetSpec) -> DatasetSpec:
        path = Path(dataset.path).expanduser()
        is_path = any(path.name.lower().endswith(suffix) for suffix in READERS)
        return dataset.model_copy(update={"path": str((folder / path).resolve())}) if is_path else dataset

    return spec.model_copy(update={"datasets": tuple(anchored(dataset) for dataset in spec.datasets)})


def _one_line(error: pydantic.ValidationError) -> str:
    """Say the first problem in one line: where, what rule, what was given; an unknown key with its nearest."""
    problem = error.errors(include_url=False)[0]
    where = ".".join(str(part) for part in problem["loc"])
    if problem["type"] == "extra_forbidden":
        *parents, key = problem["loc"]
        valid = _keys_at(StudySpec, parents)
        prefix = ".".join(map(str, parents))
        return f"{prefix}: {unknown_name('key', str(key), valid)}" if prefix else unknown_name("key", str(key), valid)
    if problem["type"] == "missing":
        return f"{where}: is required"
    if (why := _reading(problem)) is not None:
        return f"{where.removesuffix('.str')}: {why}"
    if problem["type"] == "tuple_type":
        return f"{where}: must be a list, but got {problem['input']!r}"
    if problem["type"] == "model_type":
        keys = ", ".join(_keys_at(StudySpec, problem["loc"]))
        return f"{where}: must be a mapping with the keys {keys}, but got {problem['input']!r}"
    message = problem["msg"].removeprefix("Value error, ")
    message = message[:1].lower() + message[1:]
    if problem["type"] == "value_error" or where.startswith("storage"):  # which may hold a password
        return f"{where}: {message}" if where else message
    return f"{where}: {message}, but got {problem['input']!r}"


def _reading(problem: Any) -> str | None:
    """Say what is wrong with a value that may have been meant as text; None for any other problem."""
    why = reading(problem["input"])
    dataset = len(problem["loc"]) == 2 and problem["loc"][0] == "datasets"
    if why is None or (problem["type"] not in ("string_type", "literal_error") and not dataset):
        return None
    rule = problem["msg"][:1].lower() + problem["msg"][1:] if problem["type"] == "literal_error" else "must be text"
    return f"{rule}, but {why}"


def _keys_at(model: type[BaseModel], location: Sequence[int | str]) -> list[str]:
    """Return the keys that a section of the spec knows."""
    for part in location:
        if isinstance(part, int):
            model = DatasetSpec
        elif isinstance(part, str) and part in model.model_fields:
            annotation = model.model_fields[part].annotation
            for kind in (annotation, *typing.get_args(annotation)):  # a section may be optional
                if isinstance(kind, type) and issubclass(kind, BaseModel):
                    model = kind
    return list(model.model_fields)
