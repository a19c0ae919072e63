"""An instance of every embedding, of all layers and of every state preparation."""

import numpy as np
import pennylane as qml
from pennylane import ftqc
from simulator.programs.running import Program, numbers, unit


def _mps():
    rng = np.random.default_rng(3)
    tensors = [rng.normal(size=s) for s in ((2, 2), (2, 2, 2), (2, 2))]
    return qml.right_canonicalize_mps(tensors)


def _normal(x):
    return x / qml.math.sqrt(qml.math.sum(x**2))


EMBEDDINGS = {
    "AngleEmbedding": Program(
        lambda x: qml.AngleEmbedding(x, range(3), rotation="Y"),
        (numbers(3),),
        batch=(0,),
    ),
    "AmplitudeEmbedding": Program(
        lambda x: qml.AmplitudeEmbedding(_normal(x), [2, 0]), (numbers(4),)
    ),
    "AmplitudeEmbedding: padded": Program(
        lambda x: qml.AmplitudeEmbedding(x, [2, 0], pad_with=0.3, normalize=True),
        (numbers(3),),
        batch=(0,),
    ),
    "BasisEmbedding": Program(lambda: qml.BasisEmbedding([1, 0], wires=[2, 0])),
    "IQPEmbedding": Program(
        lambda x: qml.IQPEmbedding(x, range(3), n_repeats=2), (numbers(3),), batch=(0,)
    ),
    "QAOAEmbedding": Program(
        lambda x, w: qml.QAOAEmbedding(x, w, range(3)),
        (numbers(3), numbers(2, 6)),
        batch=(0,),
    ),
}

LAYERS = {
    "BasicEntanglerLayers": Program(
        lambda w: qml.BasicEntanglerLayers(w, range(3), rotation=qml.RZ),
        (numbers(2, 3),),
        batch=(0,),
    ),
    "GateFabric": Program(
        lambda w: qml.GateFabric(w, range(4), init_state=[1, 1, 0, 0], include_pi=True),
        (numbers(1, 1, 2),),
        n_wires=4,
    ),
    "ParticleConservingU1": Program(
        lambda w: qml.ParticleConservingU1(w, range(3), init_state=[1, 0, 1]),
        (numbers(1, 2, 2),),
    ),
    "ParticleConservingU2": Program(
        lambda w: qml.ParticleConservingU2(w, range(3), init_state=[1, 0, 1]),
        (numbers(2, 5),),
    ),
    "ParticleConservingU2: twice": Program(
        lambda w: [qml.ParticleConservingU2(w, range(3), [1, 0, 1]) for _ in "12"],
        (numbers(1, 5),),
    ),
    "RandomLayers": Program(
        lambda w: qml.RandomLayers(w, range(3), seed=3), (numbers(2, 4),)
    ),
    "SimplifiedTwoDesign": Program(
        lambda a, b: qml.SimplifiedTwoDesign(a, b, range(3)),
        (numbers(3), numbers(1, 2, 2)),
    ),
    "StronglyEntanglingLayers": Program(
        lambda w: qml.StronglyEntanglingLayers(w, range(3)),
        (numbers(2, 3, 3),),
        batch=(0,),
    ),
}

PREPARATIONS = {
    "StatePrep": Program(lambda x: qml.StatePrep(_normal(x), [2, 0]), (numbers(4),)),
    "StatePrep: fixed": Program(lambda: qml.StatePrep(unit(4), [2, 0])),
    "BasisState": Program(lambda: qml.BasisState([1, 0, 1], [2, 0, 1])),
    "MottonenStatePreparation": Program(
        lambda x: qml.MottonenStatePreparation(_normal(x), [2, 0]), (numbers(4),)
    ),
    "MultiplexerStatePreparation": Program(
        lambda: qml.MultiplexerStatePreparation(unit(4), [2, 0])
    ),
    "ArbitraryStatePreparation": Program(
        lambda w: qml.ArbitraryStatePreparation(w, [2, 0]), (numbers(6),)
    ),
    "CosineWindow": Program(lambda: qml.CosineWindow(wires=[2, 0])),
    "MPSPrep": Program(lambda: qml.MPSPrep(_mps(), wires=range(3), work_wires=[3])),
    "QROMStatePreparation": Program(
        lambda: qml.QROMStatePreparation(unit(4), [2, 0], [3, 4, 5], [6])
    ),
    "Superposition": Program(
        lambda: qml.Superposition(
            unit(3), np.array([[0, 0, 1], [1, 0, 1], [1, 1, 0]]), range(3), 3
        )
    ),
    "GraphStatePrep": Program(
        lambda: ftqc.GraphStatePrep(
            ftqc.generate_lattice([3], "chain").graph, wires=[2, 0, 1]
        )
    ),
}

STATES_AND_LAYERS = {**EMBEDDINGS, **LAYERS, **PREPARATIONS}
