"""What devices did to a run, in figures and in the report, from made-up records."""

import json
import re

import numpy as np
import pytest
from synthetic_runs import make_run

from qfm_jax import write_report
from qfm_jax._checks import InputError
from qfm_jax.reporting.deployments import plot_deployments
from qfm_jax.reporting.hardware_figures import (
    hardware_figures,
    plot_accuracy_against_gates,
    plot_accuracy_against_noise,
    plot_accuracy_against_shots,
)
from qfm_jax.reporting.hardware_records import read_cost, read_deployments
from qfm_jax.reporting.hardware_section import hardware_section, hardware_sentences
from qfm_jax.reporting.page import _templates


def record(accuracy, device="aer", shots=1024, noise="none", mitigation="none", **more):
    parts = [device, noise, f"{shots} shots", mitigation]
    return {
        "label": ", ".join(part for part in parts if part != "none"),
        "accuracy": accuracy,
        "accuracy_interval": (accuracy - 0.02, accuracy + 0.02),
        "accuracy_ideal": 0.9,
        "n_test": 1000,
        **{"device": device, "noise": noise, "shots": shots, "mitigation": mitigation},
        **{"flipped": 0.123, "margin_flipped": 0.07, "margin_kept": 0.99},
        **{"two_qubit_gates": None, "seconds": 12.0},
        **more,
    }


NOISY = [
    record(0.70, noise="depolarizing:0.03"),
    record(0.85, noise="depolarizing:0.01"),
    record(0.83, noise="depolarizing:0.03", mitigation="zne"),
    record(0.80, noise="readout:0.1"),
    record(0.60, noise="depolarizing:0.03+readout:0.1"),
]
FAKES = [
    record(0.8, "fake_torino", two_qubit_gates=14),
    record(0.7, "fake_brisbane", two_qubit_gates=90),
]
FEW = [record(0.5, shots=16), record(0.8, shots=256)]


def lines(axes):
    """The points of each line with error bars, by its label."""
    return {bars.get_label(): bars.lines[0].get_xydata() for bars in axes.containers}


def levels(axes):
    """The heights of the horizontal lines, by their labels."""
    return {
        line.get_label(): line.get_ydata()[0]
        for line in axes.lines
        if line.get_linestyle() in ("--", ":")
    }


def test_noise_has_a_panel_for_each_kind_and_a_line_for_each_mitigation():
    left, right = plot_accuracy_against_noise([*NOISY, *FAKES], linear=0.84).axes
    found = lines(left)
    np.testing.assert_allclose(found["no mitigation"], [(0.01, 85), (0.03, 70)])
    np.testing.assert_allclose(found["zne"], [(0.03, 83)])
    np.testing.assert_allclose(lines(right)["as measured"], [(0.1, 80)])
    assert left.get_xscale() == "log"
    for axes in (left, right):
        assert levels(axes) == pytest.approx({"exact": 90, "linear model": 84})


def test_shots_and_gates_have_their_points():
    (axes,) = plot_accuracy_against_shots(FEW).axes
    np.testing.assert_allclose(lines(axes)["as measured"], [(16, 50), (256, 80)])
    (axes,) = plot_accuracy_against_shots([*NOISY, *FEW, *FAKES]).axes
    assert list(lines(axes)) == ["as measured"]  # of others there is but one point
    others = [dict(row, model="b", accuracy_ideal=0.7) for row in FAKES]
    (axes,) = plot_accuracy_against_gates(
        [*(dict(row, model="a") for row in FAKES), *others, *NOISY]
    ).axes
    np.testing.assert_allclose(lines(axes)["b, fake_brisbane"], [(90, 70)])
    assert levels(axes) == pytest.approx({"a, exact": 90, "b, exact": 70})


def test_only_what_can_be_compared_is_drawn():
    assert set(hardware_figures([*NOISY, *FAKES, *FEW])) == {
        "accuracy_against_noise",
        "accuracy_against_shots",
        "accuracy_against_gates",
    }
    assert set(hardware_figures(FEW)) == {"accuracy_against_shots"}
    assert hardware_figures(NOISY[:1]) == {}
    for plot, sentence in (
        (plot_accuracy_against_noise, "`records` must hold one with noise of one kind"),
        (plot_accuracy_against_gates, "`records` must hold one on a fake backend"),
    ):
        with pytest.raises(InputError, match=sentence):
            plot(FEW)
    for one in (record(0.9, shots=None), record(0.9), record(0.8, noise="x", shots=8)):
        with pytest.raises(InputError, match="hold a device with two numbers of shots"):
            plot_accuracy_against_shots([record(0.9), one])


def test_mitigated_rows_look_different():
    axes = plot_deployments(NOISY).axes[0]
    names = [bars.get_label() for bars in axes.containers]
    assert names == ["as measured", "mitigated"]
    assert len(lines(axes)["mitigated"]) == 1


COST = {
    **{"n_test": 1000, "shots": 1024, "formula": "seconds = circuits x shots"},
    "plan": {"minutes": 10.0, "days": 28, "as_of": "2026-11-22"},
    "backends": {
        "fake_torino": {
            **{"optimization_level": 2, "n_qubits": 8, "depth": 1234},
            **{"two_qubit_gates": 98, "success_probability": 0.5},
            **{"seconds_qpu": 262.0, "share_of_plan": 0.44},
        }
    },
}


