"""A small folder of results: what the study's page is made from, without training."""

import importlib
import json
import shutil
from pathlib import Path

import pytest
from synthetic_runs import RESULTS

EXPERIMENTS = RESULTS.parent
MODELS = ("linear", "cnn-2k", "hybrid-cnn", "quanvolution", "rbf-svm")
FILES = ("accuracy_vs_cost", "hardware_limits", "scale_qubits", "scale_data", "zoo")


def stored(name):
    """A table of this project's log."""
    return json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8"))


def rows_of(table, *, models=MODELS, preset="laptop"):
    """The rows of a few models."""
    cells = ((row["cell"]["preset"], row["cell"]["model"]) for row in table["rows"])
    wanted = [(preset, model) for model in models]
    return [
        row for row, cell in zip(table["rows"], cells, strict=True) if cell in wanted
    ]


def fill(folder, *, names=None):
    """Copies what the page needs; `names` gives models other names."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in FILES:
        shutil.copy(RESULTS / f"{name}.json", folder)
    shutil.copy(RESULTS / "audit_amplitude.json", folder)
    table = stored("compare_models")
    table["rows"] = rows_of(table)
    for row in table["rows"]:
        row["cell"]["model"] = (names or {}).get(
            row["cell"]["model"], row["cell"]["model"]
        )
    write(folder, "compare_models", table)
    return folder


def write(folder, name, table):
    """Writes a table, or a text as it is, and gives the path."""
    path = Path(folder) / f"{name}.json"
    path.write_text(table if isinstance(table, str) else json.dumps(table), "utf-8")
    return path


def write_page(folder, out):
    """The page of a folder, as the script writes it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(EXPERIMENTS)
        script = importlib.import_module("write_study")
        script.main(["--results", str(folder), "--out", str(out)])
    return out
