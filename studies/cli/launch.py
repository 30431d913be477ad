"""``dst launch``: launch files for Slurm, Kubernetes, clouds and plain hosts, filled in for a study."""

from __future__ import annotations

import importlib.metadata
import re
import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dst.errors import InputError
from studies.cli.terminal import with_options
from studies.surroundings import say

if TYPE_CHECKING:
    from studies.spec.study import StudySpec

launch_app = typer.Typer(
    help="Write the file that runs a study on a cluster, and submit it.", no_args_is_help=True, add_completion=False
)

SpecArgument = Annotated[str, typer.Argument(metavar="SPEC", help="A YAML file, or a packaged spec.")]
Nodes = Annotated[int, typer.Option(min=1, help="Machines whose cores run trials.")]
Least = Annotated[int, typer.Option(min=0, help="Workers that stay; more come while trials wait.")]
Image = Annotated[str, typer.Option(help="A container image with dst, made from cluster/launch/Dockerfile.")]


@dataclass(frozen=True)
class LaunchOptions:
    """What all platforms take: the study's folder and changes of the spec, the file to write, whether to submit it."""

    out: Annotated[Path | None, typer.Option(help="The study's folder there; default: runs/NAME.")] = None
    overrides: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Replace a value of the spec, e.g. search.trials=50."),
    ] = None
    to: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The file to write; default: by the study's name.")
    ] = None
    submits: Annotated[bool, typer.Option("--submit", help="Submit the file by the platform's own client.")] = False


@launch_app.command()
@with_options
def slurm(
    specs: Annotated[list[str], typer.Argument(metavar="SPEC...", help="Specs; several make an array of jobs.")],
    nodes: Nodes = 1,
    time: Annotated[
        str, typer.Option(help="Limit of each start, after which it goes on: Slurm's D-HH:MM:SS.")
    ] = "4:00:00",
    cpus: Annotated[int | None, typer.Option(min=1, help="Cores of each node; default: whole nodes.")] = None,
    memory: Annotated[str | None, typer.Option(help="Memory of each node, e.g. 32G; default: the site's.")] = None,
    gpus: Annotated[int, typer.Option(min=0, help="GPUs of each node.")] = 0,
    option: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=VALUE", help="An option of sbatch, e.g. partition=long; repeatable."),
    ] = None,
    *,
    common: LaunchOptions,
) -> None:
    """Write a Slurm batch script: one node or many, queued again at time limits and pre-emptions."""
    _matches("--time", time, r"(\d+-)?\d+(:\d+){0,2}|UNLIMITED|INFINITE", "Slurm's D-HH:MM:SS, e.g. 4:00:00")
    if memory is not None:
        _matches("--memory", memory, r"\d+[KMGT]?", "a number with K, M, G or T, e.g. 32G")
    for given in option or ():
        _matches("--option", given, r"[a-z][a-z-]*(=\S+)?", "NAME=VALUE of sbatch without blanks, e.g. partition=long")
    loaded = [_load(spec, common.overrides) for spec in specs]
    if len(specs) > 1 and common.out is not None:
        raise InputError("--out names the folder of one study: with several specs leave it out")
    studies = [_run_arguments(spec, common) for spec in specs]
    name = loaded[0].name if len(loaded) == 1 else f"{loaded[0].name}_and_{len(loaded) - 1}_more"
    _write(
        "slurm.sbatch", common, default=f"{name}.sbatch", name=name, title=", ".join(spec.name for spec in loaded),
        folder=" ".join(str(_folder(spec, common)) for spec in loaded), studies=studies, nodes=nodes, time=time,
        cpus=cpus, memory=memory, gpus=gpus, options=option or (), bin=str(Path(sys.executable).parent),
        submit_by=[["sbatch", "{file}"]],
    )  # fmt: skip


@launch_app.command()
@with_options
def kube(
    spec: SpecArgument,
    image: Image,
    nodes: Nodes = 4,
    least: Least = 1,
    cpus: Annotated[int, typer.Option(min=1, help="Cores of a worker pod.")] = 4,
    memory: Annotated[str, typer.Option(help="Memory of a worker pod, e.g. 16Gi.")] = "16Gi",
    gpus: Annotated[int, typer.Option(min=0, help="NVIDIA GPUs of a worker pod.")] = 0,
    storage_class: Annotated[str | None, typer.Option(help="Of the studies' volume; default: the cluster's.")] = None,
    *,
    common: LaunchOptions,
) -> None:
    """Write a RayJob for KubeRay, with the spec and a volume for the study."""
    _matches("--memory", memory, r"\d+(Ki|Mi|Gi|Ti)", "a number with Mi, Gi or Ti, e.g. 16Gi")
    study = _carried(spec, common, data="/studies/data")
    _write(
        "rayjob.yaml", common, default=f"{study.name}.rayjob.yaml", name=study.name, title=study.name,
        folder=str(common.out or Path("/studies") / study.name), spec=study.text, tables=sorted(study.tables.values()),
        image=image, nodes=nodes, least=_at_most(least, nodes), cpus=cpus, memory=memory, gpus=gpus,
        storage_class=storage_class, claim="studies", ray_version=importlib.metadata.version("ray"),
        submit_by=[["kubectl", "apply", "--filename", "{file}"]],
    )  # fmt: skip
    for table in study.tables.values():
        say(f"before: {table} must be on the volume, in /studies/data")


