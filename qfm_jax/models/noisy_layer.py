"""A circuit with noise as a Flax layer, for training that knows the hardware."""

import jax
import jax.numpy as jnp
from flax import nnx

from .._checks import check_at_least, check_shape
from ..circuits import VariationalCircuit
from ..devices import DeviceConfig
from ..hardware.noise import Noise
from ..hardware.trajectories import TrajectoryCircuit
from .quantum_layer import Initializer, QuantumLayer


class NoisyQuantumLayer(nnx.Module):
    """`QuantumLayer` whose circuit suffers depolarizing and read-out noise in training.

    Each sample takes the mean over random trajectories of pure states, so that results
    and gradients are unbiased estimates of those of the noisy circuit; more
    trajectories make them less scattered. In evaluation mode (`model.eval()`) no gate
    has noise, as dropout has none: the weights are then those to send to a device.

    For few qubits and exact noise, or T1 and T2, use
    `QuantumLayer(NoisyCircuit(circuit, noise), device="default.mixed")` instead.

    Args:
        circuit: The circuit without noise.
        noise: A noise, or its name, such as `depolarizing:0.01+readout:0.02`.
        n_trajectories: Trajectories a sample, at least 1.
        device: Where it runs, a device of pure states; a name stands for its defaults.
        init_method: `initializer(key, shape, dtype)` of the weights; uniform in
            [0, 2 pi) where left out.
        deterministic: Whether gates have no noise; `train()` and `eval()` set it.
        rngs: Flax random number generators; the stream `params` starts the weights, the
            stream `noise` draws trajectories.

    Raises:
        InputError: For noise that is no mixture of Pauli gates, fewer than one
            trajectory, all that QuantumLayer refuses; as it is called, for circuits
            with gates that a matrix or amplitudes define (see `NoisyCircuit`).

    Example:
        >>> from qfm_jax.circuits import AngleEmbedding, Circuit, RealAmplitudes
        >>> circuit = Circuit(AngleEmbedding(2), RealAmplitudes(2, n_layers=1))
        >>> layer = NoisyQuantumLayer(circuit, "depolarizing:0.05", rngs=nnx.Rngs(0))
        >>> layer(jnp.zeros((5, 2))).shape
        (5, 2)
    """

    def __init__(
        self,
        circuit: VariationalCircuit,
        noise: Noise | str,
        *,
        n_trajectories: int = 8,
        device: DeviceConfig | str | None = None,
        init_method: Initializer | None = None,
        deterministic: bool = False,
        rngs: nnx.Rngs,
    ):
        check_at_least("n_trajectories", n_trajectories, 1)
        self.trajectories = TrajectoryCircuit(circuit, noise)
        self.n_trajectories = n_trajectories
        self.deterministic = deterministic
        self.layer = QuantumLayer(
            self.trajectories, device=device, init_method=init_method, rngs=rngs
        )
        self.rngs = rngs["noise"].fork()

    def __call__(self, features: jax.Array) -> jax.Array:
        """Maps features (..., n_features) to mean results (..., n_observables)."""
        features = jnp.asarray(features)
        n_features = self.trajectories.circuit.n_features
        check_shape("features", features.shape, (*features.shape[:-1], n_features))
        if self.deterministic:
            n_bits = self.trajectories.n_features - n_features
            bits = jnp.zeros((*features.shape[:-1], n_bits), features.dtype)
            return self.layer(jnp.concatenate([features, bits], axis=-1))
        shape = (*features.shape[:-1], self.n_trajectories)
        bits = self.trajectories.draw(self.rngs(), shape).astype(features.dtype)
        copies = jnp.broadcast_to(features[..., None, :], (*shape, features.shape[-1]))
        return self.layer(jnp.concatenate([copies, bits], axis=-1)).mean(axis=-2)

    def set_view(self, deterministic: bool | None = None) -> None:
        """Sets the mode of a view of the model (see `nnx.view`)."""
        if deterministic is not None:
            self.deterministic = deterministic
