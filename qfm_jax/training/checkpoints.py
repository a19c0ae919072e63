"""The state of a run on disk: the last checkpoint, and the best weights.

Arrays are stored from the host's memory, so that the files are the same however many
devices and processes hold them; of several processes the first one alone comes here.
Orbax writes into a temporary folder and renames it, so that a process that is killed
leaves either the old checkpoint or the new one. With each lies the SHA-256 of its
arrays: a file that was cut or changed is noticed.
"""

import hashlib
import json
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import jax
import numpy as np
import orbax.checkpoint as ocp
from flax import nnx

from .._checks import InputError, first_line
from ..parallel.mesh import is_key

DIGEST = "sha256"
"""The entry of a stored description that is of the arrays, not of the run."""

READOUT = "readout"
"""What the head of a classifier was called in version 0.1."""

CHECKPOINT_FORMAT = 1
"""Version of what a checkpoint holds; another one is refused."""


class Checkpoints:
    """The checkpoints of one run, in `directory/last` and `directory/best`.

    Args:
        directory: Folder of the checkpoints; made where it is missing.
        description: What must be equal for a checkpoint to fit: plain JSON values
            by name. Stored with each checkpoint and compared when one is read.
        defaults: What entries that are tables stand for where a checkpoint of an older
            version lacks them.

    Example:
        >>> import jax.numpy as jnp, tempfile
        >>> checkpoints = Checkpoints(tempfile.mkdtemp(), {"model": "linear"})
        >>> checkpoints.save("last", 10, {"weights": jnp.arange(3.0)})
        >>> checkpoints.restore("last", {"weights": jnp.zeros(3)})["weights"].tolist()
        [0.0, 1.0, 2.0]
    """

    def __init__(
        self,
        directory: Path | str,
        description: dict[str, Any],
        defaults: Mapping[str, dict[str, Any]] = MappingProxyType({}),
    ):
        self.defaults = defaults
        self.directory = Path(directory).absolute()
        self.description = {"format": CHECKPOINT_FORMAT, **description}

    def save(self, name: str, step: int, state: Any) -> None:
        """Writes `state` as checkpoint `name` and then removes the one before it.

        Raises:
            OSError: If it cannot be written; the one before it stays.
        """
        hosted = jax.tree.map(_to_host, state)
        description = self.description | {DIGEST: _digest_of(hosted)}
        try:
            with self._manager(name, create=True) as manager:
                # A resumed run may come by a step again, with the very same state.
                if step in manager.all_steps():
                    return
                args = ocp.args.Composite(
                    state=ocp.args.StandardSave(hosted),
                    description=ocp.args.JsonSave(description),
                )
                manager.save(step, args=args)
        except (OSError, ValueError) as error:  # TensorStore's are ValueErrors
            for half in (self.directory / name).glob("*.orbax-checkpoint-tmp"):
                shutil.rmtree(half, ignore_errors=True)  # what it held is room
            reason = first_line(error).rpartition(": ")[2].partition(" [")[0]
            raise OSError(
                f"The checkpoint {self.directory / name / str(step)} cannot be "
                f"written: {getattr(error, 'strerror', None) or reason}."
            ) from error

    def keep_latest(self, name: str) -> None:
        """Removes older checkpoints and halves, which a killed save left behind."""
        if not (self.directory / name).is_dir():
            return
        with self._manager(name, create=False, clean=True) as manager:
            for step in sorted(manager.all_steps())[:-1]:
                manager.delete(step)

    def latest(self, name: str) -> Path | None:
        """The folder of checkpoint `name`, or None where there is none."""
        if not (self.directory / name).is_dir():
            return None
        with self._manager(name, create=False) as manager:
            step = manager.latest_step()
            return None if step is None else self.directory / name / str(step)

    def restore(self, name: str, like: Any) -> Any:
        """Reads checkpoint `name` into the structure, shapes and types of `like`.

        A checkpoint of single precision is read in double precision, and the reverse:
        numbers are rounded to the type that they have here.

        Raises:
            InputError: If there is none, it is damaged, or belongs to another
                model, configuration or version.
        """
        if not (self.directory / name).is_dir():
            raise self._missing(name)
        with self._manager(name, create=False) as manager:
            step = manager.latest_step()
            if step is None:
                raise self._missing(name)
            try:
                args = ocp.args.Composite(description=ocp.args.JsonRestore())
                found = dict(manager.restore(step, args=args).description)
                digest = found.pop(DIGEST, None)  # the oldest have none
                weights = found.get("weights", {})
                is_old = any(path.startswith(f"{READOUT}/") for path in weights)
                if is_old:
                    found["weights"] = {
                        re.sub(f"^{READOUT}/", "head/", path): shape
                        for path, shape in weights.items()
                    }
                self._check_description(name, found)
                wanted = _renamed(like, "head", READOUT) if is_old else like
                # As they were written: what types they have here is another matter.
                as_written = ocp.args.PyTreeRestore(
                    item=wanted, restore_args=jax.tree.map(_as_written, wanted)
                )
                args = ocp.args.Composite(state=as_written)
                stored = manager.restore(step, args=args).state
                if digest not in (None, _digest_of(stored)):
                    raise ValueError("Its arrays are not those that were written.")
                stored = _renamed(stored, READOUT, "head") if is_old else stored
                self._check_arrays(self.directory / name / str(step), like, stored)
                return jax.tree.map(_from_host, like, stored)
            except InputError:
                raise
            except Exception as error:  # Orbax names no common class for damage.
                raise InputError(
                    f"The checkpoint {self.directory / name / str(step)} cannot be "
                    f"read: {first_line(error)} It is damaged or was written "
                    "by another version; start a new run."
                ) from error

    def _manager(
        self, name: str, *, create: bool, clean: bool = False
    ) -> ocp.CheckpointManager:
        # Among several processes Orbax must not wait for those that do not come here;
        # and what one process does alone, it leaves to us to create.
        alone = ocp.options.MultiprocessingOptions(
            active_processes={0}, barrier_sync_key_prefix="first"
        )
        if create:
            (self.directory / name).mkdir(parents=True, exist_ok=True)
        options = ocp.CheckpointManagerOptions(
            max_to_keep=1,
            create=False,
            enable_async_checkpointing=False,
            cleanup_tmp_directories=clean,
            multiprocessing_options=alone,
        )
        return ocp.CheckpointManager(self.directory / name, options=options)

    def _missing(self, name: str) -> InputError:
        return InputError(
            f"{self.directory} holds no {name} checkpoint. Name a run that was "
            "trained, or start a new one."
        )

    def _check_description(self, name: str, found: dict[str, Any]) -> None:
        # Through JSON, since tuples come back as lists.
        wanted = json.loads(json.dumps(self.description))
        for entry, values in json.loads(json.dumps(dict(self.defaults))).items():
            found = {**found, entry: {**values, **found.get(entry, {})}}
        different = [
            f"{entry} is {found.get(entry)!r} there and {wanted.get(entry)!r} here"
            for entry in sorted(wanted.keys() | found.keys())
            if found.get(entry) != wanted.get(entry)
        ]
        if different:
            raise InputError(
                f"The {name} checkpoint in {self.directory} belongs to another model, "
                f"configuration or version: {'; '.join(different)}. Resume with the "
                "same values, or start a new run."
            )

    def _check_arrays(self, path: Path, like: Any, stored: Any) -> None:
        wanted = jax.tree_util.tree_leaves_with_path(like)
        for (place, leaf), found in zip(wanted, jax.tree.leaves(stored), strict=True):
            if is_key(leaf):
                continue
            same_kind = np.can_cast(found.dtype, leaf.dtype, "same_kind")
            if found.shape != leaf.shape or not same_kind:
                raise InputError(
                    f"The checkpoint {path} cannot be read: its "
                    f"{jax.tree_util.keystr(place)} is {found.dtype}{found.shape} and "
                    f"{leaf.dtype}{leaf.shape} here. It was written by another model "
                    "or version; start a new run."
                )


