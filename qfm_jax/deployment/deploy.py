"""The test images of a finished run on a backend: ideal, with shots, with noise.

Trained layers stay in JAX; the circuits' expectations come from the backend, and what
follows them is JAX again.
"""

import contextlib
import dataclasses
import functools
import math
import re
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import cattrs
import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from scipy.special import softmax

from .._checks import input_error
from ..data import Images
from ..data.split import check_size, stratified_split
from ..devices import DeviceConfig, in_chunks
from ..evaluation import Scores, score
from ..files import locked
from ..hardware.estimator import estimator_function, template_of
from ..hardware.mitigation import parse_mitigation
from ..hardware.primitives import transpiled
from ..hardware.simulators import simulator_of
from ..models import QuantumLayer
from ..models.block import CIRCUIT_BLOCKS
from ..models.prediction import in_evaluation_mode, to_unit
from ..runs.directory import Run
from ..runs.model import load_data, load_model
from .jobs import Jobs, digest_of
from .target import Target

CHUNK = 1000
"""Images of one job; what is interrupted loses at most one."""

HELD = "Wait until it has ended; the same command then takes its results."

Progress = Callable[[int, int], None]
"""Told after each job: images that are done, images in all."""

Layers = Sequence[QuantumLayer]

Measure = Callable[[Layers, np.ndarray, Jobs | None, Progress], np.ndarray]
"""From features (n, ..., n_features) to expectations (n, ..., n_results), by jobs."""


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
    two_qubit_gates: int | None
    """Gates on two qubits of these circuits as they run, without the copies that
    mitigation makes; None where no gate has errors."""
    seconds: float
    """Time that the circuits took, in all sessions where jobs are kept."""

    def as_table(self) -> dict[str, Any]:
        """All figures as plain values; the scores at the top."""
        own = cattrs.unstructure(self)
        table: dict[str, Any] = own["scores"] | own["target"]
        table |= {"label": self.target.label, "accuracy_ideal": self.ideal.accuracy}
        rest = own.keys() - {"scores", "target", "ideal"}
        return table | {name: value for name, value in own.items() if name in rest}


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
            interrupted goes on, and the scores; nothing is kept where left out. One
            process works on it at a time.
        progress: Told after each job.
        measure: What gives the expectations in place of a simulator (see `submit`).

    Raises:
        InputError: For a run without a circuit, more samples than images, a backend of
            too few qubits, a folder that cannot be written or holds damaged files.

    Example:
        >>> from qfm_jax.runs.directory import read_run
        >>> run = read_run("runs/hybrid")  # doctest: +SKIP
        >>> deploy(run, Target(shots=1024), samples=1000).flipped  # doctest: +SKIP
        0.021
    """
    check_has_circuit(run)
    images = sample_of(run, samples, seed=target.seed)
    with locked(folder, HELD) if folder else contextlib.nullcontext():
        return _deploy(run, target, images, folder, progress, measure)


def _deploy(
    run: Run,
    target: Target,
    images: Images,
    folder: Path | None,
    progress: Progress,
    measure: Measure | None,
) -> Deployment:
    """`deploy` of the chosen images, while no other process works on the folder."""
    model = in_evaluation_mode(load_model(run, device=DeviceConfig()))
    parts = nnx.split(model)
    at_once = min(CHUNK, len(images))
    features = in_chunks(functools.partial(_features, *parts), images.pixels, at_once)
    exact = in_chunks(functools.partial(_results, *parts), features, at_once)
    weights = [
        np.asarray(layer.weights["weights"][...]) for layer in model.circuit_layers
    ]
    jobs = None
    if folder:
        # Elsewhere features may differ in the last bit: what is paid for is known by
        # what they are computed from.
        trained = map(np.asarray, jax.tree.leaves(nnx.state(model, nnx.Param)))
        made_of = (
            [images.pixels, *weights, *trained] if measure else [features, *weights]
        )
        jobs = Jobs(folder, _description(target, made_of))
    if target.is_pennylane:
        elsewhere = in_evaluation_mode(load_model(run, device=target.config))
        run_job = functools.partial(_on_pennylane, jax.jit(elsewhere.block))
    else:
        run_job = functools.partial(_on_qiskit, model.circuit_layers, target)
    if measure:
        start = time.perf_counter()
        measured = measure(model.circuit_layers, features, jobs, progress)
        seconds = time.perf_counter() - start
    else:
        size = CHUNK // len(parse_mitigation(target.mitigation).scales)
        measured, seconds = _measured(run_job, features, jobs, progress, max(1, size))
    logits, ideal = (
        np.asarray(model.logits(jnp.asarray(features), jnp.asarray(results)))
        for results in (measured, exact)
    )
    n_circuits = math.prod(features.shape[1:-1]) * len(model.circuit_layers)
    found = _compared(
        target,
        images,
        logits,
        ideal,
        circuits_per_image=n_circuits * len(parse_mitigation(target.mitigation).scales),
        two_qubit_gates=_two_qubit_gates(model.circuit_layers, target),
        seconds=seconds,
    )
    if jobs:
        jobs.write_scores({"model": run.result.model} | found.as_table())
    return found


def _description(target: Target, made_of: Sequence[np.ndarray]) -> dict[str, Any]:
    """What the jobs of a folder have in common."""
    description = cattrs.unstructure(target) | {"jobs_of": digest_of(made_of)}
    if target.mitigation == "none":  # as in folders from before there was any
        del description["mitigation"]
    return description


def _compared(
    target: Target, images: Images, logits: np.ndarray, ideal: np.ndarray, **costs: Any
) -> Deployment:
    """A deployment by the scores of measured and of exact logits."""
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
        **costs,
    )


def deployment_folder(
    run: Run, target: Target, samples: int | None = None, *, submitted: bool = False
) -> Path:
    """Where a run directory keeps what came of a target, and a report looks for it.

    Example:
        >>> from types import SimpleNamespace
        >>> run = SimpleNamespace(directory=Path("run"))
        >>> str(deployment_folder(run, Target("FakeTorino", shots=1024), 500))
        'run/deployments/fake-torino-1-024-shots-500-seed0'
    """
    name = re.sub(r"[^a-z0-9.]+", "-", target.label.lower())
    name += "-submitted" if submitted else ""
    name += f"-{samples or 'all'}-seed{target.seed}"
    return run.directory / "deployments" / name


def check_has_circuit(run: Run) -> None:
    """Raises unless the model of a run has a circuit."""
    if run.config.network.block not in CIRCUIT_BLOCKS:
        must = "name a run whose model has a circuit"
        was = f"{run.directory} holds {run.result.model!r}, which has none"
        raise input_error("RUN", must, was)


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
    return Images(test.pixels[chosen], test.labels[chosen])


RunJob = Callable[[int, np.ndarray], np.ndarray]
"""From a job's number and features to the expectations of its circuits."""


