"""The devices that share the batches of a training: JAX's mesh, of one axis.

The program stays that of one device. It is told where the rows of a batch lie, and the
compiler splits the work: means over a batch, shuffling and dropout are those of the
whole batch, whatever the number of devices. Rows that do not divide are padded by the
compiler, which masks what it added.
"""

import contextlib
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Literal, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from .._checks import check_at_least, input_error

T = TypeVar("T")
R = TypeVar("R")
Q = TypeVar("Q")

BATCH = "batch"
"""Name of the mesh's only axis."""


def make_mesh(devices: int | Literal["all"] | None = None) -> Mesh | None:
    """The mesh of the devices that share a training.

    Args:
        devices: Devices of each process, or all that it has. Where left out: one in a
            single process, all where there are several processes.

    Returns:
        The mesh, devices in the order of their processes; None for a single device.

    Raises:
        InputError: For more devices than there are, or none.

    Example:
        >>> make_mesh(1) is None
        True
    """
    n_local = jax.local_device_count()
    if devices is None:
        devices = "all" if jax.process_count() > 1 else 1
    wanted = n_local if devices == "all" else devices
    check_at_least("devices", wanted, 1)
    if wanted > n_local:
        raise input_error(
            "devices",
            f"be at most the {n_local} that JAX sees in this process",
            f"is {wanted}",
            f"On a CPU, XLA_FLAGS=--xla_force_host_platform_device_count={wanted} in "
            "the environment makes as many of it.",
        )
    chosen = [
        device
        for process in range(jax.process_count())
        for device in jax.local_devices(process)[:wanted]
    ]
    # `jax.make_mesh` defaults to axes whose shardings are part of types.
    return _mesh_of(chosen)


