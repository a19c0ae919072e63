"""Rows of results -> the tables of the README and the log.

Each function takes what a file of `results/` holds, or a part of it. What is damaged is
not looked for: it raises an InputError or another one of `write_results.DAMAGE`.
"""

import json
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import scale_data
import scale_qubits
from compare_models import COLUMNS, COMPARISON, PLANS, leaderboard, rows_of_preset
from scaling_figures import seed_interval, sweep

from qfm_jax._checks import InputError
from qfm_jax.evaluation import percent

CONTROLS = {
    "frozen": "circuit frozen at its random start",
    "separable": "without its entangling gates",
    "removed": "circuit removed",
    "linear": "removed, features not squashed either",
    "dense": "a dense layer of its width",
    "matched": "a bottleneck of its parameter count",
    "fourier": "a random Fourier series",
}
"""What stands in the circuit's place, in the order of the table."""

Texts = tuple[Sequence[str], list[Any]]
"""The heading of a table and its rows."""

BASELINES_SEE = {
    "pixels": "the best of scikit-learn on all pixels",
    "features": "the best of scikit-learn on the circuit's features",
}
"""What stands beside an audit, by what it sees."""

USUAL_SHOTS = 1024
"""Those of all devices whose name says nothing else."""


def leaderboard_block(table: Any) -> str:
    """The rows of the preset that is shown; says what is missing."""
    presets = (rows_of_preset(table["rows"], name) for name in ("full", "laptop"))
    rows = shown_preset(presets)
    if not rows:
        raise InputError(f"{COMPARISON}.json holds no row of laptop or full.")
    found = {row["cell"]["model"] for row in rows}
    plan, machines = PLANS[rows[0]["cell"]["preset"]], machines_of(rows)
    missing = [f"`{name}`" for name in plan.models if name not in found]
    lines = [
        f"{rows[0]['n_train']:,} images, {plan.epochs} epochs each, "
        f"{rows[0]['n_test']:,} test images; {' and '.join(machines)}"
        + ("." if len(machines) == 1 else ", whose seconds are not comparable."),
        *([f"Not run yet: {', '.join(missing)}."] if missing else []),
    ]
    body = (("`" + name + "`", *rest) for name, *rest in leaderboard(rows))
    return "\n".join(lines) + "\n\n" + markdown(COLUMNS, body)


def shown_preset(presets: Iterable[list[Any]]) -> list[Any]:
    """The rows of the first preset, the larger first, that has most of its models."""
    found = list(presets)
    most = max(map(len, found))
    return next(rows for rows in found if 4 * len(rows) >= 3 * most)


def machines_of(rows: Sequence[Any]) -> list[str]:
    """The machines that rows were measured on, each once."""
    return list(dict.fromkeys(row["versions"]["machine"] for row in rows))


def fronts_block(table: Any) -> str:
    """The Pareto fronts of the largest preset."""
    found = next(
        (table[key] for key in ("fronts_full", "fronts_laptop") if key in table), None
    )
    if found is None:
        raise InputError("accuracy_vs_cost.json holds no fronts of laptop or full.")
    body = (
        (cost, ", ".join(f"`{name}`" for name in names))
        for cost, names in found["fronts"].items()
    )
    return markdown(
        ("cost", "no model is both cheaper and better, cheapest first"), body
    )


def audit_column(table: Any) -> list[str]:
    """An audit as a column: the model, its accuracy, each control, the verdict."""
    epochs = table["config"]["run"]["training"]["epochs"]
    # Formats 1 and 2 call every model a twin.
    results = table["results"] if table["format"] > 2 else table["twins"]
    accuracy = results[table["model"]]["accuracy"]
    mean, sd = statistics.mean(accuracy), statistics.stdev(accuracy)
    cells = []
    for name in CONTROLS:
        found = results.get(name)
        missing = "cannot exist" if name in table["impossible"] else "not asked for"
        cells.append(difference_of(found) if found else missing)
    return [
        f"`{table['model']}`, {table['n_train']:,} images, {epochs} epochs",
        f"{percent(mean, 2)} ± {percent(sd, 2)} %",
        *cells,
        *(best_baseline(table, sees) for sees in BASELINES_SEE),
        f"**{table['verdict']}** (against `{table['control']}`)",
    ]


def best_baseline(table: Any, sees: str) -> str:
    """The best of scikit-learn beside an audit; nothing where none was fitted."""
    found = [b["score"] for b in table.get("baselines", ()) if b["sees"] == sees]
    if not found:
        return ""
    best = max(found, key=lambda score: score["accuracy"])
    return f"{percent(best['accuracy'], 2)} % (`{best['baseline']}`)"


