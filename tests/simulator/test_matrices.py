"""Reading parameters, and loops: the ways that are fast agree with the plain ones."""

import jax
import jax.numpy as jnp
import numpy as np
import pennylane as qml
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qfm_jax.simulator import arrays, gates, matrices
from qfm_jax.simulator.matrices import Gather

POOL = 50


def _stack(positions):
    scale = np.linspace(-1, 2, positions.size).reshape(positions.shape)
    return Gather(positions, scale, "shared")


# Each length is compiled once.
LENGTHS = st.sampled_from([1, 2, 5, 12])


@settings(max_examples=40, deadline=None)
@given(
    LENGTHS.flatmap(
        lambda n: st.lists(st.integers(0, POOL - 1), min_size=n, max_size=n)
    ),
    st.sampled_from([(), (3,)]),
    st.booleans(),
)
def test_parameters_are_read_as_by_indexing(positions, tail, small):
    positions = np.array(positions)
    pool = np.random.default_rng(0).normal(size=(POOL, *tail))
    stack = _stack(positions)
    scale = stack.scale.reshape((-1,) + (1,) * len(tail))
    expected = scale * pool[positions]
    slope = np.zeros_like(pool)
    np.add.at(slope, positions, np.broadcast_to(scale, expected.shape))
    with pytest.MonkeyPatch.context() as patch:
        if not small:
            patch.setattr(matrices, "LARGEST_TABLE", 0)
        read = lambda pool: stack.read({"shared": pool}, pool.dtype)  # noqa: E731
        np.testing.assert_allclose(read(pool), expected, rtol=1e-12)
        with jax.enable_x64(True):
            values = jnp.asarray(pool)
            np.testing.assert_allclose(read(values), expected, rtol=1e-12)
            found = jax.grad(lambda pool: read(pool).sum())(values)
        np.testing.assert_allclose(found, slope, rtol=1e-12, atol=1e-12)


def test_evenly_spaced_parameters_are_a_slice():
    pool = jnp.arange(float(POOL))
    for positions in ([7], [0, 1, 2], [1, 4, 7, 10]):
        stack = _stack(np.array(positions))
        found = jax.make_jaxpr(lambda p, s=stack: s.read({"shared": p}, p.dtype))(pool)
        assert "dot_general" not in str(found)
        assert "gather" not in str(found)


def test_products_on_a_gpu_are_three_of_tf32_in_single_precision_alone(monkeypatch):
    monkeypatch.setattr(arrays, "on_gpu", lambda: True)
    single = jnp.ones((2, 2), jnp.float32)
    traced = str(jax.make_jaxpr(arrays.matmul)(single, single))
    assert "TF32_TF32_F32_X3" in traced
    with jax.enable_x64(True):
        double = jnp.ones((2, 2), jnp.float64)
        traced = str(jax.make_jaxpr(arrays.matmul)(double, double))
    assert "TF32" not in traced
    assert "HIGHEST" in traced


@pytest.mark.parametrize("count", [3, arrays.UNROLLED + 1])
def test_unrolled_loop_is_the_loop(monkeypatch, count):
    tables = jnp.linspace(0.1, 1.0, count)

    def run(start, reverse):
        turn = lambda carry, row: (jnp.sin(carry * row), carry)  # noqa: E731
        return arrays.scan(turn, start, tables, count, reverse=reverse)

    def jaxpr(reverse):
        return str(jax.make_jaxpr(lambda start: run(start, reverse))(0.7))

    for reverse in (False, True):
        expected = run(0.7, reverse)
        assert "unroll=1" in jaxpr(reverse)
        monkeypatch.setattr(arrays, "on_gpu", lambda: True)
        for one, other in zip(run(0.7, reverse), expected, strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-6)
        assert ("unroll=1" in jaxpr(reverse)) == (count > arrays.UNROLLED)
        monkeypatch.undo()


SEVERAL_ANGLES = {qml.Rot: 3, qml.CRot: 3, qml.U2: 2, qml.U3: 3}
WORDS = {
    qml.PauliRot: ["X", "Y", "Z", "XY", "ZZ", "XYZ"],
    gates.TmpPauliRot: ["Y", "ZX"],
    qml.MultiRZ: [1, 3],
}
NAMED = [
    (cls, extra)
    for cls in sorted(gates.ANGLES | set(gates.SEVERAL), key=lambda cls: cls.__name__)
    for extra in ([(word,) for word in WORDS[cls]] if cls in WORDS else [()])
]


@pytest.mark.parametrize(("cls", "extra"), NAMED)
def test_a_matrix_has_its_precision_after_a_switch_of_x64(cls, extra):
    n = SEVERAL_ANGLES.get(cls, 1)
    angles = [np.array([0.3, -1.4]) + 0.2 * i for i in range(n)]
    wanted = [cls.compute_matrix(*row, *extra) for row in zip(*angles, strict=True)]
    named = gates.Named(cls, extra)
    for on in (False, True, False, True):
        with jax.enable_x64(on):

            def all_of(*rows, named=named):
                return jax.vmap(lambda *row: named.matrix(row))(*rows)

            # `jit` within `jvp`: there JAX takes kept arrays for those of before.
            given = [jnp.asarray(a) for a in angles]
            found, _ = jax.jvp(jax.jit(all_of), given, given)
            np.testing.assert_allclose(found, wanted, atol=1e-13 if on else 1e-6)
