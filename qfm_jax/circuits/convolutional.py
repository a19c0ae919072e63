"""Convolution and pooling of qubits: the quantum convolutional network."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

from pennylane.measurements import ExpectationMP
from pennylane.typing import TensorLike
from pennylane.wires import WiresLike

from .._checks import check_at_least, check_one_of, input_error
from ._arguments import as_wires, check_broadcastable
from .blocks import BLOCKS, POOLING, ROTATION, TwoQubitBlock
from .declaration import Start, Takes, start_of, takes_of
from .embeddings import Embedding
from .observables import expectations, local_words, pauli_words, word_of


class _Group(NamedTuple):
    """The same block at several places, one after another."""

    block: TwoQubitBlock
    places: Sequence[tuple[int, ...]]


@dataclass(frozen=True)
class ConvolutionalLayers:
    r"""Convolution of neighbours, then pooling, on ever fewer wires.

    A layer on :math:`m` wires puts a block of SU(4) (`apply_su4`) on the neighbours
    (0, 1), (2, 3), ..., then on (1, 2), (3, 4), ..., of which the last one closes the
    ring; two wires get one block. Then every second wire controls rotations of the wire
    before it (`apply_pooling`) and is not used any more: it counts as measured, the
    rotations as conditional on the outcome.

    At least `n_final` wires are left. Layers after that convolve and pool no more, and
    a single wire gets one general rotation a layer. Measure `wires_left`.

    `weights` are one vector, as layers differ in size: of each layer first the 15
    angles of each convolution, then the two of each pooling. `shared` weights have one
    of each a layer, so that a convolution on an even number of wires commutes with a
    translation by two wires.

    Raises:
        InputError: For sizes below 1, or more final wires than qubits.

    Source: Cong, Choi and Lukin, arXiv 1810.03787; the pooling: Hur, Kim and Park,
    arXiv 2108.00661, whose convolutions are mostly of fewer angles.

    Example:
        >>> layers = ConvolutionalLayers(n_qubits=8, n_layers=2)
        >>> layers.weights_shape, layers.wires_left
        ((34,), (0, 4))
        >>> ConvolutionalLayers(8, n_layers=2, shared=False).weights_shape
        (192,)
    """

    n_qubits: int
    """Number of qubits, at least 1."""
    n_layers: int
    """Number of layers, at least 1."""
    n_final: int = 1
    """Number of wires below which no pooling goes, 1 to n_qubits."""
    shared: bool = True
    """Whether the blocks of a layer share their weights, or each has its own."""

    def __post_init__(self) -> None:
        check_at_least("n_qubits", self.n_qubits, 1)
        check_at_least("n_layers", self.n_layers, 1)
        check_at_least("n_final", self.n_final, 1)
        if self.n_final > self.n_qubits:
            must = f"be at most n_qubits = {self.n_qubits}"
            raise input_error("n_final", must, f"is {self.n_final}")

    @property
    def weights_shape(self) -> tuple[int, ...]:
        """(n_weights,)."""
        return (sum(self._n_weights(group) for group in self._groups()),)

    @property
    def wires_left(self) -> tuple[int, ...]:
        """The qubits that no pooling has used up, in order."""
        left: Sequence[int] = range(self.n_qubits)
        for _ in range(self.n_layers):
            left = _kept(left, self.n_final)
        return tuple(left)

    def __call__(self, weights: TensorLike, wires: WiresLike | None = None) -> None:
        """Applies all layers.

        Args:
            weights: Angles in radians, weights_shape or (batch, *weights_shape).
            wires: The n_qubits wires to act on; 0, 1, ... by default.

        Raises:
            InputError: For weights or wires of another shape.
        """
        check_broadcastable("weights", weights, self.weights_shape)
        wires = as_wires(wires, self.n_qubits)
        start = 0
        for group in self._groups():
            length = group.block.n_angles
            for k, place in enumerate(group.places):
                first = start if self.shared else start + k * length
                angles = weights[..., first : first + length]
                group.block.apply(angles, [wires[i] for i in place])
            start += self._n_weights(group)

    def _groups(self) -> list[_Group]:
        """Convolution and pooling of each layer, in order."""
        groups: list[_Group] = []
        active: Sequence[int] = range(self.n_qubits)
        for _ in range(self.n_layers):
            if len(active) == 1:
                groups.append(_Group(ROTATION, [tuple(active)]))
            else:
                groups.append(_Group(BLOCKS["su4"], _neighbours(active)))
            groups.append(_Group(POOLING, _pooled(active, self.n_final)))
            active = _kept(active, self.n_final)
        return [group for group in groups if group.places]

    def _n_weights(self, group: _Group) -> int:
        return group.block.n_angles * (1 if self.shared else len(group.places))


def _neighbours(wires: Sequence[int]) -> list[tuple[int, int]]:
    """Pairs of neighbours around a ring: (0, 1), (2, 3), ..., (1, 2), (3, 4), ...

    Example:
        >>> _neighbours(range(4)), _neighbours(range(2))
        ([(0, 1), (2, 3), (1, 2), (3, 0)], [(0, 1)])
    """
    pairs = list(pairwise(wires))
    # On two wires the ring would be the same pair once more.
    closing = [(wires[-1], wires[0])] if len(wires) > 2 else []
    return pairs[::2] + pairs[1::2] + closing


def _pooled(wires: Sequence[int], n_final: int) -> list[tuple[int, int]]:
    """(control, target) of each pooling: every second wire and the one before it."""
    n_pooled = min(len(wires) // 2, len(wires) - n_final)
    return [(wires[2 * k + 1], wires[2 * k]) for k in range(n_pooled)]


def _kept(wires: Sequence[int], n_final: int) -> Sequence[int]:
    """The wires that are no control of a pooling."""
    controls = {control for control, _ in _pooled(wires, n_final)}
    return [wire for wire in wires if wire not in controls]


@dataclass(frozen=True)
class ConvolutionalCircuit:
    """An embedding, then convolutional layers, then observables of the wires left.

    Raises:
        InputError: If embedding and layers differ in their number of qubits, or an
            observable is no Pauli word on that many.

    Source: Cong, Choi and Lukin, arXiv 1810.03787.

    Example:
        >>> from qfm_jax.circuits import AmplitudeEmbedding
        >>> layers = ConvolutionalLayers(n_qubits=4, n_layers=1)
        >>> circuit = ConvolutionalCircuit(AmplitudeEmbedding(4), layers)
        >>> circuit.words  # qubits 1 and 3 are pooled
        ('ZIII', 'IIZI')
        >>> circuit = ConvolutionalCircuit(AmplitudeEmbedding(4), layers, "local")
        >>> circuit.n_features, circuit.weights_shape, circuit.n_observables
        (16, (17,), 15)
    """

    embedding: Embedding
    """Takes the features in."""
    layers: ConvolutionalLayers
    """Take the weights in."""
    observables: tuple[str, ...] | str | None = None
    """By default Z of every wire left, in order; "local" for `local_words` of them,
    which are enough for ten classes from two wires on; or a tuple of Pauli words."""

    def __post_init__(self) -> None:
        if self.layers.n_qubits != self.embedding.n_qubits:
            must = f"have the {self.embedding.n_qubits} qubits of the embedding"
            raise input_error("layers", must, f"has {self.layers.n_qubits}")
        _ = self.words  # checks the observables

    @property
    def words(self) -> tuple[str, ...]:
        """The Pauli words that are measured, one letter a qubit."""
        left = self.layers.wires_left
        if self.observables is None:
            return tuple(word_of({wire: "Z"}, self.n_qubits) for wire in left)
        if isinstance(self.observables, str):
            check_one_of("observables", self.observables, ["local"])
            return local_words(left, self.n_qubits)
        return pauli_words(self.observables, self.n_qubits)

    @property
    def n_qubits(self) -> int:
        """Number of qubits of embedding and layers."""
        return self.embedding.n_qubits

    @property
    def n_features(self) -> int:
        """Number of features that the embedding takes."""
        return self.embedding.n_features

    @property
    def takes(self) -> Takes:
        """What the embedding takes."""
        return takes_of(self.embedding)

    @property
    def weights_start(self) -> Start | None:
        """How the weights of the layers start; None where they do not say."""
        return start_of(self.layers)

    @property
    def weights_shape(self) -> tuple[int, ...]:
        """Shape of the weights that the layers take."""
        return self.layers.weights_shape

    @property
    def n_observables(self) -> int:
        """Number of expectation values."""
        return len(self.words)

    def __call__(self, inputs: TensorLike, weights: TensorLike) -> list[ExpectationMP]:
        """Applies the circuit to wires 0, 1, ... and measures it.

        Args:
            inputs: The embedding's features, (n_features,) or (batch, n_features).
            weights: Angles in radians, weights_shape or (batch, *weights_shape).

        Returns:
            n_observables expectation values in [-1, 1].

        Raises:
            InputError: For inputs or weights of another shape.
        """
        self.embedding(inputs)
        self.layers(weights)
        return expectations(self.words, self.n_qubits)
