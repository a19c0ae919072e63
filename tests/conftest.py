"""Fixtures that several files share."""
# ruff: noqa: E402 - libraries read what comes first when they are loaded

import importlib
import os
import sys
from pathlib import Path

# Workers share the cores, and OpenMP's threads wait by spinning: Aer and scikit-learn
# take less time with one.
os.environ.setdefault("OMP_NUM_THREADS", "1")

from quick_compiling import compile_quickly

compile_quickly()

import jax
import pytest

import qfm_jax.commands  # noqa: F401 - what it loads is seen below
from qfm_jax.data import load_dataset
from qfm_jax.models import ModelConfig
from qfm_jax.parallel import Scheduler
from qfm_jax.runs.config import DataConfig, RunConfig
from qfm_jax.runs.directory import read_run
from qfm_jax.runs.execute import execute
from qfm_jax.training import TrainConfig

LOADED_BY_COMMANDS = frozenset(sys.modules)
"""What `import qfm_jax.commands` loads: tests, imported later, load more."""


@pytest.fixture(scope="session", autouse=True)
def compilation_cache(tmp_path_factory):
    """Compiles each program once a session, and keeps out of the user's cache."""
    folder = tmp_path_factory.mktemp("cache")
    jax.config.update("jax_compilation_cache_dir", str(folder / "xla"))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("QFM_CACHE_DIR", str(folder))  # of the command line, too
        yield folder


@pytest.fixture(scope="session")
def loaded_by_commands():
    """Names of the modules that every command loads."""
    return LOADED_BY_COMMANDS


@pytest.fixture
def experiment(monkeypatch):
    """Finds a script of experiments/ by its name; it finds the modules beside it."""
    monkeypatch.syspath_prepend(Path(__file__).parents[1] / "experiments")
    return importlib.import_module


@pytest.fixture(scope="session")
def digits():
    """The data set that needs no network: 1,318 / 119 / 360 images."""
    return load_dataset("digits")


@pytest.fixture(scope="session")
def submitted_run(tmp_path_factory):
    """A finished run on digits, of three qubits, that has learned a little."""
    directory = tmp_path_factory.mktemp("submission") / "run"
    network = ModelConfig(block="circuit", n_qubits=3, n_layers=1)
    training = TrainConfig(epochs=2, batch_size=50, learning_rate=0.02)
    data = DataConfig("digits", train_size=200)
    execute(RunConfig("tiny", network, training, data), directory, progress=False)
    return read_run(directory)


@pytest.fixture
def by_xla(monkeypatch):
    """Programs of `qfm.statevector` run without the native kernels."""
    from qfm_jax.simulator import native, simulation

    monkeypatch.setattr(native, "are_there", lambda: False)
    simulation._jitted.clear_cache()
    yield
    simulation._jitted.clear_cache()


@pytest.fixture(scope="module")
def dask_scheduler():
    """A Dask scheduler with two workers, all threads of this process."""
    from distributed import LocalCluster

    with LocalCluster(
        n_workers=2,
        threads_per_worker=1,
        processes=False,
        dashboard_address="127.0.0.1:0",  # the usual port may be another's
    ) as cluster:
        yield Scheduler(cluster.scheduler_address)
