import dataclasses

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pennylane as qml
import pytest
from matplotlib.figure import Figure
from PIL import Image
from scipy.stats import binomtest
from synthetic_runs import FASHION, make_run

from qfm_jax import InputError
from qfm_jax.circuits import build_circuit
from qfm_jax.reporting import (
    plot_calibration,
    plot_circuit,
    plot_class_scores,
    plot_confusion,
    plot_images,
    plot_leaderboard,
    plot_mistakes,
    plot_training_curves,
    save_figure,
)
from qfm_jax.reporting.style import COLORS, looks, render

COMPARISONS = (
    plot_calibration,
    plot_class_scores,
    plot_leaderboard,
    plot_training_curves,
)


@pytest.fixture(scope="module")
def runs():
    return [make_run("hybrid-cnn"), make_run("cnn"), make_run("mlp")]


def texts(axes):
    return [text.get_text() for text in axes.texts]


def error_bars(axes):
    """The drawn intervals: one array ((x, y), (x, y)) for each point."""
    segments = []
    for container in axes.containers:
        bars = container.errorbar if hasattr(container, "errorbar") else container
        segments += bars.lines[2][0].get_segments()
    return np.array(segments)


def test_confusion_matrix_shows_every_count(runs):
    axes = plot_confusion(runs[0]).axes[0]
    confusion = np.array(runs[0].result.scores.confusion)
    assert texts(axes) == [f"{count:,}" for count in confusion.ravel()]
    assert [t.get_text() for t in axes.get_yticklabels()] == list(FASHION)
    # Row by row, hence the true class is downwards: the text of (row, column).
    column, row = axes.texts[3].get_position()
    assert (row, column) == (0, 3)
    shade = np.array(axes.images[0].get_array())
    np.testing.assert_allclose(shade.sum(axis=1), 100)


def test_leaderboard_draws_the_intervals_of_the_scores(runs):
    axes = plot_leaderboard(runs).axes[0]
    drawn = error_bars(axes)[:, :, 0] / 100
    expected = [run.result.scores.accuracy_interval for run in runs]
    np.testing.assert_allclose(drawn, expected)
    accuracies = [f"{100 * run.result.scores.accuracy:.1f}" for run in runs]
    assert texts(axes) == accuracies


def test_class_scores_draw_recall_with_its_wilson_interval(runs):
    axes = plot_class_scores(runs).axes[0]
    heights = [bar.get_height() / 100 for bar in axes.patches]
    recall = np.concatenate([run.result.scores.recall for run in runs])
    np.testing.assert_allclose(heights, recall)
    row = np.array(runs[0].result.scores.confusion)[4]
    interval = binomtest(int(row[4]), int(row.sum())).proportion_ci(method="wilson")
    drawn = error_bars(axes)[4, :, 1] / 100
    np.testing.assert_allclose(drawn, [interval.low, interval.high])


def test_training_curves_show_every_epoch_in_two_units(runs):
    loss, accuracy = plot_training_curves(runs).axes
    records = runs[1].history.epochs
    # Three lines a run: training, validation, and the ring of the scored epoch.
    train, validation, ring = loss.lines[3:6]
    np.testing.assert_allclose(train.get_ydata(), [r.train_loss for r in records])
    assert list(validation.get_xdata()) == list(range(1, 11))
    assert list(ring.get_xdata()) == [runs[1].history.best_epoch]
    np.testing.assert_allclose(
        accuracy.lines[4].get_ydata(), [100 * r.validation_accuracy for r in records]
    )
    assert loss.get_ylabel() == "cross-entropy (nats)"
    assert accuracy.get_ylabel() == "accuracy (%)"


