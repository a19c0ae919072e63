"""What an audit is made of: a configuration that is checked, a choice that is told."""

import dataclasses

import pytest

from qfm_jax._checks import InputError
from qfm_jax.audit import AuditConfig
from qfm_jax.audit.records import Tuning
from qfm_jax.models import ModelConfig
from qfm_jax.runs.config import RunConfig
from qfm_jax.training import TrainConfig

RUN = RunConfig("tiny", ModelConfig(block="circuit", n_qubits=2, n_layers=1))
CONFIG = AuditConfig(RUN, n_seeds=2)


def test_the_lower_of_equal_rates_is_taken_and_an_edge_is_named():
    tuning = Tuning("tiny", "digits", (0.1, 0.2, 0.4), ((0.5,), (0.7,), (0.7,)))
    assert tuning.learning_rate == 0.2
    assert not tuning.is_at_edge
    falling = dataclasses.replace(tuning, accuracy=((0.9,), (0.7,), (0.7,)))
    assert (falling.learning_rate, falling.is_at_edge) == (0.1, True)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"n_seeds": 1}, "`seeds` must be .* at least 2, but is 1. One seed cannot"),
        ({"together": 0}, "`together` must be .* at least 1, but is 0"),
        ({"tuning_seeds": 0}, "`tuning_seeds` must be .* at least 1, but is 0"),
        ({"rate_factors": ()}, r"`rate_factors` must hold one number at .* is \[\]"),
        (
            {"rate_factors": (1.0, 1.0)},
            r"`rate_factors` .* none twice, but is \[1.0, 1",
        ),
        ({"rate_factors": (0.0,)}, "`rate_factors` must lie in .* but is 0.0"),
        (
            {"run": dataclasses.replace(RUN, model="dense")},
            "`model` must be the name of a folder, and of no control, but is 'dense'",
        ),
        (
            {"run": dataclasses.replace(RUN, model="../tiny")},
            r"`model` must be the name of a folder, .* is '\.\./tiny'",
        ),
        (
            {"controls": ("frozen", "separable")},
            r"`controls` must hold a control without a circuit: one of removed, linear",
        ),
        (
            {"run": dataclasses.replace(RUN, training=TrainConfig(patience=3))},
            "`patience` must be 0 in an audit, where seeds train together, but is 3",
        ),
    ],
)
def test_a_configuration_is_checked(changes, sentence):
    with pytest.raises(InputError, match=sentence):
        dataclasses.replace(CONFIG, **changes)
