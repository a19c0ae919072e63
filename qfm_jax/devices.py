"""Where a circuit runs and how it is differentiated.

The only home of QNode, `diff_method` and `shots`: everything above this file sees a
pure JAX function from one sample's inputs and the weights to its expectations.
"""

import dataclasses
import functools
import re
import warnings
from collections.abc import Callable, Hashable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pennylane as qml
import psutil

from ._checks import InputError, check_at_least, check_one_of, input_error
from .circuits import VariationalCircuit

JaxFunction = Callable[..., jax.Array]

DIFF_METHODS = (
    "best",
    "backprop",
    "adjoint",
    "parameter-shift",
    "finite-diff",
    "spsa",
)

# What JAX traces through; all others run behind a host callback.
TRACED_DEVICES = ("qfm.statevector", "default.qubit", "default.mixed")

# Simulators that hold the states of a whole batch at once. Ours splits the batch, and
# behind a host callback one sample runs after another.
WHOLE_BATCH_DEVICES = ("default.qubit", "default.mixed")

# Simulators that hold a state of 2^n amplitudes here, in this machine's memory.
STATE_VECTOR_DEVICES = (
    *WHOLE_BATCH_DEVICES,
    "qfm.statevector",
    "lightning.qubit",
    "reference.qubit",
)


@dataclasses.dataclass(frozen=True)
class DeviceConfig:
    """Where a circuit runs: a PennyLane device by name, described and not yet built.

    Example:
        >>> DeviceConfig("lightning.qubit", diff_method="adjoint").shots is None
        True

    Raises:
        InputError: For an unknown device or method (with the nearest names), `shots`
            below 1, `shots` together with backprop or adjoint, and what the device
            cannot do: no shots on BasicSimulator, spsa where JAX compiles the circuit.
    """

    name: str = "qfm.statevector"
    """Short name of an installed PennyLane device, such as `qiskit.aer`."""

    shots: int | None = None
    """Measurements per circuit; None for exact expectations."""

    diff_method: str = "best"
    """How gradients are taken; `best` leaves the choice to PennyLane."""

    seed: int | None = None
    """Seed of the measurement outcomes, for devices that take one. The device
    draws again at each call, so one seed fixes the sequence and not a single call.
    Aer has `seed_simulator` among its options instead, which repeats each call."""

    options: Mapping[str, Hashable] | tuple[tuple[str, Hashable], ...] = ()
    """Further keyword arguments of `qml.device`, such as `method` for Aer."""

    def __post_init__(self) -> None:
        # Sorted pairs make the configuration hashable, whatever way it was given.
        options = tuple(sorted(dict(self.options).items()))
        object.__setattr__(self, "options", options)
        check_one_of("device", self.name, qml.plugin_devices)
        check_one_of("diff_method", self.diff_method, DIFF_METHODS)
        if self.seed is not None and self.name.startswith("qiskit."):
            cure = "Put `seed_simulator` into `options`, which repeats every call."
            must = "be left out for Qiskit's devices"
            raise input_error("seed", must, f"is {self.seed}", cure)
        if self.diff_method == "spsa" and self.name in TRACED_DEVICES:
            must = "draw again at each call, which a compiled circuit's 'spsa' does not"
            was = f"is 'spsa' on {self.name}"
            raise input_error("diff_method", must, was, "Use 'best'.")
        if self.shots is None:
            if self.name == "qiskit.basicsim":  # it would answer with 1,024 shots
                cure = "Choose 'qiskit.aer' for exact expectations."
                raise input_error("shots", "be given for this device", "is None", cure)
            return
        check_at_least("shots", self.shots, 1, "Leave it out for exact expectations.")
        if self.diff_method in ("backprop", "adjoint"):
            raise input_error(
                "diff_method",
                "work on sampled expectations when `shots` is set",
                f"is {self.diff_method!r} with shots={self.shots}",
                "Use 'parameter-shift', or leave `shots` out.",
            )