@pytest.fixture
def evaluated(tmp_path):
    """A run whose directory holds two evaluations, and a cost."""
    run = make_run(directory=tmp_path)
    for name, row in (("a", NOISY[0]), ("b", NOISY[1])):
        folder = run.directory / "deployments" / name
        folder.mkdir(parents=True)
        (folder / "scores.json").write_text(json.dumps({"format": 1} | row))
    (run.directory / "cost.json").write_text(json.dumps({"format": 1} | COST))
    return run


def sections_of(runs):
    return hardware_section(runs, [run.result.model for run in runs])


def rendered(runs):
    template = _templates().get_template("sections/hardware.html.j2")
    sections, unreadable = sections_of(runs)
    assert unreadable == []
    return template.render(hardware=sections)


def test_the_report_shows_devices_flips_margins_and_cost(evaluated, tmp_path):
    assert [r["accuracy"] for r in read_deployments(evaluated.directory)] == [0.7, 0.85]
    section = rendered([evaluated, make_run("cnn", directory=tmp_path)])
    for words in ("aer, depolarizing:0.03, 1024 shots", "12.3", "0.07", "0.99"):
        assert words in section
    assert "1,234" in section
    assert section.count("<img") == 2  # all devices, and accuracy against noise
    assert ">cnn<" not in section
    assert sections_of([make_run("cnn", directory=tmp_path)]) == ([], [])


def test_scores_and_cost_of_two_transpilations_are_told_apart(evaluated):
    assert "of two transpilations" not in rendered([evaluated])
    row = NOISY[0] | {"device": "fake_torino", "two_qubit_gates": 235}
    folder = evaluated.directory / "deployments" / "c"
    folder.mkdir()
    (folder / "scores.json").write_text(json.dumps({"format": 1} | row))
    said = "belong to the second: fake_torino (235 gates on two qubits, and 98)."
    assert said in rendered([evaluated])


def test_a_cost_of_older_days_is_read(evaluated):
    path = evaluated.directory / "cost.json"
    path.write_text(path.read_text().replace("success_probability", "fidelity"))
    cost = read_cost(evaluated.directory)
    assert cost["backends"]["fake_torino"]["success_probability"] == 0.5
    assert "Success probability, %" in rendered([evaluated])
    path.write_text('{"format": 1, "backends": ["fidelity"]}')
    with pytest.raises(InputError, match=r"cost\.json is damaged"):
        read_cost(evaluated.directory)


def test_the_summary_says_what_the_worst_device_and_the_cheapest_cost(evaluated):
    sections, _ = sections_of([evaluated])
    assert hardware_sentences(sections) == [
        "hybrid-cnn classifies 70.0 % of 1,000 test images rightly at worst "
        "(aer, depolarizing:0.03, 1024 shots), where exact expectations give 90.0 %.",
        "1,000 test images of hybrid-cnn would take about 262 s of QPU on a device "
        "like fake_torino.",
    ]


def test_the_page_has_the_section_and_the_answer(evaluated, tmp_path):
    page = write_report([evaluated], tmp_path / "report.html").read_text()
    assert '<a href="#hardware">On other devices</a>' in page
    assert "What would hardware do to it?" in page


@pytest.mark.parametrize("text", ["{", '{"format": 9}', "[]"])
def test_damaged_files_are_named_and_left_out(evaluated, text, tmp_path):
    (evaluated.directory / "deployments" / "a" / "scores.json").write_text(text)
    sound = make_run("cnn", directory=tmp_path)
    sections, (sentence,) = sections_of([evaluated, sound])
    assert sections == []
    assert "left out" in sentence
    assert re.search(r"scores.json is damaged: .* Remove it; the c", sentence)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"accuracy": 1.5}, r"must lie in \[0, 1\], but is 1.5"),
        ({"accuracy": None}, "must be a finite number, not below 0, but is None"),
        ({"seconds": float("inf")}, "must be a finite number, .* but is inf"),
        ({"accuracy_interval": [0.1, 0.2, 0.3]}, "accuracy_interval"),
        ({"n_test": 10**30}, "must be a whole number, not below 0, but is 1000"),
        ({"shots": True}, "must be a whole number, not below 0, but is True"),
        ({"label": ["a"]}, r"must be text, but is \['a'\]"),
        ({"label": "\ud800"}, "must be text that UTF-8 can write"),
        ({"noise": "depolarizing:much"}, "`noise` must be .* but is 'depolarizing:mu"),
    ],
)
def test_values_that_cannot_be_drawn_are_named(evaluated, change, sentence):
    path = evaluated.directory / "deployments" / "a" / "scores.json"
    path.write_text(json.dumps({"format": 1} | NOISY[0] | change))
    with pytest.raises(InputError, match=f"scores.json is damaged: .*{sentence}"):
        read_deployments(evaluated.directory)


def test_a_cost_of_another_kind_is_named_and_left_out(evaluated):
    (evaluated.directory / "cost.json").write_text('{"format": 1}')
    sections, (sentence,) = sections_of([evaluated])
    assert sections == []
    assert re.search(r"cost.json is damaged: .*backends.* Remove it", sentence)