def audits_block(*columns: list[str]) -> str:
    """The audits side by side, differences in points with their 95 % intervals."""
    first = "trained: test accuracy, mean ± sd"
    names = [first, *CONTROLS.values(), *BASELINES_SEE.values(), "verdict"]
    head, *rows = zip(["the circuit is", *names], *columns, strict=True)
    return markdown(head, rows)


def difference_of(control: Mapping[str, Any]) -> str:
    """The model minus a control; of one that learns nothing, that alone."""
    if len(control["dead_seeds"]) == len(control["accuracy"]):
        return "at chance with every seed"
    difference = control["difference"]
    low, high = (percent(limit, 2, "+") for limit in difference["interval"])
    return f"{percent(difference['mean'], 2, '+')} ({low} to {high})"


def hardware_block(table: Any) -> str:
    """A row a device, a column a model."""
    rows = table["rows"]
    models = list(dict.fromkeys((row["model"], row["n_qubits"]) for row in rows))
    found: dict[tuple[int, str], dict[Any, tuple[str, str]]] = {}
    for row in rows:
        model, n_test = (row["model"], row["n_qubits"]), row["n_test"]
        exact = found.setdefault((-n_test, "exact"), {})
        if row["shots"] is None:
            exact[model] = (accuracy_of(row), "")
        else:
            exact.setdefault(model, (f"{percent(row['accuracy_ideal'])}%", ""))
            cells = found.setdefault((-n_test, row["label"]), {})
            cells[model] = (accuracy_of(row), f"{percent(row['flipped'])}%")
    head = ["device", "test images"]
    for name, n_qubits in models:
        head += [f"`{name}`, {n_qubits} qubits, 95 % interval", "flipped"]
    body = [
        (
            label.replace(f", {USUAL_SHOTS:,} shots", ""),
            f"{-n_test:,}",
            *(text for model in models for text in cells.get(model, ("", ""))),
        )
        for (n_test, label), cells in sorted(found.items(), key=lambda item: item[0][0])
    ]
    return markdown(head, body)


Record = tuple[tuple[bool, float], tuple[str, ...]]
"""A row of the records with its place: ten classes first, best first."""


def of_record(rows: Sequence[Any]) -> list[Any]:
    """The rows of recipes that are shown: no trials, and one data set alone."""
    standard = {"preset": "full", "dataset": "fashion-mnist"}
    return [row for row in rows if standard.items() <= row["cell"].items()]


def zoo_records(table: Any) -> list[Record]:
    """What recipes reached; beside some classes logistic regression on the same."""
    records: list[Record] = []
    for row in of_record(table["rows"]):
        config, result = row["config"], row["result"]
        network, classes = config["network"], config["data"]["classes"]
        name = f"`{config['model'] if classes else row['cell']['name']}`"
        both = [f"{result[f'n_parameters_{k}']:,}" for k in ("quantum", "classical")]
        texts = (
            ", ".join([name, *([" or ".join(classes)] if classes else [])]),
            str(network["n_qubits"]) if network["block"] == "circuit" else "",
            " + ".join(both) if result["n_parameters_quantum"] else both[1],
            str(config["training"]["epochs"]),
            accuracy_of(result["scores"]),
        )
        rank = (bool(classes), -result["scores"]["accuracy"])
        records.append((rank, texts))
        if found := row.get("logistic_regression"):
            about = (
                "logistic regression on these two",
                "",
                f"{found['n_features'] + 1:,}",
            )
            rank = (bool(classes), -found["accuracy"])
            records.append((rank, (*about, "", accuracy_of(found))))
    return records


def bench_records(table: Any) -> list[Record]:
    """What the models whose epochs are timed reached."""
    return [
        (
            (False, -row["accuracy"]),
            (
                *(f"`{row['model']}`", "", f"{row['n_parameters']:,}"),
                *(str(row["epochs"]), accuracy_of(row)),
            ),
        )
        for row in table["models"]
    ]


def records_table(*parts: list[Record]) -> Texts:
    """All records, those of ten classes first."""
    names = ("model", "qubits", "parameters: angles + other", "epochs")
    records = sorted((record for part in parts for record in part), key=lambda r: r[0])
    rows = [texts for _, texts in records]
    return (*names, "test accuracy, 95 % interval"), rows


