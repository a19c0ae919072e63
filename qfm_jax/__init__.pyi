"""The public names, each by an explicit alias."""

from ._checks import InputError as InputError
from .audit import Audit as Audit
from .audit import AuditConfig as AuditConfig
from .audit import read_audit as read_audit
from .audit import run_audit as run_audit
from .circuits import AmplitudeEmbedding as AmplitudeEmbedding
from .circuits import AngleEmbedding as AngleEmbedding
from .circuits import ChainLayers as ChainLayers
from .circuits import Circuit as Circuit
from .circuits import ConvolutionalCircuit as ConvolutionalCircuit
from .circuits import ConvolutionalLayers as ConvolutionalLayers
from .circuits import DataReuploading as DataReuploading
from .circuits import EfficientSU2 as EfficientSU2
from .circuits import PixelReuploading as PixelReuploading
from .circuits import RealAmplitudes as RealAmplitudes
from .circuits import Separable as Separable
from .circuits import StronglyEntanglingLayers as StronglyEntanglingLayers
from .circuits import TreeLayers as TreeLayers
from .circuits import VariationalCircuit as VariationalCircuit
from .controls import build_twins as build_twins
from .data import Dataset as Dataset
from .data import Images as Images
from .data import load_dataset as load_dataset
from .devices import DeviceConfig as DeviceConfig
from .devices import as_jax_function as as_jax_function
from .evaluation import Scores as Scores
from .evaluation import score as score
from .experiment import execute as execute
from .experiment import load_model as load_model
from .history import History as History
from .models import Classifier as Classifier
from .models import LinenQuantumLayer as LinenQuantumLayer
from .models import ModelConfig as ModelConfig
from .models import QuantumLayer as QuantumLayer
from .models.prediction import predict_logits as predict_logits
from .reporting import write_audit_report as write_audit_report
from .reporting import write_report as write_report
from .runs import DataConfig as DataConfig
from .runs import RunConfig as RunConfig
from .runs import read_run as read_run
from .training import TrainConfig as TrainConfig
from .training import fit as fit
from .training import fit_seeds as fit_seeds

__version__: str
