"""What an operation of PennyLane is to the simulator: one gate, or others in order.

One rule says what is read without its values: PennyLane's own gates of `gates.ANGLES`
and `gates.SEVERAL`, and plain matrices. PennyLane decomposes everything else at every
call, with the actual values, which JAX may be tracing: so abs, clip and where in a
decomposition, and attributes and settings that a user's own code reads, mean what they
mean there. Whether a matrix is unitary is found from its numbers.
"""

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import jax
import numpy as np
import pennylane as qml
from pennylane import math
from pennylane.exceptions import DeviceError, PowUndefinedError
from pennylane.operation import Operator
from scipy import sparse

from .._checks import InputError, input_error
from .gates import (
    ANGLES,
    DIAGONAL_MATRIX,
    FIXED,
    MATRIX,
    SEVERAL,
    Constant,
    Named,
    controlled_diagonal,
    controlled_matrix,
)
from .tape import MAX_MATRIX_WIRES

MAX_DENSE_WIRES = 10
"""A wider operation that has no decomposition is refused."""
NO_EFFECT = (qml.Identity, qml.Barrier, qml.Snapshot, qml.WireCut)
UNITARY = (qml.SpecialUnitary, qml.PCPhase, qml.BlockEncode)
"""Operations whose matrix is unitary by definition, whatever is traced."""


class UnsupportedOperationError(InputError, DeviceError):
    """PennyLane expects its DeviceError, this package's users an InputError."""


class CannotBroadcast(Exception):  # noqa: N818 - control flow, never seen by a user
    """An operation has a batch, which PennyLane's own code of it does not carry."""


@dataclass(frozen=True)
class Single:
    """An operation that is one gate, with the values of its parameters."""

    tree: Any
    """As `Gate.tree`."""
    wires: tuple[Any, ...]
    values: tuple[Any, ...] = ()
    scale: float = 1.0
    unitary: bool = True
    controls: tuple[bool, ...] = ()


def concrete(value: Any) -> np.ndarray | None:
    """The numbers, where they are known now; None where JAX traces them."""
    while hasattr(value, "_trace") and hasattr(value, "_value"):
        value = value._value  # what autograd follows, a box for each order
    if isinstance(value, jax.core.Tracer):
        return None
    if hasattr(value, "detach"):
        value = value.detach().cpu().resolve_conj().resolve_neg()
    return np.asarray(value)


def unfollowed(value: Any) -> np.ndarray | None:
    """The numbers, where they are known now and nothing is differentiated in them."""
    is_box = hasattr(value, "_trace")
    if is_box or (hasattr(value, "detach") and value.requires_grad):
        return None
    return concrete(value)


def is_complex(value: Any) -> bool:
    """Whether a number or array of any library is complex."""
    dtype = getattr(value, "dtype", None)
    return np.iscomplexobj(value) if dtype is None else "complex" in str(dtype)


def as_single(op: Any) -> Single | None:
    """The operation as one gate, or None where it is to be decomposed."""
    kind: Any = type(op)
    if kind in FIXED:
        return Single(_fixed(kind), tuple(op.wires))
    if kind in ANGLES or kind in SEVERAL:
        if kind is not qml.GlobalPhase and len(op.wires) > MAX_MATRIX_WIRES:
            return None
        if not any(map(is_complex, op.data)):
            wires = () if kind is qml.GlobalPhase else tuple(op.wires)
            return Single(Named(kind, _extra(op)), wires, tuple(op.data))
        if kind is qml.GlobalPhase:
            factor = math.exp(-1j * op.data[0])
            factor = math.reshape(factor, (*math.shape(factor), 1, 1))
            return Single(MATRIX, (), (factor,), unitary=False)
    elif isinstance(op, qml.ops.Controlled):
        return _controlled(op)
    elif isinstance(op, qml.ops.Adjoint):
        inner = as_single(op.base)
        return None if inner is None else _adjoint(inner)
    elif isinstance(op, qml.ops.Prod | qml.ops.Pow | qml.PSWAP):
        return None  # PSWAP(0) is SWAP: its parts are gates, it is no exp(-i t G)
    elif kind is qml.DiagonalQubitUnitary:
        return _checked(op, DIAGONAL_MATRIX, op.data[0])
    elif (word := _exponent(op)) is not None and word[1]:
        return _exponential(op, *word)
    return _as_matrix(op)


def _exponent(op: Any) -> tuple[Any, dict[Any, str]] | None:
    """The factor c and the Pauli word P of an operation exp(c P)."""
    if not isinstance(op, qml.ops.Exp) or op.base.pauli_rep is None:
        return None
    if len(op.base.pauli_rep) != 1 or op.batch_size is not None:
        return None
    ((word, weight),) = op.base.pauli_rep.items()
    return op.coeff * weight, dict(word)