def kernels_block(table: Any) -> str:
    """A row a kernel and number of training images, of the usual setting alone."""
    usual = {"dataset": "fashion-mnist", "n_qubits": 8, "seed": 0}
    rows = [
        row for row in larger(table["rows"]) if usual.items() <= row["cell"].items()
    ]
    body = (
        (
            row["cell"]["kernel"],
            f"{row['n_train']:,}",
            f"{row['scale']:g}",
            f"{row['C']:g}",
            f"{percent(row['validation_accuracy'], 2)}%",
            accuracy_of(row),
            f"{row['seconds']:,.0f}",
        )
        for row in rows
    )
    chosen = ("scale", "C", "validation accuracy", "test accuracy, 95 % interval", "s")
    return markdown(("kernel", "training images", *chosen), body)


def larger(rows: Sequence[Any]) -> list[Any]:
    """The rows of all presets but smoke."""
    return [row for row in rows if row["cell"]["preset"] != "smoke"]


def baselines_block(table: Any) -> str:
    """scikit-learn's classifiers on a circuit's features and on all pixels."""
    rows = larger(table["rows"])
    run = rows[0]["cell"]["run"]
    if any(row["cell"]["run"] != run for row in rows):
        raise InputError("classical_baselines.json holds rows of several runs.")
    whole = (
        "the circuit's",
        f"`{run['model']}`, trained as a whole",
        *(f"{run['n_train']:,}", "", accuracy_of(run), ""),
    )
    body = [
        (
            row["cell"]["features"],
            f"`{row['baseline']}`",
            f"{row['n_train']:,}",
            str(row["n_features"]),
            accuracy_of(row),
            f"{row['seconds_training']:.1f}",
        )
        for row in rows
    ]
    head = ("features", "classifier", "training images", "numbers an image")
    return markdown((*head, "test accuracy, 95 % interval", "fit, s"), [whole, *body])


def training_block(table: Any) -> str:
    """What an epoch costs."""
    names = ("s an epoch", "s for 60,000", "ratio", "compiling, s", "peak, GiB")
    body = (
        (
            f"`{row['model']}`",
            accuracy_of(row),
            f"{row['n_parameters']:,}",
            f"{row['seconds_per_epoch']:.1f}",
            f"{row['seconds_per_epoch_60000']:.1f}",
            f"{row['ratio']:.2f}",
            f"{row['seconds_compiling']:.1f}",
            f"{row['peak_memory_gib']:.2f}",
        )
        for row in table["models"]
    )
    head = ("model", "test accuracy, 95 % interval", "parameters", *names)
    return markdown(head, body)


def chaos_block(table: Any) -> str:
    """A row a kind of fault: how many were tried and lost, with each seed."""
    found: dict[str, dict[int, tuple[int, int]]] = {}
    for row in table["rows"]:
        note = f" ({row['notes']})" if row["notes"] else ""
        counts = found.setdefault(f"{row['cell']['fault']}{note}", {})
        counts[row["cell"]["seed"]] = row["tried"], row["lost"]
    seeds = sorted({seed for counts in found.values() for seed in counts})
    found["all"] = {
        seed: (
            sum(counts.get(seed, (0, 0))[0] for counts in found.values()),
            sum(counts.get(seed, (0, 0))[1] for counts in found.values()),
        )
        for seed in seeds
    }
    head = [f"{what}, SEED={seed}" for seed in seeds for what in ("tried", "lost")]
    body = (
        (fault, *(f"{n:,}" for seed in seeds for n in counts.get(seed, (0, 0))))
        for fault, counts in found.items()
    )
    return markdown(("fault", *head), body)


def accuracy_of(scores: Mapping[str, Any]) -> str:
    """Accuracy and interval, with as many digits as the number of images allows."""
    digits = 2 if scores.get("n_test", 10_000) > 1000 else 1
    low, high = scores["accuracy_interval"]
    return "{:.{n}%} ({:.{n}%} to {:.{n}%})".format(
        scores["accuracy"], low, high, n=digits
    )


def images_table(table: Any) -> Texts:
    """Accuracies of the largest preset, by what is changed: a column a model."""
    plan, rows = largest_preset(scale_data, table["rows"])
    base = scale_data.base_of(plan)
    models = list(scale_data.MODELS)
    body = []
    for name, label in scale_data.LABELS.items():
        for value in sorted(getattr(plan, name)):
            same = [r for r in sweep(rows, name, base) if r["cell"][name] == value]
            found = {row["cell"]["model"]: mean_of_seeds(row) for row in same}
            said = f"{value:,g}" + (" (usual)" if value == base[name] else "")
            body.append([label, said, *(found[model] for model in models)])
    return ["what", "is", *(f"`{model}`" for model in models)], body