@launch_app.command()
@with_options
def aws(
    spec: SpecArgument,
    image: Image,
    nodes: Nodes = 4,
    least: Least = 1,
    region: Annotated[str, typer.Option(help="The region of the machines.")] = "us-west-2",
    type_: Annotated[str, typer.Option("--type", help="The instance type of workers.")] = "m6i.2xlarge",
    head_type: Annotated[str, typer.Option(help="The instance type of the head.")] = "m6i.large",
    *,
    common: LaunchOptions,
) -> None:
    """Write a cluster of Ray's launcher on AWS: an on-demand head and spot workers."""
    values = {"region": region, "head_type": head_type, "worker_type": type_, "image": image}
    _write_cluster("aws", "AWS", spec, common, IN_IMAGE, nodes=nodes, least=_at_most(least, nodes), **values)


@launch_app.command()
@with_options
def gcp(
    spec: SpecArgument,
    image: Image,
    project: Annotated[str, typer.Option(help="The Google Cloud project.")],
    nodes: Nodes = 4,
    least: Least = 1,
    zone: Annotated[str, typer.Option(help="The zone of the machines.")] = "us-west1-a",
    type_: Annotated[str, typer.Option("--type", help="The machine type of workers, which ends with its cores.")] = (
        "n2-standard-8"
    ),
    head_type: Annotated[str, typer.Option(help="The machine type of the head.")] = "n2-standard-2",
    *,
    common: LaunchOptions,
) -> None:
    """Write a cluster of Ray's launcher on Google Cloud: an on-demand head and spot workers."""
    _matches("--type", type_, r"[a-z0-9-]+-\d+", "a machine type that ends with its cores, e.g. n2-standard-8")
    cores = int(type_.rpartition("-")[2])
    values = {"project": project, "zone": zone, "head_type": head_type, "worker_type": type_, "worker_cpus": cores}
    _write_cluster(
        "gcp", "Google Cloud", spec, common, IN_IMAGE, nodes=nodes, least=_at_most(least, nodes), image=image, **values
    )


@launch_app.command()
@with_options
def hosts(
    spec: SpecArgument,
    head: Annotated[str, typer.Option(metavar="HOST", help="The host that runs the study.")],
    host: Annotated[list[str], typer.Option(metavar="HOST", help="A host that runs trials; repeatable.")],
    user: Annotated[str | None, typer.Option(help="Of ssh, on all hosts; default: this one.")] = None,
    environment: Annotated[
        Path | None, typer.Option(help="Folder of the Python environment with dst, on all hosts; default: this one.")
    ] = None,
    *,
    common: LaunchOptions,
) -> None:
    """Write a cluster of Ray's launcher on hosts that are there."""
    import getpass

    place = _Place("", f"PATH={shlex.quote(str(environment or Path(sys.prefix)))}/bin:$PATH ", "study", "runs")
    values = {"head": head, "hosts": host, "user": user or getpass.getuser()}
    _write_cluster("hosts", "hosts", spec, common, place, nodes=len(host), **values)


@dataclass(frozen=True)
class _Place:
    """Where things lie on the head of a cluster of Ray's launcher.

    Attributes:
        prefix: of the folders below; empty: the user's home.
        environment: words before a command that find dst and Ray.
        files: folder of the spec and its tables.
        studies: folder of the studies' folders.
    """

    prefix: str
    environment: str
    files: str
    studies: str


_TOKEN = "~/.ray/auth_token"  # noqa: S105  the file that Ray reads and writes
IN_IMAGE = _Place("/studies/", "", "files", "")


