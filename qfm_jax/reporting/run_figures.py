"""One run -> its figures: confusion matrix, mistakes, circuit.

Every function returns a figure that no window and no global holds.
"""

import inspect
from collections.abc import Mapping

import numpy as np
import pennylane as qml
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure
from matplotlib.text import Text
from pennylane.typing import TensorLike

from .._checks import check_at_least, input_error
from ..circuits import VariationalCircuit
from ..evaluation import percent
from ..runs.directory import Run
from .style import COLORS, HALF, INK, MUTED, house_style, lay_out, short


def plot_confusion(run: Run) -> Figure:
    """Draws the confusion matrix: images of each true class by predicted class.

    The numbers count images. The shade is their share of the true class, on a
    square-root scale, so that rare mistakes are seen.
    """
    counts = np.array(run.result.scores.confusion)
    share = 100 * counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    names = [short(name) for name in run.result.class_names]
    with house_style():
        side = max(HALF, 1.8 + 0.34 * len(counts))
        figure = Figure(figsize=(side, side), layout="constrained")
        axes = figure.subplots()
        image = axes.imshow(share, cmap="Blues", norm=PowerNorm(0.5, 0, 100))
        for row, column in np.ndindex(counts.shape):
            axes.text(
                column,
                row,
                f"{counts[row, column]:,}",
                color="white" if share[row, column] > 45 else INK,
                alpha=1.0 if counts[row, column] else 0.5,
                ha="center",
                va="center",
                fontsize=7.5,
                in_layout=False,
            )
        axes.set_xticks(range(len(names)), names)
        if max(map(len, names)) > 3:
            axes.tick_params(axis="x", rotation=45)
            for tick in axes.get_xticklabels():
                tick.set(ha="right", rotation_mode="anchor")
        axes.set_yticks(range(len(names)), names)
        axes.spines[:].set_visible(False)
        axes.tick_params(length=0)
        axes.grid(visible=False)
        axes.set(xlabel="predicted class", ylabel="true class")
        bar = figure.colorbar(
            image, location="top", aspect=36, shrink=0.8, ticks=[0, 1, 5, 20, 50, 100]
        )
        bar.set_label("share of the true class (%)")
        bar.outline.set_visible(False)
        return lay_out(figure)


def plot_mistakes(run: Run, n_images: int = 12) -> Figure:
    """Shows the wrongly classified test images of which the model was most certain.

    Above each image stand its true class, the prediction and its probability.

    Args:
        run: The run.
        n_images: How many images at most, at least 1.

    Raises:
        InputError: For fewer than one image.
    """
    check_at_least("n_images", n_images, 1)
    mistakes = run.mistakes
    n_shown, n_columns = min(n_images, len(mistakes.labels)), 4
    n_rows = max(1, -(-n_shown // n_columns))
    names = [short(name) for name in run.result.class_names]
    with house_style():
        # Inches: each image has a place of HALF / 4 by 1.55, with its title on top.
        figure = Figure(figsize=(HALF, 1.55 * n_rows))
        axes = figure.add_axes((0, 0, 1, 1))
        axes.axis("off")
        if not n_shown:
            figure.text(0.5, 0.5, "No mistakes", ha="center", va="center", color=MUTED)
        for i in range(n_shown):
            x, y = HALF / n_columns * (i % n_columns + 0.5), 1.55 * (i // n_columns)
            # Dark on light prints well; without interpolation the pixels stay.
            axes.imshow(
                mistakes.images[i],
                cmap="gray_r",
                interpolation="none",
                extent=(x - 0.54, x + 0.54, y + 1.54, y + 0.46),
            )
            true, predicted = mistakes.labels[i], mistakes.predictions[i]
            sure = f"{percent(mistakes.confidence[i], 0)} %"
            title = f"{names[true]}\n\u2192 {names[predicted]}\n{sure}"
            axes.text(x, y + 0.42, title, ha="center", va="bottom", fontsize=7.5)
        axes.set(xlim=(0, HALF), ylim=(1.55 * n_rows, 0))
    return figure


def plot_circuit(
    circuit: VariationalCircuit | qml.QNode, **arguments: TensorLike
) -> Figure:
    """Draws a circuit, gate by gate, with PennyLane's drawer.

    Args:
        circuit: A circuit of this project, or any QNode.
        **arguments: Those of a QNode, by name: `inputs` of one sample, and weights.

    Raises:
        InputError: For a QNode without one of its arguments.

    Example:
        >>> from qfm_jax.circuits import build_circuit
        >>> figure = plot_circuit(build_circuit("angle", "real-amplitudes", 3, 1))
        >>> sorted({text.get_text() for text in figure.axes[0].texts})
        ['0', '1', '2', 'RY']
    """
    tape = _tape_of(circuit, arguments)
    with house_style(**_CIRCUIT):
        figure = Figure()
        # The drawer measures its labels to fit them into the gates, which needs Agg.
        FigureCanvasAgg(figure)
        # `qml.draw_mpl` would lose the font size of a function that is no QNode.
        is_qnode = isinstance(circuit, qml.QNode)
        wires = tape.wires if is_qnode else range(circuit.n_qubits)
        options = {"wire_order": wires, "fontsize": 23, "fig": figure}
        qml.drawer.tape_mpl(tape, style="rcParams", show_all_wires=True, **options)
        _scale(figure, 0.42)
    return figure


def _tape_of(
    circuit: VariationalCircuit | qml.QNode, arguments: Mapping[str, TensorLike]
) -> qml.tape.QuantumScript:
    if isinstance(circuit, qml.QNode):
        try:
            inspect.signature(circuit.func).bind(**arguments)
        except TypeError as error:
            must = "be those of the QNode, by name"
            raise input_error("arguments", must, f"are not: {error}") from None
        return qml.tape.make_qscript(circuit.func)(**arguments)
    # Any features do, but those of an amplitude embedding must have norm 1.
    inputs = np.full(circuit.n_features, circuit.n_features**-0.5)
    return qml.tape.make_qscript(circuit)(inputs, np.zeros(circuit.weights_shape))


def _scale(figure: Figure, factor: float) -> None:
    """Scales a figure with its letters; the drawer takes an inch for each gate."""
    width, height = factor * figure.get_size_inches()
    figure.set_size_inches(width, height)
    for text in figure.findobj(Text):
        text.set_fontsize(factor * float(text.get_fontsize()))


_CIRCUIT = {
    "lines.color": INK,
    "lines.linewidth": 1.2,
    "patch.edgecolor": COLORS[0],
    "patch.facecolor": "#eaf2f9",
    "patch.force_edgecolor": True,
}
