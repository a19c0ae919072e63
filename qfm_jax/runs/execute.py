"""A configuration -> a finished run directory; a comparison -> several of them."""

import dataclasses
import os
import time
import zlib
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax.sharding import Mesh
from scipy.special import softmax

from .._checks import InputError
from ..data import Dataset, Images
from ..evaluation import Scores, score
from ..files import locked
from ..models import Classifier, count_frozen, count_parameters
from ..models.block import CIRCUIT_BLOCKS
from ..models.prediction import PREDICTION_BATCH, predict_logits
from ..parallel.processes import are_several, check_alike
from ..training import fit
from ..training.history import History
from .config import RunConfig
from .directory import (
    Mistakes,
    Result,
    Run,
    check_holds_no_run,
    read_config,
    read_run,
    write_config,
    write_result,
)
from .model import build_model, keys_of, load_images, start_model
from .versions import machine_versions

N_MISTAKES = 24


def execute(
    config: RunConfig,
    directory: Path | str,
    *,
    resume: bool = False,
    progress: bool = True,
    mesh: Mesh | None = None,
) -> Run:
    """Trains a model, scores its best weights once on the test images, writes it all.

    Args:
        config: All that repeats the run.
        directory: Its run directory.
        resume: Continue the run in `directory`, whose configuration must be `config`.
        progress: Show a progress bar.
        mesh: Devices that share each batch; of several processes, the first one calls
            this, and the others `assist`. It changes the results by rounding alone.

    Returns:
        The finished run, as its directory holds it.

    Raises:
        InputError: If the directory holds a run already (or none to resume), or
            another process works on it, and for all that `load_dataset`, `fit` and the
            circuit's device refuse.

    Example:
        >>> import tempfile
        >>> from qfm_jax.runs.presets import get_preset
        >>> from qfm_jax.runs.config import DataConfig
        >>> from qfm_jax.training import TrainConfig
        >>> config = RunConfig("linear", get_preset("linear").network,
        ...                    TrainConfig(epochs=1), DataConfig("digits"))
        >>> run = execute(config, Path(tempfile.mkdtemp()) / "run", progress=False)
        >>> run.result.n_parameters, run.result.scores.n_test
        (7850, 360)
    """
    directory = Path(directory)
    if resume:
        check_same(config, read_config(directory), directory)
        if (directory / "scores.json").exists():
            return read_run(directory)
    else:
        check_holds_no_run(directory)
    data, model = _prepare(config, mesh)
    with locked(directory, "Wait until it has ended, or name another directory."):
        if not resume:
            write_config(directory, config)
        reset_peak_memory()
        history = fit(
            model,
            data.train,
            data.validation,
            config.training,
            keys_of(config.seed).training,
            directory=directory,
            resume=resume,
            progress=progress,
            mesh=mesh,
        )
        scores, logits, seconds = score_model(model, data.test)
        result = _result(config, data, model, history, scores, seconds)
        mistakes = _mistakes(data.test, logits)
        write_result(directory, result, mistakes)
    return Run(directory, config, history, result, mistakes)


def assist(config: RunConfig, mesh: Mesh | None) -> None:
    """Takes a process's part in the training of a run that the first one keeps.

    Args:
        config: All that repeats the run, as the first process has it.
        mesh: Devices of all processes.

    Raises:
        InputError: Where this process has another configuration, code or data.
    """
    data, model = _prepare(config, mesh)
    key = keys_of(config.seed).training
    fit(model, data.train, data.validation, config.training, key, mesh=mesh)


def _prepare(config: RunConfig, mesh: Mesh | None) -> tuple[Dataset, Classifier]:
    """The images of a run and its model at the start, alike in every process."""
    data = load_images(config)
    check_memory_of(config, data)
    if are_several():
        check_alike(_described(config, data, mesh))
    shape = data.image_shape
    return data, start_model(config, n_classes=data.n_classes, image_shape=shape)


def _described(config: RunConfig, data: Dataset, mesh: Mesh | None) -> dict[str, Any]:
    """What processes that train together must have in common."""
    parts = {"train": data.train, "validation": data.validation}
    digests = {
        name: f"{zlib.crc32(part.labels.tobytes() + part.pixels.tobytes()):08x}"
        for name, part in parts.items()
    }
    described = {"devices": mesh.size if mesh else 1, "dataset": data.name, **digests}
    described |= _leaves(config) | machine_versions()
    described["loaded"] = [vars(file) for file in config.loaded or ()]
    # Hosts may have other paths and other numbers of cores.
    return {k: described[k] for k in described.keys() - {"data.folder", "machine"}}