def test_calibration_shows_accuracy_and_count_of_each_bin(runs):
    figure = plot_calibration(runs[:1])
    diagram, counts = figure.axes
    expected = np.array(runs[0].result.scores.calibration)
    points = diagram.containers[0].lines[0]
    np.testing.assert_allclose(points.get_xdata(), 100 * expected[:, 0])
    np.testing.assert_allclose(points.get_ydata(), 100 * expected[:, 1])
    assert [bar.get_height() for bar in counts.patches] == list(expected[:, 2])
    # Each bar stands over the bin that its mean confidence lies in.
    for bar, confidence in zip(counts.patches, 100 * expected[:, 0], strict=True):
        centre = bar.get_x() + bar.get_width() / 2
        assert abs(centre - confidence) <= 100 / 15 / 2 + 1e-9


@pytest.mark.parametrize("n_runs", [1, 5])
def test_calibration_has_two_axes_for_each_run(runs, n_runs):
    assert len(plot_calibration(runs[:1] * n_runs).axes) == 2 * n_runs


def test_mistakes_are_titled_with_both_classes_and_confidence(runs):
    mistakes = runs[0].mistakes
    axes = plot_mistakes(runs[0], n_images=5).axes[0]
    assert len(axes.images) == len(axes.texts) == 5
    true, predicted = FASHION[mistakes.labels[2]], FASHION[mistakes.predictions[2]]
    percent = f"{100 * mistakes.confidence[2]:.0f} %"
    assert texts(axes)[2] == f"{true}\n→ {predicted}\n{percent}"
    np.testing.assert_array_equal(axes.images[2].get_array(), mistakes.images[2])
    # The title stands above the middle of its image; downwards is positive.
    left, right, bottom, top = axes.images[2].get_extent()
    x, y = axes.texts[2].get_position()
    assert x == pytest.approx((left + right) / 2)
    assert y < top < bottom


def test_no_mistakes_are_said_in_words():
    perfect = make_run("perfect", skill=100.0, class_names=("a", "b"), n_test=50)
    assert len(perfect.mistakes.labels) == 0
    assert texts(plot_mistakes(perfect)) == ["No mistakes"]


@pytest.mark.parametrize("embedding", ["angle", "amplitude"])
def test_circuit_drawing_has_every_wire_and_no_window(embedding):
    figure = plot_circuit(build_circuit(embedding, "strongly-entangling", 4, 2))
    labels = texts(figure.axes[0])
    assert {"0", "1", "2", "3"} <= set(labels)
    assert labels.count("Rot") == 8
    assert plt.get_fignums() == []


@pytest.mark.parametrize("plot", COMPARISONS)
def test_no_runs_are_refused(plot):
    with pytest.raises(InputError, match="`runs` must hold at least one run, but is"):
        plot([])


@pytest.mark.parametrize("plot", COMPARISONS)
@pytest.mark.parametrize("n_classes", [2, 12])
def test_other_numbers_of_classes(plot, n_classes):
    names = tuple(f"class {i}" for i in range(n_classes))
    run = make_run("linear", class_names=names, n_test=400)
    assert isinstance(plot([run]), Figure)


def test_names_are_text_not_formulas():
    run = make_run("$\\frac{$", class_names=("$x", "a_b^c", "_"), n_test=100)
    for figure in (plot_leaderboard([run]), plot_confusion(run), plot_mistakes(run)):
        render(figure, "png")


def test_a_class_without_test_images_is_drawn():
    run = make_run("linear", class_names=("a", "b", "c"), n_test=40)
    scores = run.result.scores
    object.__setattr__(scores, "confusion", ((20, 0, 0), (1, 19, 0), (0, 0, 0)))
    object.__setattr__(scores, "recall", (1.0, 0.95, 0.0))
    axes = plot_class_scores([run]).axes[0]
    np.testing.assert_allclose(error_bars(axes)[2, :, 1], [0, 0])
    render(plot_confusion(run), "svg")


