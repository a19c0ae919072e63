"""One circuit, one JAX primitive: the whole simulation of a tape.

Under `vmap` a program written for one sample would run batch-first, three to five
times slower. So the program is a primitive, its arguments are the tape's parameters,
and its batching rule only notes which of them now differ from sample to sample: the
plan is made when that is known, the same for `vmap` as for PennyLane's broadcasting.
Its derivative differentiates the implementation in place, so every order and nesting
of transformations works, with no host callback.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir

from . import memory, native
from .adjoint import IMPLEMENTATIONS, evolve_reversibly
from .arrays import Array, namespace
from .compiler import Buffers, Program, buffer_name, compile_circuit, prune
from .gates import Read
from .heisenberg import can_pull_back, is_worth_while, pulled_back
from .native.call import BY_XLA, Native, words_of
from .native.compiler import compile_native
from .native.program import NativeProgram
from .program import Stage, evolve
from .results import MeasurePlan, plan_measurements, read, read_words
from .tape import WORDS, Leaf, Structure, Tape


@dataclass(frozen=True)
class Execution:
    """What to run, but for the numbers."""

    structure: Structure
    batched: tuple[bool, ...]
    """Which arguments have a leading batch axis; those of measurements never do."""
    c_dtype: str
    reversible: bool
    """Whether the backward pass undoes the circuit instead of keeping its states."""
    budget: int
    """Bytes that the states of one chunk of the batch may take."""


@dataclass(frozen=True, eq=False)
class CompiledProgram:
    """A task's program and read-out."""

    program: Program
    readout: MeasurePlan
    observed: tuple[Leaf, ...]
    """Leaves of the measurements."""
    can_pull_back: bool
    """Whether the data make a product state and the words can be pulled back to it."""
    native: NativeProgram | None
    """The same for the native kernels, where they have all that it needs."""


@lru_cache(maxsize=512)
def plan(task: Execution) -> CompiledProgram:
    """Compiles a task's circuit; `task.batched` decides what the batch shares."""
    structure, readout = task.structure, plan_measurements(task.structure)
    batched = dict(zip(structure.arguments, task.batched, strict=True))
    leaves = tuple(
        replace(leaf, batched=batched.get(i, False))
        for i, leaf in enumerate(structure.leaves)
    )
    n_ops = len(structure.circuit.leaves)
    circuit, wires = _pruned(structure)
    circuit = replace(circuit, leaves=leaves[:n_ops])
    program = compile_circuit(circuit, wires, readout.diagonal)
    of_words = readout.kinds == {WORDS} and native.are_there()
    return CompiledProgram(
        program,
        readout,
        leaves[n_ops:],
        can_pull_back(program, readout),
        compile_native(circuit, wires, readout) if of_words else None,
    )


@lru_cache(maxsize=512)
def _pruned(structure: Structure) -> tuple[Tape, tuple[int, ...]]:
    readout = plan_measurements(structure)
    gates = structure.circuit.gates + readout.rotations
    circuit = replace(structure.circuit, gates=gates)
    return prune(circuit, readout.measured, readout.diagonal)


def state_wires(structure: Structure) -> tuple[int, ...]:
    """The wires of the state that measurements of the kind STATE give, in order."""
    return _pruned(structure)[1]


def simulate(task: Execution, arguments: Sequence[Any]) -> tuple[Array, ...]:
    """The results of all measurements of a task, with the batch axis first if any.

    Here alone it is decided what computes, once for all: NumPy where all arguments are
    NumPy's (nothing is compiled), otherwise JAX, by the primitive, inside and outside
    of `jit`. Measurements of the kind STATE give (batch,) 2^n amplitudes on the wires
    `state_wires`.
    """
    if all(isinstance(value, np.ndarray) for value in arguments):
        return _implement(*arguments, task=task)
    values = [_as_jax(value, task) for value in arguments]
    return tuple(simulate_p.bind(*values, task=task))


def _as_jax(value: Any, task: Execution) -> Array:
    value = jnp.asarray(value)
    complex_dtype = np.dtype(task.c_dtype)
    if value.dtype.kind == "c":
        return value.astype(complex_dtype)
    return value.astype(np.finfo(complex_dtype).dtype)


def _implement(*arguments: Array, task: Execution) -> tuple[Array, ...]:
    """Runs the batch, in chunks whose states fit the budget."""
    flags = task.batched
    sizes = [len(a) for a, flag in zip(arguments, flags, strict=True) if flag]
    if not sizes:
        results = _run(arguments, task, 1)
        return tuple(result[0] for result in results)
    size = sizes[0]
    if size == 0:  # nothing to run, but the results have shapes
        one = [
            namespace(a).zeros((1, *a.shape[1:]), a.dtype) if flag else a
            for a, flag in zip(arguments, flags, strict=True)
        ]
        return tuple(result[:0] for result in _implement(*one, task=task))
    chunk = memory.chunk_size(plan(task).program, task, size)
    if chunk >= size or namespace(*arguments) is np:
        return _run(arguments, task, size)
    return _in_chunks(arguments, task, size, chunk)