def _exponential(op: Any, factor: Any, word: dict[Any, str]) -> Single | None:
    """cosh(c) + sinh(c) P, for any complex c; a rotation where time is real."""
    wires, letters = tuple(word), "".join(word.values())
    if len(wires) > MAX_MATRIX_WIRES:
        return None
    ((_, weight),) = op.base.pauli_rep.items()
    evolves = isinstance(op, qml.ops.Evolution)
    if evolves and not any(map(is_complex, [weight, *op.data])):
        angle = 2 * op.param * weight
        return Single(Named(qml.PauliRot, (letters,)), wires, (angle,))
    pauli = qml.matrix(qml.pauli.PauliWord(word), wire_order=wires)
    one = math.convert_like(np.eye(len(pauli)), factor)
    pauli = math.convert_like(pauli, factor)
    matrix = math.cosh(factor) * one + math.sinh(factor) * pauli
    unitary = _is_unitary(op, concrete(matrix), 2)
    return Single(MATRIX, wires, (matrix,), unitary=unitary)


@lru_cache
def _fixed(kind: Any) -> Constant:
    return Constant(kind.compute_matrix())


def _extra(op: Any) -> tuple[Any, ...]:
    """What `compute_matrix` takes behind the angles."""
    if isinstance(op, qml.PauliRot):
        return (op.hyperparameters["pauli_word"],)
    if type(op) is qml.GlobalPhase:
        return (0,)
    return (len(op.wires),) if type(op) is qml.MultiRZ else ()


def _as_matrix(op: Any) -> Single | None:
    """An operation on few wires by its matrix, as PennyLane gives it now."""
    n, is_unitary = len(op.wires), isinstance(op, qml.QubitUnitary)
    if not (is_unitary or op.has_matrix or op.has_sparse_matrix):
        return None
    if not is_unitary and n > MAX_MATRIX_WIRES and op.has_decomposition:
        return None
    if n > MAX_DENSE_WIRES and not is_unitary:
        return None
    return _checked(op, MATRIX, dense_matrix(op))


def dense_matrix(op: Any) -> Any:
    """The matrix of an operator on its wires in order, (K, K) or (batch, K, K)."""
    found = op.matrix() if op.has_matrix else op.sparse_matrix()
    return found.toarray() if sparse.issparse(found) else found


def _checked(op: Any, tree: str, found: Any) -> Single:
    n, dims = len(op.wires), 2 if tree == MATRIX else 1
    shape = tuple(math.shape(found))
    if shape[-dims:] != (1 << n,) * dims or len(shape) > dims + 1:
        must = f"have a matrix of shape {(1 << n,) * dims}"
        raise unsupported(op, must, f"has one of shape {shape}")
    if op.batch_size is not None and len(shape) == dims:
        raise CannotBroadcast
    known = concrete(found)
    if known is not None and not np.isfinite(known).all():
        raise unsupported(op, "have a matrix of finite numbers", "has NaN or infinity")
    unitary = _is_unitary(op, known, dims)
    fixed = None if op.data else unfollowed(found)
    if fixed is not None:
        return Single(Constant(fixed), tuple(op.wires), unitary=unitary)
    return Single(tree, tuple(op.wires), (found,), unitary=unitary)


def _is_unitary(op: Any, known: np.ndarray | None, dims: int) -> bool:
    """By its numbers; where these are traced, by definition or not known to be."""
    if known is None:
        evolves = isinstance(op, qml.ops.Evolution) and _is_hermitian(op.base)
        real = not any(map(is_complex, op.data))
        by_definition = isinstance(op, UNITARY) or evolves
        return bool(getattr(op, "known_unitary", False) or (by_definition and real))
    atol = 1e-5 if known.dtype in (np.float32, np.complex64) else 1e-10
    if dims == 1:
        return bool(np.allclose(np.abs(known), 1, rtol=0, atol=atol))
    product = known @ known.conj().swapaxes(-1, -2)
    return bool(np.allclose(product, np.eye(known.shape[-1]), rtol=0, atol=atol))


def _is_hermitian(base: Any) -> bool:
    sentence = base.pauli_rep
    return sentence is not None and not any(map(is_complex, sentence.values()))


