"""The same source runs on other processors: older ones in a process of their own, Arm as far as the compiler goes."""

from __future__ import annotations

import os
import platform
import re
import subprocess
import sys
from pathlib import Path

import llvmlite.binding as llvm
import numba
import numpy as np
import pytest

from dst.kernels import linear
from dst.kernels.rows import lanes

KERNEL_TESTS = [
    "test_kernels.py::test_products_match_numpy",
    "../training/test_engine.py::test_adam_matches_torch_on_any_run",
]


@pytest.mark.slow
@pytest.mark.skipif(platform.machine() != "x86_64", reason="names processors of x86-64")
@pytest.mark.parametrize(("cpu", "features"), [("haswell", "+avx2,+fma"), ("x86-64", "")])
def test_kernels_compute_the_same_on_an_older_processor(cpu, features, tmp_path):
    cache = {"NUMBA_CACHE_DIR": str(tmp_path), "NUMBA_CPU_NAME": cpu, "NUMBA_CPU_FEATURES": features}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *KERNEL_TESTS]
    run = subprocess.run(
        command, env={**os.environ, **cache}, cwd=Path(__file__).parent, capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stdout + run.stderr
    assert "2 passed" in run.stdout


@pytest.mark.parametrize("columns", [32, 112])
def test_kernels_compile_for_arm_with_its_vector_instructions(columns):
    indptr, indices, x = np.array([0, 1]), np.zeros(1, np.int32), np.zeros((1, columns), np.float32)
    ones = np.ones(1, np.float32)
    forward = numba.njit(error_model="numpy")(linear.forward.py_func)  # one from the cache cannot be looked into
    forward(indptr, indices, ones, ones, x, x.copy(), True, 0, 1, lanes(columns))
    (text,) = forward.inspect_llvm().values()
    text = re.sub(r"^target (triple|datalayout) = .*$", "", text, flags=re.MULTILINE)
    text = re.sub(r'"target-(cpu|features)"="[^"]*"', "", text)
    text = text.replace("@llvm.x86.atomic.sub.cc.i64", "@release").replace(" immarg", "")  # of Numba's own code
    llvm.initialize_all_targets()
    llvm.initialize_all_asmprinters()
    machine = llvm.Target.from_triple("aarch64-unknown-linux-gnu").create_target_machine(cpu="neoverse-n1", opt=3)
    assembly = machine.emit_assembly(llvm.parse_assembly(text))
    assert len(re.findall(r"\bfmla\s+v\d+\.4s", assembly)) >= columns // 4
