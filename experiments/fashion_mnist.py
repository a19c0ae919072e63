# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Does the quantum circuit matter?
#
# A study of quantum, hybrid and classical image classifiers on Fashion-MNIST, from the
# images to a verdict, with `qfm_jax`. Five questions, in this order:
#
# 1. Does a circuit learn, and how well beside a classical network of its size?
# 2. Was it the circuit that learned, or what stands around it?
# 3. What happens with more qubits, and with more images?
# 4. What do shots, noise and real couplings do to a trained circuit?
# 5. What does each per cent of accuracy cost?
#
# Everything is computed twice: here, small enough for two CPU cores and a few minutes,
# to show how it is done; and beforehand, at full size, to show what is true. The stored
# results of the full study stand at the end. **A small run shows how an experiment is
# made, not how it ends**: with so few images and seeds the intervals are wide.

# %% [markdown]
# Where `qfm_jax` is installed the next cell does nothing. On a hosted notebook service,
# write the address of this repository into it.

# %%
from importlib.util import find_spec

if find_spec("qfm_jax") is None:
    REPOSITORY = "the address that `git clone` takes"
    # !git clone --quiet --depth 1 "$REPOSITORY" qfm_jax
    # %cd qfm_jax/experiments
    # %pip install --quiet -c ../constraints.txt ..

# %% [markdown]
# The size of everything below: `smoke` takes a few minutes on two cores, `laptop` an
# hour or more, with more images, epochs and seeds.

# %% tags=["parameters"]
PRESET = "smoke"

# %%
# %matplotlib inline
import tempfile
from pathlib import Path

IS_SMOKE = PRESET == "smoke"
N_TRAIN, N_TEST, N_EPOCHS = (2_000, 1_000, 6) if IS_SMOKE else (20_000, 10_000, 8)
N_SEEDS, N_DRAWS, N_SHOWN = (3, 40, 50) if IS_SMOKE else (10, 200, 500)
WORK = Path(tempfile.mkdtemp())  # name a folder of your own to keep what is trained

# %% [markdown]
# ## 1. The images
#
# Fashion-MNIST has 70,000 grey images of 28 x 28 pixels in ten classes, 10,000 of them
# to test on. They are downloaded once, or read from the folder that `QFM_DATA_DIR`
# names, and verified by their SHA-256. A twelfth of the training file is set apart as
# validation images: they choose the best epoch and the learning rate. Test images are
# scored at the end.

# %%
from qfm_jax import load_dataset
from qfm_jax.reporting import plot_images

data = load_dataset("fashion-mnist", train_size=N_TRAIN, test_size=N_TEST)
for name in ("train", "validation", "test"):
    print(f"{len(getattr(data, name)):>6,} {name} images")
plot_images(data)

# %% [markdown]
# Shirts, pullovers, coats and T-shirts look alike: that is where models lose. A linear
# classifier on the 784 pixels gets about 84 % of the test images right when it sees all
# training images. It is the floor for everything that calls itself a model.

# %% [markdown]
# ## 2. A circuit is a layer
#
# A circuit takes *features* of an image in through an embedding, turns them by trained
# *weights*, and gives *expectations*, numbers in [-1, 1]. Circuits of this package are
# frozen values that say what they consume.

# %%
from qfm_jax import AngleEmbedding, Circuit, EfficientSU2
from qfm_jax.reporting import plot_circuit

circuit = Circuit(AngleEmbedding(4), EfficientSU2(4, n_layers=1))
print(circuit.n_features, "features,", circuit.weights_shape, "weights")
plot_circuit(circuit)

# %% [markdown]
# It is written for one sample. As a JAX function it is differentiated by `jax.grad`,
# and a batch is `jax.vmap`: on our simulator a whole batch is one compiled program.

# %%
import jax

from qfm_jax import as_jax_function

function = as_jax_function(circuit)
weights = jax.random.normal(jax.random.key(0), circuit.weights_shape)
batch = jax.random.uniform(jax.random.key(1), (1_000, circuit.n_features))
expectations = jax.jit(jax.vmap(function, (0, None)))(batch, weights)
slopes = jax.jit(jax.grad(lambda weights: function(batch[0], weights)[0]))(weights)
print("expectations", expectations.shape, " gradients", slopes.shape)

