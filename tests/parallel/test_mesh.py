"""A training whose batches are shared by eight devices is the same training."""

import os
import subprocess
import sys

import jax
import pytest

from qfm_jax._checks import InputError
from qfm_jax.parallel.mesh import make_mesh

EIGHT = "--xla_force_host_platform_device_count=8"

PROGRAM = """
import dataclasses, os, pathlib, re, tempfile, types, warnings
import jax, numpy as np
from flax import nnx
from qfm_jax.data import load_dataset
from qfm_jax.parallel.mesh import make_mesh, share_out
from qfm_jax.models import Classifier, ModelConfig
from qfm_jax.models.prediction import predict_seeds
from qfm_jax.training import TrainConfig, fit, fit_seeds, store
from qfm_jax.training.steps import Steps

# Every angle matters: Adam makes a step of the rounding of a gradient that is zero.
CIRCUIT = ModelConfig(block="circuit", n_qubits=3, n_layers=1, layers="real-amplitudes")
# What is not the same for a part of a batch as for the whole one.
CONVOLUTIONS = ModelConfig(channels=(16, 4), normalized=True, dropout=0.2)
DROPOUT = ModelConfig(hidden=(8,), dropout=0.2)
data = load_dataset("digits", train_size=200)
mesh = make_mesh("all")
assert mesh.size == 8

def train(network, size, mesh, **options):
    model = Classifier(network, rngs=nnx.Rngs(0))
    epochs = options.pop("epochs", 1)
    config = TrainConfig(epochs=epochs, batch_size=size, augment=True)
    history = fit(model, data.train, data.validation, config, jax.random.key(0),
                  progress=False, mesh=mesh, **options)
    return model, history.epochs

def compare(one, other, atol=1e-5):
    states = [nnx.state(model, nnx.Not(nnx.RngState)) for model in (one, other)]
    for a, b in zip(*map(jax.tree.leaves, states), strict=True):
        assert len(b.devices()) == 1
        np.testing.assert_allclose(a, b, atol=atol)

def close(records, others):
    for name in ("train_loss", "train_accuracy", "validation_loss"):
        curves = [[getattr(r, name) for r in rs] for rs in (records, others)]
        np.testing.assert_allclose(*curves, atol=1e-5)
"""

BATCHES = """
def check(network, size):
    alone, curve = train(network, size, None)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        shared, found = train(network, size, mesh)
    told = [str(w.message) for w in told if "devices" in str(w.message)]
    assert len(told) == (size % 8 > 0), told
    assert all("50 images does not divide over 8 devices: it is padded to 56" in t
               for t in told)
    close(curve, found)
    compare(alone, shared)

for name in os.environ["NETWORKS"].split():
    for size in map(int, os.environ["SIZES"].split()):
        check(globals()[name], size)
print("the same")
"""

SHARES = r"""
# Beside its work the masks by which all devices take a batch's images are little.
WORK = dataclasses.replace(CIRCUIT, hidden=(32,))

def flops(mesh, size):
    model = Classifier(WORK, rngs=nnx.Rngs(0))
    steps = Steps.of(model, TrainConfig(batch_size=size), 200, mesh)
    state, order, rate = steps.placed(
        (steps.initial_state([model], [jax.random.key(0)]),
         np.arange(len(data.train)), np.float32(1)))
    images, labels = (
        share_out(rows, mesh) for rows in (data.train.pixels, data.train.labels))
    given = state, order, rate, images, labels, 0, 1
    program = steps.advance.lower(steps, *given).compile()
    if mesh:
        n_own = -(-len(data.train) // 8)
        assert {len(s.data) for s in images.addressable_shards} == {n_own}
        # What moves are the images of a batch, never all.
        moved = re.findall(r"= u8\[(\d+),28,28\]\S* all-\w+\(", program.as_text())
        assert moved == [str(size)], moved
    return program.cost_analysis()["flops"]

# Of a batch alone: every device steps all weights.
more = [flops(part, 112) - flops(part, 56) for part in (mesh, None)]
assert more[0] < 0.15 * more[1], more

advance = Steps.advance

class Caught(Exception): pass

def lower(*arguments):
    raise Caught(str(advance.trace(*arguments).jaxpr))

def turns_over_seeds(mesh):
    models = [Classifier(CIRCUIT, rngs=nnx.Rngs(seed)) for seed in range(8)]
    keys = jax.random.split(jax.random.key(0), 8)
    config = TrainConfig(epochs=1, batch_size=50)
    try:
        fit_seeds(models, [data.train] * 8, [data.validation] * 8, config, keys,
                  mesh=mesh)
    except Caught as caught:
        return [int(n) for n in re.findall(r"length=(\d+)", caught.args[0])]

Steps.advance = types.SimpleNamespace(lower=lower)
# On a CPU, a device takes its seeds in turn.
turns = [turns_over_seeds(part) for part in (mesh, None)]
assert 8 not in turns[0] and 8 in turns[1], turns
print("a share each")
"""

RESUMED = """
class Stop(Exception): pass

def names(directory):
    files = (p for p in pathlib.Path(directory).rglob("*") if p.is_file())
    # Names and number of Orbax's data files are random.
    return {str(p.relative_to(directory).parent) for p in files}

def stopped(mesh):
    directory = tempfile.mkdtemp()
    append = store.append_record
    def stop(path, record):
        append(path, record)
        if record.epoch == 2:
            raise Stop
    store.append_record = stop
    try:
        train(CIRCUIT, 40, mesh, epochs=3, directory=directory)
    except Stop:
        pass
    store.append_record = append
    return directory

expected, curve = train(CIRCUIT, 40, None, epochs=3)
one, eight = stopped(None), stopped(mesh)
assert len(names(one)) > 5, names(one)
assert names(one) == names(eight), names(one) ^ names(eight)
five = stopped(mesh), make_mesh(5)
for directory, other in ((one, mesh), (eight, None), five):
    options = {"epochs": 3, "directory": directory, "resume": True}
    model, found = train(CIRCUIT, 40, other, **options)
    close(curve, found)
    compare(expected, model, atol=5e-5)
print("goes on")
"""

