"""The study spec: what a user writes, checked before anything happens."""

from __future__ import annotations

import itertools
import typing
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal

import pydantic
import yaml
from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from dst.data import MECHANISMS, POLICIES, READERS, SPLITS, Dataset, Design, Removal, load_dataset
from dst.data.dataset import Scaling
from dst.errors import InputError, unknown_name
from dst.rankers import RANKERS


class SpecError(InputError):
    """A spec breaks a rule; the message is one line with the key, the rule and what was given."""


class _Section(BaseModel):
    """A part of a spec: immutable, and every key must be known."""

    model_config = ConfigDict(extra="forbid", frozen=True)


PositiveInt = Annotated[int, Field(ge=1)]


class MissingSpec(_Section):
    """Missing data: what is removed on purpose, and what stands in for what is not there.

    In a spec, each key may be a list: the dataset is then studied once for each combination, under names such as
    ``wine-mcar-0.2``. At rate 0 the mechanism and its seed mean nothing, and combinations that differ in these alone
    are one.

    Attributes:
        rate: share of values that are removed from all rows, in [0, 1) (:func:`dst.data.remove_values`).
        mechanism: ``mcar``, ``mar`` or ``mnar``.
        policy: ``mean``, ``median``, ``zero`` or ``knn``, fitted on training rows (:func:`dst.data.imputing.impute`).
        indicators: whether a missing number also sets a column of its own.
        seed: of the removal.
    """

    rate: Annotated[float, Field(ge=0, lt=1)] = 0.0
    mechanism: str = "mcar"
    policy: str = "mean"
    indicators: bool = False
    seed: Annotated[int, Field(ge=0)] = 0

    @field_validator("mechanism")
    @classmethod
    def _known_mechanism(cls, mechanism: str) -> str:
        if mechanism not in MECHANISMS:
            raise ValueError(unknown_name("missing-data mechanism", mechanism, MECHANISMS))
        return mechanism

    @field_validator("policy")
    @classmethod
    def _known_policy(cls, policy: str) -> str:
        if policy not in POLICIES:
            raise ValueError(unknown_name("missing-data policy", policy, POLICIES))
        return policy

    @property
    def suffix(self) -> str:
        """What the dataset's name gets: everything that differs from the defaults."""
        parts = [f"{self.mechanism}-{self.rate:g}"] if self.rate else []
        parts += [self.policy] if self.policy != "mean" else []
        parts += ["indicators"] if self.indicators else []
        parts += [f"seed{self.seed}"] if self.seed else []
        return "".join(f"-{part}" for part in parts)


class DatasetSpec(_Section):
    """One dataset: a name of the registry, or a path, and how it is used.

    Attributes:
        path: registry name or path (a relative path starts at the spec file's folder).
        target: label column of a ``.csv`` or ``.parquet`` file.
        split: how rows are split.
        inner_splits: draws of validation rows that a trial is averaged over; None: five below 500 rows, else one (the
            ``paper`` split always has one).
        k: how many columns are scored; None: the dataset's default.
        batch_size: rows in a minibatch; None: the dataset's default.
        group: the column that names each row's group, for the split ``group``.
        time: the column that says when each row was taken, for the split ``time``.
        categorical: columns whose values are categories, besides those that hold words.
        missing: what is removed, and what stands in for what is missing; None: nothing may be missing.
        scaling: ``standard``, ``minmax`` or ``maxabs``; None: the dataset's default.
    """

    path: str
    target: str | None = None
    split: str = "stratified"
    inner_splits: PositiveInt | None = None
    k: PositiveInt | None = None
    batch_size: PositiveInt | None = None
    group: str | None = None
    time: str | None = None
    categorical: tuple[str, ...] | None = None
    missing: MissingSpec | None = None
    scaling: Scaling | None = None

    @field_validator("split")
    @classmethod
    def _known_split(cls, split: str) -> str:
        if split not in SPLITS:
            raise ValueError(unknown_name("split", split, SPLITS))
        return split

    @property
    def removal(self) -> Removal | None:
        """What is removed from the table; None: nothing."""
        if self.missing is None or self.missing.rate == 0:
            return None
        return Removal(self.missing.rate, self.missing.mechanism, self.missing.seed)

    @property
    def table_key(self) -> str:
        """What the table is read by: equal for datasets that differ in splits and missing data only."""
        return self.model_dump_json(include={"path", *_TABLE_KEYS, "scaling"}, exclude_none=True)

    def load_table(self) -> Dataset:
        """Load the table, with the scaling that is named here.

        Raises:
            InputError: see :func:`dst.data.load_dataset`.
        """
        dataset = load_dataset(
            self.path, **{key: given for key in _TABLE_KEYS if (given := getattr(self, key)) is not None}
        )
        return dataset if self.scaling is None else replace(dataset, scaling=self.scaling)

    def search_design(self, seed: int) -> Design:
        """Return how the search splits and prepares the rows: all its trials alike, by the study's seed."""
        return Design(
            split=self.split,
            seed=seed,
            test_seed=seed,
            count=self.inner_splits,
            policy=self.missing.policy if self.missing else None,
            indicators=self.missing.indicators if self.missing else False,
        )


