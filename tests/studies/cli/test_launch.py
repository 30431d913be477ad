"""``dst launch``: what it writes is what each platform reads, and what is submitted is what was written."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import ray
import yaml
from ray.autoscaler._private.util import prepare_config, validate_config

from cluster.launch import template_names
from studies.spec.loading import load_spec
from tests.support.command import call

NAMES_OF_KUBERAY = {
    "RayJob": {"apiVersion", "kind", "metadata", "spec"},
    "spec": {
        "entrypoint", "backoffLimit", "shutdownAfterJobFinishes", "ttlSecondsAfterFinished", "submitterPodTemplate",
        "rayClusterSpec", "activeDeadlineSeconds", "runtimeEnvYAML", "submissionMode", "submitterConfig", "suspend",
    },
    "rayClusterSpec": {
        "rayVersion", "authOptions", "enableInTreeAutoscaling", "autoscalerOptions", "headGroupSpec",
        "workerGroupSpecs",
    },
    "authOptions": {"mode"},
    "autoscalerOptions": {"version", "idleTimeoutSeconds", "upscalingMode", "resources", "image", "env", "envFrom"},
    "headGroupSpec": {"rayStartParams", "template", "serviceType"},
    "workerGroupSpecs": {
        "groupName", "replicas", "minReplicas", "maxReplicas", "rayStartParams", "template", "idleTimeoutSeconds",
    },
}  # fmt: skip
"""Keys of KubeRay's reference of its API. Its schema is in no package, so that types of values are not checked."""

SPEC = """
name: my_customers
datasets:
  - {path: tables/a.csv, target: "it's", k: 5}
  - {path: others/a.csv, target: y, k: 5}
  - wine
methods: [set, l1_logistic]
search: {trials: 30}
storage: postgresql+psycopg://user:secret@db/studies
"""


@pytest.fixture
def spec(tmp_path, monkeypatch) -> str:
    """A spec with tables of this machine, in the folder that files are written to."""
    monkeypatch.chdir(tmp_path)
    Path("customers.yaml").write_text(SPEC)
    return "customers.yaml"


def written(capsys, *arguments) -> str:
    """Text of the file that ``dst launch`` writes."""
    status, out, err = call(capsys, "launch", *arguments)
    assert status == 0, err
    return Path(out.strip()).read_text()


def carried(text: str, tmp_path) -> Any:
    """The spec whose YAML went into a launch file."""
    Path(tmp_path, "carried.yaml").write_text(text)
    return load_spec(tmp_path / "carried.yaml")


def check_names(part: Any, name: str) -> None:
    """Hold the keys of a RayJob to those that KubeRay knows, below what is Kubernetes' own."""
    if isinstance(part, list):
        for item in part:
            check_names(item, name)
    elif name in NAMES_OF_KUBERAY:
        assert set(part) <= NAMES_OF_KUBERAY[name], name
        for key, value in part.items():
            check_names(value, key)


CLUSTERS = {
    "aws": ("--image", "registry/dst:1", "--nodes", 8),
    "gcp": ("--image", "registry/dst:1", "--project", "mine", "--nodes", 8, "--least", 2),
    "hosts": (
        "--head",
        "10.1.0.1",
        "--host",
        "10.1.0.2",
        "--host",
        "10.1.0.3",
        "--user",
        "ops",
        "--environment",
        "/a b",
    ),
}


