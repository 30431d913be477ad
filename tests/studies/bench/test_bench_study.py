"""``dst bench study``: both sides run the same trials, and a row says what they took."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from cluster.bench.stock import run_stock
from cluster.jobs import Job
from dst import TrialSpec
from dst.errors import InputError
from studies.bench import study as bench_study
from studies.bench.study import STUDIES, stock_job, study_rows
from studies.cli.main import app, main
from studies.spec.loading import parse_spec
from studies.spec.objective import ObjectiveSpec
from studies.worker.payload import TrialPayload
from tests.support.job_work import stock_counts, stock_raises

TINY = {
    "name": "tiny",
    "datasets": ["wine"],
    "methods": ["set"],
    "training": {"epochs": 2, "hidden": [8, 4]},
    "search": {"trials": 3},
}


def trial(method="set", **settings):
    spec = TrialSpec(method, {"epochs": 2, "batch_size": 8, **settings}, k=4, seed=5)
    return Job("wine/0", "wine", TrialPayload(spec, None, ObjectiveSpec(), "val_loss", None).to_json())


@pytest.mark.slow
def test_the_smallest_run_has_the_row_of_the_contract(monkeypatch):
    monkeypatch.setitem(STUDIES, "tiny", lambda: parse_spec(TINY))
    result = CliRunner().invoke(
        app, ["bench", "study", "--name", "tiny", "--trials", "1", "--json"], catch_exceptions=False
    )
    assert result.exit_code == 0
    (row,) = json.loads(result.stdout)["rows"]
    assert {"name", "ours_s", "stock_s", "stock_reused_s", "ratio"} <= row.keys()
    assert row["name"] == "tiny"
    assert row["ratio"] == row["stock_s"] / row["ours_s"]
    assert row["ratio_reused"] == row["stock_reused_s"] / row["ours_s"]
    assert min(row["ours_s"], row["stock_s"], row["stock_reused_s"]) > 0
    assert row["trials"] == 2, "one of the search, and one that confirms"
    # two epochs on each of five inner splits, in as many trials on every side
    assert row["ours_epochs"] == row["stock_epochs"] == row["stock_reused_epochs"] == 2 * 10


@pytest.mark.slow
@pytest.mark.parametrize("reuse", [False, True])
def test_the_stock_way_runs_every_job_once_and_in_full(reuse):
    jobs = [Job(f"job/{number}", "tens", {"number": number}) for number in range(3)]
    run = run_stock(jobs, stock_counts, {"tens": 10}, workers=2, max_epochs=4, reuse=reuse)
    assert run.scores == (0.0, 10.0, 20.0)
    assert run.epochs == 3 * 4
    assert run.seconds > 0


@pytest.mark.slow
def test_a_stock_trial_that_fails_ends_the_comparison():
    with pytest.raises(RuntimeError, match="1 of 1 stock trials failed"):
        run_stock(
            [Job("job/0", "tens", {"number": 1})], stock_raises, {"tens": 10}, workers=1, max_epochs=4, reuse=True
        )


def test_a_study_without_its_data_is_left_out_with_a_line(monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("DST_DATA_DIR", str(tmp_path))
    reasons = []
    assert list(study_rows(["basehock"], left_out=reasons.append)) == []
    assert reasons == ["basehock is left out: BASEHOCK is not there (see dst datasets fetch)"]
    with pytest.raises(SystemExit) as ended:
        main(["bench", "study", "--name", "basehock", "--json"])
    assert not ended.value.code
    captured = capsys.readouterr()
    assert json.loads(captured.out)["rows"] == []
    assert "basehock is left out" in captured.err


def test_unknown_names_are_refused():
    with pytest.raises(InputError, match="unknown study 'quikstart': did you mean 'quickstart'"):
        next(study_rows(["quikstart"]))


def test_nothing_is_stopped_and_few_trials_are_confirmed_once():
    spec = bench_study._without_stops(STUDIES["quickstart"](), 4)
    assert spec.search.pruner.name == "none"
    assert (spec.search.trials, spec.confirm.top, spec.confirm.seeds) == (4, 1, 1)
    full = bench_study._without_stops(STUDIES["quickstart"](), None)
    assert (full.search.trials, full.confirm) == (20, STUDIES["quickstart"]().confirm)
    assert min(STUDIES["basehock"]().space["sparsity"]["values"]) == 0.9


def test_a_stock_job_has_the_settings_of_the_trial():
    settings = stock_job(trial("rigl", sparsity=0.95, lr=0.002, l2=0.01, drop_fraction=0.2)).payload["settings"]
    ranking = settings.ranking
    assert (ranking.sparse, ranking.grow, ranking.sparsity) == (True, "gradient", 0.95)
    assert (ranking.lr, ranking.l2, ranking.drop_fraction) == (0.002, 0.01, 0.2)
    assert (ranking.epochs, ranking.batch_size, ranking.attribution_rows) == (2, 8, 16)
    assert (settings.k, settings.seed, settings.scorer) == (4, 5, "svm")
    assert not stock_job(trial("dense")).payload["settings"].ranking.sparse
    assert stock_job(trial("l1_logistic", C=3.0)).payload["settings"].ranking == 3.0


@pytest.mark.parametrize(
    ("job", "message"),
    [
        (trial("mest"), "drops by magnitude only, but got method='mest'"),
        (trial("set_attr"), "grow must be None, random or gradient, but got 'importance'"),
        (trial("random"), "no method 'random'"),
        (trial("set", dropout=0.5), "dropout=0.0 only, but got 0.5"),
        (trial("set", group_penalty=0.5), "group_penalty=0.0 only, but got 0.5"),
    ],
)
def test_what_the_stock_way_cannot_do_is_refused(job, message):
    with pytest.raises(InputError, match=message):
        stock_job(job)
