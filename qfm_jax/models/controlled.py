"""Any Flax model -> the same model with something else in the place of its circuits."""

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import pennylane as qml
from flax import nnx

from .._checks import check_one_of, input_error
from .block import BLOCKS, build_block
from .quantum_layer import FrozenQuantumParam, QuantumLayer, watching

M = TypeVar("M", bound=nnx.Module)

IN_PLACE = tuple(name for name in BLOCKS if name not in ("circuit", "linear"))
"""Kinds that can stand in the place of a layer: what squashes features is the model's
own, so that `linear` is `removed`."""

_FOR_DECLARED = ("separable", "fourier")


def with_control(
    model: M, kind: str, image_shape: Sequence[int], *, rngs: nnx.Rngs
) -> M:
    """A copy of a model in which a control stands in the place of every QuantumLayer.

    All else is equal, and so are the weights of all other parts.

    Args:
        model: Maps float images (batch, *image_shape) to logits.
        kind: A name in `IN_PLACE` (see `qfm_jax.models.block`).
        image_shape: (height, width), or (height, width, 3) in colour.
        rngs: Flax random number generators; the stream `params` starts the control.

    Raises:
        InputError: For a model without a QuantumLayer, an unknown control, or one that
            cannot stand there, with the reason.

    Example:
        >>> from qfm_jax.models import Classifier, ModelConfig
        >>> config = ModelConfig(hidden=(4,), block="circuit", n_qubits=3)
        >>> model = Classifier(config, rngs=nnx.Rngs(0))
        >>> control = with_control(model, "dense", (28, 28), rngs=nnx.Rngs(1))
        >>> control(jnp.zeros((5, 28, 28))).shape
        (5, 10)
    """
    check_one_of("kind", kind, IN_PLACE)
    widths = _widths(model, image_shape)
    copy = nnx.clone(model)
    places = [
        (path, module)
        for path, module in nnx.iter_modules(copy)
        if isinstance(module, QuantumLayer)
    ]
    if not places:
        must = "have a QuantumLayer, in whose place a control stands"
        raise input_error("model", must, "has none")
    for (path, layer), (n_in, n_out) in zip(places, widths, strict=True):
        control = _control(kind, layer, n_in, n_out, rngs)
        found = jax.eval_shape(control, jax.ShapeDtypeStruct((1, n_in), jnp.float32))
        if found.shape[-1] != n_out:
            must = f"give the {n_out} numbers that what follows the circuit takes"
            was = f"is {kind!r}, which gives {found.shape[-1]}"
            raise input_error("kind", must, was)
        _put(copy, path, control)
    return copy


def _widths(model: nnx.Module, image_shape: Sequence[int]) -> list[tuple[int, int]]:
    """Features and results of each QuantumLayer, in the order of `nnx.iter_modules`."""
    graphdef, state = nnx.split(model)
    widths: dict[int, tuple[int, int]] = {}
    order: list[int] = []

    def logits(state: nnx.State, images: jax.Array) -> jax.Array:
        merged = nnx.merge(graphdef, state, copy=True)
        modules = [module for _, module in nnx.iter_modules(merged)]
        order[:] = [id(m) for m in modules if isinstance(m, QuantumLayer)]

        def note(layer: QuantumLayer, features: jax.Array) -> jax.Array:
            results = layer.exact(features)
            widths[id(layer)] = features.shape[-1], results.shape[-1]
            return results

        with watching(note):
            return merged(images)

    jax.eval_shape(logits, state, jax.ShapeDtypeStruct((1, *image_shape), jnp.float32))
    if len(widths) < len(order):
        must = "call each of its QuantumLayers"
        raise input_error("model", must, f"calls {len(widths)} of {len(order)}")
    return [widths[number] for number in order]


def _control(
    kind: str, layer: QuantumLayer, n_in: int, n_out: int, rngs: nnx.Rngs
) -> Any:
    if kind == "frozen":
        frozen = nnx.clone(layer)
        frozen.weights = nnx.data(
            {
                name: FrozenQuantumParam(weight[...])
                for name, weight in layer.weights.items()
            }
        )
        return frozen
    circuit: Any = layer.circuit
    if isinstance(circuit, qml.QNode):
        if kind in _FOR_DECLARED:
            must = "be another one for a QNode, which declares nothing"
            cure = "Wrap it in a QNodeCircuit."
            raise input_error("kind", must, f"is {kind!r}", cure)
        n_weights = sum(weight.size for weight in layer.weights.values())
        shapes = {"n_features": n_in, "n_observables": n_out}
        circuit = SimpleNamespace(**shapes, weights_shape=(n_weights,))
    return build_block(kind, circuit, device=layer.device, rngs=rngs)


def _put(model: nnx.Module, path: Sequence[Any], part: nnx.Module) -> None:
    """Sets what lies at a path of attributes and positions."""
    if not path:
        must = "be a model with a QuantumLayer inside, not the layer itself"
        raise input_error("model", must, "is a QuantumLayer")
    parent: Any = model
    for key in path[:-1]:
        parent = parent[key] if isinstance(key, int) else getattr(parent, key)
    if isinstance(path[-1], int):
        parent[path[-1]] = part
    else:
        setattr(parent, path[-1], part)
