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

from .._checks import input_error
from . import kernels, memory, sharded
from .adjoint import IMPLEMENTATIONS, evolve_reversibly
from .circuit import Leaf, Structure, analyse
from .compiler import Program, compile_circuit, pool_name, prune, with_batch
from .exchanges import compile_sharded
from .heisenberg import can_pull_back, is_worth_while, pulled_back
from .kernels import Array, namespace
from .program import Beginning, Stage, evolve
from .readout import STATE, WORDS, Readout, plan_readout, read, read_words


@dataclass(frozen=True)
class Task:
    """What to run, but for the numbers."""

    structure: Structure
    batched: tuple[bool, ...]
    """Which arguments have a leading batch axis; those of measurements never do."""
    c_dtype: str
    reversible: bool
    """Whether the backward pass undoes the circuit instead of keeping its states."""
    budget: int
    """Bytes that the states of one chunk of the batch may take."""
    normalise: bool = True
    """Whether a state that post-selection projected is divided by its norm."""
    n_devices: int = 1
    """How many devices share the state of a sample."""
    shard_above: int = 0
    """Bytes of a state up to which one device holds it all the same."""


@dataclass(frozen=True, eq=False)
class Plan:
    """A task's program and read-out."""

    program: Program
    readout: Readout
    arguments: tuple[int, ...]
    """Which leaves of the structure are arguments; the others are static."""
    can_pull_back: bool
    """Whether the data make a product state and the words can be pulled back to it."""


@lru_cache(maxsize=512)
def plan(task: Task) -> Plan:
    """Compiles a task's circuit; `task.batched` decides what the batch shares."""
    circuit, readout = analyse(task.structure), plan_readout(task.structure)
    arguments = dynamic_leaves(circuit.leaves)
    flags = dict(zip(arguments, task.batched, strict=False))
    leaves = [flags.get(i, False) for i in range(len(circuit.leaves))]
    gates = circuit.gates + readout.rotations
    circuit = replace(circuit, gates=gates, leaves=with_batch(circuit.leaves, leaves))
    circuit, wires = prune(circuit, readout.measured, readout.diagonal)
    n_devices = memory.devices_of(
        circuit.n_wires, task.c_dtype, task.n_devices, task.shard_above
    )
    if n_devices > 1:
        _check_words(readout)
        program = compile_sharded(circuit, wires, n_devices)
    else:
        program = compile_circuit(circuit, wires, readout.diagonal)
    return Plan(program, readout, arguments, can_pull_back(program, readout))


def _check_words(readout: Readout) -> None:
    for kind in set(readout.kinds) - {WORDS}:
        raise input_error(
            "measurement",
            "be the expectation or variance of a few Pauli words where devices share "
            "a state",
            f"reads {'the state' if kind == STATE else kind}",
            "Leave `devices` out.",
        )


def dynamic_leaves(leaves: Sequence[Leaf]) -> tuple[int, ...]:
    """The leaves that are arguments: all but integers and missing ones."""
    return tuple(i for i, leaf in enumerate(leaves) if leaf.static is None)


def all_leaves(structure: Structure) -> tuple[Leaf, ...]:
    """Leaves of the operations, then of the measurements."""
    parts = structure.ops + structure.measurements
    return tuple(leaf for _, leaves in parts for leaf in leaves)


def simulate(task: Task, arguments: Sequence[Any]) -> tuple[Array, ...]:
    """The results of all measurements of a task, with the batch axis first if any.

    NumPy arguments are computed by NumPy: nothing is compiled. JAX arguments bind the
    primitive, inside and outside of `jit`.
    """
    if all(isinstance(value, np.ndarray) for value in arguments):
        if plan(task).program.n_devices == 1:
            return _implement(*arguments, task=task)
        with jax.enable_x64(True):  # as precise as NumPy
            results = _jitted(*arguments, task=task)
        inside_jit = any(isinstance(result, jax.core.Tracer) for result in results)
        return results if inside_jit else tuple(map(np.asarray, results))
    values = [_as_jax(value, task) for value in arguments]
    if (n_devices := plan(task).program.n_devices) > 1:
        # So that a `jit` around the primitive sees which devices it runs on.
        values = [sharded.everywhere(value, n_devices) for value in values]
    return tuple(simulate_p.bind(*values, task=task))


def _as_jax(value: Any, task: Task) -> Array:
    value = jnp.asarray(value)
    complex_dtype = np.dtype(task.c_dtype)
    if value.dtype.kind == "c":
        return value.astype(complex_dtype)
    return value.astype(np.finfo(complex_dtype).dtype)


def _implement(*arguments: Array, task: Task) -> tuple[Array, ...]:
    """Runs the batch, in chunks whose states fit the budget."""
    n_ops = len(dynamic_leaves(analyse(task.structure).leaves))
    flags = task.batched
    sizes = [len(a) for a, flag in zip(arguments, flags, strict=True) if flag]
    if not sizes:
        results = _run(arguments, task, 1, n_ops)
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
        return _run(arguments, task, size, n_ops)
    return _in_chunks(arguments, task, size, chunk, n_ops)


