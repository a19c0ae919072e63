"""A finished run -> its test images on Qiskit's backends, with the same weights."""

from .deploy import Deployment as Deployment
from .deploy import Target as Target
from .deploy import deploy as deploy
from .dry_run import DryRun as DryRun
from .dry_run import dry_run as dry_run
from .submission import submit as submit