def _controlled(op: Any) -> Single | None:
    base = op.base
    if isinstance(base, NO_EFFECT):
        return None
    inner = as_single(base)
    if inner is None:
        return None
    flags = tuple(map(bool, op.control_values))
    wires = (*op.control_wires, *inner.wires)
    if inner.tree == DIAGONAL_MATRIX:
        return replace(
            inner, wires=wires, values=(controlled_diagonal(inner.values[0], flags),)
        )
    if inner.controls or len(wires) > MAX_MATRIX_WIRES:
        return replace(inner, wires=wires, controls=flags + inner.controls)
    tree, values = inner.tree, inner.values
    if isinstance(tree, Named):
        tree = replace(tree, controls=flags + tree.controls)
    elif isinstance(tree, Constant):
        tree = Constant(controlled_matrix(tree.value, flags))
    else:
        values = (controlled_matrix(values[0], flags),)
    return replace(inner, tree=tree, wires=wires, values=values)


def _adjoint(single: Single) -> Single | None:
    tree, values = single.tree, single.values
    if isinstance(tree, Constant):
        return replace(single, tree=Constant(tree.value.conj().T))
    if tree == MATRIX:
        back = math.conj(math.moveaxis(values[0], -1, -2))
        return replace(single, values=(back,))
    if tree == DIAGONAL_MATRIX:
        return replace(single, values=(math.conj(values[0]),))
    if tree.cls in ANGLES or SEVERAL[tree.cls]:
        return replace(single, values=values[::-1], scale=-single.scale)
    return None


def parts_of(op: Any) -> list[Any]:
    """The operations that an operation is made of, in order of application."""
    if isinstance(op, NO_EFFECT):
        return []
    if isinstance(op, qml.ops.Adjoint):
        if op.base.has_adjoint:
            return [op.base.adjoint()]
        return [qml.adjoint(part) for part in reversed(parts_of(op.base))]
    if isinstance(op, qml.ops.Controlled):
        flags = tuple(map(bool, op.control_values))
        return [qml.ctrl(part, op.control_wires, flags) for part in parts_of(op.base)]
    if isinstance(op, qml.ops.Prod):
        return list(reversed(op.operands))
    if isinstance(op, qml.ops.Pow):
        return _power(op)
    if (word := _exponent(op)) is not None and len(word[1]) > MAX_MATRIX_WIRES:
        return _wide_exponential(*word)
    if not op.has_decomposition:
        was = f"is {op.name} on {len(op.wires)} wires, which has neither"
        raise unsupported(op, "have a matrix or a decomposition", was)
    if op.batch_size is not None and _drops_batch(op):
        raise CannotBroadcast
    return list(op.decomposition())


def _wide_exponential(factor: Any, word: dict[Any, str]) -> list[Any]:
    """exp(c P) as the basis of P, its diagonal, and the basis back."""
    there = []
    for wire, letter in word.items():
        there += [qml.adjoint(qml.S(wire))] if letter == "Y" else []
        there += [qml.Hadamard(wire)] if letter in "XY" else []
    signs = 1 - 2.0 * (np.bitwise_count(np.arange(1 << len(word))) & 1)
    signs = math.convert_like(signs, factor)
    middle = qml.DiagonalQubitUnitary(math.exp(factor * signs), list(word))
    return [*there, middle, *map(qml.adjoint, reversed(there))]


def _power(op: Any) -> list[Any]:
    """PennyLane's rule for the power, if it is not to repeat the operation."""
    is_batch = math.ndim(op.z) > 0  # of exponents
    try:
        found = None if is_batch else op.base.pow(op.z)
    except PowUndefinedError:
        found = None
    parts = [found] if isinstance(found, Operator) else found
    if parts is not None and (len(parts) == 1 or op.z == 0):
        return parts
    if op.has_matrix and len(op.wires) <= MAX_DENSE_WIRES:
        return [qml.QubitUnitary(dense_matrix(op), op.wires)]
    if parts is not None:
        return parts
    if not isinstance(op.z, int):
        raise unsupported(op, "have a power that is defined", f"has exponent {op.z}")
    return [op.base] * op.z or -op.z * _inverse(op.base)


def _inverse(op: Any) -> list[Any]:
    """Inverses of its parts, the last one first: what is not unitary, too."""
    return [qml.pow(part, -1) for part in reversed(parts_of(op))]


def _drops_batch(op: Any) -> bool:
    """Whether PennyLane's own decomposition of it is not written for a batch."""
    own = type(op).__module__.startswith("pennylane.")
    return own and op not in qml.ops.qubit.attributes.supports_broadcasting


def unsupported(op: Any, must: str, was: str) -> UnsupportedOperationError:
    """The error about an operation: what it must be, and what it is."""
    if op.name not in was:
        was = f"{op.name} on {len(op.wires)} wires {was}"
    return UnsupportedOperationError(str(input_error("operation", must, was)))
