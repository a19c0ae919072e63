"""Where a trained model's circuits run: a device, its shots, noise, and mitigation."""

import dataclasses
import difflib
from collections.abc import Iterable, Sequence

import pennylane as qml

from .._checks import InputError, check_at_least, input_error
from ..devices import DeviceConfig
from ..hardware.backends import AER, IBM, backend_names, canonical_name
from ..hardware.mitigation import Mitigation, parse_mitigation
from ..hardware.noise import Noise, parse_noise


@dataclasses.dataclass(frozen=True)
class Target:
    """A device that runs the circuits of a trained model.

    Raises:
        InputError: For an unknown device (tells the nearest names), shots below 1,
            noise on another device than `aer`, no shots on an IBM device, mitigation
            where there are no errors of its kind, and on PennyLane's or IBM's devices.

    Example:
        >>> Target("FakeTorino", shots=1024).label
        'fake_torino, 1,024 shots'
        >>> Target("aer", noise="depolarizing:0.01", mitigation="zne").label
        'aer, depolarizing:0.01, zne'
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
    mitigation: str = "none"
    """What is done against errors, by name (see `qfm_jax.hardware.mitigation`)."""

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
        if self.shots is None and self.is_ibm:
            must = f"be given on {self.device}, which measures"
            raise input_error("shots", must, "is None", "Take 1024, for example.")
        self._check_mitigation()

    def _check_mitigation(self) -> None:
        wanted = parse_mitigation(self.mitigation)
        if wanted == Mitigation():
            return
        if self.is_ibm:
            must = "be 'none' on IBM's devices, whose results are kept as they come"
            cure = "Rehearse it on a fake backend; IBM's own options are not used here."
            raise input_error("mitigation", must, f"is {self.mitigation!r}", cure)
        missing = set(_wants(wanted)) - self.errors
        if missing:
            must = "fit the errors that there are"
            was = f"is {self.mitigation!r} where {' and '.join(sorted(missing))} have "
            was += f"none, on {self.device} with noise {self.noise!r}"
            raise input_error("mitigation", must, was)

    @property
    def is_pennylane(self) -> bool:
        """Whether it is one of PennyLane's devices."""
        return self.device in qml.plugin_devices

    @property
    def is_ibm(self) -> bool:
        """Whether it is an IBM device."""
        return self.device.startswith(IBM)

    @property
    def errors(self) -> frozenset[str]:
        """What it does wrong, of `gates` and `read-out`; nothing on PennyLane's.

        Example:
            >>> sorted(Target("fake_torino").errors), sorted(Target("aer").errors)
            (['gates', 'read-out'], [])
        """
        noise = parse_noise(self.noise)
        if self.is_pennylane:
            return frozenset()
        if self.device != AER or noise.backend:
            return frozenset({"gates", "read-out"})
        kinds = {"gates": noise.depolarizing or noise.t1, "read-out": noise.readout}
        return frozenset(kind for kind, has in kinds.items() if has)

    @property
    def label(self) -> str:
        """What tells it apart in a table."""
        parts = [self.device]
        parts += [] if self.noise == "none" else [self.noise]
        parts += [] if self.shots is None else [f"{self.shots:,} shots"]
        parts += [] if self.mitigation == "none" else [self.mitigation]
        return ", ".join(parts)

    @property
    def config(self) -> DeviceConfig:
        """The PennyLane device; Aer has a seed of its own kind there."""
        seeded = self.shots is not None and not self.device.startswith("qiskit.")
        return DeviceConfig(self.device, self.shots, seed=self.seed if seeded else None)


def with_mitigation(
    targets: Iterable[Target], mitigations: Sequence[str]
) -> list[Target]:
    """Each target as it is, then with each mitigation for which it has errors.

    Raises:
        InputError: For an unknown mitigation, or one that fits no target.

    Example:
        >>> targets = Target("aer"), Target("aer", noise="depolarizing:0.01")
        >>> [target.label for target in with_mitigation(targets, ["zne"])]
        ['aer', 'aer, depolarizing:0.01', 'aer, depolarizing:0.01, zne']
    """
    plain, found = list(targets), []
    for name in mitigations:
        wants = _wants(parse_mitigation(name))
        if not any(wants <= target.errors for target in plain):
            must = f"meet a device with errors of {' and '.join(sorted(wants))}"
            cure = "Name noise with --noise, or a fake backend."
            raise input_error("mitigation", must, f"is {name!r}", cure)
    for target in plain:
        found.append(target)
        fitting = (
            n for n in mitigations if _wants(parse_mitigation(n)) <= target.errors
        )
        found += [dataclasses.replace(target, mitigation=name) for name in fitting]
    return list(dict.fromkeys(found))


def _wants(mitigation: Mitigation) -> set[str]:
    """The errors that a mitigation is against."""
    wants = {"gates"} if len(mitigation.scales) > 1 else set()
    return wants | ({"read-out"} if mitigation.readout else set())


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
