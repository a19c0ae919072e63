"""What has the study found, on one page?

Question: none of its own. The page shows what the files of results/ hold: all models,
    accuracy against cost, the audits, what hardware would do and cost, how it scales,
    the records; under each number what repeats it.

Command:  make study
          python experiments/write_study.py --preset laptop --out build/study.html

Expected: half a minute on one core, most of it drawing. It trains nothing, and needs no
    network. A file that is damaged or of another version is named, here and on the
    page, and left out; a part whose file is not there has no section.

The numbers are those of the files, and no sentence of the page is older than they are:
all of them are made from the rows.
"""

import dataclasses
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal, TypeVar

import accuracy_vs_cost
import scale_data
import scale_qubits
import tyro
import write_results
from compare_models import COMPARISON, rows_of_preset
from study_parts import (
    comparison_of,
    devices_of,
    priced_rows,
    records_of,
    scaling_of_data,
    scaling_of_qubits,
)

from qfm_jax._checks import InputError, input_error
from qfm_jax.audit import Audit, read_audit
from qfm_jax.audit.records import FORMAT as AUDIT
from qfm_jax.cli import in_sentences
from qfm_jax.files import read_table
from qfm_jax.reporting.audit_report import audit_content
from qfm_jax.reporting.study import Comparison, Study, write_study

T = TypeVar("T")

FILES = {
    COMPARISON: "python experiments/compare_models.py --preset laptop",
    accuracy_vs_cost.EXPERIMENT: "python experiments/accuracy_vs_cost.py "
    "--preset laptop",
    "hardware_limits": "python experiments/hardware_limits.py --runs RUN...",
    scale_qubits.EXPERIMENT: "python experiments/scale_qubits.py --preset laptop",
    scale_data.EXPERIMENT: "python experiments/scale_data.py --preset laptop",
    "zoo": "python experiments/zoo.py",
}
"""The files of the study, with the command that makes each; those of audits beside."""
AUDITS = "qfm audit MODEL --out DIR, and DIR/audit.json as audit_MODEL.json"

UNREADABLE = (*write_results.DAMAGE, AssertionError, StopIteration)
"""What an audit raises whose numbers do not fit together."""


@dataclasses.dataclass(frozen=True)
class Options:
    """What is written."""

    results: Path = write_results.RESULTS
    """Folder of the JSON files."""
    preset: Literal["smoke", "laptop", "full"] | None = None
    """Rows of this preset of compare_models.py; where left out, of the largest that
    has most of the models."""
    out: Path = Path("build") / "study.html"
    """HTML file to write."""


def main(argv: Sequence[str] | None = None) -> None:
    options = tyro.cli(Options, args=argv, description=__doc__)
    study = read_study(options.results, options.preset)
    for note in study.notes:
        print(note, file=sys.stderr)
    print(f"Written: {write_study(study, options.out)}")


def read_study(results: Path, preset: str | None = None) -> Study:
    """All that can be read in a folder, with a note about each file that cannot.

    Raises:
        InputError: If nothing can be read, or there are no rows of the preset that is
            asked for.
    """
    audits = sorted(results.glob("audit_*.json"))
    files = {name: results / f"{name}.json" for name in FILES}
    if not audits and not any(path.exists() for path in files.values()):
        raise InputError(
            f"{results} holds no file of the study, and no page is written. Run an "
            f"experiment first, such as {FILES[COMPARISON]}."
        )
    reading = Reading(results)
    prices = reading.part(accuracy_vs_cost.EXPERIMENT, priced_rows)
    if preset is not None:  # what is asked for is not left out
        check_holds(files[COMPARISON], preset)

    def compared(table: Any) -> Comparison:
        return comparison_of(table, preset, prices or {"rows": []})

    scalings = (
        reading.part(scale_qubits.EXPERIMENT, scaling_of_qubits),
        reading.part(scale_data.EXPERIMENT, scaling_of_data),
    )
    study = Study(
        comparison=reading.part(COMPARISON, compared),
        audits=[audit for path in audits if (audit := reading.audit(path)) is not None],
        devices=reading.part("hardware_limits", devices_of),
        scalings=[scaling for scaling in scalings if scaling is not None],
        records=reading.part("zoo", records_of),
    )
    parts = (study.comparison, study.devices, study.records)
    if not (any(parts) or study.audits or study.scalings):
        raise InputError(
            f"Nothing in {results} can be shown, and no page is written. "
            + " ".join(reading.notes)
        )
    return dataclasses.replace(study, notes=[*reading.notes, *reading.absent(audits)])


class Reading:
    """Reads files, and notes which could not be."""

    def __init__(self, results: Path) -> None:
        self.results = results
        self.notes: list[str] = []
        self._missing: list[str] = []

    def part(self, name: str, part_of: Callable[[Any], T]) -> T | None:
        """What a file gives; None where it cannot be read, or is not there."""
        path = self.results / f"{name}.json"
        if not path.exists():
            self._missing.append(f"{name}.json ({FILES[name]})")
            return None
        try:
            found: T = write_results.read(path, part_of)
        except InputError as error:
            self._leave_out(path, error)
            return None
        return found

    def audit(self, path: Path) -> Audit | None:
        """An audit; None where this version does not read it."""
        try:
            if (found := read_table(path).get("format", AUDIT)) != AUDIT:
                was = f"{path} has format {found!r}, and {AUDIT!r} is read"
                raise InputError(f"{was}. Run the audit again.")
            audit = read_audit(path)
            audit_content(audit)  # what cannot be shown is refused here, by name
        except (*UNREADABLE, OSError) as error:
            self._leave_out(path, error)
            return None
        return audit

    def absent(self, audits: Sequence[Path]) -> list[str]:
        """A note about the files that are not there, with what makes them."""
        missing = [*self._missing, *([] if audits else [f"audit_*.json ({AUDITS})"])]
        said = "Not there, so that their parts are missing: " + "; ".join(missing)
        return [f"{said}."] if missing else []

    def _leave_out(self, path: Path, error: Exception) -> None:
        # The page does not say where this machine keeps its files.
        said = str(error) if isinstance(error, ValueError) else repr(error)
        said = said.replace(f"{path.parent}/", "").removesuffix(".")
        named = said if path.name in said else f"{path.name} is damaged: {said}"
        self.notes.append(f"Left out: {named}.")


def check_holds(path: Path, preset: str) -> None:
    """Raises unless the file holds rows of the preset."""

    def rows_of(table: Any) -> list[Any]:
        return rows_of_preset(table["rows"], preset)

    if not (path.exists() and write_results.read(path, rows_of)):
        must = f"name a preset that {path.name} holds"
        cure = f"Run experiments/compare_models.py --preset {preset} first."
        raise input_error("preset", must, f"it has no row of {preset!r}", cure)


if __name__ == "__main__":
    sys.exit(in_sentences(main))
