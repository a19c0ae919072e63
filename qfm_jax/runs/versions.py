"""What a result rests on: versions of the packages, and the machine."""

import importlib.metadata
import os
import platform

import jax

PACKAGES = ("qfm_jax", "jax", "flax", "optax", "pennylane", "qiskit", "numpy")


def machine_versions(*, accelerator: bool = True) -> dict[str, str]:
    """Versions of what a result rests on, and the machine.

    Args:
        accelerator: Name the accelerator too. This starts JAX, which takes most of a
            GPU's memory: not for a process that leaves the work to others.

    Example:
        >>> machine_versions()["python"].count(".")
        2
    """
    versions = {name: _version(name) for name in PACKAGES}
    system = f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores"
    if accelerator and (devices := jax.devices())[0].platform != "cpu":
        system += f", {len(devices)} x {devices[0].device_kind}"
    return {"python": platform.python_version(), "machine": system, **versions}


def _version(package: str) -> str:
    """A training machine may lack packages that only other devices need."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"
