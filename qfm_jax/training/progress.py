"""Progress of a training run, an audit or an evaluation, in the terminal."""

from collections.abc import Sequence
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.progress import Progress as RichProgress

from ..parallel import Standing
from .history import EpochRecord


class Progress:
    """A bar over all steps, and a line for each finished epoch.

    Where the output is no terminal, only the lines appear.

    Args:
        epochs: Epochs of the run.
        steps_per_epoch: Steps in each.
        first_step: Steps done before, when a run is resumed.
        enabled: Whether anything is shown.
    """

    def __init__(
        self, epochs: int, steps_per_epoch: int, first_step: int, *, enabled: bool
    ):
        self.epochs = epochs
        self.console = Console(stderr=True, quiet=not enabled)
        self.bar = RichProgress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=None),
            MofNCompleteColumn(),
            TextColumn("{task.fields[figures]}"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=self.console,
            transient=True,
            disable=not (enabled and self.console.is_terminal),
        )
        self.task = self.bar.add_task(
            "starting", total=epochs * steps_per_epoch, completed=first_step, figures=""
        )

    def __enter__(self) -> Self:
        self.bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.bar.stop()

    def note(self, sentence: str) -> None:
        """Prints a sentence that stays."""
        self.console.print(sentence, style="yellow", highlight=False, markup=False)

    def say(self, words: str) -> None:
        """Names what happens now, such as compiling."""
        self.bar.update(self.task, description=words)
        if not self.console.is_terminal:
            self.console.print(words, style="dim")

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
        self.console.print(
            f"epoch {record.epoch:>{len(str(self.epochs))}}/{self.epochs}"
            f"  loss {record.train_loss:.4f}"
            f"  validation {record.validation_loss:.4f}, "
            f"{record.validation_accuracy:.2%}{' *' if best else '  '}"
            f"  {record.seconds:.1f} s  {record.images_per_second:,.0f} images/s",
            highlight=False,
        )


class AuditProgress:
    """A bar over an audit with the time left, and a line for each group of seeds."""

    def __init__(self) -> None:
        self.console = Console(stderr=True)
        self.bar = RichProgress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=None),
            TextColumn("{task.percentage:.0f} %"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=self.console,
            transient=True,
            speed_estimate_period=600,  # an epoch of a group of seeds takes a while
            disable=not self.console.is_terminal,
        )
        self.task = self.bar.add_task("compiling ...", total=1.0)

    def __enter__(self) -> Self:
        self.bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.bar.stop()

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
            self.console.print(f"{done:>4.0%}  {name}", highlight=False)
            return
        accuracies = [record.validation_accuracy for record in records]
        epoch = records[0].epoch
        first, last = seeds[0], seeds[-1]
        who = f"seed {first}" if first == last else f"seeds {first} to {last}"
        description = f"{name}, {who}, epoch {epoch}"
        self.bar.update(self.task, description=description, completed=done)
        self.console.print(
            f"{done:>4.0%}  {description}  validation {min(accuracies):.2%} to "
            f"{max(accuracies):.2%}",
            highlight=False,
        )


class JobProgress:
    """A bar over the images of an evaluation on a device, with the time left.

    Args:
        label: What runs.
    """

    def __init__(self, label: str) -> None:
        self.console = Console(stderr=True)
        self.bar = RichProgress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=None),
            MofNCompleteColumn(),
            TextColumn("images"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=self.console,
            transient=True,
            speed_estimate_period=600,  # a job takes a while
            disable=not self.console.is_terminal,
        )
        self.task = self.bar.add_task(label, total=None)

    def __enter__(self) -> Self:
        self.bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.bar.stop()

    def __call__(self, done: int, total: int) -> None:
        """Shows how many images are done."""
        self.bar.update(self.task, completed=done, total=total)


class UnitProgress:
    """A bar over the units of a scheduler with the time left, and a line for each.

    The address of the scheduler's pages comes first. Nothing is shown before there are
    units.
    """

    def __init__(self) -> None:
        self.console = Console(stderr=True)
        self.bar = RichProgress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=None),
            MofNCompleteColumn(),
            TextColumn("units"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=self.console,
            transient=True,
            speed_estimate_period=600,  # a unit takes a while
            disable=not self.console.is_terminal,
        )
        self.task = self.bar.add_task("", total=None)
        self.standing: Standing | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.bar.stop()

    def __call__(self, now: Standing) -> None:
        """Shows how many units are done, run and have failed."""
        before, self.standing = self.standing, now
        if before is None:
            self.bar.start()
            self._print(f"Dashboard: {now.dashboard}")
        description = f"{now.running} running, {now.failed} failed"
        if now.n_workers == 0:
            description = "waiting for workers"
        ended = now.done + now.failed
        self.bar.update(
            self.task, description=description, completed=ended, total=now.total
        )
        if before is None or ended > before.done + before.failed:
            self._print(
                f"{now.done:>{len(str(now.total))}} of {now.total} units done, "
                f"{description}" + (f"  {now.last}" if now.last else "")
            )

    def _print(self, line: str) -> None:
        self.console.print(line, highlight=False, markup=False)
