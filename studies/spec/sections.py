"""Sections of a spec that say how a trial trains and is judged, how the best are confirmed, and what a trial takes."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, Field, ValidationInfo, field_validator

from dst.rankers import make_config
from dst.rankers.networks_config import NetworksConfig
from dst.scoring import SCORERS
from dst.selection import TOP, Selection
from studies.spec.section import PositiveInt, Section, one_of


class ScoringSpec(Section):
    """The scorer of rankings, and the numbers of columns that it is given.

    Attributes:
        scorer: the classifier that sees the top K columns, a name in :data:`dst.scoring.SCORERS`.
        k_values: numbers of columns that each ranking is scored on besides the dataset's K, which counts; those above
            a dataset's number of columns are left out for it.
        selections: what is made of each importance metric's scores, names of selection rules
            (:data:`dst.selection.SELECTION_RULES`), each alone or with its strength, as in ``greedy:0.5``. One training
            serves them all, and ``objective.selection`` says which of them counts.
        max_rows: rows, drawn by class, that the scorer of a search trial is fitted on and judged on, at most; None:
            all. Confirming trials and tests always take all.
    """

    scorer: Annotated[str, one_of("scorer", SCORERS)] = "svm"
    k_values: tuple[PositiveInt, ...] = ()
    selections: Annotated[tuple[str, ...], Field(min_length=1)] = (TOP,)
    max_rows: PositiveInt | None = None

    @field_validator("selections")
    @classmethod
    def _known_selections_each_once(cls, given: tuple[str, ...]) -> tuple[str, ...]:
        names = tuple(Selection.parse(name).name for name in given)
        if len(set(names)) < len(names):
            raise ValueError(f"each selection once, but got {', '.join(given)}")
        return names


class TrainingSpec(Section):
    """Settings that all trials share; None: the ranker's default.

    Those of networks are explained in :class:`dst.rankers.networks_config.NetworksConfig` and the class it extends,
    ``members`` in :class:`dst.rankers.fusion_config.FusionConfig`.
    """

    epochs: PositiveInt = 200
    patience: PositiveInt = 50
    hidden: tuple[PositiveInt, ...] = (1000, 100)
    lr: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    optimizer: str | None = None
    momentum: Annotated[float, Field(ge=0, lt=1)] | None = None
    dropout: Annotated[float, Field(ge=0, lt=1)] | None = None
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] | None = None
    group_penalty: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None
    update_interval: PositiveInt | None = None
    distribution: str | None = None
    schedule: str | None = None
    stop_fraction: Annotated[float, Field(ge=0, le=1)] | None = None
    engine: str | None = None
    device: str | None = None
    threads: PositiveInt | None = None
    importances: Annotated[tuple[str, ...], Field(min_length=1)] | None = None
    history: str | None = None
    sampling: str | None = None
    importance_rows: PositiveInt | None = None
    networks: PositiveInt | None = None
    combine: str | None = None
    rounds: PositiveInt | None = None
    keep: Annotated[float, Field(gt=0, lt=1)] | None = None
    width: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    members: tuple[str, ...] | None = None

    @field_validator(
        "optimizer", "distribution", "schedule", "engine", "device", "importances", "history", "sampling", "combine"
    )
    @classmethod
    def _known_names(cls, given: Any, info: ValidationInfo) -> Any:
        """Let the networks' own settings decide which names there are."""
        if given is not None:
            NetworksConfig(**{str(info.field_name): given})
        return given

    @field_validator("members")
    @classmethod
    def _known_members(cls, given: tuple[str, ...] | None) -> tuple[str, ...] | None:
        """Let the settings of fusion decide which members there are."""
        if given is not None:
            make_config("fusion", {"members": given})
        return given

    @field_validator("importances")
    @classmethod
    def _each_importance_once(cls, given: tuple[str, ...] | None) -> tuple[str, ...] | None:
        if given is not None and len(set(given)) < len(given):
            raise ValueError(f"each importance once, but got {', '.join(given)}")
        return given

    def settings(self) -> dict[str, Any]:
        """Return the settings that are given, by the rankers' names."""
        return self.model_dump(exclude_none=True)


class ConfirmSpec(Section):
    """The confirmation of the best configurations.

    Attributes:
        top: number of a dataset's search trials that are trained again (and the best of each method besides).
        seeds: over how many seeds, each with its own draw of validation rows.
        outer_splits: on how many other outer splits, each with its own draw of test rows, the winner and the best of
            each method are trained and tested besides: one draw of few test rows proves little.
    """

    top: PositiveInt = 5
    seeds: PositiveInt = 5
    outer_splits: Annotated[int, Field(ge=0)] = 0


def _share_or_whole(gpus: float) -> float:
    if gpus > 1 and gpus % 1:
        raise ValueError(f"a share of one GPU, below 1, or a whole number of them, but got {gpus:g}")
    if 0 < gpus < 1e-4:
        raise ValueError(f"a share of a GPU is a ten-thousandth at least, but got {gpus:g}")
    return gpus


class ResourcesSpec(Section):
    """The resources of one trial, and the number of retries of a trial whose process died.

    Attributes:
        cpus: cores of a trial.
        gpus: whole GPUs of a trial, or a share of one, below 1; a trial sees no more than it asked for.
        memory: bytes that a machine must have free for a trial, and that its process may hold for itself: a trial that
            takes more is ended, and has failed; None: no limit.
        trial_seconds: a trial that takes longer is ended, and has failed; None: no limit.
        retries: number of further attempts at a trial whose process died.
        checkpoint_seconds: how often a trial writes down where it is, to go on from there when its process dies; it is
            not done more often than takes a twentieth of its time. None: such a trial starts over.
    """

    cpus: PositiveInt = 1
    gpus: Annotated[float, Field(ge=0), AfterValidator(_share_or_whole)] = 0
    memory: PositiveInt | None = None
    trial_seconds: Annotated[float, Field(gt=0)] | None = None
    retries: Annotated[int, Field(ge=0)] = 2
    checkpoint_seconds: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = 30.0
