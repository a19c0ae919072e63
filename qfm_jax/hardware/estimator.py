"""The fast path to Qiskit: a whole batch, with all its shifts, in one job.

PennyLane's plugin sends one job for each sample and each shift of an angle. Here the
circuit becomes one of Qiskit's whose gates have an angle each, transpiled once; JAX
computes the angles from inputs and weights, and differentiates that by itself.
"""

import functools
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.custom_derivatives import SymbolicZero
from jax.typing import ArrayLike
from qiskit import QuantumCircuit
from qiskit.circuit import ParameterVector
from qiskit_aer import AerSimulator

from .._checks import check_at_least, check_shape, input_error
from ..circuits import VariationalCircuit
from ..circuits.qiskit_export import Traced, append, observables_of, record
from ..circuits.qiskit_gates import QiskitGate
from ..devices import JaxFunction, in_its_own_words
from .mitigation import Mitigation
from .primitives import UNMITIGATED, Run, exact_run, sampled_run, simulator


def estimator_function(
    circuit: VariationalCircuit,
    backend: Any = None,
    shots: int | None = None,
    *,
    weights: ArrayLike | None = None,
    sampler: Any = None,
    seed: int | None = None,
    mitigation: Mitigation = UNMITIGATED,
) -> JaxFunction:
    """Makes the function that runs a circuit on a Qiskit backend, for one sample.

    Under `jax.vmap` the whole batch is one job of up to 5,000 circuits, and with
    gradients all the shifted circuits are in it. Angles may be any functions of inputs
    and weights. Real amplitudes and diagonals become rotations; a unitary matrix cannot
    depend on what is traced. Differentiable once, forward or in reverse, by the
    parameter-shift rule; only for what is asked for.

    Args:
        circuit: A circuit of this project, or any object of that protocol.
        backend: What the circuit is transpiled for and runs on; by default Aer's state
            vectors. Without shots it must be an AerSimulator; with a noise model it
            computes the density matrix then, and what faulty read-out makes of it.
        shots: Measurements of each circuit; None for exact expectations.
        weights: Numbers of shape weights_shape to fix, such as those that training
            found. The function then takes `inputs` alone.
        sampler: The SamplerV2 that runs the circuits of another backend; by default the
            one of qiskit-ibm-runtime.
        seed: Seed of Aer's outcomes, the same for each call.
        mitigation: What is done against the backend's errors; each scale of the noise
            is a job of its own.

    Returns:
        A jitted `function(inputs, weights)`, as `as_jax_function` makes it, to
        expectations (n_observables,).

    Raises:
        InputError: For fewer than one shot, no shots on another backend than Aer, and
            circuits that depend on what is traced by more than angles.

    Example:
        >>> from qfm_jax.circuits import AngleEmbedding, Circuit, RealAmplitudes
        >>> circuit = Circuit(AngleEmbedding(3), RealAmplitudes(3, n_layers=1))
        >>> expectations = estimator_function(circuit)
        >>> inputs, weights = jnp.zeros((5, 3)), jnp.zeros(circuit.weights_shape)
        >>> jax.vmap(expectations, (0, None))(inputs, weights).shape
        (5, 3)
    """
    if shots is not None:
        check_at_least("shots", shots, 1, "Leave it out for exact expectations.")
    if weights is not None:
        weights = np.asarray(weights, float)
        check_shape("weights", weights.shape, circuit.weights_shape)
    backend = simulator() if backend is None else backend
    gates = _gates(circuit, weights)
    built, angles = _template(circuit.n_qubits, gates)
    observables = observables_of(circuit)
    if shots is not None:
        sampler = sampler or _sampler_of(backend)
        run = sampled_run(
            *(built, angles, observables, shots, backend),
            sampler=sampler,
            seed=seed,
            mitigation=mitigation,
        )
    elif isinstance(backend, AerSimulator):
        run = exact_run(built, angles, observables, backend, mitigation=mitigation)
    else:
        must = "be given for a backend that is no AerSimulator"
        raise input_error("shots", must, "is None")
    expectations = _differentiable(run, len(observables))

    def function(inputs: jax.Array, weights: ArrayLike) -> jax.Array:
        _, traced = record(circuit, inputs, weights, by_angles=True)
        return expectations(*(jnp.asarray(value, _dtype()) for value in traced))

    if weights is not None:
        return in_its_own_words(jax.jit(lambda inputs: function(inputs, weights)))
    # Traced also outside of the user's jit: what is traced is what the template asks.
    return in_its_own_words(jax.jit(function))


class Template(NamedTuple):
    """A circuit of Qiskit's with a parameter for each angle that changes."""

    circuit: QuantumCircuit
    """Without measurements."""
    parameters: ParameterVector
    """Its parameters, in the order of the angles."""
    angles: JaxFunction
    """From `inputs` of one sample to its angles (n_angles,)."""


