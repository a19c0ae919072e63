"""One state on several devices: each holds the amplitudes of a few leading bits.

2^k devices tell the k leading bits of the layout apart, so that every doubling holds
one qubit more. Steps run on each device alone, but for exchanges of qubits and sums
(`exchanges` plans them). Every step takes and gives the whole state, of which JAX knows
that it is spread, so that all that transforms steps works here, too.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from . import affine, kernels
from .compiler import Program
from .kernels import Array
from .matrices import Stack
from .program import Beginning, product
from .steps import Move, Normalise, Phase, Step


def _on_devices(function: Callable[..., Any], n_devices: int) -> Callable[..., Any]:
    """Runs on each device's part of the first argument; others are whole everywhere."""
    mesh = _mesh(n_devices)
    state, whole = _state_spec(n_devices), PartitionSpec()
    return jax.shard_map(function, mesh=mesh, in_specs=(state, whole), out_specs=state)


@lru_cache
def _mesh(n_devices: int) -> Mesh:
    """The first devices, an axis of two for every bit that they tell apart."""
    axes = leading_axes(n_devices)
    devices = np.array(jax.devices()[:n_devices]).reshape((2,) * len(axes))
    return Mesh(devices, axes, axis_types=(AxisType.Auto,) * len(axes))


def everywhere(value: Array, n_devices: int) -> Array:
    """The array, whole on every device."""
    whole = NamedSharding(_mesh(n_devices), PartitionSpec())
    if isinstance(value, jax.core.Tracer):
        return jax.lax.with_sharding_constraint(value, whole)
    return jax.device_put(value, whole)  # also where it was put on one device


def leading_axes(n_devices: int) -> tuple[str, ...]:
    """Names of the leading bits, the most significant first."""
    return tuple(f"qubit{i}" for i in range(n_devices.bit_length() - 1))


def _state_spec(n_devices: int) -> PartitionSpec:
    return PartitionSpec(None, leading_axes(n_devices), None)


@dataclass(frozen=True, eq=False)
class OnDevices:
    """A step of each device on its part of the state, of shape (2, 2^n, batch)."""

    step: Step
    n_devices: int

    def table(self, banks: Sequence[Array], pools: dict[str, Array]) -> Any:
        """The step's table: small, and whole on every device."""
        return self.step.table(banks, pools)

    def apply(self, state: Array, table: Any) -> Array:
        """Runs the step on all devices at once."""
        return _on_devices(self.step.apply, self.n_devices)(state, table)

    def undo(self, state: Array, table: Any) -> Array:
        """The state before `apply`."""
        return _on_devices(self.step.undo, self.n_devices)(state, table)


@dataclass(frozen=True, eq=False)
class Exchange:
    """Qubits that devices tell apart change places with some that they hold."""

    move: Move | None
    """Brings the qubits that leave to the front of what a device holds."""
    axes: tuple[str, ...]
    """The leading bits that they become; what those were comes to the front."""

    def table(self, banks: Sequence[Array], pools: dict[str, Array]) -> tuple[()]:
        """Nothing depends on a parameter."""
        return ()

    def apply(self, state: Array, table: Any) -> Array:
        """One all-to-all, of all but 2^-s of the state."""
        return self._swap(state if self.move is None else self.move.apply(state))

    def undo(self, state: Array, table: Any) -> Array:
        """The same swap, and the qubits back to where they were."""
        state = self._swap(state)
        return state if self.move is None else self.move.undo(state)

    def _swap(self, state: Array) -> Array:
        return jax.lax.all_to_all(state, self.axes, 1, 1, tiled=True)


@dataclass(frozen=True, eq=False)
class DevicePhase:
    """`Phase` on all qubits: a device's own bits only turn the signs of angles."""

    phase: Phase
    """On the qubits that a device holds."""
    masks: np.ndarray
    """Bits of the device in the mask of each angle."""
    axes: tuple[str, ...]

    def table(self, banks: Sequence[Array], pools: dict[str, Array]) -> Array:
        """Angles (count, masks, batch or 1)."""
        return self.phase.table(banks, pools)

    def apply(self, state: Array, table: Array) -> Array:
        """One multiplication."""
        signs = _device_signs(self.masks, self.axes, table.dtype)
        return self.phase.apply(state, table * signs[:, None])

    def undo(self, state: Array, table: Array) -> Array:
        """Multiplies by the conjugate phases."""
        return self.apply(state, -table)


def _device_signs(masks: Any, axes: tuple[str, ...], dtype: Any) -> Array:
    """(-1)^(bits of this device in mask), shape (len(masks),)."""
    device = jax.lax.axis_index(axes)
    odd = jax.lax.population_count(device & np.asarray(masks, np.int32)) & 1
    return 1 - 2 * odd.astype(dtype)


