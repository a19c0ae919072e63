"""What comes from Qiskit does here what it does there, and trains."""

import pickle

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx
from hypothesis import given, settings
from hypothesis import strategies as st
from qiskit import QuantumCircuit
from qiskit.circuit import Gate, Parameter, ParameterVector
from qiskit.circuit.library import (
    DCXGate,
    DiagonalGate,
    PauliEvolutionGate,
    QFTGate,
    RealAmplitudes,
    StatePreparation,
    TwoLocal,
    UnitaryGate,
    XGate,
    ZZFeatureMap,
    efficient_su2,
    get_standard_gate_name_mapping,
    n_local,
    pauli_feature_map,
    real_amplitudes,
    zz_feature_map,
)
from qiskit.quantum_info import Operator, SparsePauliOp, Statevector, random_unitary

from qfm_jax._checks import InputError
from qfm_jax.circuits import CIRCUITS, VariationalCircuit
from qfm_jax.circuits.formulas import as_formula, evaluate
from qfm_jax.circuits.qiskit_export import observables_of, to_qiskit
from qfm_jax.circuits.qiskit_import import from_qiskit
from qfm_jax.devices import as_jax_function
from qfm_jax.models import Classifier, ModelConfig, QuantumLayer
from qfm_jax.models.configuration import circuit_of

RNG = np.random.default_rng(61)
UNITARY = {
    name: gate
    for name, gate in get_standard_gate_name_mapping().items()
    if name not in ("measure", "reset", "delay")
}
angles = st.floats(-7, 7, allow_nan=False)


@st.composite
def standard_circuits(draw, names=tuple(UNITARY)):
    """Up to six standard gates on four qubits, in any order of qubits."""
    built = QuantumCircuit(4)
    built.h(range(4))
    for name in draw(st.lists(st.sampled_from(names), min_size=1, max_size=6)):
        gate = UNITARY[name]
        values = [draw(angles) for _ in gate.params]
        qubits = draw(st.permutations(range(4)))[: gate.num_qubits]
        built.append(gate.base_class(*values), qubits)
    return built


def there_and_back(built):
    return to_qiskit(from_qiskit(built, inputs=[]), np.zeros(0), np.zeros(0))


@pytest.mark.parametrize("name", UNITARY)
def test_every_standard_gate_comes_and_goes(name):
    gate = UNITARY[name]
    built = QuantumCircuit(4)
    built.h(range(4))
    values = RNG.uniform(-3, 3, len(gate.params))
    qubits = RNG.permutation(4)[: gate.num_qubits].tolist()
    built.append(gate.base_class(*values), qubits)
    assert Operator(there_and_back(built)).equiv(Operator(built))


@settings(max_examples=60, deadline=None)
@given(standard_circuits())
def test_circuits_of_standard_gates_come_and_go(built):
    assert Operator(there_and_back(built)).equiv(Operator(built))


@settings(max_examples=30, deadline=None)
@given(st.data())
def test_parameters_come_and_go(data):
    names = [name for name, gate in UNITARY.items() if gate.params]
    built = data.draw(standard_circuits(names))
    x, free = ParameterVector("x", 3), Parameter("free")
    choices = (x[2], 2 * free, x[0] * x[1] - free / 3, 1 - (x[0] + 0.5).sin())
    symbolic = QuantumCircuit(4)
    symbolic.h(range(4))
    symbolic.rx(x[0] + free, 1)
    for instruction in built.data[4:]:
        gate = instruction.operation
        values = [data.draw(st.sampled_from(choices)) for _ in gate.params]
        symbolic.append(gate.base_class(*values), instruction.qubits)
    made = from_qiskit(symbolic)
    assert (made.n_features, made.weight_names) == (3, ("free",))
    inputs, weights = RNG.normal(size=3), RNG.normal(size=1)
    numbers = dict(zip(x, inputs, strict=True)) | {free: weights[0]}
    numbers = {p: numbers[p] for p in symbolic.parameters}
    expected = Operator(symbolic.assign_parameters(numbers))
    assert Operator(to_qiskit(made, inputs, weights)).equiv(expected)
    back = to_qiskit(made)
    arrays = {"inputs": inputs, "weights": weights}
    values = {p: arrays[p.vector.name][p.index] for p in back.parameters}
    assert Operator(back.assign_parameters(values)).equiv(expected)