_TABLE_KEYS = ("target", "k", "batch_size", "group", "time", "categorical")


class ObjectiveSpec(_Section):
    """What the search optimises, on validation rows.

    Attributes:
        metric: ``val_svm_accuracy`` (maximised) or ``val_loss`` of the ranker's own model (minimised).
        importance: the importance metric whose ranking counts, or ``best`` of all that one training gives. A ranker
            that lacks the named metric is judged on its own.
    """

    metric: Literal["val_svm_accuracy", "val_loss"] = "val_svm_accuracy"
    importance: Literal["best", "neuron_strength", "neuron_attribution"] = "best"

    @property
    def direction(self) -> Literal["minimize", "maximize"]:
        """Optuna's word for which values are better."""
        return "minimize" if self.metric == "val_loss" else "maximize"


class TrainingSpec(_Section):
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

    def settings(self) -> dict[str, Any]:
        """Return what is set, by the rankers' names."""
        return self.model_dump(exclude_none=True)


class NamedSpec(_Section):
    """A sampler or pruner: its name, and options where it has any."""

    name: str
    options: dict[str, Any] = {}

    @model_validator(mode="before")
    @classmethod
    def _from_name(cls, given: Any) -> Any:
        if isinstance(given, str):
            return {"name": given}
        if given is None:
            return {"name": "none"}
        if isinstance(given, dict) and "name" in given and "options" not in given:
            return {"name": given["name"], "options": {key: value for key, value in given.items() if key != "name"}}
        return given


class SearchSpec(_Section):
    """How configurations are proposed and weak trials stopped.

    Attributes:
        sampler: ``tpe``, ``random`` or ``grid`` (each point of the space once), or a mapping with ``name`` and options.
        pruner: ``median``, ``asha`` or ``none``, likewise.
        trials: per dataset; of a grid the most that it may have.
        batch: how many are proposed together. A batch learns from all batches before it and from nothing else, so the
            result does not depend on the number of workers.
    """

    sampler: NamedSpec = NamedSpec(name="tpe")
    pruner: NamedSpec = NamedSpec(name="median")
    trials: PositiveInt = 30
    batch: PositiveInt = 10


class ConfirmSpec(_Section):
    """How the best configurations are confirmed.

    Attributes:
        top: how many of a dataset's search trials are trained again (and the best of each method besides).
        seeds: over how many seeds, each with its own draw of validation rows.
    """

    top: PositiveInt = 5
    seeds: PositiveInt = 5


class ResourcesSpec(_Section):
    """What one trial takes, and how often a trial whose process died is tried again.

    Attributes:
        cpus: cores of a trial.
        memory: bytes that a machine must have free for a trial; None: whatever there is.
        trial_seconds: a trial that takes longer is ended, like one whose process died; None: no limit.
        retries: how often a trial is tried again whose process died.
    """

    cpus: PositiveInt = 1
    memory: PositiveInt | None = None
    trial_seconds: Annotated[float, Field(gt=0)] | None = None
    retries: Annotated[int, Field(ge=0)] = 2


class WandbSpec(_Section):
    """Weights & Biases: offline by default; nothing leaves the machine."""

    mode: Literal["offline", "online", "disabled"] = "offline"
    project: str = "dst-studies"
    entity: str | None = None
    runs: Literal["trials", "study"] = "trials"


class TrackingSpec(_Section):
    """Where results are shown besides the study's folder."""

    wandb: WandbSpec = WandbSpec()


class StudySpec(_Section):
    """A whole study.

    Attributes:
        name: letters, digits, ``_``, ``-`` and ``.``; names the folder and the W&B runs.
        seed: all of a study's randomness comes from it.
        datasets: what is studied.
        methods: rankers that compete, see ``dst.rankers.RANKERS``.
        space: a packaged search space by name, or one written inline.
        out: the study's folder; None: ``runs/NAME``.
        storage: Optuna storage URL; None: SQLite in the study's folder.
    """

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]*$")]
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 0
    datasets: Annotated[tuple[DatasetSpec, ...], Field(min_length=1)]
    methods: Annotated[tuple[str, ...], Field(min_length=1)] = ("set",)
    space: str | dict[str, Any] = "default"
    objective: ObjectiveSpec = ObjectiveSpec()
    training: TrainingSpec = TrainingSpec()
    search: SearchSpec = SearchSpec()
    confirm: ConfirmSpec = ConfirmSpec()
    resources: ResourcesSpec = ResourcesSpec()
    tracking: TrackingSpec = TrackingSpec()
    storage: str | None = None
    out: str | None = None

    @field_validator("datasets", mode="before")
    @classmethod
    def _names_are_datasets(cls, given: Any) -> Any:
        if not _is_list(given):
            return given
        items = [{"path": item} if isinstance(item, str) else item for item in given]
        return [one for item in items for one in _each_combination(item)]

    @field_validator("methods")
    @classmethod
    def _known_methods(cls, methods: tuple[str, ...]) -> tuple[str, ...]:
        for method in methods:
            if method not in RANKERS:
                raise ValueError(unknown_name("method", method, RANKERS))
        if len(set(methods)) < len(methods):
            raise ValueError(f"each method once, got {', '.join(methods)}")
        return methods

    @model_validator(mode="after")
    def _objective_fits_methods(self) -> StudySpec:
        if self.objective.metric == "val_loss" and "random" in self.methods:
            raise ValueError("objective.metric val_loss needs a model's loss, but method 'random' has no model")
        return self


