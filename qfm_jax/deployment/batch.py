"""Jobs of one evaluation on one backend: sent together, then fetched one by one."""

import dataclasses
import datetime
import math
import uuid
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
from qiskit import QuantumCircuit
from qiskit.exceptions import QiskitError

from .._checks import InputError, input_error
from ..hardware.backends import refused
from ..hardware.cost import FORMULA, SECONDS_PER_JOB
from .account import JobLostError, Lookup, is_local, result_of
from .jobs import Jobs, Submission
from .model_circuits import ModelCircuits, Pub, seconds_of

Say = Callable[[str], None]
"""Told what happens, in a sentence."""


@dataclasses.dataclass(frozen=True, eq=False)
class Part:
    """The images of one job."""

    first: int
    """Number of the first."""
    features: np.ndarray
    """(n, ..., n_features)."""


@dataclasses.dataclass(frozen=True, eq=False)
class Order:
    """What is asked of a backend, and what is known of it."""

    circuits: ModelCircuits
    """What runs."""
    backend: Any
    """Where."""
    jobs: Jobs
    """Where submissions are noted."""
    lookup: Lookup
    """Finds jobs that an earlier process sent."""
    shots: int
    """Measurements of each circuit."""
    seed: int
    """Of the outcomes, in Qiskit's local mode alone."""
    max_seconds: int
    """Seconds of QPU that may be paid for."""
    say: Say
    """Told which jobs are sent and waited for."""

    def n_circuits(self, part: Part) -> int:
        """The circuits of a job."""
        shape = part.features.shape
        return len(part.features) * self.circuits.per_image(shape)


def results(
    order: Order, parts: Mapping[int, Part]
) -> Iterator[tuple[int, np.ndarray]]:
    """Yields the expectations of each job, by its number, as soon as it ends.

    Jobs that are on their way already are not sent again.

    Raises:
        InputError: After all others have been yielded: for an estimate above the
            seconds that may be paid for, for jobs that cannot be sent, and for those
            that ended without a result.
    """
    problems: list[InputError] = []
    flying = _attached(order, parts)
    missing = {n: part for n, part in parts.items() if n not in flying}
    if missing:
        try:
            for number, job in _sent(order, missing):
                flying[number] = job
        except InputError as error:
            problems.append(error)
    for number, job in sorted(flying.items()):
        note = order.jobs.submission(number)
        assert note is not None
        assert note.id is not None
        order.say(f"Waiting for job {note.id} on {note.backend} ...")
        try:
            result = result_of(job, note.id, note.limit)
        except JobLostError as error:
            path = order.jobs.path_of_submission(number)
            problems.append(InputError(f"{error} {_cure(note)} remove {path}"))
        else:
            found = order.circuits.expectations(result, parts[number].features)
            yield number, found
    if problems:
        raise InputError(" ".join(str(problem) for problem in problems))


def _cure(note: Submission) -> str:
    images = f"images {note.first:,} to {note.first + note.images - 1:,}"
    return (
        f"The results of {images} are missing, all others are kept. "
        "https://quantum.cloud.ibm.com/workloads says why; to pay for this job again,"
    )


def _attached(order: Order, parts: Mapping[int, Part]) -> dict[int, Any]:
    """The jobs that an earlier process sent, by their ids or their tags."""
    found = {}
    for number, part in parts.items():
        note = order.jobs.submission(number)
        if note is None:
            continue
        if (note.first, note.images) != (part.first, len(part.features)):
            path = order.jobs.path_of_submission(number)
            raise InputError(
                f"{path} is of {note.images} images from number {note.first}, and the "
                f"job now has {len(part.features)} from {part.first}: they were sent "
                "by another version. Name another folder."
            )
        if note.id is None:
            job = order.lookup.by_tag(note.tag)
            if job is not None:
                order.jobs.note(number, dataclasses.replace(note, id=job.job_id()))
        else:
            job = order.lookup.by_id(note.id)
        if job is not None:
            found[number] = job
    return found


