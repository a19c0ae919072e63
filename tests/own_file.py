"""A file of a user's own with a circuit in it, and how commands are typed with it."""

import hashlib
import re
import shlex
import sys

from qfm_jax.circuits import CIRCUITS
from qfm_jax.runs.presets import MODELS

TURNS = '''
"""turns.py: each feature turns a qubit, at a frequency that is trained."""

import dataclasses
import os

import pennylane as qml

from qfm_jax.circuits import CIRCUITS, Angles, Normal
from qfm_jax.models import ModelConfig
from qfm_jax.runs.presets import MODELS, Preset

with open(os.environ["QFM_TEST_LOG"], "a") as log:
    log.write("executed\\n")


@dataclasses.dataclass(frozen=True)
class Turns:
    n_qubits: int
    n_layers: int
    takes = Angles()
    weights_start = Normal(mean=1.0)

    @property
    def n_features(self):
        return self.n_qubits

    @property
    def weights_shape(self):
        return (self.n_layers, self.n_qubits)

    @property
    def n_observables(self):
        return self.n_qubits

    def __call__(self, inputs, weights):
        for layer in range(self.n_layers):
            for i in range(self.n_qubits):
                qml.RY(weights[..., layer, i] * inputs[..., i], wires=i)
            qml.CNOT([0, 1])
        return [qml.expval(qml.Z(i)) for i in range(self.n_qubits)]


CIRCUITS["turns"] = Turns
network = ModelConfig(hidden=(6,), block="circuit", circuit="turns", n_qubits=2)
MODELS["turning"] = Preset("features that turn qubits", network)
'''
TINY = ["--dataset", "digits", "--train-size", "100", "--epochs", "1"]
SHA256 = hashlib.sha256(TURNS.encode()).hexdigest()

OPENINGS = {
    "evaluate": ["evaluate", "run", "--samples", "20"],
    "evaluate on aer": ["evaluate", "run", "--samples", "4", "--device", "aer"],
    "cost": ["cost", "run", "--backend", "fake_torino", "--samples", "4"],
    "report": ["report", "run", "audit", "--out", "page.html"],
    "report of an audit": ["report", "run", "compared/turning", "audit"],
    "resume": ["train", "--resume", "run"],
    "resume an audit": ["audit", "--resume", "audit"],
    "resume a comparison": ["compare", "--resume", "compared"],
    "predict": ["predict", "run", "image.npy"],
}


def forget():
    """What another process would not have."""
    CIRCUITS.pop("turns", None)
    MODELS.pop("turning", None)
    sys.modules.pop("turns", None)


def n_executed(folder):
    log = folder / "log"
    return len(log.read_text().splitlines()) if log.exists() else 0


def typed(text):
    """The command that a sentence says to type, as its words behind `qfm`."""
    (command,) = re.findall(r"`(qfm [^`]*)`", " ".join(text.split()))
    return shlex.split(command)[1:]
