"""From a model to its controls: what an audit retrains beside it, each by one change.

A model's circuit stands in a block (`qfm_jax.models.block`), and a control has another
block. All else is equal, and so is its start, bit for bit, where shapes are. On pixels
alone a head depends on the block: what is bounded by 1 gets a gain.
"""

import dataclasses

from flax import nnx

from .._checks import InputError, check_one_of, input_error
from ..models import Classifier, ModelConfig

QUESTIONS = {
    "removed": "Is anything needed between the features and the head?",
    "linear": "What do linearly reduced features give, with no squashing either?",
    "dense": "Would a dense layer of the same width do as well?",
    "matched": "Would a classical block with about as many parameters do?",
    "frozen": "Does it matter that the circuit is trained?",
    "separable": "Does it matter that the circuit entangles?",
    "fourier": "Is it more than a classical Fourier series of the features?",
}
"""What each control answers; in the order of a report."""

SUBJECTS = {
    "linear": "the circuit with its squashing",
    "frozen": "training the circuit",
    "separable": "entangling",
}
"""What a difference from a control is that of; from all others, `the circuit`."""


@dataclasses.dataclass(frozen=True)
class Control:
    """A model that differs from the audited one in its block alone."""

    name: str
    """A name in `QUESTIONS`."""
    question: str
    """What the comparison with it answers."""
    network: ModelConfig
    """The control as data."""


def build_controls(
    network: ModelConfig, names: tuple[str, ...] = tuple(QUESTIONS)
) -> tuple[Control, ...]:
    """Builds the controls of a model with a circuit; each is traced once.

    Args:
        network: The model; its block is `circuit`.
        names: Which controls, by their names in `QUESTIONS`.

    Raises:
        InputError: For a model without a circuit, an unknown control, or one that
            cannot exist for this model, with the reason.

    Example:
        >>> hybrid = ModelConfig(channels=(4,), block="circuit", n_qubits=3)
        >>> for control in build_controls(hybrid, ("frozen", "dense")):
        ...     print(control.name, control.network.block, control.question)
        frozen frozen Does it matter that the circuit is trained?
        dense dense Would a dense layer of the same width do as well?
    """
    _check_has_circuit(network)
    for name in names:
        check_one_of("controls", name, QUESTIONS)
    return tuple(_control(network, name) for name in dict.fromkeys(names))


def possible_controls(
    network: ModelConfig,
) -> tuple[tuple[Control, ...], dict[str, str]]:
    """All controls that exist for a model, and why each of the others cannot.

    Example:
        >>> network = ModelConfig(
        ...     block="circuit", embedding="amplitude", n_qubits=3, n_layers=1)
        >>> controls, impossible = possible_controls(network)
        >>> len(controls), list(impossible)
        (5, ['matched', 'fourier'])
    """
    _check_has_circuit(network)
    found: list[Control] = []
    impossible: dict[str, str] = {}
    for name in QUESTIONS:
        try:
            found += build_controls(network, (name,))
        except InputError as error:
            impossible[name] = str(error)
    return tuple(found), impossible


def _check_has_circuit(network: ModelConfig) -> None:
    if network.block != "circuit":
        must = "have the block 'circuit', whose contribution an audit measures"
        cure = "Audit hybrid-cnn, for example."
        raise input_error("network", must, f"has {network.block!r}", cure)


def _control(network: ModelConfig, name: str) -> Control:
    if name == "linear" and (network.features == "pixels" or network.patch):
        must = "be another one: pixels are not squashed, so that it is 'removed' again"
        raise input_error("controls", must, "is 'linear'")
    control = Control(name, QUESTIONS[name], dataclasses.replace(network, block=name))
    nnx.eval_shape(lambda: Classifier(control.network, rngs=nnx.Rngs(0)))
    return control
