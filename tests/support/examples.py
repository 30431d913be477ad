"""How many examples hypothesis draws where one of them costs much; the profiles are in ``tests/conftest.py``."""

from __future__ import annotations

from hypothesis import settings

FEW = max(2, settings().max_examples // 10)
"""A tenth of the profile's: 2 here, 15 in CI."""