@pytest.mark.parametrize("platform", CLUSTERS)
def test_rays_launcher_reads_its_files(capsys, spec, tmp_path, platform):
    cluster = yaml.safe_load(written(capsys, platform, spec, *CLUSTERS[platform], "--set", "search.trials=7"))
    validate_config(prepare_config(dict(cluster)))
    with pytest.raises(Exception, match="file_mount_"):
        validate_config({**prepare_config(dict(cluster)), "file_mount_": {}})
    [setup] = cluster["head_setup_commands"]
    place = tmp_path / "head"
    place.mkdir()
    subprocess.run(["bash", "-c", setup.replace("/studies", ".")], cwd=place, check=True)
    [found] = place.rglob("spec.yaml")
    study = carried(found.read_text(), found.parent)
    assert study.search.trials == 7
    assert "secret" not in found.read_text()
    mounts = {there: here for there, here in cluster["file_mounts"].items() if there != "~/.ray/auth_token"}
    assert list(mounts.values()) == [str(tmp_path / "tables/a.csv"), str(tmp_path / "others/a.csv")]
    looked_up = [dataset.path for dataset in study.datasets if dataset.path != "wine"]
    place_there = setup.split(" > ")[1].removesuffix("/spec.yaml").strip()
    assert [path.removeprefix(f"{found.parent}/") for path in looked_up] == [
        there.removeprefix(f"{place_there}/") for there in mounts
    ]
    for command in (*cluster["head_start_ray_commands"], *cluster["worker_start_ray_commands"]):
        assert "RAY_AUTH_MODE=token" in command or command.endswith("ray stop")


def test_spot_machines_are_workers_alone(capsys, spec):
    for platform, spot in (("aws", "InstanceMarketOptions"), ("gcp", "scheduling")):
        kinds = yaml.safe_load(written(capsys, platform, spec, *CLUSTERS[platform]))["available_node_types"]
        assert [kind for kind, of in kinds.items() if spot in of["node_config"]] == ["worker"]
        assert kinds["worker"]["max_workers"] == 8


def test_kuberay_and_kubernetes_read_the_job(capsys, spec, tmp_path):
    text = written(capsys, "kube", spec, "--image", "registry/dst:1", "--nodes", 9, "--gpus", 1)
    config, claim, job = yaml.safe_load_all(text)
    pods = [job["spec"]["submitterPodTemplate"]]
    cluster = job["spec"]["rayClusterSpec"]
    pods += [group["template"] for group in (cluster["headGroupSpec"], *cluster["workerGroupSpecs"])]
    kinds = [{"apiVersion": "v1", "kind": "PodTemplate", "template": pod} for pod in pods]
    for document in (config, claim, *kinds):
        kubernetes_validate.validate(document, "1.31", strict=True)
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate({**kinds[1], "template": {"spec": {"container": []}}}, "1.31", strict=True)
    check_names(job, "RayJob")
    assert cluster["rayVersion"] == ray.__version__
    assert cluster["workerGroupSpecs"][0]["maxReplicas"] == 9
    study = carried(config["data"]["spec.yaml"], tmp_path)
    assert [dataset.path for dataset in study.datasets] == ["/studies/data/a.csv", "/studies/data/1_a.csv", "wine"]
    assert "secret" not in text


