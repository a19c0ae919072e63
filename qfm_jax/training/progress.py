"""Progress of a training run, an audit or an evaluation, in the terminal."""

from collections.abc import Sequence
from typing import Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from ..parallel import Standing
from .history import EpochRecord


class Bar:
    """A bar with the time left, and lines that stay; where there is no terminal, these.

    Args:
        words: What is under way.
        count: The column that says how much of it is done.
        unit: What is counted.
        total: How much there is, if it is known.
        done: How much was done before.
        enabled: Whether anything is shown.
    """

    def __init__(
        self,
        words: str = "",
        count: ProgressColumn | None = None,
        unit: str = "",
        *,
        total: float | None = None,
        done: int = 0,
        enabled: bool = True,
    ):
        self.console = Console(stderr=True, quiet=not enabled)
        self.bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=None),
            count or MofNCompleteColumn(),
            TextColumn("{task.fields[figures]}"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=self.console,
            transient=True,
            speed_estimate_period=600,  # an epoch, a job or a unit takes a while
            disable=not (enabled and self.console.is_terminal),
        )
        self.task = self.bar.add_task(words, total=total, completed=done, figures=unit)

    def __enter__(self) -> Self:
        self.bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.bar.stop()

    def print(self, line: str, style: str | None = None) -> None:
        """Prints a line that stays."""
        self.console.print(line, style=style, highlight=False, markup=False)


class TrainingProgress(Bar):
    """A bar over all steps, and a line for each finished epoch.

    Args:
        epochs: Epochs of the run.
        steps_per_epoch: Steps in each.
        first_step: Steps done before, when a run is resumed.
        enabled: Whether anything is shown.
    """

    def __init__(
        self, epochs: int, steps_per_epoch: int, first_step: int, *, enabled: bool
    ):
        total = epochs * steps_per_epoch
        super().__init__("starting", total=total, done=first_step, enabled=enabled)
        self.epochs = epochs

    def say(self, words: str) -> None:
        """Names what happens now, such as compiling."""
        self.bar.update(self.task, description=words)
        if not self.console.is_terminal:
            self.print(words, "dim")

    def advance(
        self,
        *,
        epoch: int,
        step: int,
        loss: float,
        accuracy: float,
        images_per_second: float,
    ) -> None:
        """Shows where the run is, with the running figures of the epoch."""
        figures = (
            f"loss {loss:.3f}  acc {accuracy:.1%}  {images_per_second:,.0f} images/s"
        )
        description = f"epoch {epoch}/{self.epochs}"
        self.bar.update(
            self.task, description=description, completed=step, figures=figures
        )

    def finish_epoch(self, record: EpochRecord, *, best: bool) -> None:
        """Prints the line of a finished epoch."""
        self.print(
            f"epoch {record.epoch:>{len(str(self.epochs))}}/{self.epochs}"
            f"  loss {record.train_loss:.4f}"
            f"  validation {record.validation_loss:.4f}, "
            f"{record.validation_accuracy:.2%}{' *' if best else '  '}"
            f"  {record.seconds:.1f} s  {record.images_per_second:,.0f} images/s"
        )


class AuditProgress(Bar):
    """A bar over an audit with the time left, and a line for each group of seeds."""

    def __init__(self) -> None:
        percent = TextColumn("{task.percentage:.0f} %")
        super().__init__("compiling ...", percent, total=1.0)

    def __call__(
        self,
        done: float,
        name: str,
        seeds: Sequence[int],
        records: Sequence[EpochRecord],
    ) -> None:
        """Shows the epoch of a group of seeds, or else what is done."""
        if not records:
            self.bar.update(self.task, description=name, completed=done)
            self.print(f"{done:>4.0%}  {name}")
            return
        accuracies = [record.validation_accuracy for record in records]
        epoch = records[0].epoch
        first, last = seeds[0], seeds[-1]
        who = f"seed {first}" if first == last else f"seeds {first} to {last}"
        description = f"{name}, {who}, epoch {epoch}"
        self.bar.update(self.task, description=description, completed=done)
        self.print(
            f"{done:>4.0%}  {description}  validation {min(accuracies):.2%} to "
            f"{max(accuracies):.2%}"
        )


class JobProgress(Bar):
    """A bar over the images of an evaluation on a device, with the time left.

    Args:
        label: What runs.
    """

    def __init__(self, label: str) -> None:
        super().__init__(label, unit="images")

    def __call__(self, done: int, total: int) -> None:
        """Shows how many images are done."""
        self.bar.update(self.task, completed=done, total=total)


class UnitProgress(Bar):
    """A bar over the units of a scheduler with the time left, and a line for each.

    The address of the scheduler's pages comes first. Nothing is shown before there are
    units.
    """

    def __init__(self) -> None:
        super().__init__(unit="units")
        self.standing: Standing | None = None

    def __enter__(self) -> Self:
        return self

    def __call__(self, now: Standing) -> None:
        """Shows how many units are done, run and have failed."""
        before, self.standing = self.standing, now
        if before is None:
            self.bar.start()
            self.print(f"Dashboard: {now.dashboard}")
        description = f"{now.running} running, {now.failed} failed"
        if now.n_workers == 0:
            description = "waiting for workers"
        ended = now.done + now.failed
        self.bar.update(
            self.task, description=description, completed=ended, total=now.total
        )
        if before is None or ended > before.done + before.failed:
            self.print(
                f"{now.done:>{len(str(now.total))}} of {now.total} units done, "
                f"{description}" + (f"  {now.last}" if now.last else "")
            )
