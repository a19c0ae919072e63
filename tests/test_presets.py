"""The models and comparisons that have a name."""

import pytest
from flax import nnx

from qfm_jax._checks import InputError
from qfm_jax.models import Classifier, count_parameters
from qfm_jax.presets import COMPARISONS, MODELS, get_comparison, get_preset


def count(name):
    network = get_preset(name).network
    shapes = nnx.eval_shape(lambda: Classifier(network, rngs=nnx.Rngs(0)))
    return count_parameters(shapes)


def test_every_model_is_small_and_only_the_hybrid_has_a_circuit():
    counts = {name: count(name) for name in MODELS}
    assert all(sum(parts) < 100_000 for parts in counts.values())
    assert [name for name, (quantum, _) in counts.items() if quantum] == ["hybrid-cnn"]


def test_parameters_of_the_hybrid_and_its_twin_by_hand():
    convolutions = 9 * 16 + 16 + 9 * 16 * 32 + 32 + 9 * 32 * 64 + 64
    front = convolutions + (3 * 3 * 64) * 64 + 64 + 64 * 8 + 8
    read_out = 8 * 10 + 10
    assert count("hybrid-cnn") == ((2 + 1) * 2 * 8, front + read_out)
    assert count("cnn") == (0, front + 8 * 8 + 8 + read_out)
    assert count("linear") == (0, 784 * 10 + 10)


@pytest.mark.parametrize("comparison", COMPARISONS.values(), ids=list(COMPARISONS))
def test_comparisons_name_models_that_exist(comparison):
    assert set(comparison.models) <= set(MODELS)


def test_unknown_names_are_answered_with_the_nearest():
    with pytest.raises(InputError, match=r"`model` must be one of .* Did you mean 'hy"):
        get_preset("hybrid")
    with pytest.raises(InputError, match=r"`preset` .* 'demmo'. Did you mean 'demo'"):
        get_comparison("demmo")
