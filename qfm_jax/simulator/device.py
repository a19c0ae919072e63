"""The PennyLane device `qfm.statevector`."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import Any

import jax
import numpy as np
from pennylane import math
from pennylane.devices import ExecutionConfig
from pennylane.devices.modifiers import simulator_tracking, single_tape_support
from pennylane.devices.preprocess import (
    device_resolve_dynamic_wires,
    validate_device_wires,
    validate_measurements,
)
from pennylane.devices.qubit import measure
from pennylane.measurements import (
    ClassicalShadowMP,
    MeasurementProcess,
    SampleMeasurement,
    ShadowExpvalMP,
    StateMeasurement,
    StateMP,
)
from pennylane.operation import StatePrepBase
from pennylane.ops import CompositeOp, Hermitian, SparseHamiltonian, SymbolicOp
from pennylane.tape import QuantumScript
from pennylane.templates.core import SubroutineOp
from pennylane.transforms import broadcast_expand, defer_measurements
from pennylane.transforms.core import CompilePipeline, transform

from .._checks import check_at_least, check_one_of, input_error
from . import interfaces, memory, shots
from .derivatives import DerivativesDevice
from .explain import Explanation, explanation
from .interfaces import Followed
from .keys import Keys, is_traced
from .measurements import read_measurements
from .operations import CannotBroadcast, parts_of
from .reading import Reader, read_operations
from .simulation import Execution, simulate, state_wires
from .tape import STATE, Structure, interned

JAX = {math.Interface.JAX, math.Interface.JAX_JIT}


@simulator_tracking
@single_tape_support
class StateVectorDevice(DerivativesDevice):
    """A batched, fused, differentiable state-vector simulator in JAX.

    Args:
        wires: number of wires or their labels, most significant first; None takes
            them from each circuit.
        c_dtype: "complex64" or "complex128" (which, on JAX arrays, needs
            `jax.config.update("jax_enable_x64", True)`). None follows the parameters:
            complex64 for float32 arrays, complex128 for float64 ones and for NumPy.
        batch_memory: bytes that the states of a batch may take; larger batches run in
            chunks. None: a quarter of a device's memory, however much is free.
        seed: an integer or a JAX PRNG key that makes samples reproducible. Every call
            draws new samples, and so does every run of a compiled program, which asks
            the host for a key then; `sampling_key` gives it one instead. Counts and
            classical shadows of a compiled program are drawn on the host altogether.
        shots: number of samples of each circuit, or None for exact results.

    Differentiation: "backprop" keeps the state of every pass; "adjoint", which is the
    default, undoes the passes, and its memory does not grow with depth. Both support
    every order in JAX. By "adjoint", the gradient of one sample takes about
    6 * 2^n * 8 bytes in complex64 (28 qubits: 12 GiB); by "backprop" one state more for
    each pass.

    Example:
        >>> import jax.numpy as jnp, pennylane as qml
        >>> device = StateVectorDevice(wires=2)
        >>> @qml.qnode(device)
        ... def circuit(x):
        ...     qml.RX(x, wires=0)
        ...     qml.CNOT(wires=[0, 1])
        ...     return qml.expval(qml.Z(1))
        >>> print(jax.jit(jax.vmap(circuit))(jnp.array([0.0, jnp.pi])))
        [ 1. -1.]
    """

    def __init__(
        self,
        wires: Any = None,
        *,
        c_dtype: Any = None,
        batch_memory: int | None = None,
        seed: Any = None,
        shots: Any = None,
    ) -> None:
        super().__init__(wires=wires, shots=shots)
        if c_dtype is not None:
            c_dtype = np.dtype(c_dtype).name
            check_one_of("c_dtype", c_dtype, ["complex64", "complex128"])
        if batch_memory is not None:
            check_at_least("batch_memory", batch_memory, 1)
        self._c_dtype = c_dtype
        self._batch_memory = batch_memory
        self._keys = Keys(seed)
        self._followed = Followed()
        if self.wires is not None:
            self._check_fits(len(self.wires), c_dtype or "complex64")

    @property
    def name(self) -> str:
        """The name under which PennyLane finds the device."""
        return "qfm.statevector"

    @contextmanager
    def sampling_key(self, key: Any) -> Iterator[None]:
        """Draws the samples of the calls inside from this JAX PRNG key.

        Each call, each of its circuits and each of their measurements gets a part of
        the key of its own; the same key gives the same samples again. Under `jit`, open
        it inside the function, with a key that is an argument.

        Raises:
            InputError: for a key from outside of a function that is compiled inside:
                every run of that would repeat the samples.

        Example:
            >>> import pennylane as qml
            >>> device = StateVectorDevice(wires=1)
            >>> @qml.set_shots(5)
            ... @qml.qnode(device)
            ... def circuit(x):
            ...     qml.RX(x, wires=0)
            ...     return qml.sample(qml.Z(0))
            >>> @jax.jit
            ... def draw(x, key):
            ...     with device.sampling_key(key):
            ...         return circuit(x)
            >>> draw(0.0, jax.random.key(1)).shape
            (5,)
        """
        with self._keys.given(key):
            yield

    def supports_derivatives(
        self,
        execution_config: ExecutionConfig | None = None,
        circuit: QuantumScript | None = None,
    ) -> bool:
        """Whether the device differentiates itself: exact results, but in TensorFlow.

        A circuit with shots is differentiated by PennyLane ("best" takes the
        parameter-shift rule); asking for "backprop" then raises when it runs.
        """
        if execution_config is None:
            return True
        method = execution_config.gradient_method
        if method not in {"best", "backprop", "adjoint"}:
            return False
        if execution_config.interface == math.Interface.TF:
            return False
        exact = circuit is None or not circuit.shots
        return exact or method != "best"

    def setup_execution_config(
        self,
        config: ExecutionConfig | None = None,
        circuit: QuantumScript | None = None,
    ) -> ExecutionConfig:
        """Settles what PennyLane leaves open; both methods run as one JAX program.

        "backprop" says to PennyLane that the results follow the parameters in their own
        library: JAX traces through the program, autograd and PyTorch get its pull-back.
        """
        config = config or ExecutionConfig()
        options = {"reversible": False, **config.device_options}
        if unknown := set(options) - {"reversible"}:
            raise input_error(
                "device_options", "contain only 'reversible'", f"has {sorted(unknown)}"
            )
        changes: dict[str, Any] = {}
        if config.gradient_method in {"best", "backprop", "adjoint"}:
            # The reversible pass is the faster one, too, from eight qubits on.
            options["reversible"] |= config.gradient_method != "backprop"
            changes = {
                "gradient_method": "backprop",
                "use_device_gradient": True,
                "use_device_jacobian_product": False,
                "grad_on_execution": False,
            }
        on_host = circuit is not None and shots.are_for_host(
            circuit.measurements, config.interface == math.Interface.JAX_JIT
        )
        on_host &= not self._keys.are_given
        return replace(
            config,
            **changes,
            device_options=options,
            convert_to_numpy=config.interface not in JAX or on_host,
            mcm_config=_deferred(config.mcm_config),
        )

    def preprocess_transforms(
        self, execution_config: ExecutionConfig | None = None
    ) -> CompilePipeline:
        """Defers mid-circuit measurements and validates; decomposes nothing."""
        config = execution_config or ExecutionConfig()
        pipeline = CompilePipeline()
        pipeline.add_transform(_open_subroutines)
        pipeline.add_transform(
            device_resolve_dynamic_wires, wires=self.wires, allow_resets=False
        )
        pipeline.add_transform(validate_device_wires, self.wires, name=self.name)
        # It adds wires, which the device need not have.
        pipeline.add_transform(defer_measurements, allow_postselect=True)
        pipeline.add_transform(
            validate_measurements,
            analytic_measurements=_is_analytic,
            sample_measurements=_is_sampled,
            name=self.name,
        )
        pipeline.add_transform(_supported_only)
        pipeline.add_transform(_expand_shadows)
        if config.gradient_method == "backprop":
            pipeline.add_transform(_exact_only)
        return pipeline

    def execute(
        self,
        circuits: Sequence[QuantumScript],
        execution_config: ExecutionConfig | None = None,
    ) -> tuple[Any, ...]:
        """Runs circuits; results are arrays of the circuits' own interface."""
        config = execution_config or ExecutionConfig()
        keys: list[Any] = [None] * len(circuits)
        if any(tape.shots for tape in circuits):
            key = self._keys.of_call()
            if key is not None:  # what is measured twice is independent: the shift rule
                keys = list(jax.random.split(key, len(circuits)))
        return tuple(
            self._run(tape, config, key)
            for tape, key in zip(circuits, keys, strict=True)
        )

    def explain(self, tape: QuantumScript, diff_method: str = "best") -> Explanation:
        """What runs for a tape, and how it is differentiated; nothing runs.

        Args:
            tape: as `qml.workflow.construct_tape(qnode, level="top")(*args)` gives it.
            diff_method: "best" and "adjoint" undo the passes where they can, "backprop"
                keeps their states.

        Returns:
            an `Explanation`, which prints as sentences.

        Example:
            >>> import pennylane as qml
            >>> device = StateVectorDevice(wires=2)
            >>> tape = qml.tape.QuantumScript(
            ...     [qml.RX(0.3, 0), qml.exp(qml.Z(0), 0.4)], [qml.expval(qml.Z(0))]
            ... )
            >>> print(device.explain(tape).differentiation)
            backprop
        """
        config = self.setup_execution_config(
            ExecutionConfig(gradient_method=diff_method), tape
        )
        (tape, *_), _ = self.preprocess_transforms(config)([tape])
        exact = tape.copy(shots=None)
        task, _, _, read = self._task(exact, config, raw=False)
        return explanation(task, tape.batch_size, read)

    def _is_double(self) -> bool:
        return self._c_dtype != "complex64"

    def _run(self, tape: QuantumScript, config: ExecutionConfig, key: Any) -> Any:
        if tape.shots:
            return self._sample(tape, config, key)
        results = self._simulate(tape, config)
        whole = config.gradient_method in {None, "backprop"}
        if whole and config.interface == math.Interface.TORCH:
            results = interfaces.as_tensors(results)
        return results[0] if len(tape.measurements) == 1 else results

    def _simulate(
        self, tape: QuantumScript, config: ExecutionConfig, raw: bool = False
    ) -> tuple[Any, ...]:
        """Exact results; `raw`: of a state that is not normalised."""
        followed = interfaces.library(tape.get_parameters(trainable_only=False))
        if followed is not None:
            return self._simulate_followed(tape, config, followed)
        try:
            task, values, in_jax, read = self._task(tape, config, raw)
        except CannotBroadcast:
            return self._sample_by_sample(tape, config, raw)
        if any(isinstance(value, jax.Array) for value in values):
            found = simulate(task, [jax.numpy.asarray(value) for value in values])
        else:
            found = simulate(task, [np.asarray(value) for value in values])
        if in_jax:
            found = tuple(map(jax.numpy.asarray, found))
        return _read_states(tape, task.structure, list(read.number), found)

    def _simulate_followed(
        self, tape: QuantumScript, config: ExecutionConfig, library: str
    ) -> tuple[Any, ...]:
        """Exact results of a tape whose parameters autograd or PyTorch follow."""
        parameters = tape.get_parameters(trainable_only=False)
        wide = library == "autograd" or interfaces.is_double(parameters)
        c_dtype = self._c_dtype or ("complex128" if wide else "complex64")
        double = c_dtype == "complex128"

        def own() -> tuple[Any, Any, list[Any], Any]:
            task, values, _, read = self._task(tape, config, False, c_dtype)
            finish = partial(_read_states, tape, task.structure, list(read.number))
            return task, lambda *v: simulate(task, list(v)), values, finish

        how = (double, config.device_options.get("reversible", False))
        run = lambda tape: self._simulate(tape, config)  # noqa: E731
        try:
            return self._followed.call(tape, how, double, run, own)
        except CannotBroadcast:
            return self._sample_by_sample(tape, config, False)

    def _task(
        self,
        tape: QuantumScript,
        config: ExecutionConfig,
        raw: bool,
        c_dtype: str | None = None,
    ) -> tuple[Execution, list[Any], bool, Reader]:
        """What runs, its arguments, whether its results are JAX's, what was read."""
        fold = is_traced()
        read = read_operations(
            tape.operations,
            self._wires_of(tape),
            allowed=self.wires,
            fold=fold,
            normalise=not raw,
        )
        measurements, observed = read_measurements(
            tape.measurements, list(read.number), fold=fold
        )
        structure = Structure(read.circuit(), measurements, tuple(observed.found))
        structure = interned(structure)
        values = read.leaves.values + observed.values
        in_jax = any(isinstance(value, jax.Array) for value in values)
        in_jax |= config.interface in JAX and not config.convert_to_numpy
        c_dtype = c_dtype or self._c_dtype or _precision(values, in_jax)
        if in_jax and c_dtype == "complex128" and not _x64():
            must, cure = "be complex64 while x64 is off", "Set jax_enable_x64."
            raise input_error("c_dtype", must, "is complex128", cure)
        leaves = structure.leaves
        task = Execution(
            structure,
            tuple(leaves[i].batched for i in structure.arguments),
            c_dtype,
            bool(config.device_options.get("reversible", False)),
            self._budget(structure, c_dtype),
        )
        return task, values, in_jax, read

    def _sample_by_sample(
        self, tape: QuantumScript, config: ExecutionConfig, raw: bool
    ) -> tuple[Any, ...]:
        """A batch whose operations PennyLane can only decompose one by one."""
        values = tape.get_parameters(trainable_only=False)
        if not any(isinstance(value, jax.Array) for value in values):
            tapes, _ = broadcast_expand(tape)
            each = [self._simulate(one, config, raw) for one in tapes]
            return tuple(math.stack(results) for results in zip(*each, strict=True))
        dims = [dim for op in tape.operations for dim in op.ndim_params]
        moving = [i for i, dim in enumerate(dims) if math.ndim(values[i]) > dim]

        def one(*sample: Any) -> tuple[Any, ...]:
            return self._simulate(tape.bind_new_parameters(sample, moving), config, raw)

        return jax.vmap(one)(*(jax.numpy.asarray(values[i]) for i in moving))

    def _wires_of(self, tape: QuantumScript) -> list[Any]:
        """The register, most significant wire first, as `default.qubit` orders it."""
        used = set(tape.wires)
        if self.wires is not None:
            own = [wire for wire in self.wires if wire in used]
            return own + [wire for wire in tape.wires if wire not in self.wires]
        # By their numbers if these are 0 to n - 1, otherwise as they appear.
        order = tape._get_standard_wire_map()
        return sorted(used) if order is None else [w for w in order if w in used]

    def _budget(self, structure: Structure, c_dtype: str) -> int:
        self._check_fits(structure.circuit.n_wires, c_dtype)
        return self._batch_memory or memory.budget()

    def _check_fits(self, n_wires: int, c_dtype: str) -> None:
        memory.check_fits(n_wires, c_dtype, memory.available_bytes())

    def _sample(self, tape: QuantumScript, config: ExecutionConfig, key: Any) -> Any:
        wires = self._wires_of(tape)
        whole = tape.copy(measurements=[StateMP(wires=wires)], shots=None)
        (state,) = self._simulate(whole, config, True)
        # Operations keep their wires: `Operation.wires` may not name all work wires.
        number = {wire: i for i, wire in enumerate(wires)}
        tape = tape.copy(measurements=[m.map_wires(number) for m in tape.measurements])
        n_wires = state.shape[-1].bit_length() - 1  # those of decompositions, too
        batch = state.shape[:-1]
        state = state.reshape(*batch, *(2,) * n_wires)
        mode = config.mcm_config.postselect_mode
        found = shots.measure(tape, state, bool(batch), self._keys.rng, key, mode)
        if config.interface != math.Interface.JAX_JIT:
            return found
        # PennyLane's callback promises the usual whole numbers; shadows are bytes.
        return jax.tree.map(lambda a: a.astype(int) if a.dtype == "int8" else a, found)


