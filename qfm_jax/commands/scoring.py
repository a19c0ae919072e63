"""`qfm predict` and `qfm report`: what finished runs are good for."""

import dataclasses
from pathlib import Path
from typing import Annotated

import numpy as np
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from scipy.special import softmax
from tyro.conf import Positional, arg

from .._checks import InputError, check_at_least, input_error
from ..audit import Audit, read_audit
from ..circuits.table import UnknownCircuitError
from ..data import read_image
from ..data.pictures import check_is_there
from ..evaluation import percent
from ..models.prediction import predict_logits
from ..reporting import write_report
from ..runs.directory import Run, read_run
from ..runs.model import load_model
from ..runs.origin import NotLoadedError
from .options import check_new_file, err


@dataclasses.dataclass(frozen=True)
class Predict:
    """Classifies image files of your own: PNG, JPEG or NumPy `.npy`."""

    directory: Positional[Path]
    """Run directory."""
    images: Positional[tuple[Path, ...]]
    """Image files, such as those that the model was trained on."""
    resize: bool = False
    """Stretch images of another size to that of the training images."""
    top: int = 3
    """Number of classes to show for each image."""

    def run(self) -> None:
        """Prints the likeliest classes of each image."""
        check_at_least("--top", self.top, 1)
        if not self.images:
            raise input_error("IMAGES", "name at least one file", "is empty")
        for path in self.images:
            check_is_there(path)
        run = read_run(self.directory)
        shape = run.result.image_shape
        pixels = np.stack(
            [read_image(p, resize=self.resize, shape=shape) for p in self.images]
        )
        logits = predict_logits(load_model(run), pixels, batch_size=len(pixels))
        probabilities = softmax(logits, axis=1)  # (n_images, n_classes)
        table = Table("image", f"classes by {run.result.model}")
        names = run.result.class_names
        for path, row in zip(self.images, probabilities, strict=True):
            order = np.argsort(-row, kind="stable")[: self.top]
            guesses = ", ".join(f"{names[i]} {percent(row[i])}%" for i in order)
            table.add_row(escape(str(path)), escape(guesses))
        Console().print(table)


@dataclasses.dataclass(frozen=True)
class Report:
    """Writes one report of finished runs, and of audits beside them."""

    directories: Positional[tuple[Path, ...]]
    """Directories of runs, on one data set, and of audits."""
    out: Annotated[Path, arg(help="HTML file to write; it must not exist.")] = Path(
        "report.html"
    )

    def run(self) -> None:
        """Reads what there is, says what is damaged, then writes."""
        if not self.directories:
            raise input_error("RUNS", "name at least one run directory", "is empty")
        check_new_file(self.out)
        results: list[Run | Audit] = []
        damages: list[InputError] = []
        for directory in self.directories:
            try:
                results.append(_read(directory))
            except (NotLoadedError, UnknownCircuitError):
                raise  # it is whole, and the sentence says what to type
            except InputError as error:
                if not _holds_result(directory):
                    raise
                damages.append(error)
        runs = [result for result in results if isinstance(result, Run)]
        audits = [result for result in results if isinstance(result, Audit)]
        if damages and not runs:
            raise damages[0]
        left_out = [f"Left out: {error}" for error in damages]
        for sentence in left_out:
            err.print(f"[yellow]{escape(sentence)}[/]")
        report = write_report(runs, self.out, audits=audits, left_out=left_out)
        print(f"Report: {report}")


def _read(directory: Path) -> Run | Audit:
    is_audit = (directory / "audit.json").exists()
    return read_audit(directory) if is_audit else read_run(directory)


def _holds_result(directory: Path) -> bool:
    """Whether there is a result, however damaged; else the name is a mistake."""
    return any((directory / name).exists() for name in ("scores.json", "audit.json"))
