"""`qfm` in processes that are killed, and what their runs hold in the end."""

import contextlib
import importlib
import json
import os
import random
import resource
import signal
import sys
import time
import warnings
from pathlib import Path

import command_process
import jax
import numpy as np
import orbax.checkpoint as ocp

from qfm_jax import commands
from qfm_jax.cli import main

command_process.SERVER.set_forkserver_preload(
    ["qfm_jax.commands", "qfm_jax.deployment", "qiskit_aer", "sklearn.datasets"]
)

TIMES = {
    *("seconds", "images_per_second", "seconds_training", "seconds_compiling"),
    *("seconds_inference", "peak_memory_bytes"),
}


def start(arguments, output, disturb=None):
    """Starts `qfm` after a disturbance of this module; it prints to a file."""
    process = command_process.SERVER.Process(
        target=_run, args=([str(a) for a in arguments], output, disturb)
    )
    process.start()
    return process


def finish(arguments, output, disturb=None):
    """The status of a command, and what it printed: at the end a sentence.

    TensorStore's threads may print before it that nobody waits for them any more.
    """
    process = start(arguments, output, disturb)
    process.join()
    text = output.read_text()
    others = text.replace("RuntimeError: Event loop is closed", "")
    assert "Error: " not in others, text
    return process.exitcode, text


def kill(process):
    """Kills a process; says whether it was still alive."""
    with contextlib.suppress(ProcessLookupError):  # it may have come to its end
        os.kill(process.pid, signal.SIGKILL)
    process.join()
    return process.exitcode == -signal.SIGKILL


def _run(arguments, output, disturb):
    with output.open("w") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
        commands._turn_on_compilation_cache = _cache_everything
        # So that there are several jobs to be killed in.
        importlib.import_module("qfm_jax.deployment.deploy").CHUNK = 10
        if disturb:
            globals()[disturb]()
        sys.exit(main(arguments))


def _cache_everything():
    folder = Path(os.environ["QFM_CACHE_DIR"]) / "chaos"
    jax.config.update("jax_compilation_cache_dir", str(folder))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)


def jumping_clock():
    """The clock on the wall goes back or forth by days, whenever it is read."""
    rng, wall = random.Random(0), time.time
    time.time = lambda: wall() + rng.uniform(-1e7, 1e6)
    time.time_ns = lambda: int(1e9 * time.time())


def little_memory():
    """Eight gibibytes of addresses."""
    resource.setrlimit(resource.RLIMIT_AS, (8 * 2**30,) * 2)


def small_files():
    """No file may have more than 20 kB."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000,) * 2)


def arrays_of(folder):
    """The arrays of a checkpoint as bytes by path, read without our code."""
    handler = ocp.PyTreeCheckpointHandler()
    with ocp.Checkpointer(handler) as reader, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it is read where it was written
        tree = reader.restore(folder / "state")
    leaves, _ = jax.tree.flatten_with_path(tree)
    named = {jax.tree_util.keystr(path): leaf for path, leaf in leaves}
    return {
        path: np.asarray(
            jax.random.key_data(leaf) if "key" in path and leaf.ndim == 0 else leaf
        ).tobytes()
        for path, leaf in named.items()
        if "seconds" not in path
    }


def without_times(value):
    """Plain values without what no two processes share."""
    if isinstance(value, dict):
        return {k: without_times(v) for k, v in value.items() if k not in TIMES}
    return [without_times(v) for v in value] if isinstance(value, list) else value


def contents(directory):
    """All that a run, an audit or an evaluation found: weights, figures, scores."""
    found = {}
    for path in sorted(directory.rglob("*.json*")):
        if "checkpoints" not in path.parts:
            text = path.read_text()
            if path.suffix == ".jsonl":
                text = f"[{','.join(text.splitlines())}]"
            name = str(path.relative_to(directory))
            found[name] = without_times(json.loads(text))
    for path in sorted(directory.glob("checkpoints/*/*")):
        found[str(path.relative_to(directory))] = arrays_of(path)
    for path in sorted(directory.glob("*.npz")):
        found[path.name] = path.read_bytes()
    return found
