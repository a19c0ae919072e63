"""Native kernels: the whole program of a tape as one call, on CPUs.

`kernels.so` is compiled from the C++ beside it (see `CMakeLists.txt`) when the package
is installed. Where it is missing, XLA's programs run instead.
"""

import ctypes
import os
import sys
from functools import cache
from pathlib import Path

import jax

NAME = "kernels.so"

FORMAT = 3
"""Of programs and calls, as in `handlers.cpp`."""

CALLS = ("qfm_forward_f32", "qfm_forward_f64", "qfm_backward_f32", "qfm_backward_f64")


@cache
def _load() -> tuple[ctypes.CDLL | None, str]:
    """The library, and otherwise why there is none."""
    if os.environ.get("QFM_NATIVE") == "0":
        return None, "QFM_NATIVE=0 switches them off"
    path = _find()
    if path is None:
        return (
            None,
            "they were not compiled: install a C++ compiler, then qfm_jax again",
        )
    try:
        library = ctypes.CDLL(str(path))
    except OSError as error:
        return None, f"{NAME} cannot be loaded: {error}"
    if getattr(library, "qfm_format", lambda: 0)() != FORMAT:
        return None, f"{path} is of another version: install qfm_jax again"
    for name in CALLS:
        handler = jax.ffi.pycapsule(getattr(library, name))
        jax.ffi.register_ffi_target(name, handler, platform="cpu")
    return library, ""


def _find() -> Path | None:
    """The library: beside this file, or where an editable installation puts it."""
    if chosen := os.environ.get("QFM_KERNELS"):  # such as one with sanitizers
        return Path(chosen)
    inside = Path("qfm_jax", "simulator", "native", NAME)
    places = [Path(__file__).with_name(NAME), *(Path(p) / inside for p in sys.path)]
    return next((place for place in places if place.exists()), None)


def why_missing() -> str:
    """Why there are no native kernels; empty where there are."""
    return _load()[1]


def are_there() -> bool:
    """Whether programs run natively where they can."""
    return _load()[0] is not None and jax.default_backend() == "cpu"


def lanes(n_bytes: int, n_wires: int, batch: int) -> int:
    """Samples whose states are side by side, with real numbers of so many bytes.

    1 for large states and for few samples.
    """
    library = _load()[0]
    assert library is not None
    return int(library.qfm_lanes(n_bytes, n_wires, ctypes.c_int64(batch)))