def narrowed(mesh: Mesh | None, n_rows: int) -> Mesh | None:
    """The mesh with its first devices alone: as few as take as few rows each.

    Ten rows take eight devices two turns, and so they do five.

    Example:
        >>> narrowed(None, 3) is None
        True
    """
    if mesh is None:
        return None
    n_turns = -(-n_rows // mesh.size)
    return _mesh_of(list(mesh.devices.flat[: -(-n_rows // n_turns)]))


def filled(entries: Sequence[T], mesh: Mesh | None) -> list[T]:
    """The entries, and copies of the first: as many for each device.

    Example:
        >>> filled([1, 2, 3], None)
        [1, 2, 3]
    """
    n_copies = -len(entries) % mesh.size if mesh else 0
    return [*entries, *[entries[0]] * n_copies]


def _mesh_of(devices: Sequence[jax.Device]) -> Mesh | None:
    if len(devices) < 2:
        return None
    return Mesh(np.array(devices), (BATCH,), axis_types=(AxisType.Auto,))


def make_seed_mesh(devices: int | Literal["all"] | None, n_seeds: int) -> Mesh | None:
    """The mesh over which models are spread that train at the same time.

    Args:
        devices: As for `make_mesh`. Where left out, all that JAX sees of a CPU, and one
            device of another kind.
        n_seeds: How many there are: more devices than that are not taken unasked.

    Example:
        >>> make_seed_mesh(1, n_seeds=10) is None
        True
    """
    if devices is None and jax.default_backend() == "cpu":
        devices = min(jax.local_device_count(), n_seeds)
    return make_mesh(devices)


def cores_as_devices(devices: int | Literal["all"] | None, n_seeds: int) -> None:
    """Makes each core of a CPU a device of JAX, for the whole process.

    A model keeps one core busier than two: several cores are best kept busy by several
    models. For programs, before JAX has started; behind that, and where XLA_FLAGS says
    how many devices there are, it changes nothing. A library never calls it.

    Args:
        devices: How many; all cores, or where left out as many as `n_seeds` can use.
        n_seeds: Models that train at the same time.
    """
    if "host_platform_device_count" not in os.environ.get("XLA_FLAGS", ""):
        unasked = min(_n_cores(), n_seeds)
        wanted = _n_cores() if devices == "all" else devices or unasked
        with contextlib.suppress(RuntimeError):  # JAX has started
            jax.config.update("jax_num_cpu_devices", wanted)


def _n_cores() -> int:
    """The cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def spread(tree: T, mesh: Mesh | None) -> T:
    """Within `jit`: arrays whose rows (first axis) lie on the devices in turn.

    Any number of rows will do; without a mesh nothing happens.
    """
    if mesh is None:
        return tree
    return jax.lax.with_sharding_constraint(
        tree, NamedSharding(mesh, PartitionSpec(BATCH))
    )


@contextmanager
def sharing(mesh: Mesh | None) -> Iterator[None]:
    """While a program is traced inside, `in_shares` splits batches over the devices."""
    token = _sharing.set(mesh)
    try:
        yield
    finally:
        _sharing.reset(token)


_sharing: ContextVar[Mesh | None] = ContextVar("sharing", default=None)


def in_shares(
    function: Callable[[jax.Array, T], jax.Array], rows: jax.Array, whole: T
) -> jax.Array:
    """A function of rows, each by itself, on the share of them that a device has.

    The compiler would find this by itself but for reshapes that join the batch with
    another axis, as a simulator's do: there each device would work on all rows.

    Args:
        function: From some rows, and what all of them need, to a result a row.
        rows: Shape (batch, ...), at least one.
        whole: Arrays that all devices hold.

    Returns:
        The results, (batch, ...); `function(rows, whole)` outside of `sharing`.

    Example:
        >>> in_shares(lambda rows, factor: factor * rows, jnp.arange(3), 2)
        Array([0, 2, 4], dtype=int32)
    """
    mesh = _sharing.get()
    if mesh is None:
        return function(rows, whole)
    missing = [(0, -len(rows) % mesh.size)] + [(0, 0)] * (rows.ndim - 1)
    filled = jnp.pad(rows, missing, mode="edge")  # zeros may be no valid features
    shares, everywhere = PartitionSpec(BATCH), PartitionSpec()
    mapped = jax.shard_map(
        function, mesh=mesh, in_specs=(shares, everywhere), out_specs=shares
    )
    return mapped(filled, whole)[: len(rows)]


def own_rows(function: Callable[[R, T], Q], mesh: Mesh | None) -> Callable[[R, T], Q]:
    """The function, run by each device on its rows of the first argument and results.

    As many rows on each; all have the second argument whole. Without a mesh it is the
    function itself.
    """
    if mesh is None:
        return function
    rows, whole = PartitionSpec(BATCH), PartitionSpec()
    # Unchecked: devices exchange nothing, and rules of gradients need not say so.
    mapped: Callable[[R, T], Q] = jax.shard_map(
        function, mesh=mesh, in_specs=(rows, whole), out_specs=rows, check_vma=False
    )
    return mapped


def gather(tree: T, mesh: Mesh | None) -> T:
    """Within `jit`: arrays that every device holds whole."""
    if mesh is None:
        return tree
    return jax.lax.with_sharding_constraint(tree, NamedSharding(mesh, PartitionSpec()))


def place(tree: Any, mesh: Mesh | None) -> Any:
    """Arrays on every device of the mesh, whole; each process brings a copy.

    Args:
        tree: NumPy or JAX arrays, PRNG keys among them, equal in every process.
        mesh: The devices; JAX's default device where there is none.

    Example:
        >>> place({"step": np.int32(3)}, None)["step"].tolist()
        3
    """
    if mesh is None:
        return jax.tree.map(jax.numpy.asarray, tree)
    whole = NamedSharding(mesh, PartitionSpec())

    def place_one(leaf: Any) -> jax.Array:
        if is_key(leaf):
            data = place_one(jax.random.key_data(leaf))
            return jax.random.wrap_key_data(data, impl=jax.random.key_impl(leaf))
        values = np.asarray(leaf)
        return jax.make_array_from_callback(values.shape, whole, values.__getitem__)

    return jax.tree.map(place_one, tree)


def place_rows(tree: Any, mesh: Mesh | None) -> Any:
    """Arrays whose rows lie on the devices in turn: as many on each."""
    if mesh is None:
        return jax.tree.map(jax.numpy.asarray, tree)
    return jax.device_put(tree, NamedSharding(mesh, PartitionSpec(BATCH)))


def share_out(rows: np.ndarray, mesh: Mesh | None) -> jax.Array:
    """An array whose rows lie on the devices in turn: each process brings its own.

    It is filled with zeros up to as many rows on each device, at the end. What takes
    rows by their numbers, as a step takes its batch, moves those alone.

    Args:
        rows: The same array in every process, at least one row.
        mesh: The devices; JAX's default device where there is none.

    Example:
        >>> share_out(np.arange(3), None).tolist()
        [0, 1, 2]
    """
    if mesh is None:
        return jnp.asarray(rows)
    shape = (-(-len(rows) // mesh.size) * mesh.size, *rows.shape[1:])

    def share(index: Any) -> np.ndarray:
        start, stop, _ = index[0].indices(shape[0])
        own = rows[start:stop]
        missing = [(0, stop - start - len(own))] + [(0, 0)] * (rows.ndim - 1)
        return np.pad(own, missing)

    places = NamedSharding(mesh, PartitionSpec(BATCH))
    return jax.make_array_from_callback(shape, places, share)


def take_back(tree: Any, mesh: Mesh | None) -> Any:
    """Arrays that every device holds whole, on the first device of this process."""
    if mesh is None:
        return tree
    return jax.tree.map(lambda leaf: leaf.addressable_data(0), tree)


def is_key(leaf: Any) -> bool:
    """Whether an array holds typed PRNG keys.

    Example:
        >>> is_key(jax.random.key(0)), is_key(np.zeros(2))
        (True, False)
    """
    kind = getattr(leaf, "dtype", None)
    return kind is not None and jax.dtypes.issubdtype(kind, jax.dtypes.prng_key)
