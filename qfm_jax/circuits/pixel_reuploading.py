"""A circuit for images that takes in every pixel as an angle."""

from dataclasses import dataclass
from functools import lru_cache
from math import isqrt

import numpy as np
import pennylane as qml
from pennylane.measurements import ExpectationMP
from pennylane.typing import TensorLike
from pennylane.wires import Wires

from .._checks import check_at_least, check_one_of, input_error
from ._arguments import as_wires, check_broadcastable
from .declaration import Pixels
from .observables import expectations, pauli_words

ORDERS = ("patch", "raster")


@dataclass(frozen=True)
class PixelReuploading:
    r"""Every pixel once, as an angle with a scale and an offset of its own.

    A layer turns each qubit by PennyLane's `Rot`, about Z, Y and Z, by three angles
    :math:`\theta = w_0 x + w_1` of a pixel :math:`x` each. Then come the CNOTs of
    `StronglyEntanglingLayers`: in layer :math:`l` qubit :math:`i` controls a NOT on
    qubit :math:`i + r` modulo :math:`n`, :math:`r = l \bmod (n - 1) + 1`. So
    :math:`\lceil m / 3n \rceil` layers take in the :math:`m` pixels of an image, and
    `n_repeats` times as many the image again and again. Places that are left over have
    their offset alone: their scales do nothing.

    A Hadamard stands on every qubit before the first layer and after the last one. The
    source has none. Without them the first turn would be one of :math:`|0\rangle` about
    its own axis, and the last one would commute with the CNOTs and the measured Z: up
    to 2n pixels of a single pass would have no effect.

    A qubit's places are filled layer by layer, in a layer angle by angle. By order
    `patch` they hold one compact region of the square image: the image is halved along
    its longer side, in proportion to the qubits of either half, until there is a region
    a qubit, which is read row by row. By order `raster` the pixels go in rows over the
    three angles, then the qubits, then the layers.

    Raises:
        InputError: For sizes below 1, an unknown order, order `patch` of features that
            are no square, or an observable that is no Pauli word.

    Source: Perez-Salinas, Cervera-Lierta, Gil-Fuster and Latorre, arXiv 1907.02085.

    Example:
        >>> import numpy as np, pennylane as qml
        >>> circuit = PixelReuploading(n_qubits=2, n_features=9)
        >>> circuit.n_layers, circuit.weights_shape
        (2, (2, 2, 3, 2))
        >>> print(np.array(circuit.pixels[0]))  # the first layer; one row a qubit
        [[0 1 3]
         [2 4 5]]
        >>> print(qml.draw(circuit, decimals=None)(np.zeros(9), np.zeros((2, 2, 3, 2))))
        0: ──H──Rot─╭●─╭X──Rot─╭●─╭X──H─┤  <Z>
        1: ──H──Rot─╰X─╰●──Rot─╰X─╰●──H─┤  <Z>
    """

    n_qubits: int
    """Number of qubits, at least 1."""
    n_features: int
    """Number of pixels, at least 1; 784 for an image of 28 x 28 in C order."""
    n_repeats: int = 1
    """How many times the whole image enters, at least 1."""
    order: str = "patch"
    """Which pixel goes where: `patch` or `raster`."""
    observables: tuple[str, ...] | None = None
    """Pauli words such as ("ZIII", "IZII"), letter i for wire i; by default every Z."""

    @classmethod
    def of_layers(cls, n_qubits: int, n_layers: int) -> "PixelReuploading":
        """For images of 28 x 28 pixels, pooled until they enter; as often as they can.

        Args:
            n_qubits: Number of qubits, at least 1.
            n_layers: Most layers, at least 1. What is left over of them is not used.

        Example:
            >>> PixelReuploading.of_layers(n_qubits=10, n_layers=27).n_features
            784
            >>> PixelReuploading.of_layers(n_qubits=10, n_layers=15)
            PixelReuploading(n_qubits=10, n_features=196, n_repeats=2, ...)
        """
        check_at_least("n_qubits", n_qubits, 1)
        check_at_least("n_layers", n_layers, 1)
        side = next(s for s in (28, 14, 7, 4, 2, 1) if s * s <= 3 * n_qubits * n_layers)
        n_layers_of_pass = -(-(side**2) // (3 * n_qubits))
        return cls(n_qubits, side**2, n_layers // n_layers_of_pass)

    def __post_init__(self) -> None:
        check_at_least("n_qubits", self.n_qubits, 1)
        check_at_least("n_features", self.n_features, 1)
        check_at_least("n_repeats", self.n_repeats, 1)
        check_one_of("order", self.order, ORDERS)
        pauli_words(self.observables, self.n_qubits)
        if self.order == "patch" and isqrt(self.n_features) ** 2 != self.n_features:
            must = "be a square number for order 'patch'"
            cure = "Take square images, or order='raster'."
            raise input_error("n_features", must, f"is {self.n_features}", cure)

    @property
    def n_layers(self) -> int:
        """Number of layers: n_repeats * ceil(n_features / (3 * n_qubits))."""
        return self.n_repeats * len(self.pixels)

    @property
    def pixels(self) -> tuple[tuple[tuple[int, ...], ...], ...]:
        """The pixel at each place (layer, qubit, angle) of one pass; -1 for none."""
        return _places(self.n_qubits, self.n_features, self.order)

    @property
    def takes(self) -> Pixels:
        """An image, pooled to n_features pixels."""
        return Pixels()

    @property
    def weights_shape(self) -> tuple[int, ...]:
        """(n_layers, n_qubits, 3, 2), of each angle first the scale, then the offset.

        A start with scales about pi and small offsets lets a pixel in [0, 1] turn a
        qubit by half of a turn.
        """
        return (self.n_layers, self.n_qubits, 3, 2)

    @property
    def n_observables(self) -> int:
        """Number of expectation values."""
        return len(pauli_words(self.observables, self.n_qubits))

    def __call__(self, inputs: TensorLike, weights: TensorLike) -> list[ExpectationMP]:
        """Applies the circuit to wires 0, 1, ... and measures it.

        Args:
            inputs: Pixels, in [0, 1] by intent, (n_features,) or (batch, n_features).
            weights: Scales in radians a unit of the pixels and offsets in radians,
                weights_shape or (batch, *weights_shape).

        Returns:
            n_observables expectation values in [-1, 1].

        Raises:
            InputError: For inputs or weights of another shape.
        """
        check_broadcastable("inputs", inputs, (self.n_features,))
        check_broadcastable("weights", weights, self.weights_shape)
        wires = as_wires(None, self.n_qubits)
        angles = self._angles(inputs, weights)
        _apply_hadamards(wires)
        for layer in range(self.n_layers):
            for i, wire in enumerate(wires):
                qml.Rot(*(angles[..., layer, i, k] for k in range(3)), wires=wire)
            _apply_ring(layer, wires)
        _apply_hadamards(wires)
        return expectations(self.observables, self.n_qubits)

    def _angles(self, inputs: TensorLike, weights: TensorLike) -> TensorLike:
        """Angles (..., n_layers, n_qubits, 3); one gather instead of one a pixel."""
        pixels = np.tile(self.pixels, (self.n_repeats, 1, 1))
        values = inputs[..., pixels] * (pixels >= 0)  # -1, the last one, times 0
        return weights[..., 0] * values + weights[..., 1]


def _apply_hadamards(wires: Wires) -> None:
    for wire in wires:
        qml.Hadamard(wires=wire)


def _apply_ring(layer: int, wires: Wires) -> None:
    if len(wires) > 1:
        distance = layer % (len(wires) - 1) + 1
        for i, wire in enumerate(wires):
            qml.CNOT(wires=[wire, wires[(i + distance) % len(wires)]])


@lru_cache(maxsize=32)
def _places(
    n_qubits: int, n_features: int, order: str
) -> tuple[tuple[tuple[int, ...], ...], ...]:
    n_uploads = -(-n_features // (3 * n_qubits))
    if order == "raster":
        padding = [-1] * (3 * n_qubits * n_uploads - n_features)
        places = np.array([*range(n_features), *padding])
        places = places.reshape(n_uploads, n_qubits, 3)
    else:
        places = np.full((n_qubits, 3 * n_uploads), -1)
        for row, region in zip(places, _regions(n_features, n_qubits), strict=True):
            row[: len(region)] = np.sort(region)
        places = places.reshape(n_qubits, n_uploads, 3).swapaxes(0, 1)
    return tuple(tuple(map(tuple, layer)) for layer in places.tolist())


def _regions(n_features: int, n_regions: int) -> list[np.ndarray]:
    """Parts of a square image, of sizes that differ by one at most."""
    side = isqrt(n_features)
    sizes = [(n_features + i) // n_regions for i in range(n_regions)]

    def split(pixels: np.ndarray, sizes: list[int]) -> list[np.ndarray]:
        if len(sizes) == 1:
            return [pixels]
        rows, columns = np.divmod(pixels, side)
        is_wide = len(pixels) > 0 and np.ptp(columns) >= np.ptp(rows)
        pixels = pixels[np.lexsort((rows, columns) if is_wide else (columns, rows))]
        half = len(sizes) // 2
        cut = sum(sizes[:half])
        return split(pixels[:cut], sizes[:half]) + split(pixels[cut:], sizes[half:])

    return split(np.arange(n_features), sizes)
