"""Backends of Qiskit by name: Aer, IBM's fake backends, and IBM's devices.

Fake backends are snapshots of IBM's devices inside qiskit-ibm-runtime: couplings, gate
times and errors of one day. They need no account and no network.
"""

import difflib
import functools
import inspect
import os
from typing import TYPE_CHECKING, Any

from .._checks import InputError, check_at_least, input_error

if TYPE_CHECKING:
    from qiskit.providers import BackendV2

AER = "aer"
"""Name of Qiskit's simulator, without noise."""
IBM = "ibm:"
"""What stands before the name of an IBM device."""

CHANNELS = ("ibm_quantum_platform", "ibm_cloud")
"""What `QISKIT_IBM_CHANNEL`, or the channel of a saved account, may be."""

SAVE_ACCOUNT = (
    "Save one once, in Python: `from qiskit_ibm_runtime import QiskitRuntimeService; "
    'QiskitRuntimeService.save_account(token="...", instance="...", '
    "set_as_default=True)` with the API key and the instance's CRN of "
    "https://quantum.cloud.ibm.com; or set QISKIT_IBM_TOKEN and QISKIT_IBM_INSTANCE."
)


def backend_names() -> list[str]:
    """Lists the backends that need no account, in alphabetical order.

    Example:
        >>> names = backend_names()
        >>> "aer" in names, "fake_sherbrooke" in names
        (True, True)
    """
    return sorted([AER, *_fake_classes()])


def get_backend(name: str, *, n_qubits: int = 1) -> "BackendV2":
    """Makes the backend of this name; only IBM's devices are asked for over a network.

    An account is found by Qiskit's own rules: `QISKIT_IBM_TOKEN`, else the default
    account saved on this machine. Nothing here reads, prints or stores a token, and no
    message of Qiskit's is repeated that might hold one.

    Args:
        name: `aer`, a fake backend such as `fake_sherbrooke` or `FakeSherbrooke`, or
            `ibm:` and the name of a device, such as `ibm:ibm_torino`.
        n_qubits: Qubits that it must have.

    Raises:
        InputError: For an unknown name (tells the nearest ones), too few qubits, no
            account (tells how to save one), a wrong channel, a refused account.

    Example:
        >>> get_backend("FakeManilaV2").name
        'fake_manila'
        >>> get_backend("fake_manila", n_qubits=8)
        Traceback (most recent call last):
        ...
        qfm_jax._checks.InputError: Argument `backend` must have at least 8 qubits, ...
    """
    check_at_least("n_qubits", n_qubits, 1)
    if name.startswith(IBM):
        backend = _ibm_backend(name.removeprefix(IBM))
    elif name == AER:
        from qiskit_aer import AerSimulator

        backend = AerSimulator()
    else:
        backend = _fake_classes()[canonical_name(name)]()
    if backend.num_qubits is not None and backend.num_qubits < n_qubits:
        must = f"have at least {n_qubits} qubits, as many as the circuit"
        was = f"is {name!r}, which has {backend.num_qubits}"
        cure = "Choose a larger one, such as 'fake_sherbrooke' with 127 qubits."
        raise input_error("backend", must, was, cure)
    return backend


def canonical_name(name: str) -> str:
    """The one name of a backend that is written in several ways.

    Raises:
        InputError: For a name that no backend has here; devices are not looked up.

    Example:
        >>> canonical_name("FakeTorino"), canonical_name("ibm:ibm_torino")
        ('fake_torino', 'ibm:ibm_torino')
    """
    if name == AER or (name.startswith(IBM) and name != IBM):
        return name
    fakes = {_plain(fake): fake for fake in _fake_classes()}
    if _plain(name) in fakes:
        return fakes[_plain(name)]
    options = [AER, *fakes.values()]
    raise input_error(
        "backend",
        f"be {AER!r}, a fake backend, or {IBM}NAME for an IBM device",
        f"is {name!r}",
        _nearest(name, options) + f"There are {len(options)} without an account: "
        "`qfm_jax.hardware.backends.backend_names()` lists them.",
    )


def _nearest(name: str, options: list[str]) -> str:
    plain = {_plain(option): option for option in options}
    near = difflib.get_close_matches(_plain(name), plain, n=3, cutoff=0.5)
    names = " or ".join(repr(plain[match]) for match in near)
    return f"Did you mean {names}? " if near else ""


def _plain(name: str) -> str:
    """What is the same in `fake_manila`, `FakeManila` and `FakeManilaV2`."""
    return name.lower().replace("_", "").removesuffix("v2").removesuffix("backend")


@functools.cache
def _fake_classes() -> dict[str, "type[BackendV2]"]:
    """Classes by name; none is made yet, since each reads files of its device."""
    from qiskit_ibm_runtime import fake_provider
    from qiskit_ibm_runtime.fake_provider.fake_backend import FakeBackendV2

    kinds: list[Any] = [
        kind
        for _, kind in inspect.getmembers(fake_provider, inspect.isclass)
        if issubclass(kind, FakeBackendV2) and kind is not FakeBackendV2
    ]
    return {kind.backend_name: kind for kind in kinds}


def _ibm_backend(name: str) -> "BackendV2":
    if not name:
        cure = "Write the device's name behind the colon, such as ibm:ibm_torino."
        raise input_error("backend", f"be {IBM}NAME for a device", f"is {IBM!r}", cure)
    service = _ibm_service()
    from qiskit.providers.exceptions import QiskitBackendNotFoundError

    try:
        return service.backend(name)
    except QiskitBackendNotFoundError:
        names = sorted(backend.name for backend in service.backends())
    except Exception as error:
        raise refused(error) from None
    cure = _nearest(name, names) + f"It may use {', '.join(names) or 'none'}."
    raise input_error("backend", "be a device of your account", f"is {name!r}", cure)


def _ibm_service() -> Any:
    """The service of the person's account, found by Qiskit's own rules."""
    from qiskit_ibm_runtime import QiskitRuntimeService
    from qiskit_ibm_runtime.accounts import AccountNotFoundError, InvalidAccountError

    _check_channel()
    # Qiskit's messages may quote what an account holds: they are not passed on.
    try:
        return QiskitRuntimeService()
    except AccountNotFoundError:
        raise InputError(f"No IBM Quantum account is found. {SAVE_ACCOUNT}") from None
    except InvalidAccountError:
        raise InputError(
            "The IBM Quantum account is not valid: its channel must be one of "
            f"{', '.join(CHANNELS)} (`ibm_quantum` ended in 2025), and its token and "
            f"instance must be those of the new platform. {SAVE_ACCOUNT}"
        ) from None
    except Exception as error:
        raise refused(error) from None


def _check_channel() -> None:
    channel = os.environ.get("QISKIT_IBM_CHANNEL")
    if channel is not None and channel not in CHANNELS:
        must = f"be one of {', '.join(CHANNELS)}"
        cure = "Unset it, or set it to the first of these."
        raise input_error("QISKIT_IBM_CHANNEL", must, f"is {channel!r}", cure)


def refused(error: Exception) -> InputError:
    """The sentence for whatever went wrong at IBM's side, without its message."""
    return InputError(
        f"IBM Quantum did not answer as it should ({type(error).__name__}). Check the "
        "network, and that the API key has not expired and belongs to the instance. "
        f"{SAVE_ACCOUNT}"
    )
