"""A finished run -> its test images on Qiskit's backends, with the same weights."""

from .deploy import Deployment as Deployment
from .deploy import Target as Target
from .deploy import deploy as deploy
