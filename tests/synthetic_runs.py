"""Runs with real images and made-up logits: what reporting reads, without training."""

import shutil
from pathlib import Path

import numpy as np

from qfm_jax.audit import Audit, read_audit
from qfm_jax.data import load_dataset
from qfm_jax.evaluation import score
from qfm_jax.models import ModelConfig
from qfm_jax.runs.config import DataConfig, RunConfig
from qfm_jax.runs.directory import Mistakes, Result, Run
from qfm_jax.training import TrainConfig
from qfm_jax.training.history import EpochRecord, History, best_epoch

RESULTS = Path(__file__).parents[1] / "experiments" / "results"

FASHION = (
    *("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat"),
    *("Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"),
)

NETWORKS = {
    "hybrid-cnn": ModelConfig((16, 32), hidden=(64,), block="circuit"),
    "cnn": ModelConfig((16, 32), hidden=(64,), block="dense"),
    "mlp": ModelConfig(hidden=(128,)),
    "linear": ModelConfig(),
}
SKILL = {"hybrid-cnn": 5.2, "cnn": 5.3, "mlp": 4.4, "linear": 3.6}


def make_run(
    name: str = "hybrid-cnn",
    *,
    directory: Path = Path("runs"),
    class_names: tuple[str, ...] = FASHION,
    network: ModelConfig | None = None,
    skill: float | None = None,
    n_test: int = 2000,
    seed: int = 0,
    warning: str | None = None,
    dataset: str = "fashion-mnist",
) -> Run:
    """A run whose logits are noise, plus `skill` for the true class."""
    rng = np.random.default_rng([seed, *name.encode()])
    skill = SKILL.get(name, 4.0) if skill is None else skill
    n_classes = len(class_names)
    labels = rng.integers(n_classes, size=n_test)
    logits = rng.normal(size=(n_test, n_classes))
    logits[:, :2] *= 1.6  # some classes are harder than others
    logits[np.arange(n_test), labels] += skill * rng.uniform(0.3, 1, n_test)
    network = network or NETWORKS.get(name, ModelConfig())
    records = make_records(rng, n_epochs=10, skill=skill)
    result = Result(
        model=name,
        dataset=dataset,
        device="default.qubit" if network.block == "circuit" else "classical",
        seed=seed,
        class_names=class_names,
        n_train=54_000,
        n_validation=6_000,
        n_parameters=98_000,
        n_parameters_quantum=48 if network.block == "circuit" else 0,
        n_parameters_classical=97_952 if network.block == "circuit" else 98_000,
        best_epoch=best_epoch(records),
        seconds_training=123.4,
        seconds_compiling=3.8,
        seconds_inference=0.5,
        peak_memory_bytes=812 * 2**20,
        scores=score(logits, labels),
        versions={"python": "3.11.2", "machine": "Linux x86_64", "qfm_jax": "0.1.0"},
        warning=warning,
    )
    training, data = (
        TrainConfig(augment=True),
        DataConfig(dataset, "/home/someone/data"),
    )
    return Run(
        directory=directory / name,
        config=RunConfig(name, network, training, data, seed=seed),
        history=History(records, best_epoch(records), 3.8),
        result=result,
        mistakes=make_mistakes(logits, labels),
    )


def make_records(
    rng: np.random.Generator, *, n_epochs: int, skill: float
) -> tuple[EpochRecord, ...]:
    records = []
    for epoch in range(1, n_epochs + 1):
        loss = 0.2 + 1.4 / skill + 0.9 * np.exp(-epoch / 2) + rng.normal(0, 0.01)
        accuracy = float(np.exp(-loss / 2))
        records.append(
            EpochRecord(
                epoch=epoch,
                step=421 * epoch,
                train_loss=loss,
                train_accuracy=accuracy,
                validation_loss=loss + 0.05 + 0.005 * epoch,
                validation_accuracy=accuracy - 0.02 - 0.001 * epoch,
                learning_rate=4e-3,
                seconds=12.3,
                images_per_second=4300.0,
            )
        )
    return tuple(records)


def make_mistakes(logits: np.ndarray, labels: np.ndarray, most: int = 24) -> Mistakes:
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    predictions, confidence = probabilities.argmax(1), probabilities.max(1)
    wrong = np.flatnonzero(predictions != labels)
    wrong = wrong[np.argsort(-confidence[wrong])][:most]
    images = load_dataset("digits").test.pixels
    return Mistakes(
        images=images[wrong % len(images)],
        labels=labels[wrong].astype(np.int32),
        predictions=predictions[wrong].astype(np.int32),
        confidence=confidence[wrong].astype(np.float32),
    )


def read_stored_audit(directory: Path) -> Audit:
    """An audit of this project's log, at a place of its own; nothing is trained."""
    directory.mkdir(parents=True)
    shutil.copy(STORED_AUDIT, directory / "audit.json")
    return read_audit(directory)


STORED_AUDIT = RESULTS / "audit_amplitude.json"

CONCLUSION = read_audit(STORED_AUDIT).sentence.rpartition(": ")[2]
"""The last words of its verdict, with a full stop."""
