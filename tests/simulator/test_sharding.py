"""A batch spread over several devices is the same batch."""

import os
import subprocess
import sys

PROGRAM = """
import jax, jax.numpy as jnp, numpy as np, pennylane as qml
from jax.sharding import AxisType, NamedSharding, PartitionSpec

@qml.qnode(qml.device("qfm.statevector", wires=3))
def node(weights, features):
    qml.AngleEmbedding(features, range(3), rotation="Y")
    qml.StronglyEntanglingLayers(weights, range(3))
    return qml.expval(qml.Z(0))

def loss(weights, features):
    return jnp.mean(jax.vmap(node, (None, 0))(weights, features) ** 2)

mesh = jax.make_mesh((4,), ("data",), axis_types=(AxisType.Auto,))
rows, whole = (NamedSharding(mesh, PartitionSpec(*axes)) for axes in (["data"], []))
rng = np.random.default_rng(0)
weights = jnp.asarray(rng.uniform(-1, 1, (2, 3, 3)), jnp.float32)
features = jnp.asarray(rng.uniform(-1, 1, (8, 3)), jnp.float32)
step = jax.jit(jax.value_and_grad(loss, (0, 1)))
expected = step(weights, features)
placed = jax.device_put(weights, whole), jax.device_put(features, rows)
found = step(*placed)
jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-6), found, expected)
n_devices = len(found[1][1].sharding.device_set)
assert "callback" not in step.lower(*placed).as_text()
print("the same on", n_devices, "devices")
"""


def test_a_sharded_batch_traces_straight_through_and_gives_the_same():
    four = "--xla_force_host_platform_device_count=4"
    flags = f"{os.environ['XLA_FLAGS']} {four}"  # those of conftest.py, too
    environment = {**os.environ, "XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu"}
    command = [sys.executable, "-W", "ignore", "-c", PROGRAM]
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "the same on 4 devices\n"
