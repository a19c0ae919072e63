"""A trained model's circuits elsewhere: the same results, or worse ones by measure."""

import dataclasses
import importlib
import json
import re

import jax
import numpy as np
import pytest
from flax import nnx

from qfm_jax._checks import InputError
from qfm_jax.cli import main
from qfm_jax.deployment import Target, deploy, sample_of
from qfm_jax.deployment.jobs import Jobs
from qfm_jax.devices import DeviceConfig, as_jax_function
from qfm_jax.hardware.noisy_circuit import NoisyCircuit
from qfm_jax.models import Classifier, ModelConfig
from qfm_jax.reporting.deployments import deployment_table, plot_deployments
from qfm_jax.reporting.hardware_records import read_deployments
from qfm_jax.runs.config import DataConfig, RunConfig
from qfm_jax.runs.directory import read_run
from qfm_jax.runs.execute import execute
from qfm_jax.runs.model import load_model
from qfm_jax.training import TrainConfig

module = importlib.import_module("qfm_jax.deployment.deploy")
NETWORK = ModelConfig(block="circuit", n_qubits=3, n_layers=1)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A model of three qubits that has learned a little."""
    directory = tmp_path_factory.mktemp("deployment") / "run"
    training = TrainConfig(epochs=15, batch_size=50, learning_rate=0.01)
    data = DataConfig("digits", train_size=400)
    network = dataclasses.replace(NETWORK, hidden=(32,))
    execute(RunConfig("tiny", network, training, data), directory, progress=False)
    return read_run(directory)


@pytest.mark.parametrize(
    "network",
    [
        NETWORK,
        ModelConfig(block="circuit", n_qubits=3, n_layers=1, n_circuits=2),
        ModelConfig(
            block="circuit",
            features="pixels",
            embedding="amplitude",
            layers="unitary",
            n_qubits=4,
            n_layers=1,
        ),
        ModelConfig(block="circuit", patch=2, n_qubits=4, n_layers=1, channels=(2,)),
        ModelConfig(block="separable", n_qubits=3, n_layers=1),
    ],
    ids=["one", "side by side", "pixels", "patches", "separable"],
)
def test_every_kind_of_block_gives_on_aer_what_it_gives_here(network):
    model = Classifier(network, image_shape=(6, 6), rngs=nnx.Rngs(1))
    images = np.random.default_rng(0).uniform(size=(3, 6, 6)).astype(np.float32)
    features = np.asarray(model.features(images))
    found = module._on_qiskit(model.circuit_layers, Target(), 0, features)
    expected = np.asarray(model.block(features))
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, atol=2e-5)
    np.testing.assert_allclose(model.logits(features, expected), model(images), 1e-5)


def test_exact_expectations_flip_nothing(run):
    found = deploy(run, Target())
    assert found.flipped == 0
    assert found.margin_flipped is None
    assert found.scores.accuracy == found.ideal.accuracy == run.result.scores.accuracy
    assert found.scores.log_loss == pytest.approx(found.ideal.log_loss, abs=1e-5)
    assert found.circuits_per_image == 1


def test_noise_on_aer_is_that_of_the_noisy_circuit(run):
    model = load_model(run)
    (layer,) = model.circuit_layers
    features = np.asarray(model.features(sample_of(run, 3).pixels / np.float32(255)))
    target = Target(noise="depolarizing:0.05")
    found = module._on_qiskit(model.circuit_layers, target, 0, features)
    noisy = NoisyCircuit(layer.circuit, "depolarizing:0.05")
    function = as_jax_function(noisy, DeviceConfig("default.mixed"))
    weights = layer.weights["weights"][...]
    expected = jax.vmap(function, (0, None))(features, weights)
    np.testing.assert_allclose(found, expected, atol=1e-5)
    exact = np.asarray(model.block(features))
    assert np.abs(found - exact).max() > 0.02


def test_shots_scatter_and_a_seed_repeats_them(run):
    few = Target(shots=20, seed=3)
    first = deploy(run, few, samples=100)
    assert first.flipped > 0
    assert 0 <= first.margin_flipped < first.margin_kept
    assert first.scores == deploy(run, few, samples=100).scores
    other = deploy(run, dataclasses.replace(few, seed=4), samples=100)
    assert other.scores.log_loss != first.scores.log_loss
    many = deploy(run, Target(shots=2000, seed=3), samples=100)
    assert many.flipped < first.flipped


def test_jobs_have_outcomes_of_their_own(run):
    model = load_model(run)
    features = np.asarray(model.features(sample_of(run, 3).pixels / np.float32(255)))
    target = Target(shots=50)
    first, second = (
        module._on_qiskit(model.circuit_layers, target, number, features)
        for number in (0, 1)
    )
    assert np.any(first != second)


def test_a_fake_backend_and_a_pennylane_device_run_it_too(run):
    fake = deploy(run, Target("FakeManilaV2", shots=4000), samples=20)
    assert fake.target.device == "fake_manila"
    assert fake.scores.log_loss == pytest.approx(fake.ideal.log_loss, abs=0.3)
    assert fake.scores.log_loss != fake.ideal.log_loss
    here = deploy(run, Target("default.qubit"), samples=20)
    assert here.scores.log_loss == pytest.approx(here.ideal.log_loss, abs=1e-5)


def test_a_sample_is_stratified(run):
    sample = sample_of(run, 50, seed=1)
    counts = np.bincount(sample.labels, minlength=10)
    assert counts.sum() == 50
    assert counts.max() - counts.min() <= 1


def test_what_was_interrupted_goes_on(run, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "CHUNK", 30)
    whole = deploy(run, Target(shots=100), samples=70)

    def stop(done, total):
        if done == 60:
            raise KeyboardInterrupt

    folder = tmp_path / "jobs"
    with pytest.raises(KeyboardInterrupt):
        deploy(run, Target(shots=100), samples=70, folder=folder, progress=stop)
    names = {path.name for path in folder.iterdir()}
    assert names == {"jobs.json", "job-0.json", "job-1.json", "lock"}
    again, original = [], module._on_qiskit

    def counting(layers, target, number, features):
        again.append(number)
        return original(layers, target, number, features)

    monkeypatch.setattr(module, "_on_qiskit", counting)
    told = []
    resumed = deploy(
        run,
        Target(shots=100),
        samples=70,
        folder=folder,
        progress=lambda *now: told.append(now),
    )
    assert again == [2]
    assert told == [(30, 70), (60, 70), (70, 70)]
    assert resumed.scores == whole.scores


def test_jobs_of_another_evaluation_are_refused(run, tmp_path):
    folder = tmp_path / "jobs"
    deploy(run, Target(), samples=10, folder=folder)
    with pytest.raises(InputError, match=r"jobs of another evaluation: its shots diff"):
        deploy(run, Target(shots=9), samples=10, folder=folder)
    with pytest.raises(InputError, match=r"another evaluation: its jobs_of differs"):
        deploy(run, Target(), samples=12, folder=folder)
    (folder / "job-0.json").write_text('{"format": 1}')
    with pytest.raises(InputError, match=r"job-0.json is damaged: .*Remove it and st"):
        deploy(run, Target(), samples=10, folder=folder)
    (folder / "jobs.json").write_text("{")
    with pytest.raises(InputError, match=r"jobs.json is damaged: "):
        deploy(run, Target(), samples=10, folder=folder)
    (tmp_path / "file").write_text("mine")
    with pytest.raises(InputError, match=r"cannot be written: .* Name another folder"):
        Jobs(tmp_path / "file" / "jobs", {})


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"device": "fake_torin"}, "`device` must be one of .* Did you mean 'fake_tor"),
        ({"shots": 0}, "`shots` must be a whole number of at least 1, but is 0. Leave"),
        ({"seed": -1}, "`seed` must be .* at least 0, but is -1"),
        (
            {"device": "default.qubit", "noise": "readout:0.1", "shots": 5},
            "`noise` must be 'none' on default.qubit: it is for 'aer', but is 'readout",
        ),
        ({"device": "ibm:ibm_x"}, "`shots` must be given on ibm:ibm_x, .* Take 1024"),
        ({"mitigation": "zen"}, "`mitigation` must be one of .* Did you mean 'zne'"),
        (
            {"mitigation": "zne", "noise": "readout:0.1"},
            "`mitigation` must fit the errors that there are, but is 'zne' where gates",
        ),
        (
            {"mitigation": "readout+zne", "device": "default.qubit"},
            "where gates and read-out have none, on default.qubit",
        ),
        (
            {"mitigation": "zne", "device": "ibm:ibm_x", "shots": 9},
            "`mitigation` must be 'none' on IBM's devices.* Rehearse it on a fake back",
        ),
        ({"noise": "depolarizing:2"}, r"`depolarizing` must lie in \[0, 1\], but is 2"),
    ],
)
def test_a_target_is_checked(arguments, sentence):
    with pytest.raises(InputError, match=sentence):
        Target(**arguments)


def test_what_cannot_be_deployed_is_refused(run, tmp_path):
    with pytest.raises(InputError, match=r"`samples` must be at most 360, but is 361"):
        deploy(run, Target(), samples=361)
    with pytest.raises(InputError, match="`backend` must be `aer` or a fake backend"):
        deploy(run, Target("ibm:ibm_nowhere", shots=10), samples=5)
    linear = dataclasses.replace(
        run, config=dataclasses.replace(run.config, network=ModelConfig())
    )
    with pytest.raises(InputError, match="`RUN` must name a run whose model has a ci"):
        deploy(linear, Target())


def test_the_command_line(run, capsys, tmp_path, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    out = tmp_path / "scores.json"
    options = ["--device", "aer", "--noise", "none", "--noise", "depolarizing:0.05"]
    options += ["--device", "default.qubit", "--shots", "100", "--samples", "40"]
    options += ["--mitigation", "zne"]
    arguments = ["evaluate", str(run.directory), *options]
    assert main([*arguments, "--out", str(out)]) == 0
    printed = capsys.readouterr().out
    table, _ = printed.split("Figures: ")  # a path is as long as it is
    assert max(map(len, table.splitlines())) <= 80
    table = json.loads(out.read_text())
    assert [entry["label"] for entry in table["targets"]] == [
        "default.qubit, 100 shots",
        "aer, 100 shots",
        "aer, depolarizing:0.05, 100 shots",
        "aer, depolarizing:0.05, 100 shots, zne",
    ]
    assert [entry["circuits_per_image"] for entry in table["targets"]] == [1, 1, 1, 3]
    assert [entry["two_qubit_gates"] for entry in table["targets"]] == [
        *(None, None),
        *(3, 3),
    ]
    kept = read_deployments(run.directory)
    assert {"model": "tiny"} | table["targets"][3] in kept
    for entry in (table, *table["targets"]):
        assert (entry["n_test"], entry["shots"], entry["seed"]) == (40, 100, 0)
        low, high = entry["accuracy_interval"]
        assert low <= entry["accuracy"] <= high
        assert 0 <= entry["flipped"] <= 1
    ideal = table["accuracy_ideal"]
    assert re.search(rf"Exact: {ideal:.2%} of the same 40 test images", printed)
    assert (run.directory / "figures" / "deployments.png").exists()
    assert main(arguments) == 0  # what was run is read, not run again
    again = capsys.readouterr().out
    assert f"{100 * table['accuracy']:.2f}" in again


def test_table_and_figure_show_every_target(run):
    found = [deploy(run, Target(shots=n), samples=20).as_table() for n in (10, 100)]
    assert deployment_table(found).row_count == 2
    axes = plot_deployments(found).axes[0]
    labels = [tick.get_text() for tick in axes.get_yticklabels()]
    assert labels == ["aer, 10 shots", "aer, 100 shots"]
    with pytest.raises(InputError, match="`records` must hold at least one"):
        plot_deployments([])


def test_a_submission_is_a_dry_run_first_and_a_rehearsal_without_account(
    run, capsys, monkeypatch
):
    monkeypatch.setenv("COLUMNS", "100")
    directory, device = str(run.directory), ["--device", "fake_manila"]
    few = ["--shots", "50", "--samples", "10"]
    limit = ["--submit", "--max-seconds", "600"]
    assert main(["evaluate", directory, *device, *few, *limit]) == 0
    assert "fake_manila, 50 shots" in capsys.readouterr().out
    folder = run.directory / "deployments" / "fake-manila-50-shots-submitted-10-seed0"
    assert (folder / "submitted-0.json").exists()
    for options, sentence in (
        ([*device, *few, "--submit"], "`--max-seconds` must say how many .* dry run"),
        ([*device, *few, "--max-seconds", "9"], "`--max-seconds` must be left out wi"),
        (["--device", "ibm:a", "aer"], "`--device` must be the only one, without --n"),
        (["--device", "ibm:a", "--noise", "none"], "`--device` must be the only one"),
        (["--device", "ibm:a", "--mitigation", "zne"], "`--mitigation` must be left o"),
        (["--mitigation", "zne"], "`mitigation` must meet a device with errors of gat"),
        ([*device, *few, "--submit", "--max-seconds", "0"], "`max_seconds` must be"),
    ):
        assert main(["evaluate", directory, *options]) == 2
        assert re.search(sentence, " ".join(capsys.readouterr().err.split()))
