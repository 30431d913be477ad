from __future__ import annotations

import subprocess
import sys

import pytest

import dst
import studies


@pytest.mark.parametrize("package", [dst, studies])
def test_every_public_name_is_there(package):
    for name in package.__all__:
        assert getattr(package, name).__name__ == name
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = package.nothing


def test_imports_are_lazy():
    code = (
        "import sys, dst, studies, cluster, dst.data\n"
        "dst.list_datasets()\n"
        "print({'torch', 'ray', 'optuna', 'wandb'} & set(sys.modules))"
    )
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert loaded.strip() == "set()"
