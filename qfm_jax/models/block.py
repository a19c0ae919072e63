"""The block before the head: a circuit, or what stands in for it in a comparison.

Every kind takes as many features as the circuit, (batch, n_features), and none looks at
more. The kinds are the controls of an audit (see `qfm_jax.audit.controls`).
"""

import dataclasses
import functools
import math
from collections.abc import Sequence
from typing import Literal

import jax
import jax.numpy as jnp
from flax import nnx

from .._checks import check_at_least, check_one_of, input_error
from ..circuits import Angles, Normal, Separable, VariationalCircuit
from ..circuits.declaration import start_of, takes_of
from ..devices import DeviceConfig
from .quantum_layer import ANGLE_SPREAD, QuantumLayer, initializer_of


@dataclasses.dataclass(frozen=True)
class BlockKind:
    """What a block is, and what follows from it for what stands around it."""

    summary: str
    """What it is, in a line."""
    runs_circuit: bool = False
    """Whether a circuit runs in it."""
    is_bounded: bool = False
    """Whether its results lie within [-1, 1], whatever the features."""
    is_nothing: bool = False
    """Whether it gives what it takes."""
    features: Literal["declared", "centred", "free"] = "centred"
    """What a trained layer before it is squashed to: what the circuit declares, (-1, 1)
    or nothing."""


CIRCUIT = BlockKind(
    "the circuit, trained", runs_circuit=True, is_bounded=True, features="declared"
)

BLOCKS = {
    "circuit": CIRCUIT,
    "frozen": dataclasses.replace(
        CIRCUIT, summary="the circuit at its random start, not trained"
    ),
    "separable": dataclasses.replace(
        CIRCUIT,
        summary="the circuit without its gates on two or more qubits (a preparation "
        "of amplitudes stays)",
    ),
    "fourier": BlockKind(
        "a sum of random Fourier terms of the features, of trained coefficients",
        features="declared",
    ),
    "dense": BlockKind("one dense tanh layer of the circuit's width", is_bounded=True),
    "matched": BlockKind(
        "a dense bottleneck with about as many parameters as the circuit",
        is_bounded=True,
    ),
    "removed": BlockKind("nothing: the features go on as they are", is_nothing=True),
    "linear": BlockKind(
        "nothing, and the features are not squashed either",
        is_nothing=True,
        features="free",
    ),
}
"""Kinds of blocks by name."""

CIRCUIT_BLOCKS = tuple(name for name, kind in BLOCKS.items() if kind.runs_circuit)
"""Kinds that run a circuit."""

N_FREQUENCIES = 32
"""Terms of the Fourier surrogate; the angles of a small circuit would buy three."""


def build_block(
    kind: str,
    circuit: VariationalCircuit,
    *,
    angle_spread: float = ANGLE_SPREAD,
    device: DeviceConfig | None = None,
    rngs: nnx.Rngs,
) -> nnx.Module:
    """Builds a block: maps features (..., n_features) to (..., `block_width`).

    Args:
        kind: A name in `BLOCKS`.
        circuit: The circuit, or the one that the block stands in for.
        angle_spread: Standard deviation of a circuit's weights at the start, radians.
        device: Where it runs; ignored by the classical kinds.
        rngs: Flax random number generators; the stream `params` starts the weights.

    Raises:
        InputError: For an unknown kind, or one that cannot exist for this circuit, with
            the reason.

    Example:
        >>> from qfm_jax.circuits import build_circuit
        >>> circuit = build_circuit("angle", "strongly-entangling", 4, n_layers=2)
        >>> for kind in ("circuit", "dense", "matched"):
        ...     block = build_block(kind, circuit, rngs=nnx.Rngs(0))
        ...     sizes = [w.size for w in jax.tree.leaves(nnx.state(block, nnx.Param))]
        ...     print(kind, block(jnp.zeros((5, 4))).shape, sum(sizes))
        circuit (5, 4) 24
        dense (5, 4) 20
        matched (5, 4) 20
    """
    check_one_of("block", kind, BLOCKS)
    n_in, n_out = circuit.n_features, circuit.n_observables
    if kind in CIRCUIT_BLOCKS:
        circuit = Separable(circuit) if kind == "separable" else circuit
        return QuantumLayer(
            circuit,
            device=device,
            init_method=initializer_of(start_of(circuit) or Normal(), angle_spread),
            trainable=kind != "frozen",
            rngs=rngs,
        )
    if kind == "fourier":
        return FourierBlock(n_in, n_out, highest_frequency(circuit), rngs=rngs)
    if kind == "dense":
        return nnx.Sequential(nnx.Linear(n_in, n_out, rngs=rngs), jnp.tanh)
    if kind == "matched":
        rank = _matched_rank(circuit)
        squeeze = nnx.Linear(n_in, rank, use_bias=False, rngs=rngs)
        return nnx.Sequential(
            squeeze, jnp.tanh, nnx.Linear(rank, n_out, rngs=rngs), jnp.tanh
        )
    return nnx.Sequential(_identity)