# %% [markdown]
# Your own circuit is a PennyLane QNode with an argument `inputs`. It becomes a layer of
# a Flax model, between a layer that reduces 784 pixels to four angles and a read-out.

# %%
import pennylane as qml


@qml.qnode(qml.device("qfm.statevector", wires=4))
def my_circuit(inputs, angles):
    qml.AngleEmbedding(inputs, wires=range(4))
    qml.StronglyEntanglingLayers(angles, wires=range(4))
    return [qml.expval(qml.Z(wire)) for wire in range(4)]


# %%
from flax import nnx

from qfm_jax import QuantumLayer

rngs = nnx.Rngs(0)
layer = QuantumLayer(my_circuit, {"angles": (2, 4, 3)}, rngs=rngs)
reduce, read_out = nnx.Linear(784, 4, rngs=rngs), nnx.Linear(4, 10, rngs=rngs)
model = nnx.Sequential(lambda x: x.reshape(-1, 784), reduce, layer, read_out)

# %%
from qfm_jax import TrainConfig, fit, predict_logits, score

training = TrainConfig(epochs=N_EPOCHS, batch_size=32, learning_rate=0.01)
key = jax.random.key(0)
history = fit(model, data.train, data.validation, training, key, progress=False)
scores = score(predict_logits(model, data.test.values), data.test.labels)
print(f"{scores.accuracy:.1%} of the test images; guessing gives 10 %")

# %% [markdown]
# So a circuit learns. That says little: the reducing layer alone has 3,140 weights. The
# rest of the study asks what the circuit had to do with it.

# %% [markdown]
# ## 3. A hybrid, its control, and a circuit alone
#
# Models that are compared are values of `ModelConfig`, and differ in what is said:
#
# - `hybrid`: a trained layer reduces the pixels to six angles, a circuit of six qubits,
#   a linear read-out of six expectations;
# - `dense-control`: the same with a dense layer of six units in the circuit's place;
# - `pure-circuit`: no layer in front. 49 pixels (7 x 7, averaged) are amplitudes of six
#   qubits, then four trained layers, and the same read-out;
# - `linear`: pixels to logits.

# %%
from dataclasses import replace

from qfm_jax.models import ModelConfig
from qfm_jax.runs.presets import get_preset

hybrid = ModelConfig(block="circuit", layers="efficient-su2", n_qubits=6)
pixels = replace(get_preset("amplitude").network, head="dense")
pure = replace(pixels, layers="strongly-entangling", n_qubits=6, n_layers=4)

# %% [markdown]
# `execute` trains a model, takes the best epoch on the validation images, scores the
# test images once, and writes a run directory: configuration, history, scores,
# checkpoints. Here all have the same images, batches, epochs and seed.

# %%
from qfm_jax import DataConfig, RunConfig, execute

images = DataConfig("fashion-mnist", train_size=N_TRAIN, test_size=N_TEST)


def train(name, network):
    config, folder = RunConfig(name, network, training, images), WORK / name
    return execute(config, folder, resume=folder.exists(), progress=False)


# %%
from qfm_jax.reporting import leaderboard_table

runs = [
    train("hybrid", hybrid),
    train("dense-control", replace(hybrid, block="dense")),
    train("pure-circuit", pure),
    train("linear", ModelConfig()),
]
leaderboard_table(runs)

# %%
from qfm_jax.reporting import plot_leaderboard, plot_training_curves

plot_training_curves(runs)

# %%
plot_leaderboard(runs)

# %% [markdown]
# Dotted lines are training, full ones validation. The interval is that of 95 % for the
# choice of the test images; it does not cover the choice of the seed. These are the
# mistakes of which the hybrid was most certain:

# %%
from qfm_jax.reporting import plot_mistakes

plot_mistakes(runs[0], n_images=8)

# %% [markdown]
# ## 4. The audit: does the circuit matter?
#
# A circuit behind trained layers can be along for the ride. The audit retrains the
# hybrid beside its *controls*; these three differ in the block alone: the circuit
# `removed`; `frozen` at its random start; `separable`, without its entangling gates.
# (The full audits have up to seven.) Seed by seed they have the same split, batches and
# start, so that differences are paired. The verdict follows a rule that is fixed
# before: it compares with the classical control that is best on the validation images,
# and takes an interval, a signed-rank test and Holm's correction to say that a circuit
# helps or hurts.
#
# In the study each control also gets the best of several learning rates, which matters:
# with the circuit's own rate for all, some controls looked worse than they are.

