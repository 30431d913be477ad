"""A run that dies at any of its writes: the next one ends with the records and winners of an undisturbed run.

The work is simulated; ``test_study`` has a study of real trials that dies, ``test_kills`` has real processes.
"""

from __future__ import annotations

import pytest

from studies.run import run_study
from tests.support.deaths import dies_at_record
from tests.support.two_tables import Killed, digests, spec_of, without_measurements


@pytest.fixture(scope="module")
def undisturbed(simulated_work, tmp_path_factory):
    """A finished study of simulated work and its spec."""
    tmp_path = tmp_path_factory.mktemp("undisturbed")
    spec = spec_of(tmp_path, search={"trials": 4, "batch": 2}, confirm={"top": 1, "seeds": 2})
    return spec, run_study(spec, out=tmp_path / "out", in_process=True)


SEARCHES, CONFIRMS = 3, 9
"""Records that are written before a death in the second batch of the search, and one among the trials that confirm."""

MOMENTS = ["before the record", "between record and tell", "after the tell"]


@pytest.mark.parametrize("when", MOMENTS)
@pytest.mark.parametrize("jobs", [pytest.param(1, marks=pytest.mark.slow), SEARCHES, CONFIRMS])
def test_a_death_at_any_moment_loses_and_repeats_nothing(undisturbed, tmp_path, monkeypatch, when, jobs):
    spec, whole = undisturbed
    dies_at_record(monkeypatch, jobs, when)
    with pytest.raises(Killed):
        run_study(spec, out=tmp_path, in_process=True)
    monkeypatch.undo()
    before = digests(tmp_path)
    result = run_study(spec, out=tmp_path, in_process=True)
    after = digests(tmp_path)
    assert {name: after[name] for name in before} == before
    assert without_measurements(tmp_path) == without_measurements(whole.folder)
    assert result.rows == whole.rows