def nested():
    inner = QuantumCircuit(2, name="inner")
    inner.ryy(Parameter("a") * 2, 1, 0)
    outer = QuantumCircuit(3)
    outer.append(inner.to_gate().control(1, annotated=False), [2, 0, 1])
    outer.append(inner.to_instruction(), [1, 2])
    return zz_feature_map(3, entanglement="linear").compose(outer, [2, 0, 1])


def odd_gates():
    built = zz_feature_map(4, reps=1)
    built.append(UnitaryGate(random_unitary(8, seed=3)), [3, 0, 2])
    built.append(DCXGate(), [2, 1])
    built.append(StatePreparation([0.6, 0, 0, 0.8j]), [1, 3])
    built.append(DiagonalGate([1, 1j, -1, 1]), [3, 1])
    built.append(XGate().control(3, ctrl_state="010", annotated=False), [1, 0, 3, 2])
    built.append(QFTGate(3), [3, 2, 0])
    generator = SparsePauliOp(["XX", "ZZ"], [0.3, 1.0])
    built.append(PauliEvolutionGate(generator, Parameter("t")), [2, 0])
    built.barrier()
    return built


LIBRARY = {
    "zz": lambda: zz_feature_map(3).compose(real_amplitudes(3, reps=1)),
    "pauli": lambda: pauli_feature_map(3, paulis=["Z", "XY", "ZYX"]),
    "su2": lambda: zz_feature_map(3).compose(efficient_su2(3, reps=1)),
    "n-local": lambda: zz_feature_map(3).compose(
        n_local(3, ["ry", "rzx"], "crx", "circular", reps=2)
    ),
    "nested": nested,
    "odd": odd_gates,
    "classes": lambda: ZZFeatureMap(3).compose(RealAmplitudes(3, reps=1)),
}


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of the classes
@pytest.mark.parametrize("build", LIBRARY.values(), ids=LIBRARY)
def test_the_library_s_circuits_give_qiskit_s_expectations(build):
    built = build()
    circuit = from_qiskit(built)
    assert isinstance(circuit, VariationalCircuit)
    assert len(circuit.gates) >= 9
    inputs = RNG.uniform(0, 2, circuit.n_features)
    weights = RNG.uniform(-3, 3, circuit.weights_shape)
    numbers = dict(zip(circuit.input_names, inputs, strict=True))
    numbers |= zip(circuit.weight_names, weights, strict=True)
    # Decomposed: SciPy warns of how Qiskit makes the matrix of an evolution.
    state = Statevector(
        built.decompose("PauliEvolution").assign_parameters(
            {p: numbers[p.name] for p in built.parameters}
        )
    )
    expected = [state.expectation_value(o).real for o in observables_of(circuit)]
    with jax.enable_x64(True):
        actual = as_jax_function(circuit)(jnp.asarray(inputs), jnp.asarray(weights))
    np.testing.assert_allclose(actual, expected, atol=1e-6)


@pytest.fixture(scope="module")
def circuit():
    return from_qiskit(LIBRARY["su2"](), observables=("ZII", "IXY"))


def test_it_is_a_value(circuit):
    again = from_qiskit(LIBRARY["su2"](), observables=("ZII", "IXY"))
    assert again == circuit
    assert hash(again) == hash(circuit)
    assert pickle.loads(pickle.dumps(circuit)) == circuit  # noqa: S301
    assert from_qiskit(LIBRARY["su2"]()) != circuit