def mean_of_seeds(row: Any) -> str:
    """The mean of the seeds in per cent, with its interval."""
    low, high = seed_interval(row["accuracy"])
    mean = percent(statistics.mean(row["accuracy"]))
    return f"{mean} ({percent(low)}\N{EN DASH}{percent(high)})"


def steps_table(table: Any) -> Texts:
    """Milliseconds and memory of a step by qubits, of the largest preset."""
    plan, rows = largest_preset(scale_qubits, table["rows"])
    steps = [row for row in rows if row["cell"]["part"] == "step"]
    cells = {tuple(row["cell"].values())[1:]: row for row in steps}
    numbers = sorted({n for of_batch in plan.step_qubits.values() for n in of_batch})
    body = []
    for n in numbers:
        line = [str(n)]
        for batch in plan.step_qubits:
            row = cells.get((n, plan.step_depth, batch))
            line += ["", ""] if row is None else [_time(row), _memory(row)]
        body.append(line)
    head = ["qubits"]
    for batch in plan.step_qubits:
        samples = "1 sample" if batch == 1 else f"{batch} samples"
        head += [f"{samples}, ms (quartiles)", "MiB"]
    return head, body


def _time(row: Any) -> str:
    quartiles = (1e3 * t for t in statistics.quantiles(row["times_s"]))
    low, middle, high = (f"{t:.3g}" if t < 1e3 else f"{t:,.0f}" for t in quartiles)
    return f"{middle} ({low}\N{EN DASH}{high})"


def _memory(row: Any) -> str:
    return f"{row['memory_bytes'] / 2**20:.3g}"


def circuits_table(table: Any) -> Texts:
    """What circuits with random weights are like, by qubits, shallow and deep."""
    plan, rows = largest_preset(scale_qubits, table["rows"])
    body = []
    for row in (row for row in rows if row["cell"]["part"] == "random"):
        cell, slopes = row["cell"], row["gradient_variance"]
        if cell["n_qubits"] in plan.random_qubits.get(cell["n_layers"], ()):
            several = (*slopes.values(), row["expressibility"])
            said = [f"{value:.2g} ± {error:.1g}" for value, error in several]
            measure, error = row["entangling_capability"]
            body.append(
                [
                    *(str(cell["n_layers"]), str(cell["n_qubits"])),
                    *said,
                    f"{row['expressibility_floor']:.2g}",
                    f"{measure:.3f} ± {error:.3f}",
                ]
            )
    head = ["layers", "qubits", "variance of a gradient, <Z> of one qubit", "of all"]
    head += ["expressibility", "of Haar states so many", "entangling capability"]
    return head, body


def widths_table(table: Any) -> Texts:
    """Test accuracy by qubits and layers, with the circuit and with its controls."""
    _, rows = largest_preset(scale_qubits, table["rows"])
    trained = [row for row in rows if row["cell"]["part"] == "accuracy"]
    models = list(scale_qubits.BLOCKS)
    pairs = sorted({(r["cell"]["n_qubits"], r["cell"]["n_layers"]) for r in trained})
    body = []
    for pair in pairs:
        found = {
            row["cell"]["model"]: mean_of_seeds(row)
            for row in trained
            if (row["cell"]["n_qubits"], row["cell"]["n_layers"]) == pair
        }
        body.append([*map(str, pair), *(found.get(model, "") for model in models)])
    return ["qubits", "layers", *models], body


def largest_preset(experiment: Any, rows: Sequence[Any]) -> tuple[Any, list[Any]]:
    """The plan of the largest preset that was run to its end, and its rows."""
    for name in ("full", "laptop"):
        plan, options = experiment.PLANS[name], experiment.Options(preset=name)
        cells = json.loads(json.dumps(experiment.cells_of(plan, options)))
        found = [row for row in rows if row["cell"] in cells]
        if len(found) == len(cells):
            return plan, found
    file = f"{experiment.EXPERIMENT}.json"
    raise InputError(f"{file} holds neither all rows of full nor all of laptop.")


def in_markdown(table_of: Callable[..., Texts]) -> Callable[..., str]:
    """The block of a table."""
    return lambda *parts: markdown(*table_of(*parts))


def markdown(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table in Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
