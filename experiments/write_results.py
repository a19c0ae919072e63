"""Do the tables of results say what the raw numbers say?

Question: none of its own. In docs/results.md, docs/reliability.md and the log
    each block between `<!-- results: NAME -->` and `<!-- end -->` is written from the
    files of results/ by the functions of that name in `BLOCKS`, so that no table drifts
    from its numbers.

Command:  make results

Expected: seconds. A file that is missing, damaged or of another version is named, and
    its blocks stay as they are. A test fails where a block differs from its files.
"""

import dataclasses
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import scale_data
import scale_qubits
import tyro
from compare_models import COMPARISON
from result_tables import (
    audit_column,
    audits_block,
    baselines_block,
    bench_records,
    chaos_block,
    circuits_table,
    fronts_block,
    hardware_block,
    images_table,
    in_markdown,
    kernels_block,
    leaderboard_block,
    records_table,
    steps_table,
    training_block,
    widths_table,
    zoo_records,
)

from qfm_jax._checks import InputError, check_one_of
from qfm_jax.cli import in_sentences
from qfm_jax.files import read_table, write_whole

RESULTS = Path(__file__).parent / "results"
ROOT = Path(__file__).parents[1]
NAMES = ("docs/results.md", "experiments/README.md", "docs/reliability.md")
PAGES = tuple(ROOT / name for name in NAMES)
BLOCK = re.compile(r"(<!-- results: (\S+) -->\n)(.*?)(<!-- end -->)", re.DOTALL)

AUDITS = (
    "hybrid-cnn",
    "hybrid-cnn_short",
    "residual-hybrid",
    "quanvolution",
    "amplitude",
    "hamiltonian",
)

DAMAGE = (LookupError, ValueError, TypeError, AttributeError, ArithmeticError)
"""What reading a file raises that holds something else."""


@dataclasses.dataclass(frozen=True)
class Options:
    """What is written."""

    results: Path = RESULTS
    """Folder of the JSON files."""
    pages: tuple[Path, ...] = PAGES
    """Markdown files whose blocks are written."""


def main(argv: Sequence[str] | None = None) -> None:
    options = tyro.cli(Options, args=argv, description=__doc__)
    if not any(options.results.glob("*.json")):
        raise InputError(
            f"{options.results} holds no results, and the tables stay as they are. Run "
            "an experiment first, such as experiments/compare_models.py."
        )
    for page in options.pages:
        text = page.read_text(encoding="utf-8")
        new = rewritten(text, options.results, warn)
        if new != text:
            write_whole(page, new.encode())
        print(f"{'As it was' if new == text else 'Written'}: {page}")


def warn(sentence: str) -> None:
    print(sentence, file=sys.stderr)


def rewritten(text: str, results: Path, warn: Callable[[str], None]) -> str:
    """The page with its blocks written from the files; where one cannot be, it stays.

    Args:
        text: A page in Markdown.
        results: Folder of the JSON files.
        warn: Told of each block that stays as it is, and of the file that is to blame.

    Raises:
        InputError: For a block that has no function in `BLOCKS`.
    """

    def written(block: re.Match[str]) -> str:
        start, name, _, end = block.groups()
        check_one_of("results", name, BLOCKS)
        block_of, files = BLOCKS[name]
        try:
            parts = [read(results / f"{file}.json", get) for file, get in files.items()]
        except InputError as error:
            warn(f"The block {name!r} stays as it is: {error}")
            return block[0]
        return f"{start}{block_of(*parts)}\n{end}"

    return BLOCK.sub(written, text)


def read(path: Path, part_of: Callable[[Any], Any]) -> Any:
    """What a block takes from a file.

    Raises:
        InputError: Naming the file, if it is missing, damaged or of another version.
    """
    formats = (1, 2, 3) if path.stem.startswith("audit_") else FORMATS[path.stem]
    try:
        table = read_table(path)
        if (found := table.get("format")) not in formats:
            was = f"{path} has format {found!r}"
            raise InputError(f"{was}, and {' or '.join(map(repr, formats))} is read.")
        return part_of(table)
    except FileNotFoundError:
        raise InputError(f"{path} is not there.") from None
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}.") from error
    except InputError:
        raise
    except DAMAGE as error:
        raise InputError(f"{path} is damaged: {error!r}.") from error


FORMATS: dict[str, tuple[int | None, ...]] = {
    COMPARISON: (1,),
    "accuracy_vs_cost": (1,),
    "hardware_limits": (1,),
    "zoo": (1,),
    "bench_training": (None,),
    "quantum_kernel": (1,),
    "classical_baselines": (1,),
    "chaos": (1,),
    scale_data.EXPERIMENT: (1,),
    scale_qubits.EXPERIMENT: (1,),
}
"""Versions that are read; files of `qfm audit` have others."""

BLOCKS: dict[str, tuple[Callable[..., str], dict[str, Callable[[Any], Any]]]] = {
    "leaderboard": (str, {COMPARISON: leaderboard_block}),
    "fronts": (str, {"accuracy_vs_cost": fronts_block}),
    "audits": (audits_block, {f"audit_{name}": audit_column for name in AUDITS}),
    "hardware": (str, {"hardware_limits": hardware_block}),
    "records": (
        in_markdown(records_table),
        {"zoo": zoo_records, "bench_training": bench_records},
    ),
    "training": (str, {"bench_training": training_block}),
    "kernels": (str, {"quantum_kernel": kernels_block}),
    "baselines": (str, {"classical_baselines": baselines_block}),
    "chaos": (str, {"chaos": chaos_block}),
    "images": (str, {scale_data.EXPERIMENT: in_markdown(images_table)}),
    "steps": (str, {scale_qubits.EXPERIMENT: in_markdown(steps_table)}),
    "circuits": (str, {scale_qubits.EXPERIMENT: in_markdown(circuits_table)}),
    "widths": (str, {scale_qubits.EXPERIMENT: in_markdown(widths_table)}),
}
"""Each block: what puts it together, and what it takes from each of its files."""


if __name__ == "__main__":
    sys.exit(in_sentences(main))
