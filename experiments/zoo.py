"""What do the models of the zoo reach, with circuits alone and with few parameters?

Question: test accuracy on all 10,000 images of each model below, trained as its line in
    `TRAININGS` says, chosen on validation images, scored once. Beside two classes also
    logistic regression on the same pixels.

Command:  python experiments/zoo.py
          python experiments/zoo.py --only qcnn compact-hybrid

Expected: an hour on 2 cores for all but the deep ones; --preset smoke (600 images,
    one epoch) 3 minutes. `strong-cnn` takes two hours of a core, the wider hybrid one.

Each model is a run directory under --runs: what is finished is not trained again, what
was interrupted goes on. The file keeps rows that were not asked for. One seed each; the
intervals do not cover its choice.

Why this is not a preset of `compare_models.py`: a record is what a model reaches with
the recipe that suits it, other epochs, images and classes; a comparison is what models
reach with the same. In one table the first would be read as the second.
"""

import dataclasses
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import cattrs
import tyro
from rich.console import Console
from rich.table import Table

from qfm_jax._checks import check_one_of
from qfm_jax.baselines import pixel_features, score_baseline
from qfm_jax.cli import in_sentences
from qfm_jax.cli import main as qfm
from qfm_jax.experiment import load_data
from qfm_jax.runs import Run, read_run, write_json

NARROWER = "--channels 16 32 64 --epochs 16"

TRAININGS = {
    "hamiltonian": "hamiltonian --epochs 15",
    "amplitude": "amplitude --epochs 12",
    "qcnn": "qcnn --epochs 10",
    "compact-hybrid": "compact-hybrid --epochs 18",
    "deep-hybrid": "deep-hybrid",
    "deep-cnn": "deep-cnn",
    "narrower deep-hybrid": f"deep-hybrid {NARROWER} --n-qubits 8",
    "narrower deep-cnn": f"deep-cnn {NARROWER} --n-qubits 8",
    "strong-cnn": "strong-cnn",
    "reuploading": "reuploading",
    "two classes": "amplitude --classes T-shirt/top Trouser --n-qubits 6 "
    "--layers real-amplitudes --n-layers 7 --learning-rate 0.05 --epochs 10",
}
"""Arguments of `qfm train`, by the name of a row."""

SMOKE = "--train-size 600 --epochs 1"


@dataclasses.dataclass(frozen=True)
class Options:
    """What is trained."""

    preset: Literal["smoke", "full"] = "full"
    """600 images and one epoch, or what the table says."""
    only: tuple[str, ...] = tuple(TRAININGS)
    """Names of rows."""
    dataset: str = "fashion-mnist"
    """Name of the data set."""
    runs: Path = Path("runs/zoo")
    """Folder of the run directories."""
    out: Path = Path(__file__).parent / "results" / "zoo.json"
    """JSON file to write."""


def main(argv: Sequence[str] | None = None) -> None:
    options = tyro.cli(Options, args=argv, description=__doc__)
    out = options.out
    stored = json.loads(out.read_text())["rows"] if out.exists() else []
    rows = {(row["preset"], row["name"]): row for row in stored}
    for name in options.only:
        check_one_of("only", name, TRAININGS)
    for name in options.only:
        row = row_of(name, trained(name, options))
        rows[options.preset, name] = {"preset": options.preset, **row}
        out.parent.mkdir(parents=True, exist_ok=True)
        write_json(out, {"rows": list(rows.values())})
    shown = [row for row in rows.values() if row["preset"] == options.preset]
    Console(width=max(Console().width, 100)).print(table_of(shown))
    print(f"Written: {out}")


def trained(name: str, options: Options) -> Run:
    """The finished run of a row: as it stands, continued, or trained."""
    directory = options.runs / options.preset / name.replace(" ", "-")
    if (directory / "scores.json").exists():
        return read_run(directory)
    if (directory / "config.toml").exists():
        arguments = ["train", "--resume", str(directory)]
    else:
        directory.parent.mkdir(parents=True, exist_ok=True)
        smoke = SMOKE.split() if options.preset == "smoke" else []
        where = ["--dataset", options.dataset, "--out", str(directory)]
        arguments = ["train", *TRAININGS[name].split(), *smoke, *where]
    if status := qfm(arguments):
        raise SystemExit(status)
    return read_run(directory)


def row_of(name: str, run: Run) -> dict[str, Any]:
    """A row of the results: configuration, scores, cost."""
    row = {
        "name": name,
        "config": cattrs.unstructure(run.config),
        "result": cattrs.unstructure(run.result),
    }
    if run.config.data.classes:
        data = load_data(run)
        parts = (data.train, data.test)
        train, test = ((pixel_features(part.images), part.labels) for part in parts)
        found = score_baseline("logistic-regression", train, test)
        row["logistic_regression"] = dataclasses.asdict(found)
    return row


def table_of(rows: Sequence[dict[str, Any]]) -> Table:
    table = Table(title="Test accuracy, one seed each")
    table.add_column("model", no_wrap=True)
    for column in ("qubits", "angles", "other", "accuracy, %", "95 %", "s"):
        table.add_column(column, justify="right", no_wrap=True)
    for row in rows:
        result, network = row["result"], row["config"]["network"]
        low, high = result["scores"]["accuracy_interval"]
        table.add_row(
            row["name"],
            str(network["n_qubits"]) if "circuit" in network["block"] else "",
            f"{result['n_parameters_quantum']:,}",
            f"{result['n_parameters_classical']:,}",
            f"{100 * result['scores']['accuracy']:.2f}",
            f"{100 * low:.2f} to {100 * high:.2f}",
            f"{result['seconds_training']:,.0f}",
        )
        if baseline := row.get("logistic_regression"):
            low, high = baseline["accuracy_interval"]
            table.add_row(
                "  logistic regression",
                "",
                "0",
                f"{(baseline['n_features'] + 1):,}",
                f"{100 * baseline['accuracy']:.2f}",
                f"{100 * low:.2f} to {100 * high:.2f}",
                f"{baseline['seconds_training']:,.1f}",
            )
    return table


if __name__ == "__main__":
    sys.exit(in_sentences(main))
