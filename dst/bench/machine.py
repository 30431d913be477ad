"""The machine that a measurement was made on, and the versions of its libraries."""

from __future__ import annotations

import platform
import subprocess
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch
from llvmlite.binding import get_host_cpu_features

from dst.resources import usable_cores

_CPUINFO = Path("/proc/cpuinfo")


@dataclass(frozen=True)
class Machine:
    """The machine and the libraries that took part.

    Attributes:
        cpu: the processor's model, as the system names it.
        cores: how many this process may use.
        threads: how many everyone was given but scipy.sparse, which takes one.
        instructions: the widest vectors that kernels are compiled for: avx512, avx2, neon or other.
        python: its version.
        numpy: its version.
        numba: its version.
        torch: its version, with its build.
        scipy: its version.
        blas: which library multiplies dense matrices, for torch and for NumPy.
    """

    cpu: str
    cores: int
    threads: int
    instructions: str
    python: str
    numpy: str
    numba: str
    torch: str
    scipy: str
    blas: str


def machine(threads: int) -> Machine:
    """Describe this machine, for measurements on this many threads."""
    return Machine(
        cpu=_cpu(),
        cores=usable_cores(),
        threads=threads,
        instructions=_instructions(),
        python=platform.python_version(),
        numpy=version("numpy"),
        numba=version("numba"),
        torch=torch.__version__,
        scipy=version("scipy"),
        blas=f"torch: {_torch_blas()}; numpy: {_numpy_blas()}",
    )


def _cpu() -> str:
    if platform.system() == "Darwin":
        name = subprocess.run(["/usr/sbin/sysctl", "-n", "machdep.cpu.brand_string"], capture_output=True, text=True)
        return name.stdout.strip() or platform.machine()
    if _CPUINFO.exists():
        for line in _CPUINFO.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _instructions() -> str:
    features = get_host_cpu_features()
    for name, feature in (("avx512", "avx512f"), ("avx2", "avx2"), ("neon", "neon")):
        if features.get(feature):
            return name
    return "neon" if platform.machine() in ("arm64", "aarch64") else "other"


def _torch_blas() -> str:
    settings = dict(part.split("=", 1) for part in torch.__config__.show().split(", ") if "=" in part)
    return next((value for name, value in settings.items() if name.endswith("BLAS_INFO")), "unknown")


def _numpy_blas() -> str:
    config = np.show_config(mode="dicts")
    blas = (config or {}).get("Build Dependencies", {}).get("blas", {})
    return f"{blas.get('name', 'unknown')} {blas.get('version', '')}".strip()