def _write_cluster(platform: str, where: str, spec: str, common: LaunchOptions, place: _Place, **values: Any) -> None:
    """Write a cluster file of Ray's launcher, whose head gets the spec and its tables."""
    if common.submits and not Path(_TOKEN).expanduser().is_file():
        raise InputError(
            f"--submit needs the token by which the cluster's machines know one another, but there is no {_TOKEN}: "
            "ray get-auth-token --generate > /dev/null"
        )
    study = _carried(spec, common, data="data")
    files = f"{place.prefix}{place.files}/{study.name}"
    folder = str(common.out or Path(f"{place.prefix}{place.studies}") / study.name)
    run = shlex.join(["dst", "run", f"{files}/spec.yaml", "--out", folder, "--address", "127.0.0.1:6379"])
    start = f"{place.environment}RAY_AUTH_MODE=token setsid --fork {run} > {shlex.quote(files)}/log 2>&1 < /dev/null"
    file = "{file}"
    _write(
        f"{platform}.yaml", common, default=f"{study.name}.{platform}.yaml", name=study.name, title=study.name,
        where=where, folder=folder, start=start, place=files, spec=study.text, environment=place.environment,
        files={f"{files}/{there}": here for there, here in study.tables.items()},
        submit_by=[["ray", "up", "--yes", file], ["ray", "exec", file, start]], **values,
    )  # fmt: skip


@dataclass(frozen=True)
class _Carried:
    """A spec that goes where this machine's files are not seen.

    Attributes:
        name: the study's.
        text: the spec whole, as YAML.
        tables: the files on this machine of tables that are no known datasets, by where the spec looks for them.
    """

    name: str
    text: str
    tables: dict[str, str]


def _carried(spec: str, common: LaunchOptions, *, data: str) -> _Carried:
    """Return a spec with its overrides, whose tables lie in the folder ``data``, from the spec's or an absolute one."""
    import yaml

    from cluster.ledger.storage.connect import without_password

    loaded = _load(spec, common.overrides)
    document = loaded.model_dump(mode="json", exclude_unset=True)
    if loaded.storage is not None:
        document["storage"] = without_password(loaded.storage)
    document.pop("out", None)
    tables: dict[str, str] = {}
    for dataset in document["datasets"]:
        if not (table := Path(dataset["path"])).is_absolute():
            continue  # a known dataset
        here = str(table)
        same = [name for name, path in tables.items() if Path(path).name == table.name and path != here]
        there = f"{data}/{len(same)}_{table.name}" if same else f"{data}/{table.name}"
        tables[there] = here
        dataset["path"] = there
    return _Carried(loaded.name, yaml.safe_dump(document, sort_keys=False), tables)


def _at_most(least: int, nodes: int) -> int:
    if least > nodes:
        raise InputError(f"--least must not be above --nodes, but got {least} and {nodes}")
    return least


def _load(spec: str, overrides: Sequence[str] | None) -> StudySpec:
    """Return a spec; what is wrong with it is said here, not after a wait in a queue."""
    from studies.spec.loading import load_spec

    return load_spec(spec, overrides or ())


def _run_arguments(spec: str, common: LaunchOptions) -> list[str]:
    """Return the arguments of ``dst run`` where the files of this machine are seen."""
    place = str(Path(spec).resolve()) if Path(spec).is_file() else spec
    out = [] if common.out is None else ["--out", str(common.out)]
    return [place, *out, *(part for override in common.overrides or () for part in ("--set", override))]


def _folder(spec: StudySpec, common: LaunchOptions) -> Path:
    return common.out or Path(spec.out or Path("runs") / spec.name)


def _matches(option: str, given: str, pattern: str, rule: str) -> None:
    if re.fullmatch(pattern, given) is None:
        raise InputError(f"{option} must be {rule}, but got {given!r}")


def _write(
    template: str, common: LaunchOptions, *, default: str, name: str, submit_by: Sequence[Sequence[str]], **values: Any
) -> None:
    """Write a launch file, say how it is submitted, and submit it if that is asked for."""
    from cluster.launch import NoClientError, SubmitError, fill, submit, word

    file = common.to or Path(default)
    command = shlex.join(["dst", *sys.argv[1:]])
    text = fill(template, name=word(name), file=str(file), command=command, **values)
    if file.exists() and file.read_text(encoding="utf-8") != text:
        raise InputError(f"{file} is there already and says something else: remove it, or name another file by --to")
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")
    typer.echo(file)
    commands = [[part.format(file=file) for part in step] for step in submit_by]
    if not common.submits:
        for step in commands:
            say(f"to submit: {shlex.join(step)}")
        return
    try:
        submit(commands)
    except NoClientError as error:
        raise InputError(str(error)) from error
    except SubmitError as error:
        say(f"error: {error}")
        raise typer.Exit(1) from error
