"""PennyLane 0.45 on jax 0.11 and later, wherever this folder is on Python's path.

    PYTHONPATH=experiments/newer_jax python experiments/bench_simulator.py --gpu

For machines whose jax came with the driver and cannot be exchanged; elsewhere the
pinned jax 0.10 is right. PennyLane asks `jax.core` for two names that jax moved to
`jax._src.core`, and without them every jitted QNode fails: they are put back as soon as
`jax.core` is imported. Python imports a module of this name by itself when it starts.
"""

import importlib.abc
import importlib.machinery
import sys
import types
from collections.abc import Sequence

NAMES = ("is_concrete", "concrete_or_error")


class PutBack(importlib.abc.MetaPathFinder):
    """Finds `jax.core` as usual; its loader then adds the names."""

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None,
        target: types.ModuleType | None = None,
    ) -> importlib.machinery.ModuleSpec | None:
        """The usual spec of `jax.core`, and none for other modules."""
        if fullname != "jax.core":
            return None
        spec = importlib.machinery.PathFinder.find_spec(fullname, path)
        if spec is not None and spec.loader is not None:
            execute = spec.loader.exec_module

            def execute_and_put_back(module: types.ModuleType) -> None:
                execute(module)
                from jax._src import core

                for name in NAMES:
                    if not hasattr(module, name):
                        setattr(module, name, getattr(core, name))

            spec.loader.exec_module = execute_and_put_back  # type: ignore[method-assign]
        return spec


sys.meta_path.insert(0, PutBack())
