"""The command ``dst`` in this process."""

from __future__ import annotations

import pytest

from studies.cli.main import main


def call(capsys, *arguments) -> tuple[int, str, str]:
    """Run ``dst`` in this process; return its status and what it printed."""
    with pytest.raises(SystemExit) as ended:
        main([str(argument) for argument in arguments])
    printed = capsys.readouterr()
    return ended.value.code, printed.out, printed.err
