"""Model and data -> trained weights and their history."""

from .config import TrainConfig as TrainConfig
from .loop import TrainingDiverged as TrainingDiverged
from .loop import TrainingInterrupted as TrainingInterrupted
from .loop import description_of as description_of
from .loop import fit as fit
from .seeds import fit_seeds as fit_seeds