def _sent(order: Order, parts: Mapping[int, Part]) -> Iterator[tuple[int, Any]]:
    """Sends jobs in one batch, within the seconds that may be paid for."""
    from qiskit_ibm_runtime import Batch

    circuits = order.circuits.transpiled(order.backend)
    seconds = _seconds(order, parts, circuits)
    total = sum(seconds.values())
    try:
        with Batch(backend=order.backend) as batch:
            for count, (number, part) in enumerate(parts.items(), start=1):
                share = order.max_seconds * seconds[number] / total
                note = Submission(
                    tag=f"qfm-{uuid.uuid4().hex}",
                    backend=order.backend.name,
                    first=part.first,
                    images=len(part.features),
                    circuits=order.n_circuits(part),
                    shots=order.shots,
                    seconds=seconds[number],
                    limit=min(max(1, int(share)), SECONDS_PER_JOB),
                    when=datetime.datetime.now(datetime.UTC).isoformat("T", "seconds"),
                )
                pubs = order.circuits.pubs(part.features, circuits)
                order.jobs.note(number, note)
                job = _run(order, batch, pubs, number, note)
                note = dataclasses.replace(note, id=job.job_id())
                order.jobs.note(number, note)
                order.say(
                    f"Job {count} of {len(parts)} is {note.id} on {note.backend}: "
                    f"{note.circuits:,} circuits x {note.shots:,} shots, about "
                    f"{note.seconds:.1f} s of QPU."
                )
                yield number, job
    except InputError:
        raise
    except Exception as error:  # of the batch itself
        if is_local(order.backend):
            raise
        raise refused(error) from None


def _seconds(
    order: Order, parts: Mapping[int, Part], circuits: list[list[QuantumCircuit]]
) -> dict[int, float]:
    """Estimated seconds of each job, if they may be paid for."""
    one = [circuit for layer in circuits for circuit in layer]
    try:
        mean = seconds_of(one, order.backend, order.shots) / len(one)
    except QiskitError:
        must = "state the times of its gates, as IBM's backends and their fakes do"
        was = f"is {order.backend.name!r}"
        raise input_error("backend", must, was) from None
    seconds = {n: order.n_circuits(part) * mean for n, part in parts.items()}
    # A limit is in whole seconds, of at least 1.
    needed = max(math.ceil(sum(seconds.values())), len(parts))
    if needed > order.max_seconds:
        n_circuits = sum(map(order.n_circuits, parts.values()))
        must = (
            f"be at least {needed:,}, the estimate for {n_circuits:,} circuits x "
            f"{order.shots:,} shots on {order.backend.name} ({FORMULA})"
        )
        cure = "Take fewer samples or shots, or allow more: nothing was sent."
        raise input_error("max_seconds", must, f"is {order.max_seconds:,}", cure)
    return seconds


def _run(
    order: Order, batch: Any, pubs: list[Pub], number: int, note: Submission
) -> Any:
    from qiskit_ibm_runtime import SamplerV2
    from qiskit_ibm_runtime.exceptions import IBMInputValueError

    options: dict[str, Any] = {
        "max_execution_time": note.limit,
        "environment": {"job_tags": [note.tag]},
    }
    if is_local(order.backend):
        seed = np.random.SeedSequence([order.seed, number]).generate_state(1)[0]
        options["simulator"] = {"seed_simulator": int(seed) // 2}  # Aer takes 31 bits
    try:
        return SamplerV2(mode=batch, options=options).run(pubs, shots=order.shots)
    except IBMInputValueError:
        raise InputError(
            f"{order.backend.name} does not take the circuits: they have gates or "
            "couplings that are not its own, or an angle of rzz outside [0, pi/2]. "
            "Nothing was paid; name another backend."
        ) from None
    except Exception as error:
        if is_local(order.backend):
            raise
        raise InputError(
            f"Job {number} could not be sent ({type(error).__name__}). Those before it "
            "go on. Check the network and the minutes and jobs that your plan has "
            "left; the same command goes on, and sends nothing twice."
        ) from None
