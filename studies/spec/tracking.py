"""The section ``tracking`` of a spec: where results are shown besides the study's folder."""

from __future__ import annotations

from typing import Annotated, Any, Literal, get_args

from pydantic import Field, ValidationInfo, field_validator

from studies.spec.section import Section, one_of
from studies.spec.unquoted import read_as
from studies.spec.wandb_names import LONGEST, check_name

Mode = Literal["offline", "online", "disabled"]
Runs = Literal["auto", "trials", "study"]

LONGEST_TAG = 64
"""Characters of a tag, as W&B allows."""

BEGUN = "begun"
"""Context of the spec of a study that has begun: what only decides where its results are shown is not checked again."""


class WandbSpec(Section):
    """Weights & Biases: offline by default; nothing leaves the machine.

    Attributes:
        mode: ``offline``, ``online`` or ``disabled``.
        project: the W&B project (:func:`studies.spec.wandb_names.check_name`); None: ``WANDB_PROJECT``, else
            ``dst-studies``.
        entity: the W&B user or team; None: ``WANDB_ENTITY``, else the account's default.
        runs: ``trials`` (a run per trial, besides a dataset's and the study's), ``study`` (no run per trial), or
            ``auto``: a run per trial, but none per search trial where the study plans more than a thousand of them.
        tags: of every run, besides the dataset, method, stage and state; none: ``WANDB_TAGS``.
        notes: of the study's run; None: ``WANDB_NOTES``.
        group: of all runs; None: ``WANDB_RUN_GROUP``, else the study's name with the start of its identity.
        alerts: whether W&B tells its user how the study ended.
        seconds: between two looks at the records while a study runs.
    """

    mode: Annotated[Mode, one_of("mode", get_args(Mode))] = "offline"
    project: str | None = None
    entity: str | None = None
    runs: Annotated[Runs, one_of("choice of runs", get_args(Runs))] = "auto"
    tags: tuple[Annotated[str, Field(min_length=1, max_length=LONGEST_TAG)], ...] = ()
    notes: str | None = None
    group: Annotated[str, Field(min_length=1, max_length=LONGEST)] | None = None
    alerts: bool = False
    seconds: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 15.0

    @field_validator("project", "entity")
    @classmethod
    def _names_that_wandb_takes(cls, name: str | None, info: ValidationInfo) -> str | None:
        if name is None or info.context == BEGUN:  # which `dst track --project` may still send elsewhere
            return name
        return check_name(str(info.field_name), name)


class TrackingSpec(Section):
    """The trackers that show results besides the study's folder."""

    wandb: WandbSpec = WandbSpec()

    @field_validator("wandb", mode="before")
    @classmethod
    def _is_no_switch(cls, given: Any) -> Any:
        if isinstance(given, bool):
            wanted = "offline" if given else "disabled"
            raise ValueError(f"must be a mapping, e.g. wandb: {{mode: {wanted}}}, but {read_as(given)}")
        return given