def _renamed(tree: Any, old: str, new: str) -> Any:
    """A tree whose states have a part by another name."""

    def rename(state: Any) -> Any:
        if not isinstance(state, nnx.State):
            return state
        flat = dict(nnx.to_flat_state(state))
        renamed = {(new if k[0] == old else k[0], *k[1:]): v for k, v in flat.items()}
        return nnx.from_flat_state(renamed)

    return jax.tree.map(rename, tree, is_leaf=lambda leaf: isinstance(leaf, nnx.State))


def _digest_of(state: Any) -> str:
    """A fingerprint of all arrays of a state, in their order."""
    found = hashlib.sha256()
    for array in map(_to_host, jax.tree.leaves(state)):
        found.update(f"{array.dtype}{array.shape}".encode() + array.tobytes())
    return found.hexdigest()


def _to_host(leaf: Any) -> np.ndarray:
    return np.asarray(jax.random.key_data(leaf) if is_key(leaf) else leaf)


def _as_written(leaf: Any) -> ocp.RestoreArgs:
    """A NumPy array of the stored type; of keys, older checkpoints hold themselves."""
    return ocp.RestoreArgs(restore_type=None if is_key(leaf) else np.ndarray)


def _from_host(like: Any, stored: Any) -> Any:
    """The array with the type that it has here, or the key."""
    if is_key(stored):
        return stored
    device = jax.local_devices()[0]
    if is_key(like):
        data = jax.device_put(stored, device)
        return jax.random.wrap_key_data(data, impl=jax.random.key_impl(like))
    return jax.device_put(np.asarray(stored).astype(like.dtype), device)
