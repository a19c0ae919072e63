"""Any Flax model with circuits inside, on other devices."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pennylane as qml
from flax import nnx

from .._checks import check_at_least, input_error
from ..circuits import Angles
from ..circuits.qnode import QNodeCircuit
from ..devices import as_jax_function
from ..hardware.estimator import estimator_function
from ..hardware.mitigation import parse_mitigation
from ..hardware.simulators import simulator_of
from ..models.prediction import in_evaluation_mode
from ..models.quantum_layer import QuantumLayer, watching
from .target import Target


def logits_on(target: Target, model: nnx.Module, images: np.ndarray) -> np.ndarray:
    """Logits of a model whose circuits run on a target, in evaluation mode.

    The other layers run here. Where circuits follow each other, the later ones get what
    the earlier ones measured.

    Args:
        target: A simulator or a fake backend; not an IBM device.
        model: Maps float images (batch, height, width[, 3]) in [0, 1] to logits, with
            one QuantumLayer or more inside.
        images: Floats in [0, 1], (n, height, width[, 3]), n >= 1.

    Returns:
        Logits (n, n_classes).

    Raises:
        InputError: For a model that calls no QuantumLayer, a target of IBM's, no image,
            or a backend of too few qubits.

    Example:
        >>> from qfm_jax.models import Classifier, ModelConfig
        >>> config = ModelConfig(hidden=(4,), block="circuit", n_qubits=2)
        >>> model = Classifier(config, rngs=nnx.Rngs(0))
        >>> logits_on(Target("aer", shots=100), model, np.zeros((3, 28, 28))).shape
        (3, 10)
    """
    check_at_least("len(images)", len(images), 1, "Pass at least one image.")
    if target.is_ibm:
        must = "be a simulator or a fake backend for a model of your own"
        cure = "`submit` sends the runs of `qfm train` to IBM's devices."
        raise input_error("target", must, f"is {target.label}", cure)
    batch = jnp.asarray(images, jnp.float32)
    own = in_evaluation_mode(model)
    measured: list[jax.Array] = []
    while True:
        calls = _Calls(measured)
        with watching(calls):
            try:
                logits = own(batch)
            except _AtCircuitError as at:
                number = len(measured)
                measured.append(_measured(at.layer, at.features, target, number))
                continue
        if not measured:
            must = "call a QuantumLayer, whose circuit the target runs"
            raise input_error("model", must, "calls none")
        return np.asarray(logits)


class _AtCircuitError(Exception):
    """A model came to a circuit whose results are not known yet."""

    def __init__(self, layer: QuantumLayer, features: jax.Array):
        super().__init__()
        self.layer, self.features = layer, features


class _Calls:
    """Gives the results that are known to one circuit after the other."""

    def __init__(self, known: list[jax.Array]):
        self.known, self.n_calls = known, 0

    def __call__(self, layer: QuantumLayer, features: jax.Array) -> jax.Array:
        if self.n_calls == len(self.known):
            raise _AtCircuitError(layer, features)
        self.n_calls += 1
        return self.known[self.n_calls - 1]


def _measured(
    layer: QuantumLayer, features: jax.Array, target: Target, number: int
) -> jax.Array:
    """The results (..., n_results) of a circuit on the target."""
    if isinstance(features, jax.core.Tracer):
        must = "call its circuits outside of `jit`, `grad` and `vmap`"
        raise input_error("model", must, "traces one")
    circuit, weights = _as_circuit(layer, features.shape[-1])
    flat = features.reshape(-1, features.shape[-1])
    if target.is_pennylane:
        run = as_jax_function(circuit, target.config)
        each = jax.jit(jax.vmap(lambda sample: run(inputs=sample, weights=weights)))
        return each(flat).reshape(*features.shape[:-1], -1)
    seed = np.random.SeedSequence([target.seed, number]).generate_state(1)[0]
    function = estimator_function(
        circuit,
        simulator_of(target.device, target.noise, n_qubits=circuit.n_qubits),
        target.shots,
        weights=weights,
        seed=int(seed) // 2,  # Aer takes 31 bits
        mitigation=parse_mitigation(target.mitigation),
    )
    found = jax.vmap(function)(np.asarray(flat))
    return jnp.asarray(found).reshape(*features.shape[:-1], -1)


def _as_circuit(layer: QuantumLayer, n_features: int) -> tuple[Any, np.ndarray]:
    """A layer's circuit with one array of weights; a QNode's follow each other."""
    weights = {name: np.asarray(w[...]) for name, w in layer.weights.items()}
    if not isinstance(layer.circuit, qml.QNode):
        return layer.circuit, weights["weights"]
    shapes = {name: weight.shape for name, weight in weights.items()}
    circuit = QNodeCircuit(layer.circuit, shapes, n_features, takes=Angles())
    flat = [weights[name].ravel() for name in circuit.weight_shapes]
    return circuit, np.concatenate(flat) if flat else np.zeros(0)
