"""A real Slurm on this machine: a controller and node daemons, each of these on a host of its own."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

BRIDGE, NETWORK = "dst-slurm", "10.213.83"
PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "scontrol", "squeue", "nsenter", "unshare", "ip")

CONFIGURATION = """
ClusterName=here
SlurmctldHost={controller}({network}.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket,cred_expire=5
SlurmctldPort=26827
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool/%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd-%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd-%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SwitchType=switch/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerType=sched/backfill
SchedulerParameters=bf_interval=1,sched_interval=5,batch_sched_delay=1
ReturnToService=2
SlurmctldTimeout=30
SlurmdTimeout=15
KillWait=10
MinJobAge=600
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
JobRequeue=1
SlurmdParameters=config_overrides
PartitionName=all Nodes=ALL Default=YES MaxTime=1-0 State=UP PriorityTier=1 PreemptMode=REQUEUE
PartitionName=urgent Nodes=ALL MaxTime=1-0 State=UP PriorityTier=10
"""

# A command as on a host of its own: its network, name, processes, shared memory and temporary folder.
ON_HOST = """
hostname "$1"
mount -t tmpfs -o size=2g tmpfs /dev/shm
mount -t tmpfs tmpfs "$2"
mount --bind "$3" /etc/hosts
shift 3
"$@" &
trap 'kill %1' TERM
wait; wait
"""


@dataclass
class Slurm:
    """A running controller with its nodes.

    Attributes:
        folder: configuration, state and logs.
        hosts: the process of each node's host, by name; when it ends, so does all that runs there.
    """

    folder: Path
    hosts: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    @property
    def environment(self) -> dict[str, str]:
        """The environment in which Slurm's commands find this Slurm, and jobs the temporary folder of their host."""
        places = {"SLURM_CONF": str(self.folder / "slurm.conf"), "TMPDIR": str(self.folder / "t")}
        return {**os.environ, **places, "RAY_worker_niceness": "0"}

    def call(self, *command: str) -> str:
        """Run one of Slurm's commands; return what it prints."""
        ended = subprocess.run(
            command, env=self.environment, cwd=self.folder, capture_output=True, text=True, timeout=300, check=False
        )
        assert ended.returncode == 0, (command, ended.stdout, ended.stderr)
        return ended.stdout.strip()

    def job(self, number: str) -> dict[str, str]:
        """Return what Slurm shows of a job, e.g. ``JobState`` and ``Restarts``."""
        shown = self.call("scontrol", "show", "job", "--oneliner", number)
        return dict(part.split("=", 1) for part in shown.split() if "=" in part)

    def start_host(self, name: str) -> None:
        """Start a host with its node daemon, and wait until the controller has it."""
        log = (self.folder / f"host-{name}.log").open("ab")
        parts = ("nsenter", f"--net=/run/netns/{BRIDGE}-{name}", "unshare", "--uts", "--mount", "--pid", "--fork")
        shell = ("--kill-child", "--mount-proc", "bash", "-c", ON_HOST, "host", name)
        places = (str(self.folder / "t"), str(self.folder / "hosts"))
        daemon = ("slurmd", "-D", "-f", str(self.folder / "slurm.conf"), "-N", name)
        self.hosts[name] = subprocess.Popen(
            [*parts, *shell, *places, *daemon], stdout=log, stderr=log, start_new_session=True
        )
        wait_until(lambda: self.node(name) not in ("unknown", "down") and self.node(name).isalpha(), 60)

    def node(self, name: str) -> str:
        """Return a node's state, e.g. ``idle``; with an asterisk where it does not answer."""
        return self.call("sinfo", "--noheader", f"--nodes={name}", "--partition=all", "--format=%T")

    def end_host(self, name: str) -> None:
        """End a host at once, with all that runs there, as if its power were gone."""
        host = self.hosts.pop(name)
        host.kill()
        host.wait()


def wait_until(true: object, seconds: float, step: float = 0.2) -> None:
    """Wait until a function returns something true; fails after ``seconds``."""
    end = time.monotonic() + seconds
    while not true():  # type: ignore[operator]
        assert time.monotonic() < end, f"not within {seconds:g} s"
        time.sleep(step)


@contextlib.contextmanager
def slurm(folder: Path, *, nodes: int = 2, cores: int = 2) -> Iterator[Slurm]:
    """Start Slurm with nodes ``n1``, ``n2``, ...; skips the test where nobody asked for it, or where it cannot run.

    Args:
        folder: for its files, with a short name, as sockets are in it.
        nodes: how many.
        cores: of each node.
    """
    if os.environ.get("DST_TEST_SLURM") != "1":
        pytest.skip("minutes long, and root starts daemons: `make test-slurm` runs it")
    if missing := [name for name in PROGRAMS if shutil.which(name) is None]:
        pytest.skip(f"no Slurm here: {', '.join(missing)} not found (Debian: slurm-wlm, munge, iproute2)")
    if os.geteuid() != 0:
        pytest.skip("node daemons and network namespaces need root")
    running = Slurm(folder)
    names = [f"n{number}" for number in range(1, nodes + 1)]
    for part in ("state", "t", *(f"spool/{name}" for name in names)):
        (folder / part).mkdir(parents=True)
    controller = socket.gethostname().split(".")[0]
    lines = [CONFIGURATION.format(folder=folder, network=NETWORK, controller=controller)]
    hosts = ["127.0.0.1 localhost", f"{NETWORK}.1 {controller}"]
    for number, name in enumerate(names, 11):
        place = f"NodeAddr={NETWORK}.{number} NodeHostname={name} Port=26828"
        lines.insert(1, f"NodeName={name} {place} CPUs={cores} RealMemory=8000 State=UNKNOWN\n")
        hosts.append(f"{NETWORK}.{number} {name}")
    (folder / "slurm.conf").write_text("".join(lines))
    (folder / "hosts").write_text("\n".join(hosts) + "\n")
    (folder / "munge.key").write_bytes(os.urandom(1024))
    (folder / "munge.key").chmod(0o600)
    folder.chmod(0o755)
    daemons: list[subprocess.Popen[bytes]] = []
    log = (folder / "daemons.log").open("ab")

    def start(*command: str) -> None:
        daemons.append(subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True))

    try:
        _network(names)
        socket_file = folder / "munge.socket"
        files = ("pid-file", folder / "munged.pid"), ("log-file", folder / "munged.log"), ("seed-file", folder / "seed")
        start(
            "munged", "--foreground", "--force", f"--socket={socket_file}", f"--key-file={folder / 'munge.key'}",
            *(f"--{name}={path}" for name, path in files),
        )  # fmt: skip
        wait_until(socket_file.exists, 10)
        start("slurmctld", "-D", "-f", str(folder / "slurm.conf"))
        wait_until(lambda: _answers(running), 20)
        for name in names:
            running.start_host(name)
        yield running
    finally:
        for name in list(running.hosts):
            running.end_host(name)
        for daemon in reversed(daemons):
            daemon.terminate()
        for daemon in daemons:
            daemon.wait(30)
        _no_network(names)


