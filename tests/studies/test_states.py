"""What becomes of a trial, from the worker to every place that shows it: each ending has its state, and only that."""

from __future__ import annotations

import socket

import pytest

import studies.run
from cluster.ledger.storage.connect import open_storage
from dst.errors import InputError
from studies.report.figures import score_history
from studies.report.status import study_status
from studies.run import run_study
from studies.store.archive import StudyArchive
from studies.store.folder import StudyFolder
from studies.store.record import iter_records
from studies.store.study_file import read_resolved, storage_name
from studies.tracking.content import StudyContent
from studies.tracking.destination import destination
from studies.tracking.trials import trial_run
from tests.support import scripted_trials, simulated_jobs
from tests.support.scripted_trials import FINISHES, NAN, RAISES, STOPS
from tests.support.several_objectives import spec_of


def scripted_spec(table, rates, **changes):
    """A grid whose points end as their learning rate says, in batches of two."""
    return spec_of(
        table,
        objective={},
        methods=["static"],
        space={"lr": {"values": rates}, "sparsity": 0.3},
        search={
            "trials": len(rates),
            "batch": 2,
            "sampler": "grid",
            "pruner": {"name": "median", "n_startup_trials": 1},
        },
        confirm={"top": 9, "seeds": 1},
        **changes,
    )


def tracked(result):
    """What W&B would get of a study."""
    spec, folder = StudyArchive(StudyFolder(result.folder)).spec, StudyFolder(result.folder)
    return StudyContent(folder, destination(spec.tracking.wandb, folder, {}), ())


RATES = [FINISHES, 0.011, RAISES, NAN, STOPS, 0.03]  # the last is ahead of the others from the first rung on
ENDINGS = ["finished", "finished", "failed", "failed", "stopped", "finished"]


@pytest.fixture(scope="module")
def ended(table, tmp_path_factory):
    spec = scripted_spec(table, RATES)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(studies.run, "run_job", scripted_trials.act)
        return spec, run_study(spec, out=tmp_path_factory.mktemp("states") / "out", in_process=True)


@pytest.fixture(scope="module")
def search(ended):
    records = iter_records(StudyFolder(ended[1].folder))
    return [record for record in records if record["stage"] == "search"]


@pytest.mark.parametrize("number", range(len(RATES)))
def test_a_trials_ending_is_its_state_in_record_storage_and_tables(ended, search, number):
    spec, result = ended
    record, state = search[number], ENDINGS[number]
    assert record["params"]["lr"] == RATES[number]
    assert record["state"] == state
    assert record["host"] == socket.gethostname()

    storage = open_storage(f"sqlite:///{StudyFolder(result.folder).storage}", create=False)
    study = storage.get_study_id_from_name(
        storage_name(spec, read_resolved(StudyFolder(result.folder))["id"], record["dataset"])
    )
    trial = storage.get_all_trials(study)[number]
    storage.engine.dispose()
    assert trial.state.name == {"finished": "COMPLETE", "stopped": "PRUNED", "failed": "FAIL"}[state]
    assert trial.value == (record["val_score"] if state == "finished" else None)

    row = result.trials[(result.trials["stage"] == "search")].iloc[number]
    assert row["state"] == state
    assert (row["val_score"] == row["val_score"]) == (state == "finished"), "a NaN is not equal to itself"
    assert (record.get("val_score") is None) == (state != "finished")

    run = trial_run(tracked(result).facts, record, None)
    summary = run.summary
    assert ("val_score" in summary) == (state == "finished")
    assert (run.state, run.exit_code) == (state, int(state == "failed"))
    if state == "stopped":
        assert record["stopped_at"] == trial.last_step == summary["stopped_at"] == 5
        assert record["reports"] == {"5": -1e6}
        assert [dict(row.values) for row in run.rows] == [{"rung/value": 1e6, "rung/epoch": 5}]
    else:
        assert record.get("stopped_at") is None


@pytest.mark.parametrize(
    ("number", "last"),
    [
        (2, "RuntimeError: as asked"),
        (3, "studies.worker.job.NoScoreError: the objective val_svm_accuracy must be a finite number, but it is nan"),
    ],
)
def test_a_failed_trials_record_has_the_traceback(ended, search, number, last):
    error = search[number]["error"]
    assert error.startswith("Traceback (most recent call last):\n")
    assert "scripted_trials.py" in error
    assert error.splitlines()[-1] == last
    assert last.split(": ")[-1] in StudyFolder(ended[1].folder).report.read_text()


def test_only_finished_trials_have_scores_in_what_is_summed_up(ended, search):
    _, result = ended
    finished = [record for record, state in zip(search, ENDINGS, strict=True) if state == "finished"]
    scores = {record["val_score"] for record in finished}
    (axes,) = score_history(result.trials, "maximize").axes[:1]
    methods = [line for line in axes.lines if line.get_marker() not in ("|", "None", "")]
    assert {float(y) for line in methods for y in line.get_ydata()} == scores
    (ticks,) = [line for line in axes.lines if line.get_marker() == "|"]
    assert list(ticks.get_xdata()) == [2, 3, 4]

    status = study_status(result.folder)["datasets"]["a"]
    counts = {key: status[key] for key in ("finished", "stopped", "failed", "running", "waiting")}
    assert counts == {"finished": 3 + 3, "stopped": 1, "failed": 2, "running": 0, "waiting": 0}
    assert status["best_value"] == max(scores)

    content = tracked(result)
    content.look()
    sent = content.overview("finished")[-1].summary
    assert [sent[f"trials/{state}"] for state in ("finished", "stopped", "failed")] == [6, 1, 2]
    assert all(row["params"]["lr"] in (FINISHES, 0.011, 0.03) for row in result.rows)
    sources = {record.get("source") for record in iter_records(StudyFolder(result.folder))} - {None}
    assert sources == {0, 1, 5}, "only finished trials are confirmed"


def test_a_study_of_ended_trials_has_nothing_to_do(ended):
    spec, result = ended
    assert not run_study(spec, out=result.folder, in_process=True).ran


@pytest.mark.slow
def test_a_trial_that_runs_past_its_limit_has_failed_and_is_not_tried_again(table, tmp_path, monkeypatch):
    monkeypatch.setattr(studies.run, "run_job", simulated_jobs.hanging)
    resources = {"trial_seconds": 6.0, "retries": 1}
    spec = scripted_spec(table, [FINISHES, simulated_jobs.HANGS], resources=resources)
    result = run_study(spec, out=tmp_path / "out", workers=2)
    record = next(one for one in iter_records(StudyFolder(result.folder)) if one["number"] == 1)
    assert record["state"] == "failed"
    assert record["error"] == "the job ran past its limit of 6 s"
    storage = open_storage(f"sqlite:///{StudyFolder(result.folder).storage}", create=False)
    study = storage.get_study_id_from_name(storage_name(spec, read_resolved(StudyFolder(result.folder))["id"], "a"))
    trial = storage.get_all_trials(study)[1]
    storage.engine.dispose()
    assert trial.state.name == "FAIL"
    assert "requeued" not in trial.user_attrs
    assert result.rows[0]["params"]["lr"] == FINISHES


def test_the_objective_of_a_ranker_without_a_loss_is_refused_before_it_could_be_a_nan(table):
    with pytest.raises(InputError, match=r"val_loss compares .* random has none"):
        spec_of(table, objective={"metric": "val_loss"}, methods=["random"])
