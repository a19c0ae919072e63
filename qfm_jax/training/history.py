"""What training recorded: one line of `metrics.jsonl` for each epoch."""

import dataclasses
import json
import os
from pathlib import Path

from .._checks import InputError
from ..files import write_whole


@dataclasses.dataclass(frozen=True)
class EpochRecord:
    """The figures of one epoch."""

    epoch: int
    """Number of the epoch, from 1."""
    step: int
    """Steps done since the start of the run."""
    train_loss: float
    """Mean cross-entropy of the epoch's batches, as they came, in nats."""
    train_accuracy: float
    """Share of those images that were classified rightly as they came."""
    validation_loss: float
    """Mean cross-entropy of the validation images after the epoch, in nats."""
    validation_accuracy: float
    """Share of the validation images classified rightly after the epoch."""
    learning_rate: float
    """Learning rate of the last step."""
    seconds: float
    """Time of the epoch's steps, without compilation, validation and checkpoints."""
    images_per_second: float
    """Training images divided by `seconds`."""


@dataclasses.dataclass(frozen=True)
class History:
    """All epochs of a run."""

    epochs: tuple[EpochRecord, ...]
    """One record for each epoch, in order."""
    best_epoch: int
    """The epoch whose weights the model has: the best on the validation images."""
    seconds_compiling: float = 0.0
    """Time that the compilation of the training step took, in this process."""
    memory_bytes: int = 0
    """Memory that the compiled step works in, beside its arguments; 0: not known."""

    @property
    def seconds_training(self) -> float:
        """Time of all steps, without compilation, validation and checkpoints."""
        return sum(record.seconds for record in self.epochs)

    @property
    def best(self) -> EpochRecord:
        """The record of the best epoch."""
        return self.epochs[self.best_epoch - 1]


def best_epoch(records: tuple[EpochRecord, ...]) -> int:
    """Finds the highest validation accuracy; of equals the latest.

    Few validation images give many equals, and later ones had the smaller rate.
    """
    return max(records, key=lambda r: (r.validation_accuracy, r.epoch)).epoch


def epochs_since_better(records: tuple[EpochRecord, ...]) -> int:
    """Counts the epochs since the highest validation accuracy was first reached."""
    highest = max(record.validation_accuracy for record in records)
    first = next(r.epoch for r in records if r.validation_accuracy == highest)
    return records[-1].epoch - first


def append_record(path: Path, record: EpochRecord) -> None:
    """Adds a line to `path` and waits until it is on the disk."""
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(dataclasses.asdict(record)) + "\n")
        file.flush()
        os.fsync(file.fileno())


def read_records(path: Path) -> tuple[EpochRecord, ...]:
    """Reads the lines of `path`; a last line cut off by a crash is passed over.

    Raises:
        InputError: For a line, other than a cut last one, that is no epoch's record.
    """
    if not path.exists():
        return ()
    lines = path.read_bytes().split(b"\n")
    records = []
    for number, line in enumerate(lines[:-1], start=1):
        try:
            record = EpochRecord(**json.loads(line))
            if not all(type(v) in (int, float) for v in vars(record).values()):
                raise ValueError("an entry is no number")
            if record.epoch != number:
                raise ValueError(f"it is of epoch {record.epoch}")
            records.append(record)
        except (TypeError, ValueError, RecursionError) as error:
            raise InputError(
                f"Line {number} of {path} is not an epoch's record: {error}. "
                "Restore the file, or start a new run."
            ) from error
    return tuple(records)


def keep_records(path: Path, n_epochs: int) -> tuple[EpochRecord, ...]:
    """Drops the lines behind epoch `n_epochs`, which no checkpoint covers.

    Raises:
        InputError: If lines are missing.
    """
    records = read_records(path)[:n_epochs]
    if len(records) < n_epochs:
        raise InputError(
            f"{path} holds {len(records)} epochs, but the checkpoint beside it "
            f"{n_epochs}. Restore the file, or start a new run."
        )
    lines = [json.dumps(dataclasses.asdict(record)) + "\n" for record in records]
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, "".join(lines).encode())
    return records
