"""Affine maps over bits: what X, CNOT and SWAP do to the index of a basis state.

A map of n bits is n + 1 integers: columns[0] is the image of 0, columns[1 + i] says
which bits of the image flip with bit i (0 the least significant). CNOT rings, wire
orders and their products are all of this form, so that n + 1 integers stand for a table
of 2^n.
"""

from collections.abc import Sequence

Map = tuple[int, ...]


def apply(f: Map, j: int) -> int:
    """The image of j.

    Example:
        >>> cnot = (0, 1, 3)  # control: bit 1, target: bit 0
        >>> [apply(cnot, j) for j in range(4)]
        [0, 1, 3, 2]
    """
    image = f[0]
    for i, column in enumerate(f[1:]):
        if j >> i & 1:
            image ^= column
    return image


def compose(f: Map, g: Map) -> Map:
    """The map j -> f(g(j)).

    Example:
        >>> compose((0, 1, 3), (0, 1, 3))  # CNOT twice
        (0, 1, 2)
    """
    return (apply(f, g[0]), *(apply(f, column) ^ f[0] for column in g[1:]))


def identity(n: int) -> Map:
    """The map that changes nothing."""
    return (0, *(1 << i for i in range(n)))


def invert(f: Map) -> Map:
    """The map that undoes f, by Gauss-Jordan elimination.

    Example:
        >>> compose(invert((2, 1, 3)), (2, 1, 3))
        (0, 1, 2)
    """
    n = len(f) - 1
    rows = [(f[1 + i], 1 << i) for i in range(n)]
    for bit in range(n):
        pivot = next(i for i in range(bit, n) if rows[i][0] >> bit & 1)
        rows[bit], rows[pivot] = rows[pivot], rows[bit]
        for i in range(n):
            if i != bit and rows[i][0] >> bit & 1:
                rows[i] = (rows[i][0] ^ rows[bit][0], rows[i][1] ^ rows[bit][1])
    linear = (0, *(image for _, image in rows))
    return (apply(linear, f[0]), *linear[1:])


def on_wires(local: Map, wires: Sequence[int], n: int) -> Map:
    """A gate's map on `wires` of n; wire 0 is the most significant bit."""
    k = len(wires)
    place = (0, *(1 << (n - 1 - wires[k - 1 - i]) for i in range(k)))
    columns = list(identity(n))
    columns[0] = apply(place, local[0])
    for i in range(k):
        columns[1 + n - 1 - wires[k - 1 - i]] = apply(place, local[1 + i])
    return tuple(columns)


def from_layout(layout: Sequence[int]) -> Map:
    """From the index of a state whose bits are in this order to that of wires in order.

    Example:
        >>> apply(from_layout([1, 0]), 0b10)
        1
    """
    n = len(layout)
    return (0, *(1 << (n - 1 - layout[n - 1 - p]) for p in range(n)))


def pull_back(mask: int, f: Map) -> tuple[int, int]:
    """Mask and sign with (-1)^bits(f(j) & mask) = sign * (-1)^bits(j & new mask)."""
    odd = lambda j: (j & mask).bit_count() & 1  # noqa: E731
    new = sum(odd(column) << i for i, column in enumerate(f[1:]))
    return new, 1 - 2 * odd(f[0])
