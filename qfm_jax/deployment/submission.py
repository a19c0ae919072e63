"""A finished run -> its test images on an IBM device: paid once, fetched by their ids.

Each job is noted in a file before it is sent, and again with its id before anything is
waited for. A process that is killed loses neither: the same call finds the jobs again.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from .._checks import InputError, check_at_least, input_error
from ..hardware.backends import AER, canonical_name, get_backend
from ..runs.directory import Run
from .account import Lookup, lookup_of
from .batch import Order, Part, Say, results
from .deploy import Deployment, Layers, Progress, deploy
from .jobs import Jobs
from .model_circuits import ModelCircuits, images_per_job
from .target import Target


def submit(
    run: Run,
    backend: str,
    *,
    shots: int,
    max_seconds: int,
    folder: Path,
    samples: int | None = None,
    seed: int = 0,
    progress: Progress = lambda done, total: None,
    say: Say = lambda words: None,
    lookup: Lookup | None = None,
) -> Deployment:
    """Sends the circuits of a model's test images to an IBM device, and scores it.

    All jobs are sent in one batch, and then waited for. What is in the folder is not
    sent again: a call that was interrupted, even by `kill -9`, is repeated as it was.

    Args:
        run: A finished run whose model has a circuit.
        backend: `ibm:NAME`; or a fake backend, on which Qiskit's local mode rehearses
            the same for nothing.
        shots: Measurements of each circuit.
        max_seconds: Seconds of QPU that this call may pay for. Nothing is sent where
            the estimate is above it; and each job has its share of them as the limit
            at which IBM cancels it.
        folder: Where jobs, their ids and results are kept.
        samples: Test images, a stratified sample; all of the run where left out.
        seed: Chooses the sample; and of the outcomes in a rehearsal.
        progress: Told after each job: images that are done, images in all.
        say: Told in sentences which jobs are sent and waited for.
        lookup: Finds jobs that were sent before; the account's where left out.

    Raises:
        InputError: As `deploy` does; for a backend that is neither, an estimate above
            `max_seconds`, no account or one that is refused, a job that cannot be sent,
            and jobs that failed or were cancelled, when all others are kept.

    Example:
        >>> from qfm_jax.runs.directory import read_run
        >>> run, folder = read_run("runs/hybrid"), Path("jobs")  # doctest: +SKIP
        >>> submit(  # doctest: +SKIP
        ...     run, "ibm:ibm_torino", shots=1024, max_seconds=60, folder=folder
        ... )
    """
    name = canonical_name(backend)
    if name == AER:
        must = "be ibm:NAME, or a fake backend for a rehearsal"
        cure = "A simulator needs no submission."
        raise input_error("backend", must, f"is {name!r}", cure)
    check_at_least("shots", shots, 1)
    cure = "The dry run says how many to allow."
    check_at_least("max_seconds", max_seconds, 1, cure)

    def measure(
        layers: Layers, features: np.ndarray, jobs: Jobs | None, progress: Progress
    ) -> np.ndarray:
        assert jobs is not None  # there is a folder
        circuits = ModelCircuits(layers)
        size = images_per_job(circuits.per_image(features.shape), shots)
        starts = range(0, len(features), size)
        parts = {n: Part(i, features[i : i + size]) for n, i in enumerate(starts)}
        found = _kept(parts, jobs)

        def tell() -> None:
            done = sum(len(parts[n].features) for n in found)
            progress(done, len(features))

        tell()
        missing = {n: part for n, part in parts.items() if n not in found}
        if missing:
            there = get_backend(name, n_qubits=circuits.n_qubits)
            finder = lookup or lookup_of(there)
            order = Order(circuits, there, jobs, finder, shots, seed, max_seconds, say)
            for number, values in results(order, missing):
                jobs.write(number, values)
                found[number] = values
                tell()
        return np.concatenate([found[n] for n in parts])

    target = Target(name, shots, seed=seed)
    kept: dict[str, Any] = {"samples": samples, "folder": folder}
    return deploy(run, target, **kept, progress=progress, measure=measure)


def _kept(parts: Mapping[int, Part], jobs: Jobs) -> dict[int, np.ndarray]:
    """What earlier calls have fetched."""
    found = {}
    for number, part in parts.items():
        values = jobs.read(number)
        if values is None:
            continue
        if len(values) != len(part.features):
            raise InputError(
                f"Job {number} in {jobs.folder} has results of {len(values)} images, "
                f"and {len(part.features)} are due: it is of another kind. Name "
                "another folder."
            )
        found[number] = values
    return found
