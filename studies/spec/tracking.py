"""The section ``tracking`` of a spec: where results are shown besides the study's folder."""

from __future__ import annotations

from typing import Annotated, Any, Literal, get_args

from pydantic import ValidationInfo, field_validator

from studies.spec.section import Section, one_of
from studies.spec.unquoted import read_as
from studies.spec.wandb_names import check_name

Mode = Literal["offline", "online", "disabled"]
Runs = Literal["trials", "study"]

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

    mode: Annotated[Mode, one_of("mode", get_args(Mode))] = "offline"
    project: str = "dst-studies"
    entity: str | None = None
    runs: Annotated[Runs, one_of("choice of runs", get_args(Runs))] = "trials"

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