@dataclass(frozen=True, eq=False)
class DeviceDiagonal:
    """`Diagonal` on all qubits: each device picks the numbers of its amplitudes."""

    stack: Stack
    """The gate's diagonal, shape (count, 2^w)."""
    columns: tuple[int, ...]
    """From the index of an amplitude to that of its number: an affine map."""
    axes: tuple[str, ...]

    def table(self, banks: Sequence[Array], pools: dict[str, Array]) -> Array:
        """The numbers (count, 2^w, batch or 1), complex."""
        dtype = np.result_type(pools["shared"].dtype, np.complex64)
        values = self.stack.read(pools, dtype).astype(dtype)
        return values if values.ndim == 3 else values[..., None]

    def apply(self, state: Array, table: Array) -> Array:
        """One complex multiplication."""
        local = state.shape[1].bit_length() - 1
        device = jax.lax.axis_index(self.axes)
        entries = kernels.image(jnp.array(self.columns[: local + 1], np.int32), local)
        for i, column in enumerate(self.columns[local + 1 :]):
            entries = entries ^ ((device >> i & 1) * column)
        return kernels.multiply(state, table[entries])

    def undo(self, state: Array, table: Array) -> Array:
        """Multiplies by the conjugates."""
        return self.apply(state, table.conj())


@dataclass(frozen=True, eq=False)
class DeviceNormalise(Normalise):
    """`Normalise` of a state of which each device holds a part."""

    axes: tuple[str, ...]

    def apply(self, state: Array, table: Any) -> Array:
        """Divides by the norm of the whole."""
        return state / jax.lax.psum((state**2).sum((0, 1)), self.axes) ** 0.5


@dataclass(frozen=True, eq=False)
class DeviceBeginning:
    """A product state of which each device makes its own part."""

    whole: Beginning
    n_devices: int

    def state(
        self, banks: Sequence[Array], pools: dict[str, Array], batch: int, dtype: Any
    ) -> Array:
        """Shape (2, 2^n, batch), on the devices."""
        parts = list(map(jnp.asarray, self.whole.parts(banks, pools, dtype)))
        axes = leading_axes(self.n_devices)

        def own(parts: Sequence[Array]) -> Array:
            bits, found = list(axes), []
            for part in parts:
                leading = bits[: len(part).bit_length() - 1]
                bits = bits[len(leading) :]
                if leading:
                    rows = part.reshape(1 << len(leading), -1, part.shape[-1])
                    part = rows[jax.lax.axis_index(tuple(leading))]
                found.append(part)
            return product(found, batch, dtype)

        return jax.shard_map(
            own,
            mesh=_mesh(self.n_devices),
            in_specs=(PartitionSpec(),),
            out_specs=_state_spec(self.n_devices),
        )(parts)


def expectations(
    state: Array, masks: Sequence[tuple[int, int, int]], program: Program
) -> Array:
    """<P> with P|j> = i^y (-1)^(bits of j in z) |j ^ x> for each (x, z, y).

    Each device sums over its own amplitudes, and the sums are added up. A word that
    flips a bit of the devices also needs the amplitudes of another device.

    Args:
        state: shape (2, 2^n, batch), on the program's devices.
        masks: integers whose bits are the program's wires.
        program: what made the state.

    Returns:
        shape (len(masks), batch), whole on every device.
    """
    axes = leading_axes(program.n_devices)
    layout = affine.from_layout(program.layout)
    to_bits = affine.invert(layout)
    local = program.n_wires - len(axes)

    def own(state: Array) -> Array:
        found: list[Any] = [None] * len(masks)
        for flip in dict.fromkeys(x for x, _, _ in masks):
            asked = [i for i, (x, _, _) in enumerate(masks) if x == flip]
            other = _flipped(state, affine.apply(to_bits, flip), axes)
            (re, im), (a, b) = state, other
            for odd in {masks[i][2] % 2 for i in asked}:
                products = b * re - a * im if odd else a * re + b * im
                some = [i for i in asked if masks[i][2] % 2 == odd]
                reads = [affine.pull_back(masks[i][1], layout)[0] for i in some]
                low = [mask & ((1 << local) - 1) for mask in reads]
                high = [mask >> local for mask in reads]
                signs = _device_signs(high, axes, state.dtype)
                sums = kernels.signed_sums(products, low) * signs[:, None]
                for i, row in zip(some, sums, strict=True):
                    found[i] = row * (-1) ** (masks[i][2] // 2)
        return jax.lax.psum(jnp.stack(found), axes)

    return jax.shard_map(
        own,
        mesh=_mesh(program.n_devices),
        in_specs=(_state_spec(program.n_devices),),
        out_specs=PartitionSpec(),
    )(state)


def _flipped(state: Array, flip: int, axes: tuple[str, ...]) -> Array:
    """Row j ^ flip of the whole state in place of row j."""
    local = state.shape[1].bit_length() - 1
    if high := flip >> local:
        pairs = [(device, device ^ high) for device in range(1 << len(axes))]
        state = jax.lax.ppermute(state, axes, pairs)
    bits = [flip >> i & 1 for i in reversed(range(local))]
    starts = [i for i in range(local) if i == 0 or bits[i] != bits[i - 1]]
    sizes = [1 << (b - a) for a, b in zip(starts, [*starts[1:], local], strict=True)]
    turned = [1 + axis for axis, start in enumerate(starts) if bits[start]]
    flat = state.shape
    return jnp.flip(state.reshape(2, *sizes, flat[-1]), turned).reshape(flat)
