"""How a cost grows with the number of qubits: a fit, and what it says on paper."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import nnls

from qfm_jax._checks import check_at_least, check_range, input_error


@dataclass(frozen=True)
class Growth:
    """The cost c + a n^p 2^n of n qubits, in the unit of the values fitted.

    Example:
        >>> Growth(overhead=1.0, factor=0.5, power=1, largest_misfit=0.0)(3)
        13.0
    """

    overhead: float
    """c, which every number of qubits costs."""
    factor: float
    """a, the part that grows."""
    power: int
    """p: 1 for the time of a circuit with n gates a layer, 0 for the memory of a
    state."""
    largest_misfit: float
    """Largest distance of a value from the fit, as a share of the value."""

    def __call__(self, n_qubits: float) -> float:
        """The cost of that many qubits."""
        return self.overhead + self.factor * n_qubits**self.power * 2.0**n_qubits

    def formula(self, unit: str) -> str:
        """The fit in a line.

        Example:
            >>> Growth(1.0, 0.5, 1, 0.0).formula("s")
            '1 s + 0.5 s * n * 2^n'
        """
        times = {0: "", 1: " * n"}.get(self.power, f" * n^{self.power}")
        return f"{self.overhead:.3g} {unit} + {self.factor:.3g} {unit}{times} * 2^n"


def fit_growth(
    n_qubits: Sequence[int], values: Sequence[float], *, power: int = 1
) -> Growth:
    """Fits c + a n^p 2^n, with c and a at least 0, by least relative squares.

    Relative, because the values span orders of magnitude: the small ones count as much
    as the large ones.

    Args:
        n_qubits: Numbers of qubits, at least two different ones.
        values: The cost of each, above 0.
        power: p, at least 0.

    Raises:
        InputError: For lists of other lengths, one number of qubits alone, or a value
            that is not positive and finite.

    Example:
        >>> found = fit_growth([2, 4, 6], [1 + 2**n for n in (2, 4, 6)], power=0)
        >>> round(found.overhead, 6), round(found.factor, 6)
        (1.0, 1.0)
    """
    check_at_least("power", power, 0)
    if len(n_qubits) != len(values) or len(set(n_qubits)) < 2:
        must = "hold two different numbers or more, with a value for each"
        was = f"has {list(n_qubits)}, with {len(values)} values"
        raise input_error("n_qubits", must, was)
    for value in values:
        if not (value > 0 and math.isfinite(value)):
            raise input_error("values", "be positive and finite", f"hold {value!r}")
    n, found = np.asarray(n_qubits, float), np.asarray(values, float)
    columns = np.stack([np.ones_like(n), n**power * 2**n], axis=1) / found[:, None]
    scale = columns.max(axis=0)
    (overhead, factor), _ = nnls(columns / scale, np.ones_like(found))
    overhead, factor = float(overhead / scale[0]), float(factor / scale[1])
    fitted = overhead + factor * n**power * 2**n
    misfit = float(np.abs(fitted / found - 1).max())
    return Growth(overhead, factor, power, misfit)


def doubling(n_qubits: Sequence[int], values: Sequence[float]) -> float:
    """By what a cost grows for a qubit more, between the two largest numbers there.

    Example:
        >>> doubling([2, 10, 12], [1.0, 3.0, 12.0])
        2.0
    """
    pairs = sorted(zip(n_qubits, values, strict=True))
    (few, below), (many, above) = pairs[-2:]
    return float((above / below) ** (1 / (many - few)))


@dataclass(frozen=True)
class Cluster:
    """Alike nodes, between which the amplitudes of a state are shared out."""

    nodes: int
    """Number of nodes, a power of two."""
    memory: float
    """Bytes of each."""
    bandwidth: float
    """Bytes a second that each sends, while it receives as many."""

    def __post_init__(self) -> None:
        check_at_least("nodes", self.nodes, 1)
        if self.nodes & (self.nodes - 1):
            raise input_error("nodes", "be a power of two", f"is {self.nodes}")
        check_range("memory", self.memory, 1)
        check_range("bandwidth", self.bandwidth, 1)


CLUSTER_FORMULA = (
    "t = t_1(n) / M + 3 L log2(M) * 8 bytes * 2^n / (2 M) / B;  "
    "memory of a node = m_1(n) / M"
)
"""M nodes of bandwidth B, L layers, one sample; t_1 and m_1 as on one node."""


def cluster_step(
    growth: Growth, n_qubits: int, n_layers: int, cluster: Cluster
) -> float:
    """Seconds of a step of one sample, value and gradient, on a cluster: on paper.

    `CLUSTER_FORMULA`: the work is shared out evenly. log2(M) qubits tell the nodes
    apart; to turn each of them, once a layer, a node exchanges half of its amplitudes
    with another one (Haner and Steiger, arXiv 1704.01127), once on the way forward and
    for state and cotangent on the way back. No latency, nothing hidden behind work.

    Args:
        growth: Seconds of a step on one node.
        n_qubits: Number of qubits.
        n_layers: Layers of the circuit.
        cluster: The nodes.

    Example:
        >>> growth = Growth(0.0, 1e-9, 1, 0.0)
        >>> cluster = Cluster(nodes=4, memory=64e9, bandwidth=1e9)
        >>> round(cluster_step(growth, 20, 1, cluster), 6)  # 5.2 ms and 6.3 ms
        0.011534
    """
    alone = growth(n_qubits)
    sent = 3 * n_layers * math.log2(cluster.nodes) * 8 * 2.0**n_qubits
    return alone / cluster.nodes + sent / (2 * cluster.nodes) / cluster.bandwidth


def largest_circuit(growth: Growth, memory: float) -> int:
    """The most qubits whose cost in bytes fits a memory; 0 where none does.

    Example:
        >>> largest_circuit(Growth(0.0, 8.0, 0, 0.0), 64.0)
        3
    """
    n = 0
    while growth(n + 1) <= memory:
        n += 1
    return n
