"""Does a quantum kernel classify images better than a Gaussian one?

Question: support vector machines on a few principal components of the pixels, with the
    fidelity kernel, the projected kernel and scikit-learn's own RBF kernel. Which C and
    which scale of the angles (or gamma) a kernel gets is chosen on validation images,
    from as many candidates for each kernel.

Command:  python experiments/quantum_kernel.py --preset laptop

Expected: 3 minutes on 2 cores for laptop, 1 for smoke. Each kernel gets
    twenty tries.

Rows are written as they come; rows that the output file holds are not computed again.
"""

import dataclasses
import functools
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import tyro
from rich.console import Console
from rich.table import Table
from sklearn.decomposition import PCA
from sklearn.metrics.pairwise import rbf_kernel
from sklearn.preprocessing import MinMaxScaler
from sklearn.svm import SVC

from qfm_jax import FidelityKernel, ProjectedKernel, ZZEmbedding, load_dataset
from qfm_jax.cli import in_sentences
from qfm_jax.evaluation import accuracy_interval, percent
from qfm_jax.runs.results import Row, measure_missing

EXPERIMENT = "quantum_kernel"

SIZES = {"smoke": 500, "laptop": 4_000, "full": 20_000}
"""Training images of each preset."""

KERNELS = ("fidelity", "projected", "rbf")
CS = (1.0, 10.0, 100.0, 1000.0)
SCALES = {
    "fidelity": (0.1, 0.2, 0.4, 0.8, 1.6),
    "projected": (0.1, 0.2, 0.4, 0.8, 1.6),
    "rbf": (0.25, 1.0, 4.0, 16.0, 64.0),
}
"""Largest angle of a feature in radians; for rbf gamma, of angles up to 1."""


@dataclasses.dataclass(frozen=True)
class Options:
    """What is compared."""

    preset: Literal["smoke", "laptop", "full"] = "laptop"
    """Training images: 500, 4,000 or 20,000."""
    n_qubits: int = 8
    """Qubits of the embedding, one for each principal component."""
    dataset: str = "fashion-mnist"
    """Name of the data set."""
    seed: int = 0
    """Of the split."""
    out: Path = Path(__file__).parent / "results" / "quantum_kernel.json"
    """JSON file to write."""


def main(argv: Sequence[str] | None = None) -> None:
    options = tyro.cli(Options, args=argv, description=__doc__)
    asked = {k: v for k, v in dataclasses.asdict(options).items() if k != "out"}
    cells = [{**asked, "kernel": name} for name in KERNELS]
    rows = measure_missing(options.out, EXPERIMENT, cells, measure)
    Console().print(table_of(rows, options))
    print(f"Written: {options.out}")


def measure(cell: Mapping[str, Any]) -> Row:
    """Chooses a kernel's settings on validation images, then scores them once."""
    features, labels = components(
        cell["dataset"], SIZES[cell["preset"]], cell["seed"], cell["n_qubits"]
    )
    name, start = cell["kernel"], time.perf_counter()
    best: tuple[float, SVC, float, float] | None = None
    for scale in SCALES[name]:
        gram = gram_of(name, scale, features)  # one for every C
        grams = {part: gram(part) for part in ("train", "validation")}
        for c in CS:
            machine = SVC(kernel="precomputed", C=c)
            machine.fit(grams["train"], labels["train"])
            score = machine.score(grams["validation"], labels["validation"])
            if best is None or score > best[0]:
                best = score, machine, scale, c
    assert best is not None
    validation, machine, scale, c = best
    predictions = machine.predict(gram_of(name, scale, features)("test"))
    n_right, n_test = int((predictions == labels["test"]).sum()), len(predictions)
    return {
        "n_train": len(labels["train"]),
        "n_test": n_test,
        "n_tries": len(CS) * len(SCALES[name]),
        "scale": scale,
        "C": c,
        "validation_accuracy": validation,
        "accuracy": n_right / n_test,
        "accuracy_interval": accuracy_interval(n_right, n_test),
        "seconds": time.perf_counter() - start,
    }


Parts = dict[str, np.ndarray]


@functools.cache
def components(
    dataset: str, train_size: int, seed: int, n_components: int
) -> tuple[Parts, Parts]:
    """The first principal components of each split's pixels; and its labels."""
    data = load_dataset(dataset, train_size=train_size, seed=seed)
    parts = {"train": data.train, "validation": data.validation, "test": data.test}
    pixels = {
        name: part.pixels.reshape(len(part), -1) / 255 for name, part in parts.items()
    }
    pca = PCA(n_components, svd_solver="covariance_eigh").fit(pixels["train"])
    features = {name: pca.transform(values) for name, values in pixels.items()}
    return features, {name: part.labels for name, part in parts.items()}


def gram_of(name: str, scale: float, features: Parts) -> Callable[[str], np.ndarray]:
    """The kernel's values of a split's images, the rows, and the training images."""
    largest = 1.0 if name == "rbf" else scale
    scaling = MinMaxScaler((-largest, largest), clip=True).fit(features["train"])
    angles = {part: scaling.transform(values) for part, values in features.items()}
    if name == "rbf":
        return lambda part: rbf_kernel(angles[part], angles["train"], gamma=scale)
    # Angles about pi, where the phases of pairs are small: see `ZZEmbedding`.
    angles = {part: np.pi + values for part, values in angles.items()}
    kernel = {"fidelity": FidelityKernel, "projected": ProjectedKernel}[name]
    compared = kernel(ZZEmbedding(features["train"].shape[1]))
    return lambda part: compared(angles[part], angles["train"])


def table_of(rows: Sequence[Row], options: Options) -> Table:
    table = Table(title=f"{options.dataset}, {options.n_qubits} principal components")
    table.add_column("kernel")
    for column in ("images", "tries", "test accuracy, %", "95 % interval", "time, s"):
        table.add_column(column, justify="right")
    for row in rows:
        low, high = row["accuracy_interval"]
        table.add_row(
            row["cell"]["kernel"],
            f"{row['n_train']:,}",
            str(row["n_tries"]),
            percent(row["accuracy"], 2),
            f"{percent(low, 2)} to {percent(high, 2)}",
            f"{row['seconds']:.0f}",
        )
    return table


if __name__ == "__main__":
    sys.exit(in_sentences(main))
