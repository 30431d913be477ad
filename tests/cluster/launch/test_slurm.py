"""The batch script of ``dst launch slurm`` under a real Slurm, whatever Slurm does to its job."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from studies.run import run_study
from studies.spec.loading import load_spec
from tests.support.slurm_cluster import Slurm, slurm, wait_until

SPEC = """
name: {name}
datasets: [digits]
methods: [set, l1_logistic]
training: {{epochs: 30, patience: 10}}
search: {{trials: 24, batch: 6}}
confirm: {{top: 2, seeds: 2}}
tracking: {{wandb: {{mode: disabled}}}}
"""
MINUTES = 60.0


def dst(*arguments: object, cwd: Path) -> None:
    command = [str(Path(sys.executable).with_name("dst")), *map(str, arguments)]
    ended = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr


def records(folder: Path) -> dict[str, bytes]:
    """The records of a study's ended trials, by file."""
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.glob("records/*/*[0-9].json")}


def more(folder: Path, job: str, running: Slurm, count: int) -> dict[str, bytes]:
    """Wait until ``count`` more trials have ended in a running job; return the records of all."""
    goal = len(records(folder)) + count

    def ready() -> bool:
        state = running.job(job)["JobState"]
        assert state in ("RUNNING", "PENDING", "COMPLETING", "REQUEUED"), (state, log(running))
        return len(records(folder)) >= goal

    wait_until(ready, 10 * MINUTES)
    return records(folder)


def log(running: Slurm) -> str:
    return "\n".join(file.read_text() for file in running.folder.glob("*.out"))


@pytest.mark.slow
def test_time_limits_preemption_and_lost_nodes_change_nothing(scratch):
    with slurm(scratch) as running:
        (scratch / "slurm.yaml").write_text(SPEC.format(name="disturbed"))
        run_study(load_spec(scratch / "slurm.yaml"), out=scratch / "undisturbed", in_process=True)
        dst("launch", "slurm", "slurm.yaml", "--nodes", 2, "--cpus", 2, "--time", "2:00:00", "--out",
            scratch / "disturbed", "--to", "job", cwd=scratch)  # fmt: skip
        job = running.call("sbatch", "--parsable", "job")
        study = scratch / "disturbed"
        seen: dict[str, bytes] = {}

        def restarted(times: int) -> None:
            wait_until(lambda: running.job(job)["Restarts"] == str(times), 3 * MINUTES)
            seen.update(records(study))

        # 1. its time limit comes within reach: the script is told 90 s before, which is now
        more(study, job, running, 2)
        running.call("scontrol", "update", f"JobId={job}", "TimeLimit=2")
        restarted(1)
        running.call("scontrol", "update", f"JobId={job}", "TimeLimit=120")
        # 2. a job of a partition with more priority takes both nodes
        more(study, job, running, 2)
        running.call("sbatch", "--wait", "--partition=urgent", "--nodes=2", "--exclusive", "--wrap", "true")
        restarted(2)
        # 3. and 4. the host of a worker is gone, then that of the head, and each comes back
        for times, name in enumerate(("n2", "n1"), 3):
            more(study, job, running, 2)
            running.end_host(name)
            wait_until(lambda name=name: not running.node(name).isalpha(), MINUTES)
            running.start_host(name)
            restarted(times)
        wait_until(lambda: running.job(job)["JobState"] == "COMPLETED", 20 * MINUTES)
        final = records(study)
        assert {name: final[name] for name in seen} == seen
        assert final.keys() == records(scratch / "undisturbed").keys()
        assert (study / "best.csv").read_bytes() == (scratch / "undisturbed" / "best.csv").read_bytes()


@pytest.mark.slow
def test_a_cancelled_job_stays_so_and_one_that_failed_says_it(scratch):
    with slurm(scratch, nodes=1) as running:
        (scratch / "slurm.yaml").write_text(SPEC.format(name="cancelled"))
        dst("launch", "slurm", "slurm.yaml", "--cpus", 2, "--out", scratch / "cancelled", "--to", "job", cwd=scratch)
        job = running.call("sbatch", "--parsable", "job")
        more(scratch / "cancelled", job, running, 1)
        running.call("scancel", job)
        wait_until(lambda: running.job(job)["JobState"] == "CANCELLED", MINUTES)
        assert running.job(job)["Restarts"] == "0"
        script = (scratch / "job").read_text()
        (scratch / "wrong").write_text(script.replace("slurm.yaml", "slurm.yaml --set search.trials=none"))
        job = running.call("sbatch", "--parsable", "wrong")
        wait_until(lambda: running.job(job)["JobState"] == "FAILED", 5 * MINUTES)
        assert running.job(job)["ExitCode"] == "2:0"
        assert "search.trials" in log(running)
