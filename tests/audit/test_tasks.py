"""What a worker of a scheduler does by itself."""

import dataclasses

import pytest

from qfm_jax._checks import InputError
from qfm_jax.audit import AuditConfig, tasks
from qfm_jax.models import ModelConfig
from qfm_jax.runs.config import DataConfig, RunConfig

NETWORK = ModelConfig(block="circuit", n_qubits=2, n_layers=1)
CONFIG = AuditConfig(RunConfig("tiny", NETWORK, data=DataConfig("digits")), n_seeds=3)


def test_a_worker_holds_the_images_of_all_seeds_once(tmp_path):
    task = tasks.Task(CONFIG, tmp_path, "digits", "tiny", CONFIG.run)
    first = tasks._data(task, (0, 1))
    second = tasks._data(dataclasses.replace(task, name="dense"), (2,))
    assert [*first, *second] == [0, 1, 2]
    assert first[0].test is first[1].test is second[2].test
    with pytest.raises(InputError, match="finds the images of digits, and the audit"):
        tasks._data(dataclasses.replace(task, dataset="mnist"), (0,))
