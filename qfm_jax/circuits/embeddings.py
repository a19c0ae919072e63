"""Embeddings: features -> PennyLane operations that prepare a state."""

from dataclasses import dataclass
from itertools import combinations
from typing import Protocol

import numpy as np
import pennylane as qml
from pennylane.typing import TensorLike
from pennylane.wires import WiresLike

from .._checks import check_at_least, check_one_of, input_error
from ._arguments import as_wires, check_broadcastable
from .declaration import Amplitudes, Angles, Takes

ROTATIONS = {"X": qml.RX, "Y": qml.RY, "Z": qml.RZ}


class Embedding(Protocol):
    """What a circuit asks of an embedding; write your own with these members."""

    @property
    def n_qubits(self) -> int:
        """Number of qubits that the features are written to."""

    @property
    def n_features(self) -> int:
        """Length of the last axis of `features`."""

    @property
    def takes(self) -> Takes:
        """What the features are, such as `Angles()`."""

    def __call__(self, features: TensorLike, wires: WiresLike | None = None) -> None:
        """Applies the operations; index `features[..., i]`, so that batches work."""


@dataclass(frozen=True)
class AngleEmbedding:
    r"""One feature a qubit, as the angle of a rotation.

    Qubit :math:`i` goes to :math:`R_P(x_i)|0\rangle`, where :math:`P` is `rotation`.
    About Z a rotation only gives :math:`|0\rangle` a phase, so a Hadamard goes first:
    :math:`R_Z(x_i)H|0\rangle`.

    Raises:
        InputError: For fewer than one qubit or an unknown rotation.

    Source: Schuld and Petruccione, *Machine Learning with Quantum Computers*, 2021.

    Example:
        >>> import numpy as np, pennylane as qml
        >>> features = np.array([0.1, 0.2])
        >>> print(qml.draw(AngleEmbedding(n_qubits=2, rotation="Z"))(features))
        0: ──H──RZ(0.10)─┤
        1: ──H──RZ(0.20)─┤
    """

    n_qubits: int
    """Number of qubits, at least 1."""
    rotation: str = "Y"
    """Axis of the rotation: X, Y or Z."""

    def __post_init__(self) -> None:
        check_at_least("n_qubits", self.n_qubits, 1)
        check_one_of("rotation", self.rotation, ROTATIONS)

    @property
    def n_features(self) -> int:
        """One feature a qubit."""
        return self.n_qubits

    @property
    def takes(self) -> Angles:
        """Angles; the expectations have frequency 1 in each."""
        return Angles(frequency=1)

    def __call__(self, features: TensorLike, wires: WiresLike | None = None) -> None:
        """Applies the rotations.

        Args:
            features: Angles in radians, (n_features,) or (batch, n_features).
            wires: The n_qubits wires to act on; 0, 1, ... by default.

        Raises:
            InputError: For features or wires of another length.
        """
        check_broadcastable("features", features, (self.n_features,))
        rotate = ROTATIONS[self.rotation]
        for i, wire in enumerate(as_wires(wires, self.n_qubits)):
            if self.rotation == "Z":
                qml.Hadamard(wires=wire)
            rotate(features[..., i], wires=wire)


@dataclass(frozen=True)
class ZZEmbedding:
    r"""Features and their products as phases: the ZZ feature map.

    Each repetition puts a Hadamard on every qubit, then :math:`R_Z(2 x_i)` on every
    qubit and :math:`e^{-i \varphi Z_i Z_j / 2}` with
    :math:`\varphi = 2 (\pi - x_i)(\pi - x_j)` on every pair. Up to a global phase it is
    Qiskit's `zz_feature_map(n_qubits, reps=n_repeats, entanglement="full")`.

    Raises:
        InputError: For sizes below 1.

    Source: Havlicek et al., "Supervised learning with quantum-enhanced feature spaces",
    arXiv 1804.11326.

    Example:
        >>> import numpy as np, pennylane as qml
        >>> embedding = ZZEmbedding(n_qubits=2, n_repeats=1)
        >>> print(qml.draw(embedding, decimals=None)(np.zeros(2)))
        0: ──H──RZ─╭IsingZZ─┤
        1: ──H──RZ─╰IsingZZ─┤
    """

    n_qubits: int
    """Number of qubits, at least 1."""
    n_repeats: int = 2
    """How many times the features enter, at least 1."""

    def __post_init__(self) -> None:
        check_at_least("n_qubits", self.n_qubits, 1)
        check_at_least("n_repeats", self.n_repeats, 1)

    @property
    def n_features(self) -> int:
        """One feature a qubit."""
        return self.n_qubits

    @property
    def takes(self) -> Angles:
        """Angles, of which products are taken too: no Fourier series."""
        return Angles()

    def __call__(self, features: TensorLike, wires: WiresLike | None = None) -> None:
        """Applies all repetitions.

        Args:
            features: Angles in radians, (n_features,) or (batch, n_features).
            wires: The n_qubits wires to act on; 0, 1, ... by default.

        Raises:
            InputError: For features or wires of another length.
        """
        check_broadcastable("features", features, (self.n_features,))
        wires = as_wires(wires, self.n_qubits)
        for _ in range(self.n_repeats):
            for i, wire in enumerate(wires):
                qml.Hadamard(wires=wire)
                qml.RZ(2 * features[..., i], wires=wire)
            for i, j in combinations(range(self.n_qubits), 2):
                angle = 2 * (np.pi - features[..., i]) * (np.pi - features[..., j])
                qml.IsingZZ(angle, wires=[wires[i], wires[j]])


