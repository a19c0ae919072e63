"""What stands beside an audit: scikit-learn's classifiers on the same images.

They are fitted on all pixels, and on the very features that the circuit of the first
seed's model was given by its front end, which were kept when that model was trained.
Circuits that take the pixels themselves have no such features.
"""

import functools
import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from ..data import Dataset
from ..files import write_whole
from ..models import Classifier
from .classifiers import circuit_features, pixel_features, score_baseline
from .records import AuditConfig, Baseline
from .stored import naming_damage, read_record, write_record

FEATURES = "features.npz"
"""Holds the features of the first seed's model, of training and of test images."""

PIXELS, CIRCUIT = "pixels", "features"


def feature_keeper(
    config: AuditConfig,
    directory: Path,
    name: str,
    seeds: Sequence[int],
    data: Mapping[int, Dataset],
) -> Callable[[Classifier], None] | None:
    """What writes the features of a group's first model; None where none are kept.

    Args:
        config: Of the audit.
        directory: Of the audit.
        name: Name of the model or control that trains.
        seeds: Seeds that train together.
        data: The images of each seed.
    """
    is_first = (name, seeds[0]) == (config.run.model, config.run.seed)
    if not (config.baselines and is_first and _has_features(config)):
        return None
    return functools.partial(_keep_features, directory, data[seeds[0]])


def _keep_features(directory: Path, data: Dataset, model: Classifier) -> None:
    train, test = (circuit_features(model, p.pixels) for p in (data.train, data.test))
    content = io.BytesIO()
    np.savez(content, train=train, test=test)
    write_whole(directory / FEATURES, content.getvalue())


def fit_baselines(
    config: AuditConfig, directory: Path, data: Dataset, tell: Callable[[str], None]
) -> tuple[Baseline, ...]:
    """Fits what has no file yet; each is written as it comes.

    Args:
        config: Of the audit.
        directory: Of the audit.
        data: The images of the first seed.
        tell: Told of each fit before it begins.

    Raises:
        InputError: If a file is damaged.
    """
    return tuple(_fitted(config, directory, data, tell))


def _fitted(
    config: AuditConfig, directory: Path, data: Dataset, tell: Callable[[str], None]
) -> Iterator[Baseline]:
    parts = (data.train, data.test)
    labels = [part.labels for part in parts]
    for sees in (PIXELS, CIRCUIT):
        features = [] if sees == PIXELS else _kept_features(config, directory)
        if sees == CIRCUIT and not features:
            continue
        for name in config.baselines:
            path = directory / "baselines" / f"{sees}-{name}.json"
            if not path.exists():
                tell(f"{name} on {sees}")
                features = features or [pixel_features(part.pixels) for part in parts]
                train, test = zip(features, labels, strict=True)
                score = score_baseline(name, train, test, seed=config.run.seed)
                write_record(path, Baseline(sees, score))
            yield read_record(path, Baseline)


def _has_features(config: AuditConfig) -> bool:
    network = config.run.network
    return network.features == "dense" and not network.patch


def _kept_features(config: AuditConfig, directory: Path) -> list[np.ndarray]:
    """Those of training and of test images; none where there are none."""
    path = directory / FEATURES
    if not _has_features(config) or not path.exists():
        return []
    with naming_damage(path), np.load(path, allow_pickle=False) as file:
        return [file["train"], file["test"]]
