"""Model and data -> trained weights and their history."""

from .config import TrainConfig as TrainConfig
from .fit import fit as fit
from .fit import fit_seeds as fit_seeds
from .loop import TrainingDiverged as TrainingDiverged
from .loop import TrainingInterrupted as TrainingInterrupted
from .store import description_of as description_of
