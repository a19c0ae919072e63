"""An evening with a circuit of one's own: Shirt against T-shirt on six qubits."""

import json
import os
import re
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

from qfm_jax.circuits import CIRCUITS
from qfm_jax.cli import main
from qfm_jax.data import load_dataset
from qfm_jax.models import QuantumLayer
from qfm_jax.runs.directory import read_run
from qfm_jax.runs.presets import MODELS

PAGE = Path(__file__).parents[2] / "docs" / "your-circuit.md"
CLASSES = ("T-shirt/top", "Shirt")
SIZES = {"train_size": 2_000, "test_size": 2_000}
EPOCHS, BATCH, RATE, SEEDS = 10, 100, 0.004, range(3)

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not os.environ.get("QFM_DATA_DIR"), reason="QFM_DATA_DIR names no folder"
    ),
]


@pytest.fixture
def ring(tmp_path, monkeypatch):
    """The page's file, and the class in it; both are gone after the test."""
    (code,) = re.findall(r"```py\n(.*?)```", PAGE.read_text("utf-8"), flags=re.DOTALL)
    (tmp_path / "ring.py").write_text(code)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("qfm_jax.commands.training.write_figures", lambda run: None)
    own = {}
    exec(code, own)  # registers it too
    for table in (CIRCUITS, MODELS):
        table.pop("ring")
    yield own["Ring"]
    for table in (CIRCUITS, MODELS):
        table.pop("ring", None)
    sys.modules.pop("ring", None)


def in_an_own_loop(circuit, seed):
    """Accuracy of a linear layer, the circuit and a linear layer, trained by optax."""
    data = load_dataset("fashion-mnist", classes=CLASSES, **SIZES)
    key = nnx.Rngs(seed)
    reduce = nnx.Linear(784, circuit.n_features, rngs=key)
    model = nnx.Sequential(
        reduce,
        lambda x: jnp.pi / 2 * (1 + jnp.tanh(x)),
        QuantumLayer(circuit, rngs=key),
        nnx.Linear(circuit.n_observables, len(CLASSES), rngs=key),
    )
    optimizer = nnx.Optimizer(model, optax.adam(RATE), wrt=nnx.Param)

    @nnx.jit
    def step(model, optimizer, images, labels):
        def loss(model):
            entropy = optax.softmax_cross_entropy_with_integer_labels
            return entropy(model(images), labels).mean()

        optimizer.update(model, nnx.grad(loss)(model))

    train, test = (
        jnp.asarray(part.images.reshape(-1, 784)) / 255
        for part in (data.train, data.test)
    )
    for epoch in range(EPOCHS):
        order = jax.random.permutation(jax.random.key(100 * seed + epoch), len(train))
        for rows in order.reshape(-1, BATCH):
            step(model, optimizer, train[rows], jnp.asarray(data.train.labels)[rows])
    return float((model(test).argmax(axis=1) == data.test.labels).mean())


OPTIONS = [
    *("--dataset", "fashion-mnist", "--classes", *CLASSES),
    *("--epochs", EPOCHS, "--batch-size", BATCH, "--learning-rate", RATE),
]


def qfm(*words):
    return main([str(word) for word in words])


def test_a_registered_circuit_reaches_what_it_reaches_in_an_own_loop(ring):
    sizes = ["--train-size", SIZES["train_size"], "--test-size", SIZES["test_size"]]
    registered = []
    for seed in SEEDS:
        how = ["--seed", seed, "--out", f"run{seed}"]
        assert qfm("--load", "ring.py", "train", "ring", *OPTIONS, *sizes, *how) == 0
        registered.append(read_run(f"run{seed}").result.scores.accuracy)
    own = [in_an_own_loop(ring(6, 3), seed) for seed in SEEDS]
    print(f"registered {registered}, in an own loop {own}")
    spread = max(np.ptp(own), np.ptp(registered), 0.01)
    assert abs(np.mean(own) - np.mean(registered)) <= spread
    assert min(registered) > 0.78
    assert qfm("evaluate", "run0", "--samples", 50, "--device", "aer") == 0


def test_its_audit_runs_and_finds_it_near_its_controls(ring):
    """Not squashed, it was 26 points below `removed`: that was no audit of it."""
    how = ["--train-size", 1_000, "--test-size", 2_000, "--rate-factors", 1]
    how += ["--seeds", 2, "--controls", "removed", "dense", "separable"]
    how += ["--baselines", "--out", "audit"]
    assert qfm("--load", "ring.py", "audit", "ring", *OPTIONS, *how) == 0
    results = json.loads(Path("audit/audit.json").read_text())["results"]
    means = {name: np.mean(result["accuracy"]) for name, result in results.items()}
    assert set(means) == {"ring", "removed", "dense", "separable"}
    assert means["ring"] > 0.75
    assert abs(means["ring"] - means["removed"]) < 0.08