@dataclass(frozen=True)
class AmplitudeEmbedding:
    r"""Up to 2^n features as the amplitudes of n qubits.

    :math:`|x\rangle = \frac{1}{\|x\|} \sum_k x_k |k\rangle`, where wire 0 is the most
    significant bit of :math:`k` and missing features are zeros. Padding and norm are
    part of the circuit and differentiable. Features are real and not tiny: in float32
    the squares of values below about 1e-19 vanish.

    A sample of zeros has no direction. It raises an error where values are at hand;
    under `jax.jit` or `jax.vmap` they are not, and it gives :math:`|0\rangle` with
    finite gradients, never NaN. Whoever makes the features must refuse such images.

    Raises:
        InputError: For fewer than one qubit, or features that do not fit on them.

    Source: Schuld and Petruccione, *Machine Learning with Quantum Computers*, 2021.

    Example:
        >>> import numpy as np, pennylane as qml
        >>> embedding = AmplitudeEmbedding(n_qubits=2, n_features=3)
        >>> @qml.qnode(qml.device("default.qubit", wires=2))
        ... def state(features):
        ...     embedding(features)
        ...     return qml.probs()
        >>> state(np.array([1.0, 2.0, 2.0])).round(3)
        array([0.111, 0.444, 0.444, 0.   ])
    """

    n_qubits: int
    """Number of qubits, at least 1."""
    n_features: int = None  # type: ignore[assignment]
    """Number of features, 1 to 2**n_qubits; by default 2**n_qubits."""

    def __post_init__(self) -> None:
        check_at_least("n_qubits", self.n_qubits, 1)
        if self.n_features is None:
            object.__setattr__(self, "n_features", 2**self.n_qubits)
        check_at_least("n_features", self.n_features, 1)
        if self.n_features > 2**self.n_qubits:
            must = f"be at most 2**n_qubits = {2**self.n_qubits}"
            cure = f"Take n_qubits={(self.n_features - 1).bit_length()} or more."
            raise input_error("n_features", must, f"is {self.n_features}", cure)

    @property
    def takes(self) -> Amplitudes:
        """Real numbers of any size, not all zero."""
        return Amplitudes()

    def __call__(self, features: TensorLike, wires: WiresLike | None = None) -> None:
        """Prepares the state; the first operation of a circuit.

        Args:
            features: Real numbers, (n_features,) or (batch, n_features).
            wires: The n_qubits wires to prepare; 0, 1, ... by default.

        Raises:
            InputError: For features or wires of another length, or a sample of zeros.
        """
        check_broadcastable("features", features, (self.n_features,))
        amplitudes = _normalised(features, 2**self.n_qubits)
        qml.StatePrep(amplitudes, wires=as_wires(wires, self.n_qubits))


def _normalised(features: TensorLike, length: int) -> TensorLike:
    """Pads (..., n_features) with zeros to (..., length), each sample of norm 1."""
    features = 1.0 * features  # squares of uint8 pixels would overflow
    zeros_only = qml.math.sum(features**2, axis=-1, keepdims=True) == 0.0
    if not qml.math.is_abstract(features) and bool(qml.math.any(zeros_only)):
        must = "have a value other than zero in every sample"
        cure = "Leave such samples out: zeros cannot be scaled to norm 1."
        raise input_error("features", must, "has a sample of zeros only", cure)
    # Under tracing: zeros become (1, 0, ..., 0) before anything is divided by a norm.
    features = qml.math.concatenate(
        [features[..., :1] + zeros_only, features[..., 1:]], axis=-1
    )
    norm = qml.math.sqrt(qml.math.sum(features**2, axis=-1, keepdims=True))
    padding = (0, length - qml.math.shape(features)[-1])
    no_padding = [(0, 0)] * (qml.math.ndim(features) - 1)
    return qml.math.pad(features / norm, [*no_padding, padding])


EMBEDDINGS = {
    "angle": AngleEmbedding,
    "zz": ZZEmbedding,
    "amplitude": AmplitudeEmbedding,
}
"""Parts of circuits that take features in, by name; each is called with n_qubits."""