# %%
from qfm_jax import AuditConfig, run_audit

config = RunConfig("hybrid", hybrid, training, images)
controls = ("removed", "frozen", "separable")
asked = AuditConfig(config, N_SEEDS, controls, rate_factors=(1.0,), baselines=())
audit = run_audit(asked, WORK / "audit", resume=(WORK / "audit").exists())
print(f"Verdict: {audit.verdict}.\n{audit.finding}")

# %%
from qfm_jax.reporting import audit_table, plot_accuracies, plot_differences

audit_table(audit)

# %%
plot_accuracies(audit)

# %%
plot_differences(audit)

# %% [markdown]
# Right of zero the hybrid is better than the control. A circuit could need its training
# and its entanglement, which `frozen` and `separable` ask, and still be worth less than
# nothing in its place, which `removed` asks. With three seeds no p-value can be below
# 0.25, and the rule says that it cannot tell: the full audits have ten.

# %% [markdown]
# ## 5. More qubits
#
# A circuit of n qubits has 2^n amplitudes, and simulating it costs as much. Training it
# may fail long before: in a *barren plateau* the gradients vanish with the number of
# qubits. Below, circuits with random weights: the variance of their gradients for an
# observable on one qubit (local) and on all (global); how far their states are from
# Haar-random ones; how entangled they are.

# %%
from qfm_jax.circuits import build_circuit
from qfm_jax.descriptors import describe

records = []
for n_qubits, n_layers in [(2, 1), (4, 1), (6, 1), (6, 4), (2, 16), (4, 16), (6, 16)]:
    random = build_circuit("angle", "efficient-su2", n_qubits, n_layers)
    found = describe(random, n_samples=N_DRAWS, key=jax.random.key(0))
    records.append({"cell": {"n_qubits": n_qubits, "n_layers": n_layers}} | found)

# %%
from scaling_figures import plot_random_circuits

plot_random_circuits(records)

# %% [markdown]
# Deep circuits spread out over all states (middle) and entangle their qubits (right),
# and their gradients shrink with every qubit (left), whatever is measured. Of a shallow
# circuit the theory says that the gradients of a global observable vanish
# exponentially, and those of a local one no faster than a power (Cerezo et al., arXiv
# 2001.00550).

# %% [markdown]
# ## 6. More images
#
# The same on both sides: seeds, images, number of steps. The control without the
# circuit has the same reducing layer and the same read-out.

# %%
from paired_training import train_paired


