"""Circuits with noise as random trajectories of pure states, batched in JAX."""

import dataclasses
import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from pennylane.measurements import ExpectationMP
from pennylane.typing import TensorLike

from .._checks import input_error
from ..circuits import VariationalCircuit
from ..circuits.qiskit_gates import QiskitGate
from ..circuits.rewrites import Rewritten
from .noise import Noise
from .noisy_circuit import (
    Depolarizing,
    read_out,
    recorded,
    with_noise,
    without_backend,
)
from .pauli_frame import PauliFrame


@dataclasses.dataclass(frozen=True)
class TrajectoryCircuit(Rewritten):
    """A circuit with random Pauli gates in place of depolarizing noise.

    A depolarizing channel is a mixture of Pauli gates: with probability P one of the
    4^k on k wires, each as likely. So the mean of the results over random choices, and
    that of their gradients, is the exact one, on a device of pure states. The choices
    are inputs, behind the circuit's own: two bits for each wire of each place, for
    X and for Z; zeros are no noise. No gate is inserted: a Pauli gate that moves to the
    end of the circuit turns signs of angles on its way. Read-out errors are exact: they
    multiply expectations.

    Raises:
        InputError: As `NoisyCircuit` does, and for T1 and T2: relaxation is no mixture
            of Pauli gates.

    Source: Dalibard, Castin and Molmer, "Wave-function approach to dissipative
    processes in quantum optics", 1992; arXiv 1405.4301, section 2, for Pauli channels.

    Example:
        >>> from qfm_jax import AngleEmbedding, Circuit, RealAmplitudes
        >>> circuit = Circuit(AngleEmbedding(2), RealAmplitudes(2, n_layers=1))
        >>> noisy = TrajectoryCircuit(circuit, "depolarizing:0.01")
        >>> noisy.n_features, [place.wires for place in noisy.places]
        (14, [(0,), (1,), (0, 1), (0,), (1,)])
        >>> noisy.draw(jax.random.key(0), (7,)).shape
        (7, 12)
    """

    circuit: VariationalCircuit
    """The circuit without noise."""
    noise: Noise | str
    """The noise, or its name."""

    def __post_init__(self) -> None:
        noise = without_backend(self.noise)
        object.__setattr__(self, "noise", noise)
        if noise.t1 is not None:
            must = "be a mixture of Pauli gates here: depolarizing, or of the read-out"
            cure = "Use NoisyCircuit on the device default.mixed."
            raise input_error("noise", must, f"is {noise.spec!r}", cure)

    @property
    def n_features(self) -> int:
        """Features of the circuit, and the bits of `draw`."""
        n_bits = sum(2 * len(place.wires) for place in self.places)
        return self.circuit.n_features + n_bits

    @property
    def places(self) -> tuple[Depolarizing, ...]:
        """Where random gates stand, in order."""
        return _places(self.circuit, without_backend(self.noise))

    def draw(self, key: jax.Array, shape: tuple[int, ...] = ()) -> jax.Array:
        """Draws the bits of trajectories, (*shape, n_bits), each 0 or 1."""
        places = self.places
        strengths = jnp.array([place.strength for place in places])
        lost, on = jax.random.split(key)
        is_lost = jax.random.bernoulli(lost, strengths, (*shape, len(places)))
        # Each place has two bits for each of its wires.
        n_bits = np.array([2 * len(place.wires) for place in places], int)
        owner = np.repeat(np.arange(len(places)), n_bits)
        is_on = jax.random.bernoulli(on, 0.5, (*shape, len(owner)))
        return (is_lost[..., owner] & is_on).astype(jnp.float32)

    def __call__(self, inputs: TensorLike, weights: TensorLike) -> list[ExpectationMP]:
        """Applies the gates, with the signs that the random Pauli gates give them.

        Args:
            inputs: Features and bits, (n_features,) or (batch, n_features).
            weights: As the circuit takes them.
        """
        noise = without_backend(self.noise)
        own = self.circuit.n_features
        gates, measurements = recorded(self.circuit, inputs[..., :own], weights)
        signs = 1 - 2 * inputs[..., own:]
        frame = PauliFrame(self.n_qubits)
        place = 0
        for step in with_noise(gates, noise):
            if isinstance(step, QiskitGate):
                frame.apply_through(step)
                continue
            for wire in step.wires:
                frame.multiply(wire, signs[..., place], signs[..., place + 1])
                place += 2
        frame.apply()
        return [read_out(m, noise.readout) for m in measurements]


def _traced_places(
    circuit: VariationalCircuit, noise: Noise
) -> tuple[Depolarizing, ...]:
    found: list[Depolarizing] = []

    def trace(inputs: jax.Array, weights: jax.Array) -> None:
        gates, _ = recorded(circuit, inputs, weights)
        steps = with_noise(gates, noise)
        found.extend(step for step in steps if isinstance(step, Depolarizing))

    # Places do not depend on angles: nothing is computed.
    shapes = [(circuit.n_features,), circuit.weights_shape]
    jax.eval_shape(trace, *(jax.ShapeDtypeStruct(s, jnp.float32) for s in shapes))
    return tuple(found)


# A layer asks for them at every call.
_places: Callable[..., tuple[Depolarizing, ...]] = functools.lru_cache(maxsize=32)(
    _traced_places
)
