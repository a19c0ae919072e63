"""PennyLane's methods of a device that differentiates its own circuits."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np
from pennylane.devices import Device, ExecutionConfig
from pennylane.tape import QuantumScript

Tapes = Sequence[QuantumScript]
Run = Callable[..., tuple[Any, ...]]


class DerivativesDevice(Device):
    """A device whose exact results JAX differentiates in a tape's trainable parameters.

    The methods take tapes with NumPy parameters, of any shape: a batch too. A gradient
    has its parameter's shape, a Jacobian the result's and then the parameter's.

    Example:
        >>> import pennylane as qml
        >>> tape = qml.tape.QuantumScript([qml.RX(0.5, 0)], [qml.expval(qml.Z(0))])
        >>> device = qml.device("qfm.statevector", wires=1)
        >>> (gradient,) = device.compute_vjp(tape, 2.0)
        >>> round(float(gradient), 4), round(float(-2 * np.sin(0.5)), 4)
        (-0.9589, -0.9589)
    """

    def _simulate(self, tape: QuantumScript, config: ExecutionConfig) -> tuple:
        """Exact results of a tape: one for each measurement, in JAX of JAX arrays."""
        raise NotImplementedError

    def _is_double(self) -> bool:
        """Whether NumPy's parameters are computed with in double precision."""
        raise NotImplementedError

    def supports_vjp(
        self,
        execution_config: ExecutionConfig | None = None,
        circuit: QuantumScript | None = None,
    ) -> bool:
        """Whether `compute_vjp` gives the gradients of this circuit."""
        return self.supports_derivatives(execution_config, circuit)

    def execute_and_compute_vjp(
        self,
        circuits: Tapes,
        cotangents: Sequence[Any],
        execution_config: ExecutionConfig | None = None,
    ) -> tuple[Any, Any]:
        """Results, and for each circuit the gradients of cotangents @ results."""
        config = execution_config or ExecutionConfig()
        results, gradients = [], []
        for tape, cotangent in zip(circuits, cotangents, strict=True):
            run, values = self._of_trainable(tape, config)
            with jax.enable_x64(self._is_double()):
                found, pull = jax.vjp(run, *values)
                given = (cotangent,) if len(tape.measurements) == 1 else cotangent
                shaped = (
                    np.reshape(c, r.shape).astype(r.dtype)
                    for c, r in zip(given, found, strict=True)
                )
                gradients.append(tuple(map(np.asarray, pull(tuple(shaped)))))
            results.append(_nested(tuple(map(np.asarray, found)), tape))
        return tuple(results), tuple(gradients)

    def compute_vjp(
        self,
        circuits: Tapes,
        cotangents: Sequence[Any],
        execution_config: ExecutionConfig | None = None,
    ) -> tuple[Any, ...]:
        """For each circuit the gradients of cotangents @ results."""
        inner = DerivativesDevice.execute_and_compute_vjp
        return inner(self, circuits, cotangents, execution_config)[1]

    def compute_derivatives(
        self, circuits: Tapes, execution_config: ExecutionConfig | None = None
    ) -> tuple[Any, ...]:
        """For each circuit the Jacobians, nested as PennyLane does."""
        config = execution_config or ExecutionConfig()
        return tuple(self._jacobians(tape, config) for tape in circuits)

    def _jacobians(self, tape: QuantumScript, config: ExecutionConfig) -> Any:
        run, values = self._of_trainable(tape, config)
        with jax.enable_x64(self._is_double()):
            shapes = jax.eval_shape(run, *values)
            is_complex = any(shape.dtype.kind == "c" for shape in shapes)
            jacobian = jax.jacfwd if is_complex else jax.jacrev
            found = jacobian(run, tuple(range(len(values))))(*values)
        rows = tuple(tuple(map(np.asarray, row)) for row in found)
        return _nested(tuple(r[0] if len(r) == 1 else r for r in rows), tape)

    def _of_trainable(
        self, tape: QuantumScript, config: ExecutionConfig
    ) -> tuple[Run, list[np.ndarray]]:
        """Results as a function of the trainable parameters, and their values."""

        def run(*values: Any) -> tuple[Any, ...]:
            bound = tape.bind_new_parameters(values, tape.trainable_params)
            return tuple(self._simulate(bound, config))

        values = [np.asarray(value) for value in tape.get_parameters()]
        return run, [v if v.dtype.kind in "fc" else v.astype(float) for v in values]


def _nested(results: tuple[Any, ...], tape: QuantumScript) -> Any:
    return results[0] if len(tape.measurements) == 1 else results
