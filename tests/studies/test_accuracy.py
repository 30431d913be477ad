from __future__ import annotations

import pytest

from studies import accuracy
from studies.accuracy import Reference, accuracies, main


def test_validation_chooses_the_l2_whose_test_rows_are_opened(monkeypatch):
    opened = []
    real = accuracy.score_on_test
    monkeypatch.setattr(
        accuracy, "score_on_test", lambda data, spec, columns: opened.append(spec) or real(data, spec, columns)
    )
    l2, found = accuracies("wine", 0.5, 2, (1e-4, 1e2))
    assert l2 == 1e-4, "a hundred times the weights leave no network to speak of"
    assert [spec.settings["l2"] for spec in opened] == [1e-4, 1e-4]
    assert {name: len(values) for name, values in found.items()} == {"neuron_strength": 2, "neuron_attribution": 2}
    assert all(50 < value <= 100 for values in found.values() for value in values)


@pytest.mark.parametrize(("bound", "status", "word"), [(0.0, 0, "ok"), (101.0, 1, "no")])
def test_the_table_says_whether_bounds_hold(monkeypatch, capsys, bound, status, word):
    monkeypatch.setattr(accuracy, "REFERENCES", (Reference("wine", 0.5, 90.0, 1.0, bound),))
    assert main(["--seeds", "1"]) == status
    head, row = capsys.readouterr().out.splitlines()
    assert head.split()[:3] == ["dataset", "sparsity", "L2"]
    assert row.split()[0] == "wine"
    assert row.split()[-1] == word


def test_wrong_calls(monkeypatch, capsys):
    for arguments in (["--only", "Yal"], ["--seeds", "0"]):
        with pytest.raises(SystemExit) as ended:
            main(arguments)
        assert ended.value.code == 2
    monkeypatch.delenv("DST_DATA_DIR", raising=False)
    assert main(["--only", "Yale"]) == 2
    assert "DST_DATA_DIR" in capsys.readouterr().err
