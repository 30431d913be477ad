"""What is secret stays out of a study's folder, its runs, and what is printed."""

from __future__ import annotations

from pathlib import Path

import pytest

from studies.cli.main import main
from studies.report.status import study_status
from studies.run import run_study
from studies.spec.loading import load_spec
from tests.support.soundness import small_spec

SECRETS = {
    "WANDB_API_KEY": "5ec2e7" * 7,
    "PGPASSWORD": "opensesame-1",
    "RAY_AUTH_TOKEN": "abad1dea" * 8,
    "AWS_SECRET_ACCESS_KEY": "opensesame-2",
}


def holders(folder: Path) -> list[str]:
    values = [value.encode() for value in SECRETS.values()]
    files = [path for path in folder.rglob("*") if path.is_file()]
    return [str(path) for path in files if any(value in path.read_bytes() for value in values)]


@pytest.mark.slow
def test_no_secret_of_the_environment_is_written_or_printed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    short = {"search": {"trials": 2, "batch": 2}, "confirm": {"top": 1, "seeds": 1}, "methods": ["set", "random"]}
    path = small_spec(tmp_path, tracking={"wandb": {"mode": "offline"}}, **short)
    result = run_study(load_spec(path), out=tmp_path / "out", in_process=True)
    study_status(result.folder)
    assert list((result.folder / "wandb").glob("offline-run-*/*.wandb")), "runs were written"
    assert holders(tmp_path) == []
    printed = "".join(capfd.readouterr()) + caplog.text + repr(result)
    assert not any(value in printed for value in SECRETS.values())


@pytest.mark.parametrize(
    "storage",
    [
        "postgresql+psycopg://ann:opensesame@127.0.0.1:1/x",
        "postgresql+psycopg://ann:opensesame@127.0.0.1:port/x",
        "postgresql+psycopg://ann:p@opensesame@127.0.0.1:1/x",
        "postgresql+psycopg://an/n:opensesame@127.0.0.1:1/x",
        "postgresql://ann@127.0.0.1:1/x?password=opensesame",
        "nosuch://ann:opensesame@127.0.0.1:1/x",
        "ann:opensesame@127.0.0.1",
        "{url: 'postgresql://ann:opensesame@127.0.0.1:1/x'}",
        "['postgresql://ann:opensesame@127.0.0.1:1/x'",
    ],
)
@pytest.mark.parametrize("how", ["in the spec", "storage=", "storage.url=", "storage:"])
def test_no_password_is_repeated_in_a_refusal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], storage: str, how: str
) -> None:
    path = small_spec(tmp_path)
    arguments = ["run", str(path), "--out", str(tmp_path / "out")]
    if how == "in the spec":
        path.write_text(path.read_text() + f"storage: {storage}\n")
    else:
        arguments += ["--set", f"{how}{storage}"]
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    printed, errors = capsys.readouterr()
    assert printed == ""
    assert len(errors.splitlines()) == 1
    assert "opensesame" not in errors
