"""A finished run -> its test images on other devices, with the same weights."""

from .deploy import Deployment as Deployment
from .deploy import deploy as deploy
from .deploy import deployment_folder as deployment_folder
from .deploy import sample_of as sample_of
from .dry_run import DryRun as DryRun
from .dry_run import dry_run as dry_run
from .submission import submit as submit
from .target import Target as Target