def _measured(
    run_job: RunJob,
    features: np.ndarray,
    jobs: Jobs | None,
    progress: Progress,
    size: int,
) -> tuple[np.ndarray, float]:
    """The expectations of all circuits, (n, ..., n_results), and their seconds."""
    found = []
    for number, first in enumerate(range(0, len(features), size)):
        known = jobs.read_timed(number) if jobs else None
        if known is None:
            start = time.perf_counter()
            values = run_job(number, features[first : first + size])
            known = values, time.perf_counter() - start
            if jobs:
                jobs.write(number, *known)
        found.append(known)
        progress(min(first + size, len(features)), len(features))
    parts, seconds = zip(*found, strict=True)
    return np.concatenate(parts), sum(seconds)


def _on_pennylane(
    block: Callable[[np.ndarray], jax.Array], number: int, features: np.ndarray
) -> np.ndarray:
    return np.asarray(block(features))


def _on_qiskit(
    layers: Sequence[QuantumLayer], target: Target, number: int, features: np.ndarray
) -> np.ndarray:
    shares = np.split(features, len(layers), axis=-1)
    results = []
    for i, (layer, share) in enumerate(zip(layers, shares, strict=True)):
        n_qubits = layer.circuit.n_qubits
        # A seed of its own, or the outcomes of all jobs would go together.
        seed = np.random.SeedSequence([target.seed, number, i]).generate_state(1)[0]
        function = estimator_function(
            layer.circuit,
            simulator_of(target.device, target.noise, n_qubits=n_qubits),
            target.shots,
            weights=np.asarray(layer.weights["weights"][...]),
            seed=int(seed) // 2,  # Aer takes 31 bits
            mitigation=parse_mitigation(target.mitigation),
        )
        found = np.asarray(jax.vmap(function)(share.reshape(-1, share.shape[-1])))
        results.append(found.reshape(*share.shape[:-1], -1))
    return np.concatenate(results, axis=-1)


def _two_qubit_gates(layers: Layers, target: Target) -> int | None:
    """The gates on two qubits of one of each of the circuits, as they run."""
    if not target.errors or target.is_ibm:
        return None
    n_gates = 0
    for layer in layers:
        weights = np.asarray(layer.weights["weights"][...])
        n_qubits = layer.circuit.n_qubits
        backend = simulator_of(target.device, target.noise, n_qubits=n_qubits)
        (circuit,) = transpiled([template_of(layer.circuit, weights).circuit], backend)
        n_gates += circuit.num_nonlocal_gates()
    return n_gates


@functools.partial(jax.jit, static_argnums=0)
def _features(graphdef: nnx.GraphDef, state: nnx.State, images: jax.Array) -> jax.Array:
    features: jax.Array = nnx.merge(graphdef, state).features(to_unit(images))
    return features


@functools.partial(jax.jit, static_argnums=0)
def _results(
    graphdef: nnx.GraphDef, state: nnx.State, features: jax.Array
) -> jax.Array:
    results: jax.Array = nnx.merge(graphdef, state).block(features)
    return results


def _median(values: np.ndarray) -> float | None:
    return float(np.median(values)) if len(values) else None