def as_jax_function(
    circuit: VariationalCircuit | qml.QNode, config: DeviceConfig | None = None
) -> JaxFunction:
    """Makes the pure function that runs a circuit on a device, for one sample.

    Args:
        circuit: A circuit of this project (or any object of that protocol), or a
            user's QNode, which brings its own device.
        config: Where the circuit runs; exact `qfm.statevector` where left out. Must be
            left out for a QNode.

    Returns:
        A jitted `function(inputs, weights)` from inputs (n_features,) in radians (or
        amplitudes) and weights of the circuit's `weights_shape` to all its results
        in one vector: expectations (n_observables,) in [-1, 1]. For a QNode it takes
        the QNode's own arguments. It holds under `jax.vmap`, `grad` and `jit`; the
        caller adds the batch axis.

    Raises:
        InputError: For a device that cannot be built or not differentiated in the
            configured way, with the reason it gave.

    Example:
        >>> from qfm_jax.circuits import AngleEmbedding, Circuit
        >>> from qfm_jax.circuits import StronglyEntanglingLayers
        >>> circuit = Circuit(AngleEmbedding(3), StronglyEntanglingLayers(3, 2))
        >>> expectations = as_jax_function(circuit)
        >>> inputs, weights = jnp.zeros((5, 3)), jnp.zeros(circuit.weights_shape)
        >>> jax.vmap(expectations, (0, None))(inputs, weights).shape
        (5, 3)
    """
    if isinstance(circuit, qml.QNode):
        if config is not None:
            raise input_error(
                "config",
                "be left out for a QNode, which brings its own device",
                f"is {config!r}",
                "Pass the quantum function itself to choose a device here.",
            )
        run: Callable[..., Any] = circuit
        name = circuit.device.name
    else:
        config = config or DeviceConfig()
        run, name = (
            _explained(build_qnode(circuit, config), config, circuit),
            config.name,
        )

    # The jit is not for speed alone: on callback devices vmap fails outside of it,
    # and an unjitted QNode call takes 40 to 200 ms.
    @jax.jit
    def function(*args: jax.Array, **kwargs: jax.Array) -> jax.Array:
        with without_upstreams_warnings():
            return _flatten(run(*args, **kwargs))

    return function if name in TRACED_DEVICES else in_its_own_words(function)


def in_its_own_words(function: JaxFunction) -> JaxFunction:
    """A compiled function whose host callbacks fail with their own sentence.

    JAX would raise its JaxRuntimeError, the sentence at the end of a long traceback,
    and not before the result is read. Inside of another compiled function it still
    does; `error_of_callback` finds the sentence there.
    """

    @functools.wraps(function)
    def call(*args: jax.Array, **kwargs: jax.Array) -> jax.Array:
        try:
            return jax.block_until_ready(function(*args, **kwargs))
        except jax.errors.JaxRuntimeError as error:
            raise error_of_callback(error) or error from None

    return call


def error_of_callback(error: BaseException) -> Exception | None:
    r"""What a host callback raised, from JAX's error about it; else None.

    Example:
        >>> said = "CpuCallback error calling callback: Traceback ...\n"
        >>> said += "qfm_jax._checks.InputError: Argument `x` must be ..."
        >>> error_of_callback(RuntimeError(said))
        InputError('Argument `x` must be ...')
    """
    text = str(error)
    raised = re.findall(r"^([\w.]+(?:Error|Exception)): (.*)", text, re.M | re.S)
    if "callback" not in text or not raised:
        return None
    kind, sentence = raised[-1]
    if kind.endswith("InputError"):
        return InputError(sentence.strip())
    return RuntimeError(f"{kind}: {sentence.strip()}")


def _explained(
    qnode: qml.QNode, config: DeviceConfig, circuit: VariationalCircuit
) -> Callable[..., Any]:
    """The QNode, whose device says in a sentence why it cannot run the circuit."""

    def run(*args: jax.Array, **kwargs: jax.Array) -> Any:
        try:
            return qnode(*args, **kwargs)
        except InputError:
            raise
        except Exception as error:  # plugins raise what they like
            # Our own simulator raises what a decomposition raises that it runs.
            if config.name == "qfm.statevector" or _is_from(circuit, error):
                raise
            raise InputError(
                f"Device {config.name!r} cannot run this circuit with "
                f"diff_method={config.diff_method!r}: {error} Choose another device."
            ) from error

    return run


def _is_from(circuit: VariationalCircuit, error: Exception) -> bool:
    """Whether the circuit itself raised it, while it was written down."""
    code = getattr(circuit, "__code__", None) or type(circuit).__call__.__code__
    trace = error.__traceback__
    while trace is not None and trace.tb_frame.f_code is not code:
        trace = trace.tb_next
    return trace is not None