def test_gradients_are_finite_differences_and_vmap_is_a_loop(circuit):
    with jax.enable_x64(True):
        inputs = jnp.asarray(RNG.uniform(0, 2, (4, 3)))
        weights = jnp.asarray(RNG.normal(size=circuit.weights_shape))
        function = jax.jit(as_jax_function(circuit))
        batched = jax.jit(jax.vmap(function, (0, None)))(inputs, weights)
        expected = np.stack([function(sample, weights) for sample in inputs])
        np.testing.assert_allclose(batched, expected, atol=1e-10)
        by_inputs, by_weights = jax.jit(jax.jacobian(function, (0, 1)))(
            inputs[0], weights
        )
        slopes = differences(lambda x: function(x, weights), inputs[0])
        np.testing.assert_allclose(by_inputs, slopes, atol=1e-8)
        slopes = differences(lambda w: function(inputs[0], w), weights)
        np.testing.assert_allclose(by_weights, slopes, atol=1e-8)


def differences(function, vector, step=1e-5):
    """Jacobian (n_outputs, n) by central differences."""
    steps = step * np.eye(len(vector))
    slopes = [(function(vector + s) - function(vector - s)) / (2 * step) for s in steps]
    return np.stack(slopes, axis=-1)


def test_it_trains_in_a_layer(circuit):
    layer = QuantumLayer(circuit, rngs=nnx.Rngs(0))
    optimizer = nnx.Optimizer(layer, optax.adam(0.1), wrt=nnx.Param)
    features = jnp.asarray(RNG.uniform(0, 1, (8, 3)), jnp.float32)

    @nnx.jit
    def step(layer, optimizer):
        def loss(layer):
            return jnp.mean((layer(features) - jnp.array([0.5, -0.5])) ** 2)

        value, gradients = nnx.value_and_grad(loss)(layer)
        optimizer.update(layer, gradients)
        return value

    losses = [float(step(layer, optimizer)) for _ in range(30)]
    assert losses[-1] < 0.5 * losses[0]


def test_it_is_a_classifier_s_circuit(circuit, monkeypatch):
    monkeypatch.setitem(CIRCUITS, "mine", lambda n_qubits, n_layers: circuit)
    config = ModelConfig(block="circuit", circuit="mine", n_qubits=circuit.n_qubits)
    model = Classifier(config, n_classes=10, image_shape=(8, 8), rngs=nnx.Rngs(0))
    assert model(jnp.zeros((5, 8, 8))).shape == (5, 10)
    assert circuit_of(config) is circuit


def test_which_parameters_are_data():
    x, y = ParameterVector("x", 3), ParameterVector("y", 11)
    built = QuantumCircuit(2)
    for parameter in (y[10], y[2], x[1]):
        built.rx(parameter, 0)
    circuit = from_qiskit(built)
    assert circuit.input_names == ("x[0]", "x[1]", "x[2]")  # x[0] does nothing
    assert circuit.weight_names == ("y[2]", "y[10]")
    for inputs in ("y", y):
        assert from_qiskit(built, inputs).n_features == 11
    for inputs in ([y[10], x[1]], ["y[10]", "x[1]"]):
        circuit = from_qiskit(built, inputs)
        assert circuit.input_names == ("y[10]", "x[1]")
        assert circuit.weight_names == ("y[2]",)
    assert from_qiskit(built, x[1]).input_names == ("x[1]",)
    assert from_qiskit(built, []).weights_shape == (3,)


def test_bad_parameters():
    built = QuantumCircuit(1)
    built.rx(Parameter("a"), 0)
    with pytest.raises(InputError, match=r"`inputs` must say .* there are a\. Give"):
        from_qiskit(built)
    for inputs in ("b", ["a", "a"], [Parameter("b")], [3]):
        with pytest.raises(InputError, match=r"\(a\), each once, but holds"):
            from_qiskit(built, inputs)
    built.h(0)
    with pytest.raises(InputError, match="no parameters"):
        from_qiskit(built.assign_parameters([1.0]))


