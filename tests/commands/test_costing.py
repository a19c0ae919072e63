"""`qfm cost`, as it is typed."""

import json
import re

import pytest

from qfm_jax import read_run
from qfm_jax.cli import main
from qfm_jax.deployment.budget import budget_of
from qfm_jax.reporting.hardware_costs import cost_table, plot_costs

DIGITS = ["--dataset", "digits", "--train-size", "60", "--epochs", "1"]
TINY = [*DIGITS, "--channels", "2", "--hidden", "8", "--n-qubits", "3"]


def qfm(*arguments):
    try:
        return main([str(argument) for argument in arguments])
    except SystemExit as end:
        return end.code


def trained(folder, *arguments):
    directory = folder / "run"
    with pytest.MonkeyPatch.context() as patch:  # to draw takes longer than to train
        patch.setattr("qfm_jax.commands.training.write_figures", lambda run: None)
        assert qfm("train", *arguments, "--out", directory) == 0
    return directory


@pytest.fixture(scope="module")
def hybrid(tmp_path_factory):
    return trained(tmp_path_factory.mktemp("hybrid"), "hybrid-cnn", *TINY)


@pytest.fixture(autouse=True)
def terminal_of_80_columns(monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")


def test_json_holds_the_figures_of_each_backend(hybrid, capsys, tmp_path):
    out = tmp_path / "cost.json"
    backends = ["--backend", "fake_manila", "--backend", "FakeTorino", "fake_manila"]
    levels = ["--optimization-level", "0", "2"]
    given = [*backends, *levels, "--samples", 100, "--interval", 0.1, "--json"]
    assert qfm("cost", hybrid, *given, "--out", out) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed == json.loads(out.read_text())
    assert list(printed["backends"]) == ["fake_manila", "fake_torino"]
    assert printed["shots"] == 385
    assert (printed["n_test"], printed["circuits"]) == (100, 100)
    for figures in printed["backends"].values():
        assert figures["n_qubits"] >= 3
        assert figures["two_qubit_gates"] > 0
        assert figures["depth"] > figures["two_qubit_gates"] / 3
        seconds = 100 * 385 * (figures["duration"] + 250e-6)
        assert figures["seconds_qpu"] == pytest.approx(seconds)
        assert figures["share_of_plan"] == pytest.approx(seconds / 600)
        assert [row["optimization_level"] for row in figures["levels"]] == [0, 2]
        likeliest = max(row["success_probability"] for row in figures["levels"])
        assert figures["success_probability"] == likeliest


def test_the_table_fits_80_columns_and_the_formula_is_printed(hybrid, capsys):
    given = ["--backend", "fake_sherbrooke", "fake_torino", "--price", 1]
    assert qfm("cost", hybrid, *given) == 0
    printed = capsys.readouterr().out
    table = printed.split("The circuit of")[0].splitlines()
    assert all(len(line) <= 80 for line in table)
    assert "fake_sherbrooke" in printed
    formula = "seconds = circuits x shots x (duration of the circuit + 250 us)"
    assert formula in printed
    assert "360 images x 1 circuits x 1 settings x 1,024 shots" in printed
    assert (hybrid / "figures" / "cost.png").exists()
    assert (hybrid / "figures" / "cost.svg").exists()


def test_amplitudes_are_those_of_the_first_test_image(tmp_path):
    given = ["amplitude", *DIGITS, "--n-qubits", "6", "--n-layers", "1"]
    directory = trained(tmp_path, *given, "--classes", "0", "1")
    budget = budget_of(read_run(directory), ["fake_fez"])
    assert budget.transpiled_for == "the first test image"
    (cost,) = budget.costs
    assert cost.two_qubit_gates >= 4


def test_a_figure_has_a_row_for_each_backend(hybrid):
    budget = budget_of(read_run(hybrid), ["fake_manila", "fake_quito"], levels=(0, 3))
    figure = plot_costs(budget.costs)
    left, right = figure.axes
    names = [label.get_text() for label in left.get_yticklabels()]
    assert names == ["fake_manila", "fake_quito"]
    assert len(left.lines) == len(right.lines) == 2
    assert cost_table(budget).row_count == 4


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ([], "`backend` must name at least one, but is missing"),
        (["--backend", "fake_manilla"], "Did you mean 'fake_manila'"),
        (["--backend", "fake_armonk"], "must have at least 3 qubits, .* which has 1"),
        (["--backend", "aer"], "`backend` must state the times of its gates"),
        (["--backend", "fake_manila", "--shots", 0], "`shots` must be .* but is 0"),
        (["--backend", "fake_manila", "--samples", 0], "`n_images` must be .* is 0"),
        (["--backend", "fake_manila", "--interval", 0], "`interval` must be above 0"),
        (
            ["--backend", "fake_manila", "--interval", 0.1, "--shots", 3],
            "`--shots` must be left out with --interval",
        ),
        (
            ["--backend", "fake_manila", "--optimization-level", 7],
            "`optimization_level` must be one of 0, 1, 2, 3",
        ),
        (
            ["--backend", "fake_manila", "--plan-minutes", 0],
            "`minutes` must be above 0",
        ),
    ],
)
def test_bad_input_is_a_sentence(hybrid, capsys, given, sentence):
    assert qfm("cost", hybrid, *given) == 2
    error = " ".join(capsys.readouterr().err.split())
    assert re.search(sentence, error)
    assert "Traceback" not in error


def test_a_model_without_a_circuit_is_refused(tmp_path, capsys):
    directory = trained(tmp_path, "linear", *DIGITS)
    assert qfm("cost", directory, "--backend", "fake_manila") == 2
    assert "must name a run whose model has a circuit" in capsys.readouterr().err


def test_commands_do_not_load_qiskit(loaded_by_commands):
    assert {"qfm_jax.commands", "pennylane", "jax"} <= loaded_by_commands
    assert not {name for name in loaded_by_commands if name.startswith("qiskit")}
