"""`qfm` in processes of their own, which tests may kill.

A server forks them that has imported the package, but computed nothing: to import it
takes longer than to train a small model.
"""

import multiprocessing
import sys
from collections.abc import Sequence
from multiprocessing.process import BaseProcess
from pathlib import Path

from qfm_jax.cli import main

SERVER = multiprocessing.get_context("forkserver")
SERVER.set_forkserver_preload(["qfm_jax.commands", "sklearn.datasets"])


def start(arguments: Sequence[str], output: Path) -> BaseProcess:
    """Starts `qfm` with arguments; what it prints goes to a file."""
    process = SERVER.Process(target=_run, args=(list(arguments), output))
    process.start()
    return process


def _run(arguments: list[str], output: Path) -> None:
    with output.open("w") as file:
        sys.stdout = sys.stderr = file
        sys.exit(main(arguments))
