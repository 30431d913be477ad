"""Names that W&B accepts, checked before a study rather than after it."""

from __future__ import annotations

from dst.errors import shortened

LONGEST = 128
"""Characters of a project's name, and of what a run is called."""

FORBIDDEN = "/\\#?%:"
"""Characters that a project's name must not have: ``wandb.Settings`` refuses them, as names become parts of URLs."""


def check_name(kind: str, name: str) -> str:
    """Return the name of a W&B project or entity, if it is one.

    W&B states its rule for projects only; an entity is a part of the same URL.

    Args:
        kind: ``project`` or ``entity``.
        name: as the user gave it.

    Raises:
        ValueError: W&B would refuse it.
    """
    found = sorted({character for character in name if character in FORBIDDEN or not character.isprintable()})
    if found or not name or name != name.strip() or len(name) > LONGEST:
        hint = "; a team or user is named as entity" if kind == "project" and "/" in found else ""
        raise ValueError(
            f"a W&B {kind} has 1 to {LONGEST} characters, none of them {' '.join(FORBIDDEN)}, and no space at its ends"
            f"{hint}, but got {shortened(name, 2 * LONGEST, '...')!r}"
        )
    return name


def run_label(text: str) -> str:
    """Return what a run or group is called: the text, without its middle if it is too long for W&B."""
    return shortened(text, LONGEST - 3, "...")
