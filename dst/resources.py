"""What a trial takes from the machine."""

from __future__ import annotations

import resource
import sys
from pathlib import Path

_STATUS = Path("/proc/self/status")
_CLEAR = Path("/proc/self/clear_refs")


def reset_peak_rss() -> None:
    """Start a new peak of resident memory, where the system can (Linux); a reused worker would report older ones."""
    try:
        _CLEAR.write_text("5")
    except OSError:
        return


def peak_rss_bytes() -> int:
    """Return the peak of this process's resident memory in bytes, since the last reset where that is possible."""
    try:
        for line in _STATUS.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