def build_blocks(
    kind: str,
    circuit: VariationalCircuit,
    n_circuits: int,
    *,
    angle_spread: float = ANGLE_SPREAD,
    device: DeviceConfig | None = None,
    rngs: nnx.Rngs,
) -> nnx.Module:
    """`build_block`, or several side by side, each with its share of the features.

    Example:
        >>> from qfm_jax.circuits import build_circuit
        >>> circuit = build_circuit("angle", "real-amplitudes", 4, n_layers=1)
        >>> build_blocks("circuit", circuit, 2, rngs=nnx.Rngs(0))(
        ...     jnp.zeros((5, 8))).shape
        (5, 8)
    """
    build = functools.partial(
        build_block, kind, circuit, angle_spread=angle_spread, device=device
    )
    blocks = [build(rngs=rngs) for _ in range(n_circuits)]
    return blocks[0] if n_circuits == 1 else SideBySide(blocks)


class SideBySide(nnx.Module):
    """Blocks of one kind, each of which takes an equal share of the features.

    Args:
        blocks: The blocks, in the order of their features.
    """

    def __init__(self, blocks: Sequence[nnx.Module]):
        self.blocks = nnx.List(blocks)

    def __call__(self, features: jax.Array) -> jax.Array:
        """Maps (..., n_features) to the results of all blocks, one after another."""
        shares = jnp.split(features, len(self.blocks), axis=-1)
        results = [b(x) for b, x in zip(self.blocks, shares, strict=True)]
        return jnp.concatenate(results, axis=-1)


def block_width(kind: str, circuit: VariationalCircuit) -> int:
    """Length of the last axis of what a block of this kind gives.

    Example:
        >>> from qfm_jax.circuits import build_circuit
        >>> circuit = build_circuit("amplitude", "real-amplitudes", 3, n_layers=1)
        >>> block_width("circuit", circuit), block_width("removed", circuit)
        (3, 8)
    """
    passed_on = BLOCKS[kind].is_nothing
    return circuit.n_features if passed_on else circuit.n_observables


def highest_frequency(circuit: VariationalCircuit) -> int:
    """How often a feature enters the circuit at most: its highest Fourier frequency.

    An expectation value of a circuit that takes features in by Pauli rotations alone is
    sum_w c_w exp(i w x) over whole numbers |w_j| up to the number of uploads of feature
    j (Schuld, Sweke and Meyer, arXiv 2008.08605).

    The circuit declares it, as `Angles(frequency=...)`.

    Raises:
        InputError: For a circuit of which that is not known, such as one whose features
            are amplitudes: the expectations are quadratic forms in them.
    """
    takes = takes_of(circuit)
    if isinstance(takes, Angles) and takes.frequency is not None:
        return takes.frequency
    must = "be another one for this circuit: its expectations are not known to be a "
    must += "Fourier series in its features"
    raise input_error("block", must, "is 'fourier'")


class FourierBlock(nnx.Module):
    """A trained sum of cosines and sines of random whole-number frequencies.

    f_k(x) = b_k + sum_j (c_kj cos(w_j x) + s_kj sin(w_j x)): the classical surrogate of
    a circuit, with terms of the circuit's own spectrum (Landman et al., "Classically
    approximating variational quantum machine learning with random Fourier features",
    arXiv 2210.13200).

    Args:
        n_in: Number of features, angles in radians.
        n_out: Number of outputs.
        highest: Largest frequency of each feature.
        n_frequencies: Number of terms.
        rngs: Flax random number generators; `params` draws frequencies and weights.

    Example:
        >>> block = FourierBlock(3, 2, rngs=nnx.Rngs(0))
        >>> block(jnp.zeros((5, 3))).shape
        (5, 2)
    """

    def __init__(
        self,
        n_in: int,
        n_out: int,
        highest: int = 1,
        *,
        n_frequencies: int = N_FREQUENCIES,
        rngs: nnx.Rngs,
    ):
        check_at_least("highest", highest, 1)
        check_at_least("n_frequencies", n_frequencies, 1)
        shape = (n_in, n_frequencies)
        drawn = jax.random.randint(rngs.params(), shape, -highest, highest + 1)
        self.frequencies = nnx.Variable(drawn.astype(jnp.float32))
        self.coefficients = nnx.Linear(2 * n_frequencies, n_out, rngs=rngs)

    def __call__(self, features: jax.Array) -> jax.Array:
        """Sums the series for each sample."""
        phases = features @ self.frequencies[...]  # (..., n_frequencies)
        waves = jnp.concatenate([jnp.cos(phases), jnp.sin(phases)], axis=-1)
        return self.coefficients(waves)


def _matched_rank(circuit: VariationalCircuit) -> int:
    """Width of the bottleneck whose parameters are nearest to the circuit's."""
    n_in, n_out = circuit.n_features, circuit.n_observables
    wanted = math.prod(circuit.weights_shape)
    rank = max(1, round((wanted - n_out) / (n_in + n_out)))
    found = rank * (n_in + n_out) + n_out
    if abs(found - wanted) > 0.25 * wanted:
        must = f"be another one: no dense bottleneck has about {wanted} parameters"
        raise input_error("block", must, f"is 'matched', whose nearest has {found}")
    return rank


def _identity(x: jax.Array) -> jax.Array:
    return x
