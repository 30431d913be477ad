"""The launch files that are used as they are: the image's and that of a cluster of containers."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import yaml

import cluster.launch

LAUNCH = Path(cluster.launch.__file__).parent
ROOT = LAUNCH.parents[1]


def test_the_image_takes_all_packages_and_runs_as_nobody_special():
    text = (LAUNCH / "Dockerfile").read_text()
    let_through = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    copied = [name for names in re.findall(r"^COPY (?!--)(.+) \S+$", text, re.MULTILINE) for name in names.split()]
    packages = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]["find"]["include"]
    assert {package.removesuffix("*") for package in packages} <= set(copied)
    assert set(copied) == let_through
    assert all((ROOT / name).exists() for name in copied)
    assert "--constraint constraints.txt" in text
    last_user = re.findall(r"^USER (\w+)$", text, re.MULTILINE)[-1]
    assert f"useradd --uid 1000 --gid 1000 --create-home --shell /bin/bash {last_user}" in text


def test_containers_share_a_token_and_write_to_volumes_alone():
    document = yaml.safe_load((LAUNCH / "compose.yaml").read_text())
    services, volumes = document["services"], set(document["volumes"])
    for service in services.values():
        assert service["environment"]["RAY_AUTH_MODE"] == "token"
        assert "RAY_AUTH_TOKEN:?" in service["environment"]["RAY_AUTH_TOKEN"]  # refused where it is not set
        assert service["read_only"]
        assert service["cap_drop"] == ["ALL"]
        assert {mount.split(":")[0] for mount in service["volumes"]} <= volumes
    assert "--num-cpus=0" in services["head"]["command"]
    assert "--address=head:6379" in services["worker"]["command"]
