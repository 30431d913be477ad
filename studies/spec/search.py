"""The section ``search`` of a spec: how configurations are proposed and weak trials stopped."""

from __future__ import annotations

from typing import Annotated, Any, Literal, get_args

from pydantic import Field, model_validator

from studies.spec.section import PositiveInt, Section, one_of
from studies.spec.unquoted import reading

Reported = Literal["val_loss", "val_accuracy", "val_score"]
"""Values that a trial can report on its way."""

REPORTED: tuple[Reported, ...] = get_args(Reported)


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
    """The pruner, which stops weak trials, and the value that it sees.

    Attributes:
        on: what trials report on their way, the best so far: ``val_loss`` (lowest) or ``val_accuracy`` (highest) of the
            ranker's own model, or ``val_score``, the scorer's accuracy on the network's strongest K inputs, fitted and
            judged on a few rows (:class:`studies.worker.rungs.CheapScore`). Rankers that have no such value at an epoch
            (``quickselection`` and ``wast`` have errors of reconstruction, ``lassonet`` a path of penalties) report
            nothing and are never stopped.
    """

    on: Annotated[Reported, one_of("report", REPORTED)] = "val_loss"


class SearchSpec(Section):
    """The search: the proposal of configurations and the stopping of weak trials.

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
