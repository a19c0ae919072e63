"""A quantum circuit as a Flax layer."""

import functools
import importlib
import math
import sys
from collections.abc import Callable, Hashable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import pennylane as qml
from flax import nnx

from .._checks import check_shape, input_error
from ..circuits import Normal, VariationalCircuit
from ..circuits.declaration import Start, start_of
from ..circuits.qnode import Shape, weight_shapes_of
from ..devices import WHOLE_BATCH_DEVICES, DeviceConfig, as_jax_function, check_memory
from ..parallel.mesh import in_shares

Initializer = Callable[..., jax.Array]

uniform_angles = nnx.initializers.uniform(2 * math.pi)
"""Weights uniform in [0, 2 pi), as PennyLane's TorchLayer starts them."""

ANGLE_SPREAD = 0.1
"""Starts a circuit near its fixed gates alone. From angles all over the circle its
expectations hardly depend on the features, and many starts stay at chance (Zhang et
al., "Escaping from the barren plateau via Gaussian initializations", 2022)."""


class QuantumParam(nnx.Param):
    """A trainable angle of a circuit; lets counts and optimisers tell it apart."""


class FrozenQuantumParam(nnx.Variable):
    """An angle of a circuit that keeps the value it started with."""


class QuantumLayer(nnx.Module):
    """Maps features (..., n_features) to a circuit's results (..., n_outputs).

    Takes a circuit of this project, or, as PennyLane's TorchLayer does, any QNode with
    an argument `inputs` plus `weight_shapes` for all its other arguments. Leading batch
    axes of any rank are mapped by `jax.vmap`, so a circuit is always written for one
    sample. Works inside `nnx.jit`, `nnx.grad` and `nnx.vmap`.

    Args:
        circuit: A circuit (any object of that protocol) or a QNode.
        weight_shapes: For a QNode only: the shape of each weight argument by name;
            an int stands for (int,), and 1 or () for a scalar, as in TorchLayer.
        device: For a circuit only: where it runs; a name stands for its defaults.
        init_method: `initializer(key, shape, dtype)` of all weights, or one for each
            name; where left out, as the circuit declares in `weights_start`, or else
            uniform in [0, 2 pi).
        trainable: Whether the angles are trained, or stay at their start.
        rngs: Flax random number generators; the stream `params` starts the weights.

    Raises:
        InputError: For a QNode without `inputs`, `weight_shapes` that do not match its
            arguments, features of the wrong length, states beyond the memory.

    Example:
        >>> from qfm_jax.circuits import AngleEmbedding, Circuit
        >>> from qfm_jax.circuits import StronglyEntanglingLayers
        >>> circuit = Circuit(AngleEmbedding(3), StronglyEntanglingLayers(3, 2))
        >>> layer = QuantumLayer(circuit, rngs=nnx.Rngs(0))
        >>> layer(jnp.zeros((4, 7, 3))).shape
        (4, 7, 3)
    """

    def __init__(
        self,
        circuit: VariationalCircuit | qml.QNode,
        weight_shapes: Mapping[str, Shape] | None = None,
        *,
        device: DeviceConfig | str | None = None,
        init_method: Initializer | Mapping[str, Initializer] | None = None,
        trainable: bool = True,
        rngs: nnx.Rngs,
    ):
        self.circuit = circuit
        self.device = _as_config(device)
        self.function = _function_of(circuit, self.device)
        shapes = _weight_shapes(circuit, weight_shapes)
        if init_method is None:
            init_method = _declared(circuit)
        inits = _initializers(init_method, shapes)
        kind = QuantumParam if trainable else FrozenQuantumParam
        # A plain dictionary: a weight may be named like a method of nnx.Dict.
        self.weights = nnx.data(
            {
                name: kind(inits[name](rngs.params(), shape, jnp.float32))
                for name, shape in shapes.items()
            }
        )

    def __call__(self, features: jax.Array) -> jax.Array:
        """Runs the circuit on each sample of `features`."""
        if (watcher := _watcher.get()) is not None:
            return watcher(self, features)
        return self.exact(features)

    def exact(self, features: jax.Array) -> jax.Array:
        """The same, whoever watches (see `watching`)."""
        weights = {name: weight[...] for name, weight in self.weights.items()}
        return _run(self.function, self.circuit, self.device, features, weights)

    def __getstate__(self) -> dict[str, Any]:
        """For pickling: the function that runs the circuit is made again."""
        state = dict(super().__getstate__())
        del state["function"]
        return state | {"circuit": _Pickled.of(self.circuit)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """From `__getstate__`."""
        circuit = state["circuit"].circuit
        function = _function_of(circuit, state["device"])
        super().__setstate__(state | {"circuit": circuit, "function": function})


Watcher = Callable[[QuantumLayer, jax.Array], jax.Array]
"""Told of a layer and its features at each call; gives the results in its place."""

_watcher: ContextVar[Watcher | None] = ContextVar("_watcher", default=None)


@contextmanager
def watching(watcher: Watcher) -> Iterator[None]:
    """Lets somebody see, or replace, what every QuantumLayer gives in this context.

    Programs that were compiled before do not ask again: call the model outside of
    `jit`, or in a new one.

    Example:
        >>> from qfm_jax.circuits import build_circuit
        >>> circuit = build_circuit("angle", "real-amplitudes", 2, n_layers=1)
        >>> layer = QuantumLayer(circuit, rngs=nnx.Rngs(0))
        >>> with watching(lambda layer, features: 10 * features):
        ...     layer(jnp.ones((1, 2)))
        Array([[10., 10.]], dtype=float32)
    """
    token = _watcher.set(watcher)
    try:
        yield
    finally:
        _watcher.reset(token)


class _Pickled(NamedTuple):
    """A circuit as it is pickled.

    A decorated QNode hides the function under whose name Python would look for it, so
    that the QNode itself is looked up by its name.
    """

    module: str
    name: str
    value: VariationalCircuit | qml.QNode | None

    @classmethod
    def of(cls, circuit: VariationalCircuit | qml.QNode) -> "_Pickled":
        if isinstance(circuit, qml.QNode):
            module, name = circuit.func.__module__, circuit.func.__qualname__
            if getattr(sys.modules.get(module), name, None) is circuit:
                return cls(module, name, None)
        return cls("", "", circuit)

    @property
    def circuit(self) -> VariationalCircuit | qml.QNode:
        if self.value is not None:
            return self.value
        return getattr(importlib.import_module(self.module), self.name)


_cached_jax_function: Callable[..., Callable[..., jax.Array]] = functools.lru_cache(
    maxsize=128
)(as_jax_function)


def _function_of(
    circuit: VariationalCircuit | qml.QNode, device: DeviceConfig | None
) -> Callable[..., jax.Array]:
    """What runs the circuit. Layers that are alike share it: it tells their programs.

    Only where it is exact and ours: outcomes of shots are drawn from a sequence of the
    device's own, and other simulators may not be called from two threads at once.
    """
    if isinstance(circuit, qml.QNode):
        return as_jax_function(circuit, device)
    device = device or DeviceConfig()
    is_ours = device.name == "qfm.statevector" and device.shots is None
    is_value = isinstance(circuit, Hashable)
    if not (is_ours and is_value):
        return as_jax_function(circuit, device)
    check_memory(circuit.n_qubits, 1)  # of now, and not of when the other was made
    return _cached_jax_function(circuit, device)


def _run(
    function: Callable[..., jax.Array],
    circuit: VariationalCircuit | qml.QNode,
    device: DeviceConfig | None,
    features: jax.Array,
    weights: dict[str, jax.Array],
) -> jax.Array:
    features = jnp.asarray(features)
    length = features.shape[-1] if features.ndim else 0
    if length == 0:
        must = "have a last axis of at least one feature"
        raise input_error("features", must, f"has shape {features.shape}")
    batch_shape = features.shape[:-1]
    if not isinstance(circuit, qml.QNode):
        cure = "Let a layer before the circuit produce as many features as it takes."
        expected = (*batch_shape, circuit.n_features)
        check_shape("features", features.shape, expected, cure)
        if device is not None and device.name in WHOLE_BATCH_DEVICES:
            check_memory(circuit.n_qubits, math.prod(batch_shape))
    flat = features.reshape(-1, length)  # (batch, n_features)

    def run(samples: jax.Array, weights: dict[str, jax.Array]) -> jax.Array:
        return jax.vmap(lambda sample: function(inputs=sample, **weights))(samples)

    results = in_shares(run, flat, weights)
    return results.reshape(*batch_shape, results.shape[-1])


def _as_config(device: DeviceConfig | str | None) -> DeviceConfig | None:
    return DeviceConfig(device) if isinstance(device, str) else device


def _weight_shapes(
    circuit: VariationalCircuit | qml.QNode, weight_shapes: Mapping[str, Shape] | None
) -> dict[str, tuple[int, ...]]:
    """The shape of every weight argument by name, checked against a QNode's own."""
    if not isinstance(circuit, qml.QNode):
        if weight_shapes is not None:
            raise input_error(
                "weight_shapes",
                "be left out for a circuit, which publishes its own `weights_shape`",
                f"is {dict(weight_shapes)}",
            )
        return {"weights": circuit.weights_shape}
    return weight_shapes_of(circuit, weight_shapes)


def initializer_of(start: Start, spread: float = ANGLE_SPREAD) -> Initializer:
    """What draws weights as a circuit declares that they start.

    Args:
        start: From the circuit.
        spread: Standard deviation of normal weights whose scale is 1, radians.

    Example:
        >>> from qfm_jax.circuits import Normal
        >>> draw = initializer_of(Normal(mean=(1.0, 0.0), scale=(0.0, 1.0)))
        >>> draw(jax.random.key(0), (3, 2), jnp.float32)[:, 0]
        Array([1., 1., 1.], dtype=float32)
    """
    normal: Initializer = nnx.initializers.normal(spread)
    if start == Normal():
        return normal

    def draw(key: jax.Array, shape: tuple[int, ...], dtype: Any) -> jax.Array:
        if isinstance(start, Normal):
            mean, scale = (jnp.asarray(part, dtype) for part in vars(start).values())
            return mean + scale * normal(key, shape, dtype)
        low, high = (jnp.asarray(part, dtype) for part in vars(start).values())
        return low + (high - low) * jax.random.uniform(key, shape, dtype)

    return draw


def _declared(circuit: VariationalCircuit | qml.QNode) -> Initializer | None:
    """What a circuit says of its start; None where it says nothing."""
    start = None if isinstance(circuit, qml.QNode) else start_of(circuit)
    return None if start is None else initializer_of(start)


def _initializers(
    init_method: Initializer | Mapping[str, Initializer] | None,
    shapes: Mapping[str, Any],
) -> dict[str, Initializer]:
    if not isinstance(init_method, Mapping):
        return dict.fromkeys(shapes, init_method or uniform_angles)
    if set(init_method) != set(shapes):
        raise input_error(
            "init_method",
            f"be one initializer, or one for each of {sorted(shapes)}",
            f"names {sorted(init_method)}",
        )
    return dict(init_method)
