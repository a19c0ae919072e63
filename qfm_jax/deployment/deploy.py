"""The test images of a finished run on a backend: ideal, with shots, with noise.

Trained layers stay in JAX; the circuits' expectations come from the backend, and what
follows them is JAX again.
"""

import dataclasses
import math
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import cattrs
import jax
import jax.numpy as jnp
import numpy as np
from scipy.special import softmax

from .._checks import check_at_least, input_error
from ..data import Images
from ..data.split import check_size, stratified_split
from ..evaluation import Scores, score
from ..experiment import load_data, load_model
from ..hardware.backends import canonical_name
from ..hardware.estimator import estimator_function
from ..hardware.noise import Noise, parse_noise
from ..hardware.simulators import simulator_of
from ..models import Classifier, QuantumLayer
from ..models.prediction import in_evaluation_mode, to_unit
from ..runs import Run
from .jobs import Jobs, digest_of

CHUNK = 250
"""Images of one job; what is interrupted loses at most one."""

Progress = Callable[[int, int], None]
"""Told after each job: images that are done, images in all."""

Layers = Sequence[QuantumLayer]

Measure = Callable[[Layers, np.ndarray, Jobs | None, Progress], np.ndarray]
"""From features (n, ..., n_features) to expectations (n, ..., n_results), by jobs."""


