"""Figures as files: names are drawn as they are written, and no result depends on a picture."""

from __future__ import annotations

import io
import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TypeVar

import matplotlib as mpl
from matplotlib.figure import Figure
from matplotlib.text import Text

from dst.errors import shortened
from studies.store.files import write_bytes, write_text

Drawn = TypeVar("Drawn")

_LOG = logging.getLogger(__name__)


def drawn(what: str, draw: Callable[[], Drawn]) -> Drawn | None:
    """Return what ``draw`` returns; None, and a warning, where matplotlib fails at it.

    Whoever draws has written the results already: hours of training do not end in a traceback over a picture of them.

    Args:
        what: the figure, for the warning.
        draw: makes a figure and, usually, its document.
    """
    try:
        with _plain_text():
            return draw()
    except Exception as error:
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        _LOG.warning("%s could not be drawn (%s)", what, reason[:300])
        return None


def drawn_both(name: str, draw: Callable[[], Figure]) -> tuple[str, bytes] | None:
    """Return a figure as SVG and PNG; None, and a warning, where matplotlib fails at it (:func:`drawn`).

    Args:
        name: the figure's.
        draw: makes it.
    """

    def documents() -> tuple[str, bytes]:
        figure = draw()
        layout = figure.get_layout_engine()
        if layout is not None and figure.axes:  # once for both files
            layout.execute(figure)
            figure.set_layout_engine("none")
        return to_svg(figure, name), to_png(figure)

    return drawn(f"the figure {name}", documents)


def to_svg(figure: Figure, name: str) -> str:
    """Return the figure as an SVG document: text stays text, no date, the same bytes for the same figure.

    Args:
        figure: to be written; its axes have formatters that write no formulas.
        name: makes the ids inside the document its own.
    """
    buffer = io.StringIO()
    with _plain(figure), mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": name}):
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
    return buffer.getvalue()


def to_png(figure: Figure) -> bytes:
    """Return the figure as a PNG of 150 dots an inch on white."""
    buffer = io.BytesIO()
    with _plain(figure):
        figure.savefig(buffer, format="png", dpi=150, facecolor="white", metadata={"Software": None})
    return buffer.getvalue()


def write_figure(figure: Figure, path: Path) -> None:
    """Write a figure to a ``.svg`` file, or as PNG.

    Raises:
        OSError: the file cannot be written.
    """
    if path.suffix == ".svg":
        write_text(path, to_svg(figure, path.stem))
    else:
        write_bytes(path, to_png(figure))


def shown_name(name: str, longest: int) -> str:
    """Return a name for a figure: on one line, of printable characters, and without its middle if it is longer.

    Names that belong together often begin alike and differ in their end: ``...-mcar-0.2`` and ``...-mnar-0.2``.

    Args:
        name: as it is to be shown.
        longest: characters, two at least.
    """
    line = "".join(character if character.isprintable() else " " for character in name)
    return line if len(line) <= longest else shortened(line, longest - 1, "…")


def _plain_text() -> AbstractContextManager[None]:
    """Let text be what it says: matplotlib sees a formula between two ``$``, and TeX in all if a user's settings do."""
    return mpl.rc_context({"text.parse_math": False, "text.usetex": False, "axes.formatter.use_mathtext": False})


@contextmanager
def _plain(figure: Figure) -> Iterator[None]:
    """Draw all text of a figure as it is written; where the font lacks a character, it draws a box."""
    for text in figure.findobj(Text):
        text.set_parse_math(False)
        text.set_usetex(False)
    with _plain_text(), warnings.catch_warnings():  # ticks are made while it is drawn
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        yield