def _in_chunks(
    arguments: Sequence[Array], task: Execution, size: int, chunk: int
) -> tuple[Array, ...]:
    """`lax.map` over chunks; the last one is filled up with copies of a sample."""
    count = -(-size // chunk)
    rows = np.minimum(np.arange(count * chunk), size - 1)
    moving = [
        a[rows].reshape(count, chunk, *a.shape[1:])
        for a, flag in zip(arguments, task.batched, strict=True)
        if flag
    ]

    @jax.checkpoint
    def one(parts: Sequence[Array]) -> tuple[Array, ...]:
        part = iter(parts)
        given = [
            next(part) if flag else a
            for a, flag in zip(arguments, task.batched, strict=True)
        ]
        return _run(given, task, chunk)

    results = jax.lax.map(one, moving)
    return tuple(r.reshape(count * chunk, *r.shape[2:])[:size] for r in results)


def _run(arguments: Sequence[Array], task: Execution, batch: int) -> tuple[Array, ...]:
    """Runs one batch: buffers, matrices, initial state, stages, read-out."""
    planned, dtype = plan(task), np.dtype(task.c_dtype)
    program, readout = planned.program, planned.readout
    xp = namespace(*arguments)
    n_ops = sum(leaf.constant is None for leaf in program.leaves)
    if xp is not np and not why_not_native(task):
        state, words = None, _native_words(arguments[:n_ops], task, batch)
    else:
        state, words = _state_and_words(arguments[:n_ops], task, batch)
    observed = Buffers(planned.observed)
    own = _buffers(planned.observed, arguments[n_ops:], dtype, xp)

    def value_of(read: Read) -> Array:
        return observed.stack([read]).read(own, np.finfo(dtype).dtype)[0]

    zeros = xp.zeros(batch, np.finfo(dtype).dtype)
    structure = task.structure
    return tuple(read(structure, readout, program, state, value_of, words, zeros))


def why_not_native(task: Execution) -> str:
    """Why the native kernels do not run a task; empty where they do."""
    planned = plan(task)
    if missing := native.why_missing():
        return missing
    if not native.are_there():
        return f"they are for CPUs, and JAX runs on {jax.default_backend()}"
    if planned.readout.kinds != {WORDS}:
        return "they give means and variances of Pauli words alone"
    if not planned.program.reversible or planned.native is None:
        return "they lack one of its gates, or it is not known to be unitary"
    return "" if task.reversible else "backprop was asked for"


def _native_words(arguments: Sequence[Array], task: Execution, batch: int) -> Array:
    planned, dtype = plan(task), np.dtype(task.c_dtype)
    assert planned.native is not None
    leaves = planned.program.leaves

    def buffers_of(*arguments: Array) -> dict[str, Array]:
        return _buffers(leaves, arguments, dtype, jnp)

    def by_xla(*arguments: Array) -> Array:
        return _state_and_words(arguments, task, batch)[1]

    both = Native(planned.native, buffers_of, by_xla, dtype, batch)
    return words_of(both, *arguments)


def _state_and_words(
    arguments: Sequence[Array], task: Execution, batch: int
) -> tuple[Array | None, Array | None]:
    """By the passes, with XLA or NumPy: the final state, and the means of all words."""
    planned, dtype = plan(task), np.dtype(task.c_dtype)
    program, readout = planned.program, planned.readout
    xp = namespace(*arguments)
    buffers = _buffers(program.leaves, arguments, dtype, xp)
    matrices = [source.matrices(buffers, dtype) for source in program.matrices]
    tables = [
        _stage_tables(stage, matrices, buffers, dtype, xp) for stage in program.stages
    ]

    def words_of(initial: Array) -> Array:
        return read_words(readout, program, _final(initial, tables, task))

    parts = _pulled_back_parts(planned, matrices, buffers, batch, dtype, xp)
    if parts is not None:
        return None, pulled_back(parts, words_of, dtype)
    state = xp.asarray(program.beginning.state(matrices, buffers, batch, dtype))
    state = _final(state, tables, task)
    return state, read_words(readout, program, state) if readout.words else None


def _pulled_back_parts(
    planned: CompiledProgram,
    matrices: Sequence[Array],
    buffers: dict,
    batch: int,
    dtype: np.dtype,
    xp: Any,
) -> list[Array] | None:
    """The product state's factors where it is worth while to pull words back to it."""
    if not planned.can_pull_back or xp is np:
        return None
    parts = list(planned.program.beginning.parts(matrices, buffers, dtype).values())
    n_words = len(planned.readout.words)
    return parts if is_worth_while(parts, n_words, batch) else None


def _final(state: Array, tables: Sequence[Any], task: Execution) -> Array:
    """The state behind all stages."""
    program = plan(task).program
    if task.reversible and namespace(state) is not np and program.reversible:
        return evolve_reversibly(state, program.stages, tables)
    return evolve(state, program.stages, tables)


def _buffers(
    leaves: Sequence[Leaf], arguments: Sequence[Array], dtype: Any, xp: Any
) -> dict[str, Array]:
    """Leaves of one sort in one array: (P,), or (P, batch) of those with a batch."""
    real = np.finfo(dtype).dtype
    parts: dict[str, list[Array]] = {"shared": [np.zeros(1, real)]}
    free = [leaf for leaf in leaves if leaf.constant is None]
    for leaf, value in zip(free, arguments, strict=True):
        flat = value.reshape(len(value), -1).T if leaf.batched else value.ravel()
        flat = flat.astype(dtype if leaf.is_complex else real)
        parts.setdefault(buffer_name(leaf), []).append(flat)
    return {name: xp.concatenate(part) for name, part in parts.items()}


def _stage_tables(
    stage: Stage,
    matrices: Sequence[Array],
    buffers: dict,
    dtype: np.dtype,
    xp: Any,
) -> tuple:
    """Each step's table, with one row a repetition, in the precision of the state."""

    def grow(table: Array) -> Array:
        if table.dtype.kind in "fc":  # what is known was computed by NumPy
            own = dtype if table.dtype.kind == "c" else np.finfo(dtype).dtype
            table = xp.asarray(table, own)
        if len(table) == stage.count:
            return table
        shape = (stage.count, *table.shape[1:])
        return namespace(table).broadcast_to(table, shape)

    return tuple(
        jax.tree.map(grow, step.table(matrices, buffers)) for step in stage.steps
    )


@partial(jax.jit, static_argnames="task")
def _jitted(*arguments: Array, task: Execution) -> tuple[Array, ...]:
    return _as_arrays(*arguments, task=task)


def _as_arrays(*arguments: Array, task: Execution) -> tuple[Array, ...]:
    return tuple(map(jnp.asarray, _implement(*arguments, task=task)))


def implementation(primitive: Primitive, params: dict[str, Any]) -> Any:
    """What one of this simulator's primitives runs, or None for any other primitive.

    Of the native ones what XLA would run in their place.
    """
    known: dict[Primitive, Any] = {simulate_p: _as_arrays, **IMPLEMENTATIONS, **BY_XLA}
    return partial(known[primitive], **params) if primitive in known else None


def _abstract(*avals: Any, task: Execution) -> list[Any]:
    shapes = jax.eval_shape(partial(_as_arrays, task=task), *avals)
    return [jax.core.ShapedArray(s.shape, s.dtype) for s in shapes]


def _jvp(primals: Any, tangents: Any, *, task: Execution) -> Any:
    """Differentiates in place, only where a tangent is not known to be zero."""
    memory.check_gradient_fits(plan(task).program, task)
    moving = [i for i, t in enumerate(tangents) if type(t) is not ad.Zero]

    def run(*moved: Array) -> tuple[Array, ...]:
        given = list(primals)
        for i, value in zip(moving, moved, strict=True):
            given[i] = value
        return _jitted(*given, task=task)

    return jax.jvp(run, [primals[i] for i in moving], [tangents[i] for i in moving])


def _batch(args: Any, dims: Any, *, task: Execution) -> Any:
    """Notes what now differs from sample to sample; merges a second batch axis."""
    mapped = tuple(dim is not None for dim in dims)
    size = next(
        a.shape[dim] for a, dim in zip(args, dims, strict=True) if dim is not None
    )
    n_ops = sum(leaf.constant is None for leaf in task.structure.circuit.leaves)
    first = not any(task.batched)
    inside = all(b for b, m in zip(task.batched, mapped, strict=True) if m)
    if any(mapped[n_ops:]) or not (first or inside):
        run = jax.vmap(partial(_as_arrays, task=task), in_axes=dims)
        results = list(run(*args))
        return results, [0] * len(results)
    given = []
    for a, dim, flag in zip(args, dims, task.batched, strict=True):
        moved = a if dim is None else jnp.moveaxis(a, dim, 0)
        if flag:
            if dim is None:
                moved = jnp.broadcast_to(a, (size, *a.shape))
            moved = moved.reshape(-1, *moved.shape[2:])
        given.append(moved)
    wider = replace(task, batched=mapped if first else task.batched)
    results = simulate_p.bind(*given, task=wider)
    if not first:
        results = [r.reshape(size, -1, *r.shape[1:]) for r in results]
    return results, [0] * len(results)


simulate_p = Primitive("simulate_circuit")
simulate_p.multiple_results = True
simulate_p.def_impl(lambda *args, task: list(_jitted(*args, task=task)))
simulate_p.def_abstract_eval(_abstract)
mlir.register_lowering(simulate_p, mlir.lower_fun(_as_arrays, multiple_results=True))
ad.primitive_jvps[simulate_p] = _jvp
batching.primitive_batchers[simulate_p] = _batch