def refused(match, *gates, n_clbits=0):
    built = QuantumCircuit(2, n_clbits)
    for apply in gates:
        apply(built)
    with pytest.raises(InputError, match=match):
        from_qiskit(built, inputs=[])


def test_what_is_no_unitary_is_refused_by_name():
    refused("has none")
    refused(r"'measure'.*remove_final_measurements", lambda c: c.measure_all())
    refused("'reset'.*prepare a state", lambda c: c.reset(1))
    refused("'initialize'.*StatePreparation", lambda c: c.initialize([0, 1], 0))
    inner = QuantumCircuit(2, 1)
    inner.h(0)
    refused(
        "'if_else'",
        lambda c: c.if_test((c.clbits[0], 1), inner, [0, 1], [0]),
        n_clbits=1,
    )
    opaque = Gate("oracle", 1, [])
    refused("can decompose, but does not.*oracle", lambda c: c.append(opaque, [0]))
    with pytest.raises(InputError, match="be a QuantumCircuit, but is 'h 0'"):
        from_qiskit("h 0")
    with pytest.raises(InputError, match="Pauli words of 3 letters"):
        from_qiskit(LIBRARY["zz"](), observables=("Z",))


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_the_library_s_classes_are_not_empty():
    assert len(from_qiskit(TwoLocal(3, "ry", "cx"), inputs="θ").gates) == 21


def test_a_difference_from_qiskit_is_found(monkeypatch):
    from qfm_jax.circuits import qiskit_import

    wrong = dict(qiskit_import.PENNYLANE)
    wrong["cx"] = lambda wires: qiskit_import.PENNYLANE["cz"](wires=wires)
    built = QuantumCircuit(2)
    built.cx(0, 1)
    monkeypatch.setattr(qiskit_import, "PENNYLANE", wrong)
    with pytest.raises(InputError, match=r"the same here as in Qiskit .* differs by"):
        from_qiskit(built, inputs=[])


def test_what_qiskit_approximates_is_refused_until_it_is_decomposed():
    built = QuantumCircuit(2)
    generator = SparsePauliOp(["XX", "ZI"], [0.3, 1.0])
    built.append(PauliEvolutionGate(generator, 1.0), [0, 1])
    with pytest.raises(InputError, match=r"differs by .* circuit\.decompose\(\)"):
        from_qiskit(built, inputs=[])
    made = from_qiskit(built.decompose(), inputs=[])
    assert Operator(to_qiskit(made, [], [])).equiv(Operator(built.decompose()))


a, b = Parameter("a"), Parameter("b")
EXPRESSIONS = [
    3 / (a + 1) - b,
    a**b + 2**a,
    (-a).sin() * b.cos().tan() + (a * b).exp(),
    (a / 2).arcsin() + (b / 3).arccos() + b.arctan() + (1 + b).log(),
    abs(a - b) + (a - b).sign() * a.conjugate(),
    a - a + 2,
    a - a + b,
    a - (b / 3 - a * b),  # wrong by Qiskit 2.3.0's own `sympify`
    a / (2 - a * (b - 1)),
    2 - (2 + b - a) ** (a + b),
    (3 - a) / (1 - (b - 2 * a)),
    (a - b * 2).subs({a: 1 - b, b: a * b}),
    (2 * a).assign(a, 1 - b),
]


@pytest.mark.parametrize("expression", EXPRESSIONS, ids=str)
def test_formulas_are_qiskit_s_expressions(expression):
    formula = as_formula(expression, {"a": ("inputs", 0), "b": ("weights", 1)})
    for x, y in RNG.uniform(0, 1, (5, 2)):
        numbers = {p: {"a": x, "b": y}[p.name] for p in expression.parameters}
        expected = complex(expression.bind(numbers)).real
        found = evaluate(formula, np.array([x]), np.array([0.0, y]))
        assert np.isclose(found, expected, atol=1e-12)


def test_formulas_that_are_none():
    with pytest.raises(InputError, match="real angles, but has 2j"):
        as_formula(a - a + 2j, {"a": ("inputs", 0)})
