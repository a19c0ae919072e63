"""Where the circuits of a trained model run: a device by name, its shots, its noise."""

import dataclasses
import difflib

import pennylane as qml

from .._checks import InputError, check_at_least, input_error
from ..devices import DeviceConfig
from ..hardware.backends import AER, IBM, backend_names, canonical_name
from ..hardware.noise import Noise, parse_noise


@dataclasses.dataclass(frozen=True)
class Target:
    """A device that runs the circuits of a trained model.

    Raises:
        InputError: For an unknown device (tells the nearest names), shots below 1,
            noise on another device than `aer`, and no shots where errors of the
            read-out ask for measurements.

    Example:
        >>> Target("FakeTorino", shots=1024).label
        'fake_torino, 1,024 shots'
        >>> Target("aer", noise="depolarizing:0.01").label
        'aer, depolarizing:0.01'
    """

    device: str = AER
    """`aer`; a fake backend, whose gates, couplings and errors it has; `ibm:NAME`; or
    a PennyLane device, where one circuit runs after another."""
    shots: int | None = None
    """Measurements of each circuit; None for exact expectations."""
    noise: str = "none"
    """Noise by name, on `aer` alone (see `qfm_jax.hardware.noise`)."""
    seed: int = 0
    """Seed of the outcomes."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "device", _known(self.device))
        if self.shots is not None:
            check_at_least("shots", self.shots, 1, "Leave it out for exact results.")
        check_at_least("seed", self.seed, 0)
        noise = parse_noise(self.noise)
        if self.device != AER and noise != Noise():
            must = f"be 'none' on {self.device}: it is for {AER!r}"
            raise input_error("noise", must, f"is {self.noise!r}")
        object.__setattr__(self, "noise", noise.spec)
        has_readout_errors = noise.readout or noise.backend or not self.is_exact
        if self.shots is None and has_readout_errors:
            must = "be given where bits are read out with errors"
            raise input_error("shots", must, "is None", "Take 1024, for example.")

    @property
    def is_pennylane(self) -> bool:
        """Whether it is one of PennyLane's devices."""
        return self.device in qml.plugin_devices

    @property
    def is_exact(self) -> bool:
        """Whether the device can compute expectations without measuring."""
        return self.device == AER or self.is_pennylane

    @property
    def label(self) -> str:
        """What tells it apart in a table."""
        parts = [self.device]
        parts += [] if self.noise == "none" else [self.noise]
        parts += [] if self.shots is None else [f"{self.shots:,} shots"]
        return ", ".join(parts)

    @property
    def config(self) -> DeviceConfig:
        """The PennyLane device; Aer has a seed of its own kind there."""
        seeded = self.shots is not None and not self.device.startswith("qiskit.")
        return DeviceConfig(self.device, self.shots, seed=self.seed if seeded else None)


def _known(device: str) -> str:
    if device in qml.plugin_devices:
        return device
    try:
        return canonical_name(device)
    except InputError:
        names = [*qml.plugin_devices, *backend_names()]
    near = difflib.get_close_matches(device, names, n=3, cutoff=0.5)
    cure = f"Did you mean {' or '.join(map(repr, near))}?" if near else ""
    must = f"be one of {', '.join(sorted(qml.plugin_devices))}, {AER}, a fake backend "
    must += f"such as fake_torino, or {IBM}NAME"
    raise input_error("device", must, f"is {device!r}", cure)