def accuracies(name, network, n):
    load = {"train_size": n, "test_size": N_TEST}
    parts = [load_dataset("fashion-mnist", seed=seed, **load) for seed in range(3)]
    found = train_paired(network, parts, n_steps=N_TRAIN // 10)
    return {"cell": {"model": name, "train_size": n}} | found


# %%
from scaling_figures import plot_sweeps

models = {"hybrid": hybrid, "circuit removed": replace(hybrid, block="removed")}
sizes = (100, N_TRAIN // 2)
records = [accuracies(name, models[name], n) for n in sizes for name in models]
plot_sweeps(records, {"train_size": N_TRAIN}, {"train_size": "training images"})

# %% [markdown]
# Points are seeds, bars 95 % intervals of their means. More images help both; if the
# circuit needed fewer of them, its line would leave the other one at the left.

# %% [markdown]
# ## 7. Shots, noise, devices
#
# `deploy` runs the circuits of a trained model elsewhere, with the same weights: on
# Qiskit Aer with shots and with noise by name, and on fake backends, which have the
# couplings, gates and errors of IBM's devices. The layers around the circuit stay in
# JAX. Each device sees the same sample of test images.

# %%
from qfm_jax import Target, deploy

kinds = ("depolarizing:0.003", "depolarizing:0.03", "readout:0.03", "readout:0.1")
targets = [Target("aer", shots) for shots in (16, 128, 1024)]
targets += [Target("aer", 1024, noise) for noise in kinds]
targets += [Target("fake_lagos", 1024)]

# %%
deployed = []
for run in (runs[0], runs[2]):
    for target in targets:
        found = deploy(run, target, samples=N_SHOWN)
        deployed.append({"model": run.result.model} | found.as_table())

# %%
from qfm_jax.reporting import deployment_table, plot_accuracy_against_noise

print("hybrid")
deployment_table(deployed[: len(targets)])

# %%
print("pure circuit")
deployment_table(deployed[len(targets) :])

# %%
plot_accuracy_against_noise(deployed)

# %%
from qfm_jax.reporting import plot_accuracy_against_shots

plot_accuracy_against_shots(deployed)

# %% [markdown]
# *Flipped* are predictions that differ from the exact ones. The hybrid's circuit is
# shallow. The circuit that works alone has many gates on two qubits to prepare and to
# process its state, and each one errs.

# %% [markdown]
# ## 8. What it costs
#
# A model lies on the Pareto front if no other is both cheaper and at least as accurate.

# %%
from qfm_jax.reporting import cost_records, plot_pareto

plot_pareto(cost_records(runs))

# %% [markdown]
# On a quantum computer the currency is seconds. The estimate transpiles the circuit for
# a device and counts circuits, shots and gate times; IBM's open plan gives ten minutes
# in 28 days. The success probability is that of no error at all, by the errors that the
# device states.

# %%
from qfm_jax import budget_of
from qfm_jax.reporting.hardware_costs import cost_table

budgets = [budget_of(run, ["fake_torino"], n_images=10_000) for run in runs[:3:2]]
print("all 10,000 test images: hybrid")
cost_table(budgets[0])

# %%
print("all 10,000 test images: pure circuit")
cost_table(budgets[1])

# %% [markdown]
# ## 9. The full study
#
# From here on nothing is trained. The files in `experiments/results/` hold the raw
# numbers of the study at full size, and `experiments/README.md` the command and the
# circumstances of each.
#
# ### What the models reach
#
# All on one protocol: 60,000 training images (5,000 of them to choose the epoch), ten
# epochs, all 10,000 test images, one seed each (`experiments/compare_models.py`).

# %%
import compare_models

from qfm_jax.runs.results import read_rows

rows = read_rows("results/compare_models.json", "compare_models")
compare_models.table_of(compare_models.rows_of_preset(rows, "full"))

# %% [markdown]
# And what some of them reach with as many epochs as they take (`experiments/zoo.py`):

# %%
from qfm_jax.reporting import CostRecord

rows = read_rows("results/zoo.json", "zoo")
rows = [row for row in rows if row["cell"]["name"] != "two classes"]

# %%
records = []
for row in rows:
    name, result = row["cell"]["name"], row["result"]
    prices = {"parameters": result["n_parameters"]}
    prices |= {"training (s)": result["seconds_training"]}
    accuracy, interval = map(result["scores"].get, ("accuracy", "accuracy_interval"))
    records.append(CostRecord(name, accuracy, tuple(interval), prices))
plot_pareto(records)

# %% [markdown]
# Circuits that see the pixels themselves do learn: `hamiltonian` reaches 88.8 % and
# passes the linear classifier, with 24,576 angles on ten qubits; `pixel-reuploading`
# reaches 83 %, with 954 parameters in all. Behind convolutions a small circuit goes
# further: `deep-hybrid` reaches 93.4 %. But `deep-cnn`, the same network with a dense
# layer in the circuit's place, reaches 93.5 %, and `strong-cnn`, of 298,000 parameters,
# reaches 94.6 %.
# One seed each; and `strong-cnn` (three times), `compact-hybrid` and `deep-hybrid`
# (twice) were changed after a test score, and scored again.
#
# ### Did the circuit matter?
#
# Ten paired seeds each, every control with the best of several learning rates.

# %%
from qfm_jax import read_audit

names = ("hybrid-cnn_short", "residual-hybrid", "quanvolution")
names = (*names, "amplitude", "hamiltonian")
audits = {name: read_audit(f"results/audit_{name}.json") for name in names}
for name, audit in audits.items():
    print(f"{name}, {audit.n_train:,} images: {audit.verdict}\n  {audit.finding}\n")

# %%
plot_differences(audits["hybrid-cnn_short"])

# %%
plot_differences(audits["hamiltonian"])

# %% [markdown]
# In `hybrid-cnn` no difference is detected between a trained circuit and one frozen at
# its random start; without its circuit the model is 0.85 points better. `linear`, the
# best control of both hybrids, lacks the squashing too, and in `hybrid-cnn` its
# read-out started five times smaller: what it wins is not the circuit's loss alone. Of
# `residual-hybrid` without its circuit one cannot tell. `hamiltonian` is 0.62 points
# above the model without its circuit, `amplitude` 1.18 below. Their `frozen` starts
# near the identity, and their `separable` has no trained gate left: neither says
# anything. A support vector machine on the same pixels is 3.1 points better than
# `hamiltonian`.
#
# An older audit, with the model's own learning rate for all controls: on all training
# images `hybrid-cnn` is 0.59 points below `linear`, and not told apart from itself
# without the circuit (the README has its table).
#
# ### How it scales
#
# One thing changed at a time, three seeds each (`experiments/scale_data.py`):
# `amplitude` sees all pixels and `linear` the same without the circuit; `quanvolution`
# maps patches by a circuit, `patch-cnn` by a convolution.

# %%
import scale_data

rows = read_rows("results/scale_data.json", "scale_data")
plot_sweeps(rows, scale_data.base_of(scale_data.PLANS["laptop"]), scale_data.LABELS)

# %% [markdown]
# A circuit's mean is above its control's in 4 of 24 settings, and below with intervals
# apart in 5; with two classes all four agree. The pixels' scale is one more setting,
# and `amplitude` minds it most.
#
# What a circuit of four layers costs, value and gradient
# (`experiments/scale_qubits.py`), and what the same says of 30 qubits on paper:

# %%
import scale_qubits
from scaling_figures import plot_step_growth

rows = read_rows("results/scale_qubits.json", "scale_qubits")
steps = [row for row in rows if row["cell"]["part"] == "step"]
plot_step_growth(steps, *scale_qubits.fits_of(steps))

# %%
drawn = [row for row in rows if row["cell"]["part"] == "random"]
plot_random_circuits(drawn)

# %% [markdown]
# ### What hardware would do
#
# Noise on all gates, and errors of the read-out, for a hybrid of eight qubits and for a
# circuit of six that works alone, 1,000 test images each
# (`experiments/hardware_limits.py`).

# %%
rows = read_rows("results/hardware_limits.json", "hardware_limits")
plot_accuracy_against_noise(rows)

# %%
from qfm_jax.reporting import plot_accuracy_against_gates

plot_accuracy_against_gates(rows)

# %% [markdown]
# The hybrid loses less than a point; whether its circuit matters was not audited. The
# circuit alone classifies 76.7 % of these images without noise, 29.0 % at an error of a
# hundredth a gate, and 22 to 31 % on the fakes of IBM's devices, where routing makes
# 220 to 235 gates on two qubits of the 98 that were written.

# %% [markdown]
# ## What was found
#
# - **Circuits learn.** Alone, on the pixels, up to 88.8 % of ten classes.
# - **One circuit helps, by little.** Against the same model without its circuit
#   `hamiltonian` is 0.6 points better, and 3.1 points behind a support vector machine.
#   `quanvolution` is 1.4 points worse, `amplitude` 1.2, `hybrid-cnn` 0.9 with 10,000
#   images and not told apart with 55,000; of `residual-hybrid` one cannot tell.
# - **Training the circuit changed little.** In `hybrid-cnn` nothing that ten seeds
#   detect, on patches half a point.
# - **The shallow circuit stood the noise.** Where the circuit does all the work, noise
#   of a hundredth a gate takes most of the accuracy away.
# - **Ten minutes of quantum computer are few.** All test images of the eight-qubit
#   hybrid would take about 2,600 seconds: train in simulation, evaluate a sample there.
#
# What this does not say: nothing here leaves the reach of a simulator, and
# Fashion-MNIST is classical data. The audit asks of any circuit of yours what it asked
# of these:
#
# ```
# qfm --load your_model.py audit your-model --out runs/audit
# ```
