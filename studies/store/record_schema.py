"""Names and types of a record's values, which readers rely on wherever a record comes from.

Keys that are not named here may be there and hold anything.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Any, Literal, NotRequired

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError, with_config
from typing_extensions import TypedDict

from cluster.ledger.entries import SEARCH, State

SCHEMA = 1
"""Version of the layout of records; a reader refuses any other."""


class Stage(StrEnum):
    """The stages of a study; each trial belongs to one, under which the ledger has it."""

    SEARCH = SEARCH
    CONFIRM = "confirm"


Ended = Literal[State.FINISHED, State.STOPPED, State.FAILED]
"""The states of a trial that has a record."""

_OPEN = ConfigDict(extra="allow", strict=True)

_Number = float | None
_Cores = Annotated[float, Field(gt=0, lt=1e6)] | None
_Count = Annotated[int, Field(ge=0, lt=2**63)]
_Text = Annotated[str, Field(max_length=2**20)]
_Step = Annotated[str, Field(pattern=r"^(0|[1-9][0-9]{0,17})$")]
_Dataset = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-][A-Za-z0-9_.-]*$", max_length=255)]


@with_config(_OPEN)
class Judged(TypedDict):
    """The results of a scorer on a number of columns."""

    accuracy: _Number
    balanced_accuracy: NotRequired[_Number]
    macro_auc: NotRequired[_Number]


@with_config(_OPEN)
class Importance(TypedDict):
    """The result by one importance metric; ``ranked`` and ``by_k`` where a trial was scored on more than one K."""

    selected: list[_Count]
    ranked: NotRequired[list[_Count]]
    by_k: NotRequired[dict[_Step, Judged]]
    val_svm_accuracy: NotRequired[_Number]
    val_balanced_accuracy: NotRequired[_Number]
    val_macro_auc: NotRequired[_Number]


@with_config(_OPEN)
class Outcome(TypedDict):
    """The part of a trial's record by which configurations are chosen to be confirmed."""

    number: _Count
    state: Ended
    method: _Text
    params: dict[str, Any]
    val_score: NotRequired[_Number]
    val_scores: NotRequired[dict[str, _Number] | None]
    val_loss: NotRequired[_Number]
    flops: NotRequired[_Number]


@with_config(_OPEN)
class Record(Outcome):
    """A trial's record."""

    dataset: _Dataset
    stage: Literal[Stage.SEARCH, Stage.CONFIRM]
    seed: _Count | None
    seed_index: _Count | None
    source: _Count | None
    k: Annotated[int, Field(ge=1, lt=2**63)]
    split: NotRequired[_Text]
    reports: dict[_Step, _Number]
    error: _Text | None
    importance: NotRequired[_Text | None]
    importances: NotRequired[dict[str, Importance] | None]
    val_accuracy: NotRequired[_Number]
    sparsity: NotRequired[_Number]
    sparsity_actual: NotRequired[_Number]
    l2: NotRequired[_Number]
    settings: NotRequired[dict[str, Any] | None]
    epochs: NotRequired[_Count | None]
    best_epoch: NotRequired[_Number]
    nnz: NotRequired[list[_Count] | None]
    flops_ratio: NotRequired[_Number]
    seconds: NotRequired[dict[str, _Number] | None]
    bytes: NotRequired[dict[str, _Number] | None]
    curves: NotRequired[list[dict[str, list[_Number] | None]] | None]
    cpus: NotRequired[_Cores]
    host: NotRequired[_Text | None]
    absent_classes: NotRequired[list[_Text]]
    data_sha256: NotRequired[_Text]
    resumption: NotRequired[dict[str, Any] | None]
    peak_rss_bytes: NotRequired[_Count | None]
    stopped_at: NotRequired[_Count | None]


@with_config(_OPEN)
class Opened(TypedDict):
    """The test accuracies of one metric."""

    test_svm_accuracy: NotRequired[_Number]
    by_k: NotRequired[dict[_Step, _Number]]


@with_config(_OPEN)
class TestRecord(TypedDict):
    """The result of a confirming trial on the test rows."""

    dataset: _Dataset
    number: _Count
    importances: dict[str, Opened]
    error: NotRequired[_Text | None]
    seconds: NotRequired[dict[str, _Number] | None]
    cpus: NotRequired[_Cores]
    host: NotRequired[_Text | None]


@with_config(_OPEN)
class Represented(TypedDict):
    """A column that a selected one represents, and its correlation with it."""

    column: _Count
    r: float


@with_config(_OPEN)
class ListRecord(TypedDict):
    """The scores of a feature list under the design of a confirming trial; nothing by K where that failed."""

    dataset: _Dataset
    number: _Count
    source: _Count
    seeds: _Count
    importance: _Text
    columns: list[_Count]
    validation: dict[_Step, Judged]
    test: dict[_Step, Judged]
    stand_ins: NotRequired[dict[_Step, list[Represented]]]
    error: NotRequired[_Text | None]
    seconds: NotRequired[dict[str, _Number] | None]
    cpus: NotRequired[_Cores]
    host: NotRequired[_Text | None]


@with_config(_OPEN)
class SplitRecord(TypedDict):
    """The test accuracies, by K, of a confirming trial's configuration on another outer split; none where it failed."""

    dataset: _Dataset
    number: _Count
    source: _Count
    index: _Count
    importance: _Text
    k: Annotated[int, Field(ge=1, lt=2**63)]
    test: dict[_Step, _Number]
    held_out: NotRequired[Annotated[float, Field(gt=0, lt=1)]]
    error: NotRequired[_Text | None]
    seconds: NotRequired[dict[str, _Number] | None]
    cpus: NotRequired[_Cores]


Kind = Literal["record", "test", "list", "split"]
"""The kinds of documents in a study's folder."""

RECORD: Kind = "record"
TEST: Kind = "test"
LIST: Kind = "list"
SPLIT: Kind = "split"

_ADAPTERS: dict[Kind, TypeAdapter[Any]] = {
    RECORD: TypeAdapter(Record),
    TEST: TypeAdapter(TestRecord),
    LIST: TypeAdapter(ListRecord),
    SPLIT: TypeAdapter(SplitRecord),
}


def problem_of(record: Mapping[str, Any], kind: Kind = RECORD) -> str | None:
    """Return the first error in a document's types, in one line, or None.

    Args:
        record: a trial's record, or what stands beside it.
        kind: of the document; each has a schema.
    """
    try:
        _ADAPTERS[kind].validate_python(dict(record))
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        return f"{where}: {' '.join(first['msg'].split())}"[:300]
    if kind == RECORD and record["state"] == State.FINISHED and record["val_score"] is None:
        return "val_score: a finished trial has one"
    return None


def importances_of(record: Record) -> Mapping[str, Importance]:
    """Return the result by each importance metric; nothing of a trial that has not finished."""
    return record.get("importances") or {}
