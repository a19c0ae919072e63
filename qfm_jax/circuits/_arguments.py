"""Checks that every embedding and all layers make on their arrays and wires."""

import pennylane as qml
from pennylane.typing import TensorLike
from pennylane.wires import Wires, WiresLike

from .._checks import check_shape, input_error


def check_broadcastable(
    argument: str, array: TensorLike, shape: tuple[int, ...]
) -> None:
    """Raises unless `array` has `shape`, with at most one batch axis in front.

    One is what PennyLane broadcasts; under `jax.vmap` none is visible.
    """
    actual = qml.math.shape(array)
    n_batch_axes = len(actual) - len(shape)
    batch = ("batch",) if n_batch_axes == 1 else ()
    cure = "Use jax.vmap for further batch axes." if n_batch_axes > 1 else ""
    check_shape(argument, actual, (*batch, *shape), cure)


def as_wires(wires: WiresLike | None, n_qubits: int) -> Wires:
    """Returns `n_qubits` wires: those given, else 0, 1, ..."""
    wires = Wires(range(n_qubits) if wires is None else wires)
    if len(wires) != n_qubits:
        must = f"name {n_qubits} wires, one a qubit"
        raise input_error("wires", must, f"names {len(wires)}")
    return wires