@dataclasses.dataclass(frozen=True)
class Target:
    """Where the circuits of a trained model run.

    Example:
        >>> Target("FakeTorino", shots=1024).label
        'fake_torino, 1,024 shots'
        >>> Target("aer", noise="depolarizing:0.01").label
        'aer, depolarizing:0.01'
    """

    backend: str = "aer"
    """`aer`, or a fake backend, whose errors it has."""
    shots: int | None = None
    """Measurements of each circuit; None for exact expectations."""
    noise: str = "none"
    """Noise by name, on `aer` alone (see `qfm_jax.hardware.noise`)."""
    seed: int = 0
    """Seed of the outcomes."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "backend", canonical_name(self.backend))
        if self.shots is not None:
            check_at_least("shots", self.shots, 1, "Leave it out for exact results.")
        check_at_least("seed", self.seed, 0)
        noise = parse_noise(self.noise)
        if self.backend != "aer" and noise != Noise():
            must = f"be 'none' on {self.backend}, which has errors of its own"
            raise input_error("noise", must, f"is {self.noise!r}", "Take it to `aer`.")
        object.__setattr__(self, "noise", noise.spec)

    @property
    def label(self) -> str:
        """What tells it apart in a table."""
        parts = [self.backend]
        parts += [] if self.noise == "none" else [self.noise]
        parts += [] if self.shots is None else [f"{self.shots:,} shots"]
        return ", ".join(parts)


@dataclasses.dataclass(frozen=True)
class Deployment:
    """What a model reached on a target, beside its exact results on the same images."""

    target: Target
    """Where it ran."""
    scores: Scores
    """Of the images that were run."""
    ideal: Scores
    """Of the same images with exact expectations."""
    flipped: float
    """Share of the images whose prediction differs from the exact one."""
    margin_flipped: float | None
    """Median distance to the boundary, of those: probability of the first class minus
    that of the second, by the exact results; None without any."""
    margin_kept: float | None
    """The same of the others."""
    circuits_per_image: int
    """Circuits that an image runs, before groups of observables."""
    seconds: float
    """Time that the circuits took in this session."""

    def as_table(self) -> dict[str, Any]:
        """All figures as plain values; the scores at the top."""
        table = cattrs.unstructure(self.scores) | {"device": self.target.backend}
        own = cattrs.unstructure(self)
        table |= cattrs.unstructure(self.target)
        table["accuracy_ideal"] = self.ideal.accuracy
        names = ("flipped", "margin_flipped", "margin_kept", "circuits_per_image")
        return table | {name: own[name] for name in names} | {"seconds": self.seconds}


def deploy(
    run: Run,
    target: Target,
    *,
    samples: int | None = None,
    folder: Path | None = None,
    progress: Progress = lambda done, total: None,
    measure: Measure | None = None,
) -> Deployment:
    """Runs the circuits of a model's test images on a target, and scores the model.

    Args:
        run: A finished run whose model has a circuit.
        target: Where its circuits run.
        samples: Test images, a stratified sample chosen by the target's seed; all of
            the run where left out.
        folder: Where expectations are kept job by job, so that a call that was
            interrupted goes on; nothing is kept where left out.
        progress: Told after each job.
        measure: What gives the expectations in place of a simulator (see `submit`).

    Raises:
        InputError: For a run without a circuit, more samples than images, a backend of
            too few qubits, a folder that cannot be written or holds damaged files.

    Example:
        >>> from qfm_jax.runs import read_run
        >>> run = read_run("runs/hybrid")  # doctest: +SKIP
        >>> deploy(run, Target(shots=1024), samples=1000).flipped  # doctest: +SKIP
        0.021
    """
    model = load_model(run)
    if not model.circuit_layers:
        must = "name a run whose model has a circuit"
        was = f"{run.directory} holds {run.result.model!r}, which has none"
        raise input_error("RUN", must, was)
    images = sample_of(run, samples, seed=target.seed)
    model = in_evaluation_mode(model)
    features = _in_chunks(lambda pixels: model.features(to_unit(pixels)), images.images)
    exact = _in_chunks(model.block, features)
    weights = [
        np.asarray(layer.weights["weights"][...]) for layer in model.circuit_layers
    ]
    description = cattrs.unstructure(target) | {
        "jobs_of": digest_of([features, *weights])
    }
    jobs = Jobs(folder, description) if folder else None
    start = time.perf_counter()
    if measure:
        measured = measure(model.circuit_layers, features, jobs, progress)
    else:
        measured = _measured(model, features, target, jobs, progress)
    seconds = time.perf_counter() - start
    logits, ideal = (
        np.asarray(model.logits(jnp.asarray(features), jnp.asarray(results)))
        for results in (measured, exact)
    )
    flips = logits.argmax(axis=1) != ideal.argmax(axis=1)
    first, second = np.sort(softmax(ideal, axis=1), axis=1)[:, :-3:-1].T
    margins = first - second
    return Deployment(
        target=target,
        scores=score(logits, images.labels),
        ideal=score(ideal, images.labels),
        flipped=float(flips.mean()),
        margin_flipped=_median(margins[flips]),
        margin_kept=_median(margins[~flips]),
        circuits_per_image=math.prod(features.shape[1:-1]) * len(model.circuit_layers),
        seconds=seconds,
    )


def sample_of(run: Run, samples: int | None, *, seed: int = 0) -> Images:
    """The test images of a run, or a stratified sample of them.

    Raises:
        InputError: For more samples than there are images.
    """
    test = load_data(run, test_size=run.config.data.test_size).test
    if samples is None:
        return test
    check_size("samples", samples, len(test), "Leave it out for all of them.")
    _, chosen = stratified_split(test.labels, samples, seed=seed)
    return Images(test.images[chosen], test.labels[chosen])


def _measured(
    model: Classifier,
    features: np.ndarray,
    target: Target,
    jobs: Jobs | None,
    progress: Progress,
) -> np.ndarray:
    """The expectations of all circuits, (n, ..., n_results), from the target."""
    found = []
    for number, first in enumerate(range(0, len(features), CHUNK)):
        known = jobs.read(number) if jobs else None
        if known is None:
            known = _run_chunk(model, features[first : first + CHUNK], target, number)
            if jobs:
                jobs.write(number, known)
        found.append(known)
        progress(min(first + CHUNK, len(features)), len(features))
    return np.concatenate(found)


def _run_chunk(
    model: Classifier, features: np.ndarray, target: Target, number: int
) -> np.ndarray:
    layers = model.circuit_layers
    results = []
    for i, layer in enumerate(layers):
        share = np.split(features, len(layers), axis=-1)[i]
        # A seed of its own, or the outcomes of all jobs would go together.
        seed = np.random.SeedSequence([target.seed, number, i]).generate_state(1)[0]
        backend = simulator_of(
            target.backend, target.noise, n_qubits=layer.circuit.n_qubits
        )
        function = estimator_function(
            layer.circuit,
            backend,
            target.shots,
            weights=np.asarray(layer.weights["weights"][...]),
            seed=int(seed) // 2,  # Aer takes 31 bits
        )
        flat = share.reshape(-1, share.shape[-1])
        found = np.asarray(jax.vmap(function)(flat))
        results.append(found.reshape(*share.shape[:-1], -1))
    return np.concatenate(results, axis=-1)


def _in_chunks(
    function: Callable[[jax.Array], jax.Array], values: np.ndarray
) -> np.ndarray:
    compiled = jax.jit(function)
    starts = range(0, len(values), CHUNK)
    parts = [values[i : i + CHUNK] for i in starts]
    return np.concatenate([np.asarray(compiled(part)) for part in parts])


def _median(values: np.ndarray) -> float | None:
    return float(np.median(values)) if len(values) else None
