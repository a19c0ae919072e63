"""A finished run -> its test images on Qiskit's backends, with the same weights."""

from .deploy import Deployment as Deployment
from .deploy import deploy as deploy
from .deploy import sample_of as sample_of
from .target import Target as Target
