"""All trainings of an audit -> its results, its verdict, and what they rest on."""

from collections.abc import Mapping, Sequence

import numpy as np

from ..data import Dataset
from ..models import circuits_per_image
from ..models.block import CIRCUIT_BLOCKS
from .controls import QUESTIONS
from .records import CLASSICAL, Audit, AuditConfig, Baseline, ModelResult, Tuning, Unit
from .statistics import PairedDifference, compare, dead_seeds
from .verdicts import verdict


def conclude(
    config: AuditConfig,
    data: Dataset,
    units: Mapping[str, Sequence[Unit]],
    tunings: Mapping[str, Tuning],
    baselines: tuple[Baseline, ...],
    *,
    impossible: Mapping[str, str],
    seconds: float,
) -> Audit:
    """Compares the model with every control; the strongest classical one decides.

    Args:
        config: Of the audit.
        data: The images of the first seed; the test images are those of every seed.
        units: Of the model and then of each control, the training of each seed.
        tunings: Of each, how its learning rate was chosen.
        baselines: What stands beside them.
        impossible: Controls that cannot exist, with the reason.
        seconds: Time that the session took.
    """
    labels = data.test.labels
    right = {
        name: np.array([unit.predictions for unit in own]) == labels
        for name, own in units.items()
    }
    model, *names = units
    differences = compare(right[model], {name: right[name] for name in names})
    chance = np.bincount(labels).max() / len(labels)
    executions = circuits_per_image(config.run.network, data.image_shape)
    of_names = zip(units, [None, *differences], strict=True)
    results = [
        _result(name, units[name], chance, executions, difference, tunings[name])
        for name, difference in of_names
    ]
    control = _strongest(names, units)
    return Audit(
        config=config,
        model=model,
        dataset=data.name,
        n_train=len(data.train),
        n_test=len(data.test),
        n_classes=data.n_classes,
        seeds=config.seeds,
        results=tuple(results),
        impossible=impossible,
        control=control,
        verdict=verdict(differences[names.index(control)]),
        seconds=seconds,
        versions=_versions([unit for own in units.values() for unit in own]),
        warning=data.warning,
        baselines=baselines,
    )


def _versions(units: Sequence[Unit]) -> dict[str, str]:
    """Versions of all units; where they differ, each of them."""
    names = dict.fromkeys(name for unit in units for name in unit.versions)
    return {
        name: ", ".join(sorted({unit.versions.get(name, "?") for unit in units}))
        for name in names
    }


def _strongest(names: Sequence[str], units: Mapping[str, Sequence[Unit]]) -> str:
    """The classical control of the best mean validation accuracy."""
    return max(
        (name for name in names if name in CLASSICAL),
        key=lambda name: np.mean([unit.validation_accuracy for unit in units[name]]),
    )


def _result(
    name: str,
    units: Sequence[Unit],
    chance: float,
    executions: int,
    difference: PairedDifference | None,
    tuning: Tuning,
) -> ModelResult:
    accuracy = tuple(unit.accuracy for unit in units)
    dead = dead_seeds(np.array(accuracy), chance)
    runs_circuit = difference is None or name in CIRCUIT_BLOCKS
    return ModelResult(
        name=name,
        question=QUESTIONS.get(name, ""),
        accuracy=accuracy,
        validation_accuracy=tuple(unit.validation_accuracy for unit in units),
        dead_seeds=tuple(units[i].seed for i in dead),
        n_parameters=units[0].n_parameters,
        n_parameters_quantum=units[0].n_parameters_quantum,
        diverged_seeds=tuple(unit.seed for unit in units if unit.diverged),
        executions_per_image=executions if runs_circuit else 0,
        seconds=tuple(unit.seconds for unit in units),
        flops_per_image=units[0].flops_per_image,
        memory_bytes=units[0].memory_bytes,
        tuning=tuning,
        difference=difference,
        verdict=verdict(difference) if difference else None,
    )
