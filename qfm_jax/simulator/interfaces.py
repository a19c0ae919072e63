"""Derivatives for autograd and PyTorch: the compiled pull-back, to every order."""

from collections.abc import Callable, Hashable, Sequence
from functools import cache
from typing import Any

import autograd.builtins  # lets a primitive return a tuple  # noqa: F401
import numpy as np
from autograd.core import defvjp_argnums
from autograd.extend import primitive
from cachetools import LRUCache
from pennylane import math
from pennylane.tape import QuantumScript

from .lifted import Arrays, Lifted, Unreadable, split_tape

Make = Callable[[Sequence[bool]], Lifted]
"""The function, by which of its arguments move."""


def library(values: Sequence[Any]) -> str | None:
    """Which library's values are here: PyTorch's, or some that autograd follows."""
    found = {math.get_interface(value) for value in values}
    if "torch" in found:
        return "torch"
    return "autograd" if any(map(_is_box, values)) else None


def is_double(values: Sequence[Any]) -> bool:
    """Whether PyTorch's tensors among the values have double precision."""
    names = (
        math.get_dtype_name(value)
        for value in values
        if math.get_interface(value) == "torch"
    )
    return any(name in ("float64", "complex128") for name in names)


class Followed:
    """The compiled functions of a device for values that these libraries follow."""

    def __init__(self) -> None:
        self.lifted: LRUCache = LRUCache(maxsize=128)
        self._untraceable: LRUCache = LRUCache(maxsize=128)

    def call(
        self,
        tape: QuantumScript,
        how: Hashable,
        double: bool,
        run: Callable[[QuantumScript], Any],
        own: Callable[[], tuple[Hashable, Callable[..., Any], list[Any], Any]],
    ) -> tuple[Any, ...]:
        """The results of a tape, followed by the library of its parameters.

        Args:
            tape: with exact measurements.
            how: what else the program depends on.
            double: whether JAX computes in double precision.
            run: the results of a tape with JAX parameters: it is compiled for all tapes
                like this one.
            own: a key, a function, its values and what finishes its results: of a tape
                that only its own library can decompose, with the numbers of each call.
        """
        try:
            key, values, rebuild = split_tape(tape)
        except Unreadable:
            key = None
        if key is not None and (key, how) not in self._untraceable:
            made = self._maker((key, how), lambda *v: run(rebuild(*v)), double)
            try:
                return _call(made, values)
            except Exception:  # PennyLane's own code, too, may not be made for tracers
                self._untraceable[key, how] = True  # what is wrong is raised below
        key, function, values, finish = own()
        return tuple(finish(_call(self._maker(key, function, double), values)))

    def _maker(self, key: Hashable, function: Any, double: bool) -> Make:
        def make(moving: Sequence[bool]) -> Lifted:
            whole = (key, tuple(moving))
            if whole not in self.lifted:
                self.lifted[whole] = Lifted(function, moving, double)
            return self.lifted[whole]

        return make


def _call(make: Make, values: Sequence[Any]) -> tuple[Any, ...]:
    if library(values) == "torch":
        return _call_torch(make, values)
    followed = [_is_box(value) for value in values]
    lifted = make(followed)
    if not any(followed):
        return lifted.value(*map(np.asarray, values))
    plain = [v if f else np.asarray(v) for v, f in zip(values, followed, strict=True)]
    results = _autograd(lifted, {}, *plain)
    return tuple(results[i] for i in range(len(results)))


def _is_box(value: Any) -> bool:
    return hasattr(value, "_value") and hasattr(value, "_trace")


# -- autograd --------------------------------------------------------------------------


@primitive
def _autograd(lifted: Lifted, kept: dict, *args: Any) -> Arrays:
    results, kept["pull"] = lifted.value_and_pull(*map(np.asarray, args))
    return results


def _autograd_vjp(
    argnums: Sequence[int], ans: Any, args: Sequence[Any], _: Any
) -> Callable[[Any], Any]:
    lifted, kept, *values = args
    position = np.cumsum(lifted.moving) - 1  # among the moving arguments

    def pull(cotangents: Any) -> Any:
        given = [cotangents[i] for i in range(len(cotangents))]
        if any(map(_is_box, (*values, *given))):
            pulled = lifted.pulled([True] * len(given))
            found: Any = _autograd(pulled, {}, *values, *given)
        else:
            found = lifted.pull(kept["pull"], [np.asarray(g) for g in given])
        return [found[int(position[i - 2])] for i in argnums]

    return pull


defvjp_argnums(_autograd, _autograd_vjp)


# -- PyTorch ---------------------------------------------------------------------------


def _call_torch(make: Make, values: Sequence[Any]) -> tuple[Any, ...]:
    import torch  # an extra: here is a tensor, so it is installed

    tensors = [  # a Python number is double: PyTorch itself would round it
        v if torch.is_tensor(v) else torch.as_tensor(np.asarray(v)) for v in values
    ]
    tensors = [  # NumPy has no bfloat16, and JAX computes from float32 on
        t.float() if t.dtype in (torch.float16, torch.bfloat16) else t for t in tensors
    ]
    given = [t for v, t in zip(values, tensors, strict=True) if torch.is_tensor(v)]
    follows = torch.is_grad_enabled()
    lifted = make([follows and tensor.requires_grad for tensor in tensors])
    return _torch_function().apply(lifted, {}, given[0].device, *tensors)


def as_tensors(results: Sequence[Any]) -> tuple[Any, ...]:
    """Tensors, where PyTorch is asked for by its name and no parameter is a tensor."""
    import torch

    return tuple(
        r if torch.is_tensor(r) else torch.as_tensor(np.array(r)) for r in results
    )


@cache
def _torch_function() -> Any:
    import torch

    def to_torch(results: Arrays, device: Any) -> tuple[Any, ...]:
        return tuple(torch.tensor(r, device=device) for r in results)

    def to_numpy(tensor: Any) -> np.ndarray:
        return tensor.detach().cpu().resolve_conj().resolve_neg().numpy()

    class Simulate(torch.autograd.Function):
        @staticmethod
        def forward(lifted: Lifted, kept: dict, device: Any, *tensors: Any) -> Any:
            arrays = map(to_numpy, tensors)
            if any(lifted.moving):
                results, kept["pull"] = lifted.value_and_pull(*arrays)
            else:
                results = lifted.value(*arrays)
            return to_torch(results, device)

        @staticmethod
        def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
            ctx.lifted, ctx.kept, ctx.device, *tensors = inputs
            ctx.save_for_backward(*tensors)

        @staticmethod
        def backward(ctx: Any, *cotangents: Any) -> Any:
            # PyTorch's gradient is dL/da + i dL/db, the conjugate of JAX's.
            given = [cotangent.conj() for cotangent in cotangents]
            if torch.is_grad_enabled():  # create_graph=True: to differentiate again
                pulled = ctx.lifted.pulled([True] * len(given))
                arguments = *ctx.saved_tensors, *given
                found = Simulate.apply(pulled, {}, ctx.device, *arguments)
            else:
                arrays = ctx.lifted.pull(ctx.kept["pull"], list(map(to_numpy, given)))
                found = to_torch(arrays, ctx.device)
            rest = iter(found)
            gradients = [
                next(rest).conj().to(tensor.device) if moves else None
                for moves, tensor in zip(
                    ctx.lifted.moving, ctx.saved_tensors, strict=True
                )
            ]
            return None, None, None, *gradients

    return Simulate