@pytest.mark.parametrize("name", ["quickstart", "paper_search"])
def test_a_spec_arrives_as_it_was_sent(capsys, tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    config = next(yaml.safe_load_all(written(capsys, "kube", name, "--image", "dst")))
    assert carried(config["data"]["spec.yaml"], tmp_path) == load_spec(name)


def test_shell_reads_the_batch_script(capsys, spec, tmp_path):
    quoted = Path(spec).rename("it's.yaml")
    text = written(capsys, "slurm", quoted, "quickstart", "--nodes", 3, "--time", "1-0", "--gpus", 2, "--cpus", 8,
                   "--memory", "32G", "--option", "partition=long", "--set", "seed=3")  # fmt: skip
    options = [line.removeprefix("#SBATCH ") for line in text.splitlines() if line.startswith("#SBATCH")]
    assert {"--nodes=3", "--time=1-0", "--array=0-1", "--gpus-per-node=2", "--partition=long"} <= set(options)
    (tmp_path / "job").write_text(text)
    subprocess.run(["bash", "-n", tmp_path / "job"], check=True)
    arguments = (
        text[text.index("STUDIES=(") : text.index("PATH=")]
        + 'eval "study=(${STUDIES[0]})"; printf "%s\\n" "${study[@]}"'
    )
    read = subprocess.run(["bash", "-c", arguments], check=True, capture_output=True, text=True).stdout.splitlines()
    assert read == [str(tmp_path / quoted), "--set", "seed=3"]


def test_shellcheck_finds_nothing(capsys, spec, tmp_path):
    if shutil.which("shellcheck") is None:
        pytest.skip("no shellcheck here (Debian: shellcheck)")
    written(capsys, "slurm", spec, "--nodes", 2)
    subprocess.run(["shellcheck", "my_customers.sbatch"], check=True)


def test_a_file_that_somebody_changed_is_left(capsys, spec):
    written(capsys, "slurm", spec)
    written(capsys, "slurm", spec)
    file = Path("my_customers.sbatch")
    file.write_text(file.read_text() + "# mine\n")
    status, _, err = call(capsys, "launch", "slurm", spec)
    assert status == 2
    assert "my_customers.sbatch is there already" in err
    assert file.read_text().endswith("# mine\n")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("slurm", "SPEC", "--time", "4 hours"), "--time must be Slurm's D-HH:MM:SS"),
        (("slurm", "SPEC", "--option", "partition=a b"), "--option must be NAME=VALUE"),
        (("slurm", "SPEC", "quickstart", "--out", "x"), "--out names the folder of one study"),
        (("slurm", "absent"), "absent"),
        (("kube", "SPEC", "--image", "i", "--memory", "16"), "--memory must be a number with"),
        (("aws", "SPEC", "--image", "i", "--nodes", 1, "--least", 2), "--least must not be above --nodes"),
        (("gcp", "SPEC", "--image", "i", "--project", "p", "--type", "e2"), "--type must be a machine type"),
    ],
)
def test_a_wrong_call_is_refused_and_writes_nothing(capsys, spec, arguments, says):
    status, _, err = call(capsys, "launch", *(spec if part == "SPEC" else part for part in arguments))
    assert status == 2
    assert says in err
    assert [path.name for path in Path().iterdir()] == [spec]


def test_submitting_is_the_clients_matter(capsys, spec, tmp_path, monkeypatch):
    client = tmp_path / "bin" / "sbatch"
    client.parent.mkdir()
    monkeypatch.setenv("PATH", f"{client.parent}:/usr/bin:/bin")
    client.write_text('#!/bin/sh\necho "$@" >> submitted\n[ ! -f fails ]\n')
    client.chmod(0o755)
    assert call(capsys, "launch", "slurm", spec, "--submit")[0] == 0
    assert Path("submitted").read_text() == "my_customers.sbatch\n"
    Path("fails").touch()
    status, _, err = call(capsys, "launch", "slurm", spec, "--submit")
    assert (status, "sbatch my_customers.sbatch ended with status 1" in err) == (1, True)
    monkeypatch.setenv("PATH", str(tmp_path / "nowhere"))
    status, _, err = call(capsys, "launch", "slurm", spec, "--submit")
    assert (status, "--submit needs the command sbatch" in err) == (2, True)


def test_a_cluster_is_started_with_a_token_alone(capsys, spec, tmp_path, monkeypatch):
    client = tmp_path / "bin" / "ray"
    client.parent.mkdir()
    client.write_text('#!/bin/sh\necho "$@" >> submitted\n')
    client.chmod(0o755)
    monkeypatch.setenv("PATH", f"{client.parent}:/usr/bin:/bin")
    monkeypatch.setenv("HOME", str(tmp_path))
    status, _, err = call(capsys, "launch", "aws", spec, "--image", "i", "--submit")
    assert (status, "there is no ~/.ray/auth_token" in err) == (2, True)
    assert not Path("submitted").exists()
    (tmp_path / ".ray").mkdir()
    (tmp_path / ".ray" / "auth_token").write_text("a word")
    assert call(capsys, "launch", "aws", spec, "--image", "i", "--submit")[0] == 0
    up, run = Path("submitted").read_text().splitlines()
    assert up == "up --yes my_customers.aws.yaml"
    assert run.startswith("exec my_customers.aws.yaml RAY_AUTH_MODE=token setsid --fork dst run")


def test_each_template_is_of_a_platform():
    assert template_names() == ("aws.yaml", "gcp.yaml", "hosts.yaml", "ray_cluster.yaml", "rayjob.yaml", "slurm.sbatch")