RESUMABLE = ("resources", "tracking", "out")
"""Keys that may differ when a study goes on: they change how it runs, not what its results mean."""


def load_spec(source: str | Path, overrides: Sequence[str] = ()) -> StudySpec:
    """Read a spec from a YAML file, or a packaged one by its name.

    Args:
        source: a path, or the name of a spec that comes with this package (``quickstart``).
        overrides: ``KEY=VALUE`` pairs that replace single values; keys are dotted (``search.trials=50``), values YAML.

    Raises:
        SpecError: the file cannot be read, or the spec breaks a rule.
    """
    path = Path(source)
    if path.is_file():
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise SpecError(f"{path}: cannot be read ({error})") from error
    elif str(source) in packaged_specs():
        text = resources.files("studies").joinpath(f"{source}.yaml").read_text(encoding="utf-8")
    elif path.is_dir():
        raise SpecError(f"{path}: a spec is a YAML file, but this is a folder")
    else:
        raise SpecError(f"{unknown_name('spec', str(source), packaged_specs())}, or the path of a YAML file")
    try:
        document = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise SpecError(f"{path}: is not YAML: {' '.join(str(error).split())}") from error
    if not isinstance(document, dict):
        raise SpecError(f"{path}: a spec is a mapping of keys, but this is a {type(document).__name__}")
    document.pop("resolved", None)  # what a run noted in the study.yaml that it wrote
    for override in overrides:
        _override(document, override)
    return _with_absolute_paths(parse_spec(document, str(source)), path.resolve().parent)


def parse_spec(document: dict[str, Any], source: str = "spec") -> StudySpec:
    """Check a spec that was read already.

    Raises:
        SpecError: the spec breaks a rule.
    """
    try:
        return StudySpec.model_validate(document)
    except pydantic.ValidationError as error:
        raise SpecError(f"{source}: {_one_line(error)}") from None


def packaged_specs() -> tuple[str, ...]:
    """Names of the specs that come with this package."""
    files = resources.files("studies").iterdir()
    return tuple(sorted(file.name.removesuffix(".yaml") for file in files if file.name.endswith(".yaml")))


def _is_list(given: Any) -> bool:
    return isinstance(given, list | tuple)


def _each_combination(dataset: Any) -> Iterator[Any]:
    """Yield a dataset once for each combination of the lists in its ``missing``; what else is wrong is said later."""
    missing = dataset.get("missing") if isinstance(dataset, Mapping) else None
    if not isinstance(missing, Mapping) or not any(_is_list(value) for value in missing.values()):
        yield dataset
        return
    known = list(MissingSpec.model_fields)
    ordered = sorted(missing, key=lambda key: known.index(key) if key in known else len(known))
    seen: list[dict[str, Any]] = []
    for values in itertools.product(*(missing[key] if _is_list(missing[key]) else [missing[key]] for key in ordered)):
        one = dict(zip(ordered, values, strict=True))
        if one.get("rate", 0) == 0:
            one = {key: value for key, value in one.items() if key not in ("mechanism", "seed")}
        if one not in seen:
            seen.append(one)
            yield {**dataset, "missing": one}


def _override(document: dict[str, Any], override: str) -> None:
    key, equals, text = override.partition("=")
    if not equals or not key:
        raise SpecError(f"--set takes KEY=VALUE, but got {override!r}")
    *parents, last = key.split(".")
    section = document
    for parent in parents:
        inner = section.setdefault(parent, {})
        if not isinstance(inner, dict):
            raise SpecError(f"--set {override}: {parent} is not a mapping, so {key} cannot be set")
        section = inner
    try:
        section[last] = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise SpecError(f"--set {override}: the value is not YAML: {' '.join(str(error).split())}") from error


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
    message = problem["msg"].removeprefix("Value error, ")
    message = message[:1].lower() + message[1:]
    if problem["type"] == "value_error":
        return f"{where}: {message}" if where else message
    return f"{where}: {message}, but got {problem['input']!r}"


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
