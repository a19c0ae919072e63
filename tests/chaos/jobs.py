"""Three commands that are disturbed: a training, an audit, an evaluation."""

import dataclasses
import shutil
from pathlib import Path

TINY = (
    *("--dataset", "digits", "--train-size", "200", "--test-size", "100"),
    *("--epochs", "3", "--batch-size", "20"),
)
CIRCUIT = ("--n-qubits", "2", "--n-layers", "1", "--channels", "2", "--hidden", "4")


@dataclasses.dataclass(frozen=True)
class Job:
    """A command that is begun, and then continued until it ends."""

    name: str
    """What it is, for a reader."""
    first: tuple[str, ...]
    """Its arguments at first, without the directory."""
    marker: str
    """The file by which a directory can be continued."""

    def begin(self, directory: Path, trained: Path) -> None:
        """Lays out what must be there before the command."""
        if self.name == "evaluation":
            no_lock = shutil.ignore_patterns("lock")
            shutil.copytree(trained, directory, ignore=no_lock)

    def arguments(self, directory: Path) -> list[str]:
        """The command: the first one, or that which goes on."""
        command, *options = self.first
        if self.name == "evaluation":
            return [command, str(directory), *options]
        if (directory / self.marker).exists():
            return [command, "--resume", str(directory)]
        return [*self.first, "--out", str(directory)]


TRAINING = Job(
    "training", ("train", "linear", *TINY, "--checkpoint-seconds", "0"), "config.toml"
)
AUDIT = Job(
    "audit",
    (
        *("audit", "hybrid-cnn", *TINY, *CIRCUIT, "--seeds", "3", "--together", "2"),
        *("--controls", "frozen", "dense", "--rate-factors", "1"),
        *("--baselines", "logistic-regression"),
    ),
    "audit.toml",
)
EVALUATION = Job(
    "evaluation",
    (
        *("evaluate", "--noise", "depolarizing:0.05+readout:0.05"),
        *("--samples", "60", "--shots", "50", "--seed", "5"),
    ),
    "config.toml",
)
JOBS = {job.name: job for job in (TRAINING, AUDIT, EVALUATION)}
