"""Features and weights in, PennyLane operations out; no device, no gradient here.

An *embedding* takes features in (Qiskit: feature map), *layers* take weights in
(Qiskit: ansatz), *observables* are what is measured. All are frozen dataclasses, hence
hashable and equal by value, and all are plain PennyLane quantum functions. A circuit
declares which features it takes and how its weights start: `declaration`.
"""

from .circuit import Circuit as Circuit
from .circuit import VariationalCircuit as VariationalCircuit
from .convolutional import ConvolutionalCircuit as ConvolutionalCircuit
from .convolutional import ConvolutionalLayers as ConvolutionalLayers
from .declaration import Amplitudes as Amplitudes
from .declaration import Angles as Angles
from .declaration import Bits as Bits
from .declaration import Normal as Normal
from .declaration import Pixels as Pixels
from .declaration import Uniform as Uniform
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
from .qnode import QNodeCircuit as QNodeCircuit
from .reuploading import DataReuploading as DataReuploading
from .rewrites import Separable as Separable
from .table import CIRCUITS as CIRCUITS
from .table import build_circuit as build_circuit
from .table import named_circuit as named_circuit
from .tensor_network import ChainLayers as ChainLayers
from .tensor_network import TreeLayers as TreeLayers
from .unitary import UnitaryLayers as UnitaryLayers