def _read_states(
    tape: QuantumScript, structure: Structure, wires: Sequence[Any], found: Any
) -> tuple[Any, ...]:
    """What PennyLane reads of states, in place of the states."""
    labels = [wires[i] for i in state_wires(structure)]
    number = {label: i for i, label in enumerate(labels)}
    results = []
    for process, read, value in zip(
        tape.measurements, structure.measurements, found, strict=True
    ):
        if read.kind != STATE or type(process) is StateMP:
            results.append(value)
            continue
        bits = (2,) * len(labels)
        batch = math.shape(value)[:-1]
        state = math.reshape(value, (*batch, *bits))
        mapped = process.map_wires(number)
        results.append(measure(mapped, state, is_state_batched=bool(batch)))
    return tuple(results)


def _precision(values: Sequence[Any], in_jax: bool) -> str:
    """The precision of the parameters; Python numbers take that of their library."""
    arrays = [v.dtype for v in values if hasattr(v, "dtype") and v.dtype.kind in "fc"]
    if not in_jax or (not arrays and _x64()):
        return "complex128"
    wide = any(dtype in (np.float64, np.complex128) for dtype in arrays)
    return "complex128" if wide and _x64() else "complex64"


def _x64() -> bool:
    """Whether JAX has double precision at all."""
    return jax.dtypes.canonicalize_dtype(np.float64) == np.float64


