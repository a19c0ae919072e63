"""Plans a circuit for states that several devices share.

Phases, and blocks on the qubits that a device holds, need no other device. A block on a
leading qubit, one that devices tell apart, waits for an exchange: the k qubits that are
needed last, or never again, become the leading ones (Belady's rule), by one all-to-all
that sends (1 - 2^-s) of the state where s qubits change places (Haner and Steiger,
arXiv 1704.01127). Nothing is swapped back: the layout says where every qubit is.
"""

import math
from collections.abc import Sequence
from dataclasses import replace

from .._checks import input_error
from . import affine
from .circuit import Circuit
from .compiler import Assembly, Pools, Program, fronted, move_between, split
from .fusion import DIAGONAL, PHASE
from .gates import NORMALISE, Gate, Preparation
from .program import Stage
from .sharded import (
    DeviceBeginning,
    DeviceDiagonal,
    DeviceNormalise,
    DevicePhase,
    Exchange,
    OnDevices,
    leading_axes,
)
from .steps import Phase, Step

ANYWHERE = (PHASE, DIAGONAL, NORMALISE)
"""What needs no qubit on any device."""


def compile_sharded(
    circuit: Circuit, wires: tuple[int, ...], n_devices: int
) -> Program:
    """Plans how a circuit runs on states that devices share.

    Args:
        circuit: gates, and which of its leaves differ from sample to sample.
        wires: which wires the circuit's own ones were before it was pruned.
        n_devices: a power of two.

    Raises:
        InputError: Where a device would hold fewer qubits than a gate needs.
    """
    n, axes = circuit.n_wires, leading_axes(n_devices)
    k = len(axes)
    gates = tuple(map(_as_matrix, circuit.gates))
    pools = Pools(circuit.leaves)
    first, items = split(replace(circuit, gates=gates), pools, max(n - k, 1))
    assembly = Assembly(n, pools)
    beginning = assembly.beginning(first, circuit.preparations)
    needs = [set() if item.kind in ANYWHERE else item.wires for item in items]
    _check_enough(n, n_devices, max([1, *map(len, needs)]))
    layout = _latest_first(beginning.layout, needs, circuit.preparations)
    beginning = replace(beginning, layout=layout)
    steps: list[Step] = []
    for i, item in enumerate(items):
        if needs[i] & set(layout[:k]):
            swap, layout = exchange(layout, axes, needs[i:])
            steps.append(swap)
        if item.kind == PHASE:
            steps.append(_phase(assembly.phase([item], layout), axes))
        elif item.kind == DIAGONAL:
            steps.append(_diagonal(item.gates[0], pools, layout, axes))
        elif item.kind == NORMALISE:
            steps.append(DeviceNormalise(axes))
        else:
            end = fronted(layout[k:], item)
            steps.append(assembly.block([item], layout[k:], end))
            layout = layout[:k] + end
    return Program(
        n,
        DeviceBeginning(beginning, n_devices),
        (Stage(tuple(OnDevices(step, n_devices) for step in steps), 1),),
        assembly.finished_banks(),
        circuit.leaves,
        layout,
        affine.identity(n),
        wires,
        len(gates),
        all(gate.unitary for gate in gates),
        n_devices,
    )


def _as_matrix(gate: Gate) -> Gate:
    """A permutation would be a gather from all devices: it joins a block instead."""
    return replace(gate, kind=replace(gate.kind, columns=None))


def _check_enough(n: int, n_devices: int, widest: int) -> None:
    held = n - (n_devices.bit_length() - 1)
    if held >= widest:
        return
    must = f"leave each device the {widest} qubits of the widest gate or block"
    was = f"{n_devices} devices leave it {held} of {n}"
    cure = f"Choose at most {1 << max(n - widest, 0)} devices."
    raise input_error("devices", must, was, cure)


def _latest_first(
    layout: Sequence[int], needs: Sequence[set[int]], prepared: Sequence[Preparation]
) -> tuple[int, ...]:
    """The layout, what is needed last in front; wires prepared together stay so."""
    together = {p.wires[0]: p.wires for p in prepared}
    inside = {wire for p in prepared for wire in p.wires[1:]}
    groups = [together.get(w, (w,)) for w in layout if w not in inside]
    groups.sort(key=lambda group: -min(_next_need(w, needs) for w in group))
    return tuple(wire for group in groups for wire in group)


def _next_need(wire: int, needs: Sequence[set[int]]) -> float:
    """How many items run before one that needs the wire; infinite where none does."""
    return next((i for i, wires in enumerate(needs) if wire in wires), math.inf)


def exchange(
    layout: tuple[int, ...], axes: tuple[str, ...], needs: Sequence[set[int]]
) -> tuple[Exchange, tuple[int, ...]]:
    """The swap after which the qubits needed last are those that devices tell apart.

    Returns:
        the step, and the layout behind it.
    """
    k = len(axes)
    # Of those that are needed as late, the ones that stay where they are come first.
    latest = sorted(layout, key=lambda wire: -_next_need(wire, needs))[:k]
    come = [wire for wire in layout[:k] if wire not in latest]
    leave = [wire for wire in layout[k:] if wire in latest]
    front = (*leave, *(wire for wire in layout[k:] if wire not in leave))
    move = None if front == layout[k:] else move_between(layout[k:], front)
    places = dict(zip(come, leave, strict=True))
    leading = tuple(places.get(wire, wire) for wire in layout[:k])
    swapped = tuple(axes[layout.index(wire)] for wire in come)
    return Exchange(move, swapped), (*leading, *come, *front[len(leave) :])


def _phase(phase: Phase, axes: tuple[str, ...]) -> DevicePhase:
    local = phase.n_bits - len(axes)
    own = replace(phase, n_bits=local, masks=phase.masks & ((1 << local) - 1))
    return DevicePhase(own, phase.masks >> local, axes)


def _diagonal(
    gate: Gate, pools: Pools, layout: tuple[int, ...], axes: tuple[str, ...]
) -> DeviceDiagonal:
    place = {wire: 1 << i for i, wire in enumerate(reversed(gate.wires))}
    columns = (0, *(place.get(wire, 0) for wire in reversed(layout)))
    return DeviceDiagonal(pools.stack(gate.reads), columns, axes)
