"""A study's folder is read once, whatever is made of it."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from dst.errors import InputError
from studies import run_study
from studies.report.warnings import study_warnings
from studies.report.write import write_results
from studies.spec.loading import parse_spec
from studies.store import record_codec, record_schema
from studies.store.archive import StudyArchive
from studies.store.folder import StudyFolder
from studies.store.record import iter_records, measured_lists, read_list, read_test
from tests.support.soundness import small_table


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> StudyFolder:
    data = tmp_path_factory.mktemp("archive")
    document = {
        "name": "archived",
        "datasets": [{"path": str(small_table(data / "t.csv")), "target": "label", "inner_splits": 1}],
        "methods": ["l1_logistic", "random"],
        "search": {"trials": 4, "batch": 4},
        "confirm": {"top": 1, "seeds": 2},
        "tracking": {"wandb": {"mode": "disabled"}},
    }
    return StudyFolder(run_study(parse_spec(document), out=data / "out", in_process=True).folder)


def test_each_file_is_read_and_validated_once(folder: StudyFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    read: Counter[Path] = Counter()
    validated: Counter[str] = Counter()
    read_json, problem_of = record_codec.read_json, record_schema.problem_of

    def counting_read(path: Path) -> object:
        read[path] += 1
        return read_json(path)

    def counting_check(document: dict, kind: record_schema.Kind = record_schema.RECORD) -> str | None:
        validated[f"{kind} {document['dataset']}/{document['number']}.{document.get('seeds')}"] += 1
        return problem_of(document, kind)

    monkeypatch.setattr(record_codec, "read_json", counting_read)
    monkeypatch.setattr(record_codec, "problem_of", counting_check)
    archive = StudyArchive(folder)
    results, trials = write_results(archive)
    study_warnings(archive, trials, results)
    files = set(folder.records.glob("*/*.json")) - {folder.columns("t")}
    assert set(read) == files
    assert set(read.values()) == {1}
    assert validated.total() == len(files)


def test_an_archive_holds_what_the_files_say(folder: StudyFolder) -> None:
    archive = StudyArchive(folder)
    assert list(archive.all_records()) == list(archive.records("t")) == list(iter_records(folder))
    expected = [read_list(folder, "t", number, seeds) for number, seeds in measured_lists(folder, "t")]
    assert archive.lists("t") == expected != []
    for record in archive.records("t"):
        assert archive.test("t", record["number"]) == read_test(folder, "t", record["number"])
    for measured in archive.lists("t"):
        assert archive.list_of("t", measured["number"], measured["seeds"]) == measured
    assert archive.list_of("t", 0, 99) is None
    assert archive.datasets == ("t",)


def test_an_archive_reads_only_what_is_asked_for(tmp_path: Path) -> None:
    archive = StudyArchive(StudyFolder(tmp_path))
    assert list(archive.all_records()) == []
    assert archive.records("never-seen") == ()
    with pytest.raises(InputError, match="not a study's folder"):
        _ = archive.spec