def _deferred(config: Any) -> Any:
    """Every method of mid-circuit measurements gives the distribution of this one."""
    methods = ("deferred", "device", "one-shot", "tree-traversal")
    check_one_of("mcm_method", config.mcm_method or "deferred", methods)
    return replace(config, mcm_method="deferred")


def _is_analytic(process: MeasurementProcess) -> bool:
    matrices = (Hermitian, SparseHamiltonian)
    return isinstance(process, StateMeasurement) and _is_observable(process, matrices)


def _is_sampled(process: MeasurementProcess) -> bool:
    known = isinstance(process, SampleMeasurement | ClassicalShadowMP | ShadowExpvalMP)
    return known and _is_observable(process)


def _is_observable(process: MeasurementProcess, also: tuple[type, ...] = ()) -> bool:
    """Whether what is measured has eigenstates that PennyLane knows: an RX has none."""

    def known(obs: Any) -> bool:
        if isinstance(obs, CompositeOp):
            return all(map(known, obs.operands))
        if isinstance(obs, SymbolicOp):
            return known(obs.base)
        return isinstance(obs, also) or obs.has_diagonalizing_gates

    return process.obs is None or known(process.obs)


@transform
def _open_subroutines(tape: QuantumScript) -> tuple[Any, Any]:
    """They may measure, and what came out may be asked for behind them."""

    def opened(operations: Sequence[Any]) -> Iterator[Any]:
        for op in operations:
            inside = isinstance(op, SubroutineOp)
            yield from opened(op.decomposition()) if inside else [op]

    operations = list(opened(tape.operations))
    return (tape.copy(operations=operations),), lambda results: results[0]


@transform
def _exact_only(tape: QuantumScript) -> tuple[Any, Any]:
    if tape.shots:
        raise input_error(
            "shots",
            "be None where the simulator differentiates itself",
            f"is {tape.shots.total_shots}",
            "Use diff_method='parameter-shift'.",
        )
    return (tape,), lambda results: results[0]


@transform
def _supported_only(tape: QuantumScript) -> tuple[Any, Any]:
    """Refuses what has neither a matrix nor a decomposition before anything runs."""
    for op in tape.operations:
        known = op.has_matrix or op.has_sparse_matrix or op.has_decomposition
        if not (known or isinstance(op, StatePrepBase)):
            parts_of(op)
    return (tape,), lambda results: results[0]


@transform
def _expand_shadows(tape: QuantumScript) -> tuple[Any, Any]:
    shadows = (ClassicalShadowMP, ShadowExpvalMP)
    if tape.batch_size and any(isinstance(m, shadows) for m in tape.measurements):
        return broadcast_expand(tape)
    return (tape,), lambda results: results[0]