def _answers(running: Slurm) -> bool:
    asked = subprocess.run(["scontrol", "ping"], env=running.environment, capture_output=True, text=True, check=False)
    return " UP" in asked.stdout


def _network(names: list[str]) -> None:
    """Make a bridge with a network namespace for each name."""
    _no_network(names)
    steps = [
        f"ip link add {BRIDGE} type bridge",
        f"ip addr add {NETWORK}.1/24 dev {BRIDGE}",
        f"ip link set {BRIDGE} up",
    ]
    for number, name in enumerate(names, 11):
        space, wire = f"{BRIDGE}-{name}", f"dstsl-{name}"
        steps += [
            f"ip netns add {space}",
            f"ip link add {wire} type veth peer name eth0 netns {space}",
            f"ip link set {wire} master {BRIDGE} up",
            f"ip -n {space} addr add {NETWORK}.{number}/24 dev eth0",
            f"ip -n {space} link set lo up",
            f"ip -n {space} link set eth0 up",
            f"ip -n {space} route add default via {NETWORK}.1",
        ]
    for step in steps:
        try:
            subprocess.run(step.split(), check=True, capture_output=True, text=True)
        except subprocess.CalledProcessError as error:
            pytest.skip(f"no network namespaces here: {error.stderr}".strip())


def _no_network(names: list[str]) -> None:
    for name in names:
        subprocess.run(["ip", "netns", "del", f"{BRIDGE}-{name}"], check=False, capture_output=True)
    subprocess.run(["ip", "link", "del", BRIDGE], check=False, capture_output=True)
