"""A QNode as a circuit: its named weights become one vector."""

import inspect
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import cast

import numpy as np
import pennylane as qml
from pennylane.measurements import ExpectationMP
from pennylane.typing import TensorLike

from .._checks import check_at_least, input_error
from ._arguments import check_broadcastable
from .declaration import Normal, Takes

Shape = int | tuple[int, ...]


@dataclass(frozen=True)
class QNodeCircuit:
    """A QNode with an argument `inputs`, and all that it takes, declared.

    The QNode's own device is not used, but for its wires: the device of the model runs
    it. The weights are one vector, in which those of `weight_shapes` follow each other.

    Raises:
        InputError: For a QNode without `inputs`, `weight_shapes` or `starts` that do
            not match its arguments, or a device without wires 0, 1, ....

    Example:
        >>> from qfm_jax.circuits import Angles
        >>> @qml.qnode(qml.device("qfm.statevector", wires=2))
        ... def turned(inputs, angles, shift):
        ...     qml.AngleEmbedding(inputs, wires=range(2))
        ...     qml.BasicEntanglerLayers(angles, wires=range(2))
        ...     qml.RX(shift, wires=0)
        ...     return [qml.expval(qml.Z(wire)) for wire in range(2)]
        >>> shapes = {"angles": (3, 2), "shift": ()}
        >>> circuit = QNodeCircuit(turned, shapes, n_features=2, takes=Angles())
        >>> circuit.n_qubits, circuit.weights_shape, circuit.n_observables
        (2, (7,), 2)
    """

    qnode: qml.QNode
    """Returns expectation values."""
    weight_shapes: Mapping[str, Shape] = field(hash=False)
    """Shape of each weight argument by name; an int stands for (int,), and 1 or () for
    a scalar, as in PennyLane's TorchLayer."""
    n_features: int
    """Length of `inputs`."""
    takes: Takes
    """What `inputs` are."""
    starts: Mapping[str, Normal] = field(default_factory=dict, hash=False)
    """How each weight argument starts; `Normal()` where left out."""

    def __post_init__(self) -> None:
        shapes = weight_shapes_of(self.qnode, self.weight_shapes)
        object.__setattr__(self, "weight_shapes", shapes)
        check_at_least("n_features", self.n_features, 1)
        wires = self.qnode.device.wires
        if wires is None or set(wires) != set(range(len(wires))):
            must = "have a device of wires 0, 1, ..., such as "
            must += 'qml.device("qfm.statevector", wires=4)'
            raise input_error("qnode", must, f"has the wires {wires}")
        for name, start in self.starts.items():
            if name not in shapes or not isinstance(start, Normal):
                must = f"hold a Normal(...) for some of {list(shapes)}"
                raise input_error("starts", must, f"holds {name!r}: {start!r}")

    @property
    def n_qubits(self) -> int:
        """Number of wires of the QNode's device."""
        return len(self.qnode.device.wires)

    @property
    def weights_shape(self) -> tuple[int]:
        """(n_weights,), all weight arguments one after another."""
        return (sum(map(math.prod, self._shapes.values())),)

    @property
    def weights_start(self) -> Normal | None:
        """How each weight starts; None where nothing is said of any."""
        if not self.starts:
            return None
        starts = [self.starts.get(name, Normal()) for name in self._shapes]
        shapes = self._shapes.values()
        of_all = [
            np.concatenate(
                [
                    np.ravel(np.broadcast_to(getattr(start, part), shape))
                    for start, shape in zip(starts, shapes, strict=True)
                ]
            )
            for part in ("mean", "scale")
        ]
        return Normal(*(tuple(map(float, numbers)) for numbers in of_all))

    @property
    def n_observables(self) -> int:
        """Number of expectation values."""
        inputs, weights = np.full(self.n_features, 0.5), np.zeros(self.weights_shape)
        return len(qml.tape.make_qscript(self)(inputs, weights).measurements)

    def __call__(self, inputs: TensorLike, weights: TensorLike) -> list[ExpectationMP]:
        """Applies the QNode's function to its wires and measures them.

        Args:
            inputs: One sample's, (n_features,).
            weights: (n_weights,).

        Returns:
            n_observables expectation values in [-1, 1].

        Raises:
            InputError: For inputs or weights of another shape.
        """
        check_broadcastable("inputs", inputs, (self.n_features,))
        check_broadcastable("weights", weights, self.weights_shape)
        named, first = {}, 0
        for name, shape in self._shapes.items():
            part = weights[..., first : first + math.prod(shape)]
            batch = qml.math.shape(part)[:-1]
            named[name] = qml.math.reshape(part, (*batch, *shape))
            first += math.prod(shape)
        results = self.qnode.func(inputs=inputs, **named)
        return list(results) if isinstance(results, list | tuple) else [results]

    @property
    def _shapes(self) -> dict[str, tuple[int, ...]]:
        return cast(dict[str, tuple[int, ...]], self.weight_shapes)


def weight_shapes_of(
    qnode: qml.QNode, weight_shapes: Mapping[str, Shape] | None
) -> dict[str, tuple[int, ...]]:
    """The shape of every weight argument of a QNode by name, in the QNode's order.

    Raises:
        InputError: For a QNode without `inputs`, or shapes of other arguments.

    Example:
        >>> @qml.qnode(qml.device("qfm.statevector", wires=1))
        ... def turned(inputs, angle):
        ...     qml.RY(inputs[0] + angle, wires=0)
        ...     return qml.expval(qml.Z(0))
        >>> weight_shapes_of(turned, {"angle": 1})
        {'angle': ()}
    """
    parameters = inspect.signature(qnode.func).parameters
    arguments = list(parameters)
    if "inputs" not in arguments:
        raise input_error(
            "circuit",
            "be a QNode with an argument named `inputs`",
            f"has the arguments {arguments}",
            "Rename the argument that takes the data.",
        )
    given = dict(weight_shapes or {})
    takes_any_name = any(p.kind is p.VAR_KEYWORD for p in parameters.values())
    names = given if takes_any_name else arguments
    wanted = [name for name in names if name != "inputs"]
    if set(wanted) != set(given):
        raise input_error(
            "weight_shapes",
            f"give a shape for each weight argument of the QNode, {wanted}",
            f"has {sorted(given)}",
        )
    return {name: _as_shape(name, given[name]) for name in wanted}


def _as_shape(name: str, shape: Shape) -> tuple[int, ...]:
    lengths = tuple(shape) if isinstance(shape, Iterable) else (shape,)
    for length in lengths:
        check_at_least(f"weight_shapes[{name!r}]", length, 1)
    return () if shape == 1 else lengths