def _in_chunks(
    arguments: Sequence[Array], task: Task, size: int, chunk: int, n_ops: int
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
        return _run(given, task, chunk, n_ops)

    results = jax.lax.map(one, moving)
    return tuple(r.reshape(count * chunk, *r.shape[2:])[:size] for r in results)


def _run(
    arguments: Sequence[Array], task: Task, batch: int, n_ops: int
) -> tuple[Array, ...]:
    """Runs one batch: pools, matrices, initial state, stages, read-out."""
    planned, dtype = plan(task), np.dtype(task.c_dtype)
    program, readout = planned.program, planned.readout
    pools = _pools(planned, arguments[:n_ops], dtype)
    banks = [bank.matrices(pools, dtype) for bank in program.banks]
    tables = [_stage_tables(stage, banks, pools) for stage in program.stages]

    def words_of(initial: Array) -> Array:
        return read_words(readout, program, _final(initial, tables, task))

    parts = _pulled_back_parts(planned, banks, pools, batch, dtype)
    if parts is not None:
        state, words = None, pulled_back(parts, words_of, dtype)
    else:
        state = program.beginning.state(banks, pools, batch, dtype)
        state = _final(state, tables, task)
        words = read_words(readout, program, state) if readout.words else None
    described = all_leaves(task.structure)
    measured = iter(arguments[n_ops:])
    leaves = [
        next(measured) if leaf.static is None else leaf.probe()
        for leaf in described[len(program.leaves) :]
    ]
    zeros = namespace(*pools.values()).zeros(batch, np.finfo(dtype).dtype)
    results = read(task.structure, readout, program, state, leaves, words, zeros)
    return tuple(results)


def _pulled_back_parts(
    planned: Plan, banks: Sequence[Array], pools: dict, batch: int, dtype: np.dtype
) -> list[Array] | None:
    """The product state's factors where it is worth while to pull words back to it."""
    if not planned.can_pull_back or namespace(*pools.values()) is np:
        return None
    assert isinstance(planned.program.beginning, Beginning)
    parts = planned.program.beginning.parts(banks, pools, dtype)
    n_words = len(planned.readout.words)
    return parts if is_worth_while(parts, n_words, batch) else None


def _final(state: Array, tables: Sequence[Any], task: Task) -> Array:
    """The state behind all stages."""
    program = plan(task).program
    if task.reversible and namespace(state) is not np and not program.projects:
        return evolve_reversibly(state, program.stages, tables)
    state = evolve(state, program.stages, tables)
    if program.projects and task.normalise:
        state = state / kernels.norms(state)
    return state


def _pools(planned: Plan, arguments: Sequence[Array], dtype: Any) -> dict[str, Array]:
    """Leaves of one sort in one array: (P,), or (P, batch) of those with a batch."""
    real = np.finfo(dtype).dtype
    xp = namespace(*arguments)
    parts: dict[str, list[Array]] = {"shared": [np.zeros(1, real)]}
    for i, value in zip(planned.arguments, arguments, strict=True):
        leaf = planned.program.leaves[i]
        flat = value.reshape(len(value), -1).T if leaf.batched else value.ravel()
        flat = flat.astype(dtype if leaf.is_complex else real)
        parts.setdefault(pool_name(leaf), []).append(flat)
    return {name: xp.concatenate(part) for name, part in parts.items()}


def _stage_tables(stage: Stage, banks: Sequence[Array], pools: dict) -> tuple:
    """Each step's table, with one row a repetition."""

    def grow(table: Array) -> Array:
        if len(table) == stage.count:
            return table
        shape = (stage.count, *table.shape[1:])
        return namespace(table).broadcast_to(table, shape)

    return tuple(jax.tree.map(grow, step.table(banks, pools)) for step in stage.steps)


@partial(jax.jit, static_argnames="task")
def _jitted(*arguments: Array, task: Task) -> tuple[Array, ...]:
    return _as_arrays(*arguments, task=task)


def _as_arrays(*arguments: Array, task: Task) -> tuple[Array, ...]:
    return tuple(map(jnp.asarray, _implement(*arguments, task=task)))


def implementation(primitive: Primitive, params: dict[str, Any]) -> Any:
    """What one of this simulator's primitives runs, or None for any other primitive."""
    known: dict[Primitive, Any] = {simulate_p: _as_arrays, **IMPLEMENTATIONS}
    return partial(known[primitive], **params) if primitive in known else None


def _abstract(*avals: Any, task: Task) -> list[Any]:
    shapes = jax.eval_shape(partial(_as_arrays, task=task), *avals)
    return [jax.core.ShapedArray(s.shape, s.dtype) for s in shapes]


def _jvp(primals: Any, tangents: Any, *, task: Task) -> Any:
    """Differentiates in place, only where a tangent is not known to be zero."""
    memory.check_gradient_fits(plan(task).program, task)
    moving = [i for i, t in enumerate(tangents) if type(t) is not ad.Zero]

    def run(*moved: Array) -> tuple[Array, ...]:
        given = list(primals)
        for i, value in zip(moving, moved, strict=True):
            given[i] = value
        return _jitted(*given, task=task)

    return jax.jvp(run, [primals[i] for i in moving], [tangents[i] for i in moving])


def _batch(args: Any, dims: Any, *, task: Task) -> Any:
    """Notes what now differs from sample to sample; merges a second batch axis."""
    mapped = tuple(dim is not None for dim in dims)
    size = next(
        a.shape[dim] for a, dim in zip(args, dims, strict=True) if dim is not None
    )
    n_ops = len(dynamic_leaves(analyse(task.structure).leaves))
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
