"""Data flows one way, and so do the imports; importing does nothing else."""

import ast
import graphlib
import importlib
import subprocess
import sys
from pathlib import Path

import pytest

import qfm_jax

PACKAGE = Path(qfm_jax.__file__).parent

# From pixels to the command line: a module may import those before it, none after.
ORDER = [
    *("_checks", "files", "data", "circuits", "simulator", "devices"),
    *("parallel", "hardware", "models", "training", "estimators", "descriptors"),
    *("evaluation", "runs", "deployment", "audit"),
    *("reporting", "commands", "cli", "__main__"),
]


def module_names():
    """Every module of the package, as "qfm_jax.models.classifier", with its file."""
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = ("qfm_jax", *path.relative_to(PACKAGE).with_suffix("").parts)
        is_package = parts[-1] == "__init__"
        yield ".".join(parts[:-1] if is_package else parts), path


MODULES = dict(module_names())


def imports(module):
    """Full names of all modules that `module` imports, wherever it does so."""
    path = MODULES[module]
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            dots = "." * node.level
            base = importlib.util.resolve_name(dots + (node.module or ""), package)
            inner = {f"{base}.{alias.name}" for alias in node.names} & MODULES.keys()
            # `from . import style` needs the module; its package is loading already.
            yield from inner
            if node.module or not inner:
                yield base


GRAPH = {module: set(imports(module)) & MODULES.keys() for module in MODULES}


def stage(module):
    """The part of the package that a module belongs to: "models", for example."""
    return module.split(".")[1]


def test_every_module_has_its_place_in_the_order():
    assert {stage(module) for module in MODULES if module != "qfm_jax"} <= set(ORDER)


def test_the_graph_is_seen():
    assert "qfm_jax.circuits" in GRAPH["qfm_jax.devices"]
    assert "qfm_jax.circuits.layers" in GRAPH["qfm_jax.circuits.circuit"]
    assert "qfm_jax.models.prediction" in GRAPH["qfm_jax.training.steps"]
    assert "qfm_jax.commands" in GRAPH["qfm_jax.cli"]  # inside a function


@pytest.mark.parametrize("module", sorted(MODULES.keys() - {"qfm_jax"}))
def test_a_module_imports_nothing_that_stands_later(module):
    own = ORDER.index(stage(module))
    imported = GRAPH[module] - {"qfm_jax"}
    assert [name for name in imported if ORDER.index(stage(name)) > own] == []


def test_there_is_no_cycle():
    graphlib.TopologicalSorter(GRAPH).prepare()  # raises CycleError


@pytest.mark.parametrize(
    "part", ["_checks", "data", "training.history", "audit.statistics", "cli"]
)
def test_what_handles_no_arrays_of_jax_imports_no_jax(part):
    of_part = (f"qfm_jax.{part}", f"qfm_jax.{part}.")
    modules = [m for m in MODULES if m == of_part[0] or m.startswith(of_part[1])]
    assert modules
    heavy = {"jax", "flax", "optax", "pennylane"}
    for module in modules:
        assert {name.partition(".")[0] for name in imports(module)} & heavy == set()


@pytest.mark.parametrize(
    "statement",
    ["import qfm_jax", "from qfm_jax.cli import main; main(['--help'])"],
)
def test_neither_the_package_nor_its_help_loads_a_framework(statement):
    ask = "import sys; print(*{name.partition('.')[0] for name in sys.modules})"
    command = [sys.executable, "-c", f"{statement}; {ask}"]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    loaded = set(output.splitlines()[-1].split())
    assert "qfm_jax" in loaded
    assert loaded & {"jax", "flax", "pennylane", "qiskit", "sklearn", "numpy"} == set()


def public_names():
    """(name, module that defines it) of every name in the stub."""
    stub = ast.parse((PACKAGE / "__init__.pyi").read_text(encoding="utf-8"))
    for node in stub.body:
        if isinstance(node, ast.ImportFrom):
            for alias in node.names:
                assert alias.asname == alias.name
                yield alias.name, f"qfm_jax.{node.module}"


PUBLIC = dict(public_names())


@pytest.mark.parametrize("name", PUBLIC)
def test_a_public_name_is_the_object_of_its_module(name):
    module = importlib.import_module(PUBLIC[name])
    assert getattr(qfm_jax, name) is getattr(module, name)


def test_the_names_that_scripts_rely_on_are_public():
    relied_on = {"load_dataset", "QuantumLayer", "DeviceConfig", "as_jax_function"}
    assert relied_on | {"fit"} <= PUBLIC.keys()
    assert set(qfm_jax.__all__) == PUBLIC.keys()