SEEDS = """
def together(mesh, n_seeds):
    models = [Classifier(CIRCUIT, rngs=nnx.Rngs(seed)) for seed in range(n_seeds)]
    keys = jax.random.split(jax.random.key(0), n_seeds)
    histories = fit_seeds(
        models, [data.train] * n_seeds, [data.validation] * n_seeds,
        TrainConfig(epochs=2, batch_size=50), keys,
        rate_factors=[1.0 + i for i in range(n_seeds)], mesh=mesh)
    return models, histories

expected, curves = together(None, 3)
with warnings.catch_warnings(record=True) as told:
    warnings.simplefilter("always")
    # On as many devices as seeds; and two on each of two, of which one is a copy.
    found = [together(mesh, 3), together(make_mesh(2), 3)]
told = [str(w.message) for w in told if "seeds" in str(w.message)]
assert not told, told
for models, histories in found:
    assert len(histories) == 3
    for i in range(3):
        close(curves[i].epochs, histories[i].epochs)
        compare(expected[i], models[i], atol=5e-5)
states = jax.tree.map(lambda *leaves: np.stack(leaves), *map(nnx.state, expected))
images = np.stack([data.test.pixels] * 3)
one, two = (predict_seeds(expected[0], states, images, mesh=part)
            for part in (None, make_mesh(2)))
assert one.shape == two.shape == (3, len(data.test), data.n_classes)
np.testing.assert_allclose(one, two, atol=1e-5)
print("spread")
"""


def run(program, **options):
    flags = f"{os.environ['XLA_FLAGS']} {EIGHT}"  # those of conftest.py, too
    environment = {**os.environ, "XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu", **options}
    command = [sys.executable, "-W", "ignore", "-c", PROGRAM + program]
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_batch_that_does_not_divide_gives_what_one_device_gives():
    assert run(BATCHES, NETWORKS="DROPOUT", SIZES="50") == "the same\n"


@pytest.mark.slow
def test_normalised_batches_and_circuits_are_those_of_one_device():
    assert run(BATCHES, NETWORKS="CIRCUIT CONVOLUTIONS", SIZES="40 50") == "the same\n"


@pytest.mark.slow
def test_each_device_computes_its_share_alone():
    assert run(SHARES) == "a share each\n"


@pytest.mark.slow
def test_a_run_goes_on_with_another_number_of_devices():
    assert run(RESUMED) == "goes on\n"


@pytest.mark.slow
def test_seeds_are_spread_over_devices():
    assert run(SEEDS) == "spread\n"


def test_one_device_needs_no_mesh():
    assert make_mesh() is None
    assert make_mesh(1) is None


CORES = """
import jax
from qfm_jax.parallel import mesh

mesh._n_cores = lambda: 3
mesh.cores_as_devices(FIRST, n_seeds=5)
found = mesh.make_seed_mesh(FIRST, n_seeds=5)
sizes = [found.size, mesh.make_seed_mesh(None, n_seeds=2).size, jax.device_count()]
sizes += [mesh.make_seed_mesh(2, n_seeds=5).size, mesh.narrowed(found, 2).size]
all_devices = mesh.make_seed_mesh("all", n_seeds=10)
for n_seeds in (10, 4):
    fewer = mesh.narrowed(all_devices, n_seeds)
    sizes += [fewer.size, len(mesh.filled(range(n_seeds), fewer))]
print(*sizes, mesh.make_seed_mesh(None, n_seeds=1), mesh.narrowed(found, 1))
"""


def test_a_library_call_leaves_the_devices_of_the_process_as_they_were():
    program = """
import jax
from qfm_jax.parallel.mesh import make_mesh, make_seed_mesh
before = jax.config.jax_num_cpu_devices
print(make_seed_mesh(None, 5), make_mesh("all"), jax.device_count())
assert jax.config.jax_num_cpu_devices == before
"""
    environment = {**os.environ, "XLA_FLAGS": "", "JAX_PLATFORMS": "cpu"}
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.stdout == "None None 1\n", done.stderr


@pytest.mark.parametrize(
    ("flags", "first", "sizes"),
    [
        ("", "None", "3 2 3 2 2 3 12 2 4 None None"),
        ("", "'all'", "3 2 3 2 2 3 12 2 4 None None"),
        ("", "4", "4 2 4 2 2 4 12 4 4 None None"),
        (EIGHT, "None", "5 2 8 2 2 5 10 4 4 None None"),
    ],
)
def test_each_core_of_a_cpu_takes_seeds(flags, first, sizes):
    environment = {**os.environ, "XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu"}
    command = [sys.executable, "-c", CORES.replace("FIRST", first)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.stdout == f"{sizes}\n", done.stderr


def test_devices_that_there_are_not():
    n = jax.local_device_count()
    sentence = (
        rf"`devices` must be at most the {n} that JAX sees .*device_count={n + 1} "
    )
    with pytest.raises(InputError, match=sentence):
        make_mesh(n + 1)
    with pytest.raises(InputError, match=r"`devices` must be a whole .* but is 0"):
        make_mesh(0)
