"""The public names, each by an explicit alias."""

from ._checks import InputError as InputError
from .circuits import AmplitudeEmbedding as AmplitudeEmbedding
from .circuits import AngleEmbedding as AngleEmbedding
from .circuits import Circuit as Circuit
from .circuits import DataReuploading as DataReuploading
from .circuits import EfficientSU2 as EfficientSU2
from .circuits import RealAmplitudes as RealAmplitudes
from .circuits import StronglyEntanglingLayers as StronglyEntanglingLayers
from .circuits import VariationalCircuit as VariationalCircuit
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
from .reporting import write_report as write_report
from .runs import DataConfig as DataConfig
from .runs import RunConfig as RunConfig
from .runs import read_run as read_run
from .training import TrainConfig as TrainConfig
from .training import fit as fit

__version__: str