def build_qnode(circuit: VariationalCircuit, config: DeviceConfig) -> qml.QNode:
    """Builds the PennyLane device and the QNode of `circuit` on it.

    Example:
        >>> from qfm_jax.circuits import AngleEmbedding, Circuit
        >>> from qfm_jax.circuits import StronglyEntanglingLayers
        >>> circuit = Circuit(AngleEmbedding(3), StronglyEntanglingLayers(3, 1))
        >>> build_qnode(circuit, DeviceConfig("lightning.qubit")).device.name
        'lightning.qubit'
    """
    if config.name in STATE_VECTOR_DEVICES:
        check_memory(circuit.n_qubits, 1)
    options = dict(config.options)
    if config.seed is not None:
        options["seed"] = config.seed
    if config.name == "qiskit.aer" and config.shots is None:
        # Aer's other methods answer `shots=None` with 1,024 shots.
        options.setdefault("method", "statevector")
    try:
        device = qml.device(config.name, wires=circuit.n_qubits, **options)
        qnode = qml.QNode(
            circuit,
            device,
            interface="jax",
            diff_method=config.diff_method,
            gradient_kwargs=_differences(config),
        )
    except InputError:
        raise
    except Exception as error:  # plugins raise what they like
        raise InputError(
            f"Device {config.name!r} cannot be built with options {options} and "
            f"diff_method={config.diff_method!r}: {error} "
            "Choose another device, or install what it names."
        ) from error
    return qml.set_shots(qnode, config.shots)


def _differences(config: DeviceConfig) -> dict[str, Any]:
    """A step that is right to 1e-4 in single precision, and 1 % above shot noise.

    PennyLane's own, 1e-7, is lost in the rounding of the one and in the other's noise.
    """
    if config.diff_method not in ("finite-diff", "spsa"):
        return {}
    step = 5e-3 if config.shots is None else 0.2
    return {"h": step, "strategy": "center", "approx_order": 2}


def in_chunks(
    function: Callable[..., jax.Array], values: np.ndarray, size: int
) -> np.ndarray:
    """What a function of a batch gives for any number of samples, by one program.

    Args:
        function: From samples (size, ...) to results (size, ...), sample by sample.
        values: Samples (n, ...), n >= 1.
        size: Samples at once, at least 1; the last chunk is filled up.

    Returns:
        The results (n, ...).

    Example:
        >>> in_chunks(lambda batch: 2 * batch, np.arange(5), size=2)
        array([0, 2, 4, 6, 8])
    """
    found = []
    for start in range(0, len(values), size):
        part = values[start : start + size]
        missing = [(0, size - len(part))] + [(0, 0)] * (values.ndim - 1)
        found.append(np.asarray(function(np.pad(part, missing, mode="edge"))))
    return np.concatenate(found)[: len(values)]


def check_memory(n_qubits: int, batch: int, *, bytes_per_amplitude: int = 8) -> None:
    """Raises before an allocation of state vectors that cannot succeed.

    The estimate is 2^n_qubits x batch x bytes_per_amplitude: the states alone, once.

    Args:
        n_qubits: Qubits of one circuit.
        batch: Circuits that run at the same time.
        bytes_per_amplitude: 8 for complex64, 16 for complex128.

    Raises:
        InputError: Where the states do not fit the memory that is free now.

    Example:
        >>> check_memory(8, 128)
        >>> check_memory(50, 128)
        Traceback (most recent call last):
        ...
        qfm_jax._checks.InputError: Argument `n_qubits` must leave the ...
    """
    needed = 2**n_qubits * batch * bytes_per_amplitude
    available = psutil.virtual_memory().available
    if needed > available:
        largest = (available // (batch * bytes_per_amplitude)).bit_length() - 1
        cure = f"At most {largest} qubits fit" if largest > 0 else "Nothing fits"
        raise input_error(
            "n_qubits",
            "leave the state vectors within the memory that is free",
            f"is {n_qubits}: 2^{n_qubits} amplitudes x {batch} circuits x "
            f"{bytes_per_amplitude} bytes = {needed / 2**30:,.1f} GiB, and "
            f"{available / 2**30:,.1f} GiB are free",
            f"{cure} with this batch; take fewer qubits or a smaller batch.",
        )


@contextmanager
def without_upstreams_warnings() -> Iterator[None]:
    """Leaves out what PennyLane and its plugins warn of and no user can act on."""
    with warnings.catch_warnings():
        ignore_upstreams_warnings()
        yield


def ignore_upstreams_warnings() -> None:
    """Adds filters for what PennyLane and its plugins warn of, for good."""
    for message in (
        r"jax\.core\.(is_concrete|concrete_or_error) is deprecated",
        r"Explicitly requested dtype complex128",
        r"Since backends now support running jobs",
    ):
        warnings.filterwarnings("ignore", message=message)


def _flatten(results: Any) -> jax.Array:
    """One vector (n_outputs,) of a QNode's result: an array, or a nest of arrays."""
    return jnp.concatenate([jnp.ravel(leaf) for leaf in jax.tree.leaves(results)])