def score_model(model: nnx.Module, test: Images) -> tuple[Scores, np.ndarray, float]:
    """Scores a model: its scores, the logits (n, n_classes), and seconds of inference.

    The time is that of classifying all images once, after compilation.
    """
    predict_logits(model, test.pixels[:1])
    start = time.perf_counter()
    logits = predict_logits(model, test.pixels)
    seconds = time.perf_counter() - start
    return score(logits, test.labels), logits, seconds


def check_memory_of(config: RunConfig, data: Dataset) -> None:
    """Traces the model once, before anything is written: circuits check their size.

    Raises:
        InputError: If the model cannot be built, or its states do not fit the memory.
    """
    size = max(min(config.training.batch_size, len(data.train)), PREDICTION_BATCH)
    shape = (size, *data.image_shape)

    def logits_of(images: jax.Array) -> jax.Array:
        model = build_model(
            config, n_classes=data.n_classes, image_shape=data.image_shape
        )
        return model(images)

    jax.eval_shape(logits_of, jax.ShapeDtypeStruct(shape, jnp.float32))


def check_same(
    config: Any,
    stored: Any,
    directory: Path,
    what: str = "a run",
) -> None:
    """Raises unless what is resumed has the configuration that it started with.

    Args:
        config: What is asked for, a dataclass of values and of dataclasses of them.
        stored: What was started, of the same type.
        directory: Of it.
        what: It is, in the sentence.

    Raises:
        InputError: Naming every difference.
    """
    here, there = _leaves(config), _leaves(stored)
    different = [
        f"{name} is {there[name]!r} there and {here[name]!r} here"
        for name in here
        if here[name] != there[name]
        # Who opened it was asked for the files: others may be loaded beside them.
        and name.rpartition(".")[2] != "loaded"
    ]
    if different:
        raise InputError(
            f"{directory} holds {what} of another configuration: "
            f"{'; '.join(different)}. Leave the options out when you resume, or start "
            "a new one with --out."
        )


def _leaves(config: Any) -> dict[str, Any]:
    """Every value of a configuration by its dotted name."""
    leaves: dict[str, Any] = {}
    for name, value in vars(config).items():
        inner = vars(value) if dataclasses.is_dataclass(value) else {"": value}
        leaves |= {f"{name}.{key}".strip("."): item for key, item in inner.items()}
    return leaves


def _result(
    config: RunConfig,
    data: Dataset,
    model: nnx.Module,
    history: History,
    scores: Scores,
    seconds_inference: float,
) -> Result:
    quantum, classical = count_parameters(model)
    has_circuit = config.network.block in CIRCUIT_BLOCKS
    return Result(
        model=config.model,
        dataset=data.name,
        device=config.device.name if has_circuit else "classical",
        seed=config.seed,
        class_names=data.class_names,
        n_train=len(data.train),
        n_validation=len(data.validation),
        n_parameters=quantum + classical,
        n_parameters_quantum=quantum,
        n_parameters_classical=classical,
        n_parameters_frozen=count_frozen(model),
        best_epoch=history.best_epoch,
        seconds_training=history.seconds_training,
        seconds_compiling=history.seconds_compiling,
        seconds_inference=seconds_inference,
        peak_memory_bytes=peak_memory(),
        scores=scores,
        versions=machine_versions(),
        warning=data.warning,
        image_shape=data.image_shape,
    )


def _mistakes(test: Images, logits: np.ndarray) -> Mistakes:
    """The mistakes of highest confidence, at most `N_MISTAKES`."""
    predictions = logits.argmax(axis=1).astype(np.int32)
    confidence = softmax(logits, axis=1).max(axis=1)
    wrong = np.flatnonzero(predictions != test.labels)
    order = wrong[np.argsort(-confidence[wrong], kind="stable")][:N_MISTAKES]
    return Mistakes(
        test.pixels[order], test.labels[order], predictions[order], confidence[order]
    )


def reset_peak_memory() -> None:
    """Forgets the peak of earlier runs in this process, where the system can."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return


def peak_memory() -> int:
    """Largest resident memory in bytes: since the reset on Linux, else ever."""
    try:
        status = Path("/proc/self/status").read_text()
    except OSError:
        import resource  # not on Windows

        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak if os.uname().sysname == "Darwin" else peak * 1024
    line = next(line for line in status.splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) * 1024
