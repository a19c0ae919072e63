"""How figures look: one style, and one look for each run in all of them."""

import io
import itertools
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import matplotlib.style
from matplotlib.colors import to_hex, to_rgb
from matplotlib.figure import Figure

from .._checks import input_error
from ..runs.directory import Run

INK = "#1b2733"
MUTED = "#5b6570"
RULE = "#e1e5e9"

WIDE = 10.2
"""Width in inches of a figure as wide as the page."""
HALF = 4.9
"""Width in inches of one of two figures side by side."""

# Okabe and Ito's palette, which colour-blind readers tell apart, without its yellow.
# Markers and hatches say the same in grey.
COLORS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
HATCHES = ("", "///", "---", "xxx", "|||", "\\\\\\", "+++")

STYLE: dict[str, Any] = {
    "axes.axisbelow": True,
    "axes.edgecolor": MUTED,
    "axes.grid": True,
    "axes.labelcolor": INK,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlelocation": "left",
    "axes.titlesize": 10,
    "axes.titleweight": "bold",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 9,
    "grid.color": RULE,
    "hatch.linewidth": 0.7,
    "legend.frameon": False,
    "lines.linewidth": 1.6,
    "lines.markersize": 5,
    "patch.linewidth": 1.2,
    "savefig.dpi": 160,
    # The same figure gives the same bytes.
    "svg.hashsalt": "qfm_jax",
    "text.color": INK,
    # Names of models and classes are text, whatever dollar signs they hold.
    "text.parse_math": False,
    "xtick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.color": MUTED,
    "ytick.labelcolor": INK,
}


@dataclass(frozen=True)
class Look:
    """What stands for one run in every figure."""

    label: str
    """Its name, unlike that of every other run."""
    color: str
    """Colour of its lines and of the rims of its areas."""
    tint: str
    """Light colour of its areas."""
    marker: str
    """Marker of its points."""
    hatch: str
    """Hatch of its areas."""


def house_style(**more: Any) -> AbstractContextManager[None]:
    """Draws in the style above and `more`, and leaves the user's settings alone."""
    return matplotlib.style.context(["default", {**STYLE, **more}])


def lay_out(figure: Figure) -> Figure:
    """Settles sizes, places and ticks in the style, once for all renderings."""
    engine = figure.get_layout_engine()
    if engine is not None:
        engine.execute(figure)
        figure.set_layout_engine("none")
    return figure


def looks(runs: Sequence[Run]) -> list[Look]:
    """Gives each run its look, by position.

    Raises:
        InputError: If there are no runs.
    """
    check_some(runs)
    return looks_of(_labels(runs))


def check_some(runs: Sequence[Any]) -> None:
    """Raises if there are no runs.

    Raises:
        InputError: With what to do.
    """
    if not runs:
        cure = "Name a directory that `qfm train` or `qfm compare` wrote."
        raise input_error("runs", "hold at least one run", "is empty", cure)


def looks_of(labels: Sequence[str]) -> list[Look]:
    """Gives each label its look, by position.

    Example:
        >>> [look.marker for look in looks_of(["cnn", "mlp"])]
        ['o', 's']
    """
    marks = itertools.cycle(zip(COLORS, MARKERS, HATCHES, strict=True))
    return [
        Look(label, color, _tint(color), marker, hatch)
        for label, (color, marker, hatch) in zip(labels, marks, strict=False)
    ]


def short(name: str, width: int = 14) -> str:
    """Cuts a name to `width` characters.

    Example:
        >>> short("Ankle boot"), short("A very long class name")
        ('Ankle boot', 'A very long c…')
    """
    return name if len(name) <= width else f"{name[: width - 1]}\u2026"


def save_figure(figure: Figure, path: Path | str) -> tuple[Path, Path]:
    """Writes a figure as PNG (160 dots an inch) and as SVG.

    Args:
        figure: The figure.
        path: Where to, without suffix; its directory is made if missing.

    Returns:
        The paths of the PNG and of the SVG file.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> from qfm_jax.circuits import build_circuit
        >>> from qfm_jax.reporting import plot_circuit
        >>> figure = plot_circuit(build_circuit("angle", "real-amplitudes", 3, 1))
        >>> with TemporaryDirectory() as directory:
        ...     [path.name for path in save_figure(figure, f"{directory}/circuit")]
        ['circuit.png', 'circuit.svg']
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    png, svg = (path.with_name(f"{path.name}.{kind}") for kind in ("png", "svg"))
    png.write_bytes(render(figure, "png"))
    svg.write_bytes(render(figure, "svg"))
    return png, svg


def render(figure: Figure, kind: Literal["png", "svg"]) -> bytes:
    """The bytes of a figure's file; without the date, so that they are repeatable."""
    content = io.BytesIO()
    with house_style():
        figure.savefig(content, format=kind, metadata=_METADATA[kind])
    return content.getvalue()


def _tint(color: str) -> str:
    """The colour on paper at a third of its strength; opaque, as SVG hatches need."""
    red, green, blue = (1 - (1 - channel) / 3 for channel in to_rgb(color))
    return to_hex((red, green, blue))


_METADATA: dict[str, dict[str, Any]] = {"png": {}, "svg": {"Date": None}}


def _labels(runs: Sequence[Run]) -> list[str]:
    """The model's name; with its seed, then a number, where that is not enough."""
    names = [run.result.model for run in runs]
    labels = [
        f"{name}, seed {run.result.seed}" if names.count(name) > 1 else name
        for name, run in zip(names, runs, strict=True)
    ]
    return [
        f"{label} #{labels[: i + 1].count(label)}" if labels.count(label) > 1 else label
        for i, label in enumerate(labels)
    ]
