import itertools
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from synthetic_runs import make_run

from qfm_jax import InputError
from qfm_jax.reporting import (
    CostRecord,
    cost_records,
    pareto,
    pareto_front,
    plot_pareto,
)

SECONDS = "training (s)"


def record(label, accuracy, **costs):
    interval = (max(accuracy - 0.01, 0), min(accuracy + 0.01, 1))
    names = {"seconds": SECONDS, "parameters": "parameters"}
    return CostRecord(
        label, accuracy, interval, {names[key]: cost for key, cost in costs.items()}
    )


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), max_size=12))
def test_front_is_what_a_sweep_by_cost_finds(pairs):
    """Going up in cost, a record counts if it beats all cheaper ones; ties stay."""
    records = [record(str(i), a / 5, seconds=cost) for i, (a, cost) in enumerate(pairs)]
    expected, best = set(), -1
    for cost in sorted({cost for _, cost in pairs}):
        top = max(a for a, own in pairs if own == cost)
        if top > best:
            pair = (top, cost)
            expected |= {str(i) for i, own in enumerate(pairs) if own == pair}
            best = top
    front = pareto_front(records, SECONDS)
    assert {r.label for r in front} == expected
    costs = [r.costs[SECONDS] for r in front]
    assert costs == sorted(costs)


def test_records_hold_what_runs_cost():
    runs = [make_run("linear", n_test=300), make_run("hybrid-cnn", n_test=300)]
    first, second = cost_records(runs)
    assert (first.label, second.label) == ("hybrid-cnn", "linear")
    assert first.accuracy == runs[1].result.scores.accuracy
    assert first.costs == {
        "parameters": 98_000,
        SECONDS: 123.4,
        "inference (ms an image)": pytest.approx(1000 * 0.5 / 300),
    }


def test_a_trunk_is_trained_too(monkeypatch):
    """Seconds of two trunks, one on the other; where one is gone, nobody knows."""
    base, middle, top = (make_run(name, n_test=300) for name in ("a", "b", "c"))
    known = {"base": base}

    def on(run, trunk):
        return replace(run, config=replace(run.config, trunk=trunk))

    def read(path):
        if str(path) not in known:
            raise InputError(f"{path} is not there.")
        return known[str(path)]

    monkeypatch.setattr(pareto, "read_run", read)
    known["middle"] = on(middle, "base")
    (found,) = cost_records([on(top, "middle")])
    assert found.costs[SECONDS] == pytest.approx(3 * 123.4)
    for trunk in ("gone", "loop"):
        known["loop"] = on(middle, "loop")
        (found,) = cost_records([on(top, trunk)])
        assert SECONDS not in found.costs
        assert found.costs["parameters"] > 0


def test_each_cost_has_axes_a_front_and_a_scale_that_fits():
    records = [
        record("a", 0.9, seconds=60, parameters=9000),
        record("b", 0.8, seconds=50, parameters=80),
        record("c", 0.7, seconds=70, parameters=0),
        record("unpriced", 0.6),
    ]
    seconds, parameters = plot_pareto(records).axes
    assert (seconds.get_xlabel(), parameters.get_xlabel()) == (SECONDS, "parameters")
    assert (seconds.get_xscale(), parameters.get_xscale()) == ("linear", "symlog")
    np.testing.assert_allclose(seconds.lines[0].get_xydata(), [[50, 80], [60, 90]])
    markers = [bars.lines[0] for bars in seconds.containers]
    hollow = [marker.get_markerfacecolor() == "white" for marker in markers]
    assert hollow == [False, False, True]
    assert "unpriced" not in [text.get_text() for text in seconds.texts]


def test_records_of_a_kind_look_alike_and_the_legend_names_the_kinds():
    kinds = ("classical", "hybrid", "classical")
    records = [
        CostRecord(str(i), 0.5 + i / 10, (0.4, 0.9), {"parameters": i}, kind)
        for i, kind in enumerate(kinds)
    ]
    figure = plot_pareto(records)
    (axes,) = figure.axes
    markers = [bars.lines[0] for bars in axes.containers]
    drawn = [(marker.get_color(), marker.get_marker()) for marker in markers]
    assert drawn[0] == drawn[2] != drawn[1]
    (legend,) = figure.legends
    named = {text.get_text() for text in legend.get_texts()}
    assert {"classical", "hybrid", "Pareto front"} <= named
    handles = {handle.get_label(): handle for handle in legend.legend_handles}
    assert handles["hybrid"].get_color() == drawn[1][0]


def test_names_neither_overlap_nor_leave_the_axes():
    rng = np.random.default_rng(0)
    records = [
        record(f"model-{i}", 0.9 + rng.normal(0, 0.01), seconds=10 ** rng.uniform(0, 3))
        for i in range(16)
    ]
    figure = plot_pareto(records)
    (axes,) = figure.axes
    assert axes.get_xscale() == "log"
    renderer = figure.canvas.get_renderer()
    texts = [text for text in axes.texts if text.get_text()]
    assert {text.get_text() for text in texts} == {r.label for r in records}
    boxes = [text.get_window_extent(renderer) for text in texts]
    for one, other in itertools.combinations(boxes, 2):
        assert not one.overlaps(other)
    for box in boxes:
        assert axes.bbox.x0 <= box.x0 <= box.x1 <= axes.bbox.x1
        assert axes.bbox.y0 <= box.y0 <= box.y1 <= axes.bbox.y1


@pytest.mark.parametrize("records", [[], [record("free", 0.9)]])
def test_nothing_to_draw_is_refused(records):
    with pytest.raises(InputError, match="`records` must hold a record with a cost"):
        plot_pareto(records)


@pytest.mark.parametrize(
    "costs",
    [(0.0023, 0.048), (1e-9, 1e9), (0.2, 2.0), (3.0, 29.0), (0.0, 5.0, 90.0), (4, 4.1)],
)
def test_no_axis_shows_mathematics_or_numbers_over_each_other(costs):
    records = [
        record(f"model {i}", 0.8 + 0.01 * i, seconds=cost)
        for i, cost in enumerate(costs)
    ]
    figure = plot_pareto(records)
    figure.canvas.draw()
    (axes,) = (a for a in figure.axes if a.get_xlabel() == SECONDS)
    labels = [
        label
        for which in ("major", "minor")
        for label in axes.xaxis.get_ticklabels(which=which)
        if label.get_text() and label.get_visible()
    ]
    assert len([label for label in labels if label.get_text()]) >= 2
    assert not any("$" in label.get_text() for label in labels)
    inside = [label for label in labels if label.get_window_extent().width]
    boxes = sorted((label.get_window_extent() for label in inside), key=lambda b: b.x0)
    low, high = axes.get_window_extent().x0 - 40, axes.get_window_extent().x1 + 40
    boxes = [box for box in boxes if low < box.x0 and box.x1 < high]
    assert all(a.x1 <= b.x0 for a, b in itertools.pairwise(boxes))
