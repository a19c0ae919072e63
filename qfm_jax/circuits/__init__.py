"""Features and weights in, PennyLane operations out; no device, no gradient here.

An *embedding* takes features in (Qiskit: feature map), *layers* take weights in
(Qiskit: ansatz), *observables* are what is measured. All are frozen dataclasses, hence
hashable and equal by value, and all are plain PennyLane quantum functions.
"""

from .circuit import ANGLES as ANGLES
from .circuit import PIXELS as PIXELS
from .circuit import REUPLOADINGS as REUPLOADINGS
from .circuit import Circuit as Circuit
from .circuit import VariationalCircuit as VariationalCircuit
from .circuit import build_circuit as build_circuit
from .convolutional import ConvolutionalCircuit as ConvolutionalCircuit
from .convolutional import ConvolutionalLayers as ConvolutionalLayers
from .embeddings import EMBEDDINGS as EMBEDDINGS
from .embeddings import AmplitudeEmbedding as AmplitudeEmbedding
from .embeddings import AngleEmbedding as AngleEmbedding
from .embeddings import Embedding as Embedding
from .embeddings import ZZEmbedding as ZZEmbedding
from .hamiltonian import HamiltonianReuploading as HamiltonianReuploading
from .layers import LAYERS as LAYERS
from .layers import EfficientSU2 as EfficientSU2
from .layers import Layers as Layers
from .layers import RealAmplitudes as RealAmplitudes
from .layers import StronglyEntanglingLayers as StronglyEntanglingLayers
from .pixel_reuploading import PixelReuploading as PixelReuploading
from .reuploading import DataReuploading as DataReuploading
from .rewrites import Separable as Separable
from .tensor_network import ChainLayers as ChainLayers
from .tensor_network import TreeLayers as TreeLayers
from .unitary import UnitaryLayers as UnitaryLayers
