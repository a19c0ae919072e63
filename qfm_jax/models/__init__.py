"""Flax models: a circuit as a layer, and the classifiers around it."""

from .classifier import Classifier as Classifier
from .classifier import circuits_per_image as circuits_per_image
from .classifier import count_frozen as count_frozen
from .classifier import count_parameters as count_parameters
from .configuration import ModelConfig as ModelConfig
from .quantum_layer import QuantumLayer as QuantumLayer
from .quantum_layer import QuantumParam as QuantumParam