def template_of(circuit: VariationalCircuit, weights: ArrayLike) -> Template:
    """Writes a trained circuit down once, for all samples.

    Args:
        circuit: A circuit of this project, or any object of that protocol.
        weights: Numbers of shape weights_shape.

    Raises:
        InputError: For circuits that depend on inputs by more than angles.

    Example:
        >>> from qfm_jax.circuits import AngleEmbedding, Circuit, RealAmplitudes
        >>> circuit = Circuit(AngleEmbedding(2), RealAmplitudes(2, n_layers=1))
        >>> template = template_of(circuit, np.ones((2, 2)))
        >>> template.circuit.num_parameters
        2
        >>> jax.vmap(template.angles)(jnp.zeros((5, 2))).shape
        (5, 2)
    """
    weights = np.asarray(weights, float)
    check_shape("weights", weights.shape, circuit.weights_shape)
    built, parameters = _template(circuit.n_qubits, _gates(circuit, weights))

    def angles(inputs: jax.Array) -> jax.Array:
        _, traced = record(circuit, inputs, weights, by_angles=True)
        return jnp.array([jnp.asarray(value, _dtype()) for value in traced])

    return Template(built, parameters, jax.jit(angles))


def _gates(circuit: VariationalCircuit, weights: np.ndarray | None) -> list[QiskitGate]:
    """The gates as JAX traces them."""
    gates: list[QiskitGate] = []

    def trace(inputs: ArrayLike, weights: ArrayLike) -> None:
        gates[:], _ = record(circuit, inputs, weights, by_angles=True)

    inputs = np.zeros(circuit.n_features)
    if weights is None:
        jax.eval_shape(trace, inputs, np.zeros(circuit.weights_shape))
    else:
        jax.eval_shape(lambda inputs: trace(inputs, weights), inputs)
    return gates


def _template(
    n_qubits: int, gates: Sequence[QiskitGate]
) -> tuple[QuantumCircuit, ParameterVector]:
    """The circuit with a parameter for each traced angle, and these in order."""
    n_angles = sum(isinstance(p, Traced) for gate in gates for p in gate.parameters)
    angles = ParameterVector("angles", n_angles)
    built = QuantumCircuit(n_qubits)
    for gate in gates:
        if gate.name != "global_phase":  # no expectation depends on it
            values = (
                angles[p.place] if isinstance(p, Traced) else p for p in gate.parameters
            )
            append(built, gate._replace(parameters=tuple(values)))
    return built, angles


def _differentiable(run: Run, n_observables: int) -> JaxFunction:
    """The function of all angles, one by one, whose derivatives come from shifts."""

    # JAX says what it expects: in the callback's thread another precision may hold.
    def values(dtype: Any, *angles: np.ndarray) -> np.ndarray:
        stacked = np.stack(np.broadcast_arrays(*angles), axis=-1).astype(float)
        found = run(stacked.reshape(-1, len(angles)))
        return found.reshape(*stacked.shape[:-1], n_observables).astype(dtype)

    def values_and_slopes(
        dtype: Any, active: tuple[int, ...], *angles: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        stacked = np.stack(np.broadcast_arrays(*angles), axis=-1).astype(float)
        # The gates' expectations have frequency 1 in each angle (`as_rotations`): the
        # gradient is half of the difference a quarter turn forth and back (1811.11184).
        n = len(active)
        shifts = np.zeros((1 + 2 * n, len(angles)))  # none, then forth, then back
        shifts[np.arange(1, n + 1), active] = np.pi / 2
        shifts[n + 1 :] = -shifts[1 : n + 1]
        points = stacked[..., None, :] + shifts  # (..., 1 + 2n, n_angles)
        found = run(points.reshape(-1, len(angles)))
        found = found.reshape(*points.shape[:-1], n_observables)
        slopes = (found[..., 1 : n + 1, :] - found[..., n + 1 :, :]) / 2
        slopes = np.swapaxes(slopes, -1, -2)  # (..., n_observables, n)
        return found[..., 0, :].astype(dtype), slopes.astype(dtype)

    @jax.custom_jvp
    def expectations(*angles: jax.Array) -> jax.Array:
        if not angles:
            return jnp.asarray(run(np.zeros((1, 0)))[0], _dtype())
        shape = jax.ShapeDtypeStruct((n_observables,), _dtype())
        call = functools.partial(values, _dtype())
        return jax.pure_callback(call, shape, *angles, vmap_method="expand_dims")

    def derivative(primals: Any, tangents: Any) -> tuple[jax.Array, jax.Array]:
        # Angles that do not change with what is differentiated are not shifted.
        active = tuple(
            i for i, t in enumerate(tangents) if not isinstance(t, SymbolicZero)
        )
        shapes = tuple(
            jax.ShapeDtypeStruct(shape, _dtype())
            for shape in ((n_observables,), (n_observables, len(active)))
        )
        call = functools.partial(values_and_slopes, _dtype(), active)
        found, slopes = jax.pure_callback(
            call, shapes, *primals, vmap_method="expand_dims"
        )
        changes = jnp.stack([tangents[i] for i in active])
        return found, jnp.dot(slopes, changes, precision="highest")

    expectations.defjvp(derivative, symbolic_zeros=True)
    return expectations


def _dtype() -> Any:
    return jnp.result_type(float)


def _sampler_of(backend: Any) -> Any:
    """None for Aer, which runs circuits faster without one."""
    if isinstance(backend, AerSimulator):
        return None
    from qiskit_ibm_runtime import SamplerV2

    return SamplerV2(mode=backend)