def test_figures_leave_global_settings_alone(runs):
    before = dict(matplotlib.rcParams)
    with matplotlib.rc_context({"figure.facecolor": "black", "font.size": 30}):
        figure = plot_leaderboard(runs)
        assert matplotlib.rcParams["font.size"] == 30
    assert figure.axes[0].xaxis.label.get_fontsize() == 9
    assert figure.get_facecolor() == (1.0, 1.0, 1.0, 1.0)
    plot_circuit(build_circuit("angle", "real-amplitudes", 3, 1))
    assert dict(matplotlib.rcParams) == before
    assert plt.get_fignums() == []


def test_saved_files_are_images_and_repeatable(runs, tmp_path):
    png, svg = save_figure(plot_leaderboard(runs), tmp_path / "new" / "figure.v1")
    assert (png.name, svg.name) == ("figure.v1.png", "figure.v1.svg")
    with Image.open(png) as image:
        assert np.array(image.convert("L")).std() > 5
    assert "<svg" in svg.read_text()
    again = save_figure(plot_leaderboard(runs), tmp_path / "again")
    assert again[0].read_bytes() == png.read_bytes()
    assert again[1].read_bytes() == svg.read_bytes()


def test_every_run_looks_and_is_called_different():
    runs = [make_run("cnn"), make_run("cnn", seed=1), make_run("cnn"), make_run("mlp")]
    labels = [look.label for look in looks(runs)]
    assert labels == ["cnn, seed 0 #1", "cnn, seed 1", "cnn, seed 0 #2", "mlp"]
    assert len({look.color for look in looks(runs)}) == 4
    assert len({look.marker for look in looks(runs)}) == 4
    assert len({look.hatch for look in looks(runs)}) == 4


def test_colors_differ_for_red_blind_and_green_blind_readers():
    """Distances after Viénot, Brettel and Mollon's (1999) projections."""
    rgb = np.array([matplotlib.colors.to_rgb(color) for color in COLORS]) ** 2.2
    lms = rgb @ np.array(
        [
            [17.8824, 3.4557, 0.0300],
            [43.5161, 27.1554, 0.1843],
            [4.1194, 3.8671, 1.4671],
        ]
    )
    red_blind, green_blind = lms[:, 1:], lms[:, [0, 2]]
    for cones in (red_blind, green_blind):
        scaled = (cones / cones.max(axis=0)) ** (1 / 2.2)
        distances = np.linalg.norm(scaled[:, None] - scaled[None], axis=-1)
        assert distances[np.triu_indices(len(COLORS), 1)].min() > 0.05


def test_images_stand_in_the_row_of_their_class(digits):
    figure = plot_images(digits, n_images=3)
    assert [text.get_text() for text in figure.texts] == list("0123456789")
    (axes,) = figure.axes
    assert len(axes.images) == 30
    for i, image in enumerate(axes.images):
        row, column = divmod(i, 3)
        left, _, _, top = image.get_extent()
        assert (int(left), int(top)) == (column, row)
        own = digits.train.pixels[digits.train.labels == row]
        np.testing.assert_array_equal(image.get_array(), own[column])
    assert render(figure, "png")


def test_images_that_are_few_are_all_shown(digits):
    few = np.flatnonzero(digits.train.labels < 2)[:5]
    data = dataclasses.replace(digits, train=digits.train.take(few))
    (axes,) = plot_images(data, n_images=9).axes
    assert len(axes.images) == 5
    with pytest.raises(InputError, match=r"`n_images` must be .* least 1, but is 0"):
        plot_images(digits, n_images=0)


def test_a_qnode_is_drawn_with_its_arguments():
    @qml.qnode(qml.device("qfm.statevector", wires=2))
    def circuit(inputs, angle):
        qml.RX(inputs[0], 0)
        qml.CRZ(angle, [0, 1])
        return qml.expval(qml.Z(1))

    figure = plot_circuit(circuit, inputs=np.zeros(1), angle=0.1)
    texts = {text.get_text() for text in figure.axes[0].texts}
    assert {"RX", "RZ"} <= texts
    with pytest.raises(InputError, match=r"be those of the QNode.*'angle'"):
        plot_circuit(circuit, inputs=np.zeros(1))
