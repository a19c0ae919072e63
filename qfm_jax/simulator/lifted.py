"""JAX functions for libraries that are not JAX: values, and pull-backs to every order.

A function of arrays is compiled together with its pull-back, which is one more such
function, of the arguments and the cotangents, and so on.
"""

from collections.abc import Callable, Hashable, Sequence
from contextlib import AbstractContextManager
from typing import Any

import jax
import numpy as np
from pennylane import math, pytrees
from pennylane.tape import QuantumScript
from pennylane.wires import Wires

Arrays = tuple[np.ndarray, ...]


class Lifted:
    """A compiled function from arrays to a tuple of arrays, with its pull-back.

    Args:
        function: takes JAX arrays, returns a tuple of them.
        moving: for each argument, whether results are differentiated in it.
        double: whether JAX computes in double precision inside.

    Example:
        >>> import jax.numpy as jnp
        >>> cube = Lifted(lambda x: (x**3,), (True,), double=True)
        >>> value, pull = cube.value_and_pull(np.array(2.0))
        >>> value, cube.pull(pull, (np.array(1.0),))
        ((array(8.),), (array(12.),))
        >>> second, _ = cube.pulled((True,)).value_and_pull(*map(np.array, (2.0, 1.0)))
        >>> second
        (array(12.),)
    """

    def __init__(
        self, function: Callable[..., Any], moving: Sequence[bool], double: bool
    ) -> None:
        self.moving, self._double = tuple(moving), double
        self._function = function
        self._value = jax.jit(function)
        self._both = jax.jit(self._linearised)
        self._pull = jax.jit(lambda pull, cotangents: pull(tuple(cotangents)))
        self._pulled: dict[tuple[bool, ...], Lifted] = {}

    def value(self, *args: Any) -> Arrays:
        """The results alone."""
        with self._precision():
            return _as_numpy(self._value(*args))

    def value_and_pull(self, *args: Any) -> tuple[Arrays, Any]:
        """The results, and what `pull` needs: residuals, which free with it."""
        with self._precision():
            results, pull = self._both(*args)
        return _as_numpy(results), pull

    def pull(self, pull: Any, cotangents: Sequence[Any]) -> Arrays:
        """Gradients in the moving arguments, for a cotangent of each result.

        JAX's convention for complex numbers: dL/da - i dL/db for a + ib.
        """
        with self._precision():
            return _as_numpy(self._pull(pull, tuple(cotangents)))

    def pulled(self, cotangents_move: Sequence[bool]) -> "Lifted":
        """The pull-back as a function of (*arguments, *cotangents)."""
        key = tuple(cotangents_move)
        if key not in self._pulled:
            n = len(self.moving)

            def function(*args: Any) -> Any:
                _, pull = self._linearised(*args[:n])
                return pull(tuple(args[n:]))

            self._pulled[key] = Lifted(function, (*self.moving, *key), self._double)
        return self._pulled[key]

    def _linearised(self, *args: Any) -> Any:
        moving = [a for a, moves in zip(args, self.moving, strict=True) if moves]

        def function(*moved: Any) -> Any:
            rest = iter(moved)
            pairs = zip(args, self.moving, strict=True)
            return self._function(*(next(rest) if m else a for a, m in pairs))

        return jax.vjp(function, *moving)

    def _precision(self) -> AbstractContextManager[Any]:
        """Of this thread and this call alone."""
        return jax.enable_x64(self._double)


def _as_numpy(results: Sequence[Any]) -> Arrays:
    return tuple(map(np.asarray, results))


class Unreadable(Exception):  # noqa: N818 - control flow, never seen by a user
    """A tape that only its own library can decompose, with its own numbers."""


def split_tape(tape: QuantumScript) -> tuple[Hashable, list[Any], Callable[..., Any]]:
    """What a program for all tapes like this one depends on, and what it takes.

    Only PennyLane's and this package's own operations are rebuilt from their numbers;
    a user's may keep more than it says.

    Returns:
        a key; the floating-point parameters; and the tape of other ones.

    Raises:
        Unreadable: for an operation that is not known, or holds what is no number.
    """
    flat = [pytrees.flatten(item) for item in (*tape.operations, *tape.measurements)]
    values: list[Any] = []
    fixed: list[Any] = []
    for leaves, tree in flat:
        _check_known(tree)
        for leaf in leaves:
            if is_float(leaf):
                values.append(leaf)
                fixed.append(None)
            else:
                fixed.append(_Fixed(leaf))
    trees, n_operations = tuple(tree for _, tree in flat), len(tape.operations)
    key = (
        trees,
        n_operations,
        tuple(f.key if f else None for f in fixed),
        tuple((np.shape(value), math.get_dtype_name(value)) for value in values),
    )
    n_leaves = [len(leaves) for leaves, _ in flat]

    def rebuild(*arrays: Any) -> QuantumScript:
        rest, own = iter(arrays), iter(fixed)
        items = []
        for n, tree in zip(n_leaves, trees, strict=True):
            given = [next(own) for _ in range(n)]
            leaves = [next(rest) if f is None else f.value for f in given]
            items.append(pytrees.unflatten(leaves, tree))
        return QuantumScript(items[:n_operations], items[n_operations:])

    try:
        hash(key)
    except TypeError as unhashable:
        raise Unreadable from unhashable
    return key, values, rebuild


def is_float(leaf: Any) -> bool:
    """Whether a parameter is a real or complex floating-point number or array."""
    if isinstance(leaf, float | complex):
        return True
    if not hasattr(leaf, "dtype") or not hasattr(leaf, "shape"):
        return hasattr(leaf, "_value") and hasattr(leaf, "_trace")  # autograd's box
    return any(kind in math.get_dtype_name(leaf) for kind in ("float", "complex"))


class _Fixed:
    """A parameter that is part of the program: integers, None, an outcome."""

    def __init__(self, value: Any) -> None:
        self.value = value
        if value is None or isinstance(value, bool | int | str):
            self.key: Hashable = (type(value), value)
        elif hasattr(value, "dtype") and hasattr(value, "shape"):
            array = np.asarray(value)
            if array.dtype == object:
                raise Unreadable
            self.key = (array.dtype.str, array.shape, array.tobytes())
            self.value = array
        else:
            raise Unreadable


def _check_known(tree: Any) -> None:
    if tree is pytrees.leaf or tree.type_ is None:
        return
    if tree.type_.__module__.split(".")[0] not in ("pennylane", "qfm_jax", "builtins"):
        raise Unreadable
    _check_plain(tree.metadata)
    for child in tree.children:
        _check_known(child)


def _check_plain(metadata: Any) -> None:
    """No function may hide here: what it reads can change."""
    if isinstance(metadata, tuple | list | frozenset):
        for item in metadata:
            _check_plain(item)
    elif not isinstance(metadata, _PLAIN):
        raise Unreadable


_PLAIN = (bool, int, float, complex, str, type(None), Wires, np.generic)
