"""The scaling figures draw what the rows hold, and intervals with it."""

import numpy as np
import pytest
from growth import Growth
from scaling_figures import (
    plot_random_circuits,
    plot_step_growth,
    plot_sweeps,
    seed_interval,
    sweep,
)
from scipy.stats import ttest_1samp

from qfm_jax._checks import InputError
from qfm_jax.reporting.style import render

GROWTH = Growth(1e-3, 1e-6, 1, 0.1)


def accuracy_rows():
    base = {"n_qubits": 4, "n_layers": 2}
    changes = [base, base | {"n_qubits": 2}, base | {"n_layers": 8}]
    return base, [
        {"cell": {"model": model, **change}, "accuracy": [0.5 + shift, 0.6, 0.7]}
        for model, shift in (("circuit", 0.1), ("dense", 0.0))
        for change in changes
    ]


def step_rows():
    cells = [(n, 4, batch) for batch in (1, 32) for n in (2, 4, 8)]
    cells += [(4, n_layers, 32) for n_layers in (1, 16)]
    return [
        {
            "cell": {"n_qubits": n, "n_layers": n_layers, "batch": batch},
            "times_s": [GROWTH(n) * batch * x for x in (0.9, 1.0, 1.3)],
            "memory_bytes": 48 * 2**n * batch,
        }
        for n, n_layers, batch in cells
    ]


def random_rows():
    return [
        {
            "cell": {"n_qubits": n, "n_layers": n_layers},
            "gradient_variance": {"local": [1 / n, 0.01], "global": [2.0**-n, 0.001]},
            "expressibility": [0.1 / n_layers, 0.01],
            "expressibility_floor": 0.037,
            "entangling_capability": [1 - 1 / n, 0.01],
        }
        for n, n_layers in [(2, 1), (4, 1), (8, 1), (4, 2), (4, 16)]
    ]


def lines_of(axes):
    return [np.asarray(line.get_ydata(), float) for line in axes.get_lines()]


def test_an_interval_over_seeds_is_that_of_the_t_test():
    accuracy = [0.71, 0.74, 0.7, 0.73]
    expected = ttest_1samp(accuracy, 0).confidence_interval(0.95)
    np.testing.assert_allclose(seed_interval(accuracy), expected)
    assert seed_interval([0.8]) == (0, 1)
    assert seed_interval([0.0, 1.0]) == (0, 1)  # never outside


def test_a_sweep_holds_what_differs_in_one_thing():
    base, rows = accuracy_rows()
    found = [row["cell"]["n_layers"] for row in sweep(rows, "n_layers", base)]
    assert found == [2, 2, 8, 8]


def test_accuracies_are_drawn_with_seeds_and_intervals():
    base, rows = accuracy_rows()
    figure = plot_sweeps(rows, base, {"n_qubits": "qubits", "n_layers": "layers"})
    left, right = figure.axes
    assert (left.get_xlabel(), right.get_xlabel()) == ("qubits", "layers")
    assert "%" in left.get_ylabel()
    means = [line for line in lines_of(left) if len(line) == 2]
    np.testing.assert_allclose(means[0], [100 * 1.9 / 3] * 2)
    assert len(left.containers) == 2  # error bars of two models
    low, high = seed_interval([0.6, 0.6, 0.7])
    bars = left.containers[0].lines[2][0].get_segments()[0][:, 1]
    np.testing.assert_allclose(bars, [100 * low, 100 * high])
    assert render(figure, "png").startswith(b"\x89PNG")


def test_one_seed_may_mean_anything():
    base, rows = accuracy_rows()
    rows = [{**row, "accuracy": [0.5]} for row in rows]
    figure = plot_sweeps(rows, base, {"n_qubits": "qubits"})
    bars = figure.axes[0].containers[0].lines[2][0].get_segments()
    assert all(bar[:, 1].tolist() == [0, 100] for bar in bars)


def test_steps_are_drawn_with_the_fit_to_thirty_qubits():
    memory = Growth(0.0, 48.0, 0, 0.0)
    left, middle, right = plot_step_growth(step_rows(), GROWTH, memory).axes
    fit = next(line for line in left.get_lines() if len(line.get_xdata()) == 29)
    assert fit.get_xdata()[-1] == 30
    assert fit.get_ydata()[-1] == GROWTH(30)
    assert "(s)" in left.get_ylabel()
    assert "GiB" in right.get_ylabel()
    held = next(line for line in lines_of(right) if len(line) == 3)
    np.testing.assert_allclose(held, [48 * 2**n / 2**30 for n in (2, 4, 8)])
    assert middle.get_title(loc="left") == "Step, 4 qubits"
    assert [text.get_text() for text in middle.get_xticklabels()] == ["1", "4", "16"]


def test_random_circuits_are_drawn_for_each_observable():
    figure = plot_random_circuits(random_rows())
    above = figure.axes[0]
    drawn = [np.array(bars.lines[0].get_ydata(), float) for bars in above.containers]
    np.testing.assert_allclose(drawn[0], [1 / 2, 1 / 4, 1 / 8])
    np.testing.assert_allclose(drawn[1], [2.0**-2, 2.0**-4, 2.0**-8])
    (legend,) = figure.legends
    names = [text.get_text() for text in legend.get_texts()]
    assert names == [
        "1 layer, local observable",
        "1 layer, global observable",
        "as many Haar-random states",
    ]


@pytest.mark.parametrize("plot", [plot_random_circuits, plot_sweeps, plot_step_growth])
def test_no_records(plot):
    more = {plot_sweeps: ({}, {}), plot_step_growth: (GROWTH, GROWTH)}.get(plot, ())
    with pytest.raises(InputError, match="`records` must hold at least one row"):
        plot([], *more)
