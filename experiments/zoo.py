"""What do the models of the zoo reach, with circuits alone and with few parameters?

Question: test accuracy on all 10,000 images of each model below, trained as its line in
    `TRAININGS` says, its epoch chosen on validation images. Beside two classes also
    logistic regression on the same pixels. Some recipes were changed after a test score
    was known: README.md says which.

Command:  python experiments/zoo.py
          python experiments/zoo.py --only qcnn compact-hybrid

Expected: an hour on 2 cores for all but the deep ones; --preset smoke (600 images,
    one epoch) 3 minutes. `strong-cnn` and the wider hybrid take an hour of a core each.

Each model is a run directory under --runs: what is finished is not trained again, what
was interrupted goes on, and one of another recipe is refused. One seed each; the
intervals do not cover its choice.

Why this is not a preset of `compare_models.py`: a record is what a model reaches with
the recipe that suits it, other epochs, images and classes; a comparison is what models
reach with the same. In one table the first would be read as the second.
"""

import dataclasses
import functools
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import cattrs
import tyro
from rich.console import Console
from rich.table import Table

from qfm_jax._checks import check_one_of
from qfm_jax.audit.classifiers import pixel_features, score_baseline
from qfm_jax.cli import in_sentences
from qfm_jax.evaluation import percent
from qfm_jax.runs.config import DataConfig, RunConfig, converter
from qfm_jax.runs.directory import Run, read_config, read_run
from qfm_jax.runs.execute import check_same, execute
from qfm_jax.runs.model import load_data
from qfm_jax.runs.presets import get_preset
from qfm_jax.runs.results import Row, measure_missing, read_rows

EXPERIMENT = "zoo"
TWO_CLASSES = ("T-shirt/top", "Trouser")


def recipe(
    model: str,
    training: Mapping[str, Any] | None = None,
    network: Mapping[str, Any] | None = None,
    classes: tuple[str, ...] = (),
) -> RunConfig:
    """A preset, with other values of its training and its network where given."""
    preset = get_preset(model)
    return RunConfig(
        model,
        dataclasses.replace(preset.network, **(network or {})),
        dataclasses.replace(preset.training, **(training or {})),
        DataConfig("fashion-mnist", classes=classes),
    )


RECIPES = {
    "hamiltonian": recipe("hamiltonian", {"epochs": 15}),
    "amplitude": recipe("amplitude", {"epochs": 12}),
    "qcnn": recipe("qcnn", {"epochs": 10}),
    "compact-hybrid": recipe("compact-hybrid", {"epochs": 18}),
    "deep-hybrid": recipe("deep-hybrid"),
    "deep-cnn": recipe("deep-cnn"),
    "strong-cnn": recipe("strong-cnn"),
    "two classes": recipe(
        "amplitude",
        {"epochs": 10, "learning_rate": 0.05},
        {"n_qubits": 6, "layers": "real-amplitudes", "n_layers": 7},
        TWO_CLASSES,
    ),
}
"""What is trained, by the name of a row."""


@dataclasses.dataclass(frozen=True)
class Options:
    """What is trained."""

    preset: Literal["smoke", "full"] = "full"
    """600 images and one epoch, or what the recipes say."""
    only: tuple[str, ...] = tuple(RECIPES)
    """Names of rows."""
    dataset: str = "fashion-mnist"
    """Name of the data set."""
    runs: Path = Path("runs/zoo")
    """Folder of the run directories."""
    out: Path = Path(__file__).parent / "results" / "zoo.json"
    """JSON file to write."""


def main(argv: Sequence[str] | None = None) -> None:
    options = tyro.cli(Options, args=argv, description=__doc__)
    for name in options.only:
        check_one_of("only", name, RECIPES)
    cells = [
        {"preset": options.preset, "name": name, "dataset": options.dataset}
        for name in options.only
    ]
    for row in read_rows(options.out, EXPERIMENT):
        if row["cell"] in cells:
            stored = converter().structure(row["config"], RunConfig)
            check_same(config_of(row["cell"]), stored, options.out, what="a row")
    measure_one = functools.partial(measure, runs=options.runs)
    rows = measure_missing(options.out, EXPERIMENT, cells, measure_one)
    Console(width=max(Console().width, 100)).print(table_of(rows))
    print(f"Written: {options.out}")


def config_of(cell: Mapping[str, Any]) -> RunConfig:
    """The run of a cell: its recipe, on the data set that was asked for."""
    config = RECIPES[cell["name"]]
    data = dataclasses.replace(config.data, name=cell["dataset"])
    if cell["preset"] == "full":
        return dataclasses.replace(config, data=data)
    return dataclasses.replace(
        config,
        data=dataclasses.replace(data, train_size=600),
        training=dataclasses.replace(config.training, epochs=1),
    )


def measure(cell: Mapping[str, Any], *, runs: Path) -> Row:
    """The finished run of a cell: as it stands, continued, or trained."""
    folder = runs / f"{cell['preset']}-{cell['dataset']}"
    directory, config = folder / cell["name"].replace(" ", "-"), config_of(cell)
    is_started = (directory / "config.toml").exists()
    if is_started:
        check_same(config, read_config(directory), directory)
    if (directory / "scores.json").exists():
        return row_of(read_run(directory))
    return row_of(execute(config, directory, resume=is_started))


def row_of(run: Run) -> Row:
    """Configuration, scores and cost; beside some classes logistic regression."""
    row = {
        "config": cattrs.unstructure(run.config),
        "result": cattrs.unstructure(run.result),
        "versions": run.result.versions,
    }
    if run.config.data.classes:
        data = load_data(run)
        parts = (data.train, data.test)
        train, test = ((pixel_features(part.pixels), part.labels) for part in parts)
        found = score_baseline("logistic-regression", train, test)
        row["logistic_regression"] = dataclasses.asdict(found)
    return row


def table_of(rows: Sequence[Row]) -> Table:
    table = Table(title="Test accuracy, one seed each")
    table.add_column("model", no_wrap=True)
    for column in ("qubits", "angles", "other", "accuracy, %", "95 %", "s"):
        table.add_column(column, justify="right", no_wrap=True)
    for row in rows:
        result, network = row["result"], row["config"]["network"]
        low, high = result["scores"]["accuracy_interval"]
        table.add_row(
            row["cell"]["name"],
            str(network["n_qubits"]) if "circuit" in network["block"] else "",
            f"{result['n_parameters_quantum']:,}",
            f"{result['n_parameters_classical']:,}",
            percent(result["scores"]["accuracy"], 2),
            f"{percent(low, 2)} to {percent(high, 2)}",
            f"{result['seconds_training']:,.0f}",
        )
        if baseline := row.get("logistic_regression"):
            low, high = baseline["accuracy_interval"]
            table.add_row(
                "  logistic regression",
                "",
                "0",
                f"{(baseline['n_features'] + 1):,}",
                percent(baseline["accuracy"], 2),
                f"{percent(low, 2)} to {percent(high, 2)}",
                f"{baseline['seconds_training']:,.1f}",
            )
    return table


if __name__ == "__main__":
    sys.exit(in_sentences(main))
