"""What the jobs of an evaluation gave, on disk: what is paid for is not lost.

jobs.json          what the jobs are of: target, weights and features
job-N.json         the expectations that job N gave, and its seconds
scores.json        what came out, as `Deployment.as_table` has it
submitted-N.json   how job N was sent to an IBM device, and its id there
lock               held while a process works on them
"""

import dataclasses
import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from .._checks import InputError
from ..files import read_table, write_json

JOB_FORMAT = 1
"""Version of these files."""

RUN_AGAIN = "Remove it and start again: the job is run again."
PAID_AGAIN = "Restore it: without it the job is sent, and paid for, again."


def digest_of(arrays: Iterable[np.ndarray]) -> str:
    """A fingerprint of numbers, by which other weights or images are noticed.

    Example:
        >>> digest_of([np.zeros(3)]) == digest_of([np.ones(3)])
        False
    """
    found = hashlib.sha256()
    for array in arrays:
        found.update(str(array.shape).encode() + np.ascontiguousarray(array).tobytes())
    return found.hexdigest()


@dataclasses.dataclass(frozen=True)
class Submission:
    """A job on its way; written before it is sent, and again when it has an id."""

    tag: str
    """By which IBM finds the job where its id was not written down in time."""
    backend: str
    """Where it was sent."""
    first: int
    """Number of its first image."""
    images: int
    """Its images."""
    circuits: int
    """Its circuits."""
    shots: int
    """Measurements of each."""
    seconds: float
    """Estimated seconds of QPU."""
    limit: int
    """Seconds of QPU after which IBM cancels it."""
    when: str
    """When it was sent, UTC."""
    id: str | None = None
    """Its id; None until it has arrived."""


class Jobs:
    """The expectations of jobs, by their numbers.

    Args:
        folder: Where they lie; made where it is missing.
        description: What the jobs are of, as plain values.

    Raises:
        InputError: For a folder of other jobs, damaged files, or one that cannot be
            written.

    Example:
        >>> import tempfile
        >>> jobs = Jobs(Path(tempfile.mkdtemp()) / "jobs", {"backend": "aer"})
        >>> jobs.write(0, np.array([[0.5, -1.0]]))
        >>> jobs.read(0), jobs.read(1)
        (array([[ 0.5, -1. ]]), None)
    """

    def __init__(self, folder: Path | str, description: Mapping[str, Any]):
        self.folder = Path(folder)
        path = self.folder / "jobs.json"
        table = {"format": JOB_FORMAT, **description}
        if path.exists():
            stored = _read(path)
            different = [k for k in table if stored.get(k) != table[k]]
            if different:
                raise InputError(
                    f"{self.folder} holds jobs of another evaluation: its "
                    f"{', '.join(different)} differs. Name another folder."
                )
            return
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            write_json(path, table)
        except OSError as error:
            raise InputError(
                f"{self.folder} cannot be written: {error.strerror}. Name another "
                "folder."
            ) from error

    def read(self, number: int) -> np.ndarray | None:
        """The expectations of a job; None where it has not been run."""
        found = self.read_timed(number)
        return found and found[0]

    def read_timed(self, number: int) -> tuple[np.ndarray, float] | None:
        """The expectations of a job and its seconds; None where it has not been run."""
        path = self._path(number)
        if not path.exists():
            return None
        table = _read(path)
        try:
            values = np.array(table["expectations"], float)
            return values, float(table.get("seconds", 0.0))  # not in the oldest files
        except (KeyError, ValueError, TypeError) as error:
            raise _damaged(path, error) from error

    def write(
        self, number: int, expectations: np.ndarray, seconds: float = 0.0
    ) -> None:
        """Keeps the expectations of a job, and its time: the whole file, or none."""
        table = {"format": JOB_FORMAT, "seconds": seconds}
        table["expectations"] = expectations.tolist()
        write_json(self._path(number), table)

    def write_scores(self, table: Mapping[str, Any]) -> None:
        """Keeps what came out of all jobs, for a report."""
        write_json(self.folder / "scores.json", {"format": JOB_FORMAT, **table})

    def submission(self, number: int) -> Submission | None:
        """How a job was sent; None where it was not."""
        path = self.path_of_submission(number)
        if not path.exists():
            return None
        table = _read(path, PAID_AGAIN)
        try:
            return Submission(**{k: v for k, v in table.items() if k != "format"})
        except TypeError as error:
            raise _damaged(path, error, PAID_AGAIN) from error

    def note(self, number: int, submission: Submission) -> None:
        """Keeps how a job was sent: the whole file, or none."""
        table = {"format": JOB_FORMAT, **dataclasses.asdict(submission)}
        write_json(self.path_of_submission(number), table)

    def path_of_submission(self, number: int) -> Path:
        """The file of a submission; without it the job is sent again."""
        return self.folder / f"submitted-{number}.json"

    def _path(self, number: int) -> Path:
        return self.folder / f"job-{number}.json"


def _read(path: Path, cure: str = RUN_AGAIN) -> dict[str, Any]:
    try:
        table = read_table(path)
        if table["format"] != JOB_FORMAT:
            raise ValueError("it is of another version")
    except (ValueError, KeyError, TypeError) as error:
        raise _damaged(path, error, cure) from error
    return table


def _damaged(path: Path, error: Exception, cure: str = RUN_AGAIN) -> InputError:
    return InputError(f"{path} is damaged: {error}. {cure}")
