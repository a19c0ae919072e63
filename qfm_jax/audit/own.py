"""Any Flax model with a circuit inside against its controls, over paired seeds."""

import dataclasses
from collections.abc import Callable, Sequence

import jax
import numpy as np
from flax import nnx

from .._checks import check_at_least, input_error
from ..data import Dataset
from ..models.controlled import with_control
from ..models.prediction import predict_logits
from ..runs.model import keys_of
from ..training import TrainConfig, fit_seeds
from .statistics import PairedDifference, compare
from .verdicts import verdict

CONTROLS = ("removed", "frozen", "dense")
"""Controls that stand in the place of most circuits."""


@dataclasses.dataclass(frozen=True)
class OwnAudit:
    """What a model and its controls reached, seed by seed."""

    accuracy: dict[str, tuple[float, ...]]
    """Test accuracy of each seed, in [0, 1]; the model is called `model`."""
    differences: tuple[PairedDifference, ...]
    """Of the model from each control."""

    def __str__(self) -> str:
        """A line for the model, and one for each control."""
        lines = []
        of_each = {d.control: d for d in self.differences}
        width = max(map(len, self.accuracy))
        for name, accuracy in self.accuracy.items():
            line = f"{name:<{width}}  {100 * np.mean(accuracy):6.2f} %"
            if name in of_each:
                d = of_each[name]
                low, high = (100 * end for end in d.interval)
                line += f"  model - it: {100 * d.mean:+.2f} ({low:+.2f} to {high:+.2f})"
                line += f", p = {d.p_adjusted:.3f}: {verdict(d)}"
            lines.append(line)
        n = len(next(iter(self.accuracy.values())))
        lines.append(f"{n} paired seeds; Holm's p, at least {2 / 2**n:.3g}.")
        return "\n".join(lines)


def audit_model(
    build: Callable[[nnx.Rngs], nnx.Module],
    data: Dataset,
    training: TrainConfig | None = None,
    *,
    controls: Sequence[str] = CONTROLS,
    seeds: Sequence[int] = tuple(range(10)),
) -> OwnAudit:
    """Retrains a model with its circuits replaced, and compares over paired seeds.

    Seed i of every control has the start (but for what stands in the circuit's place),
    the images and the batches of seed i of the model.

    Args:
        build: Makes the model at its start: any Flax module that maps float images
            (batch, height, width[, 3]) in [0, 1] to logits, with a QuantumLayer inside.
        data: Images to train on, to choose the epoch by, and to test on.
        training: How each is trained.
        controls: What stands in the place of every QuantumLayer (see `with_control`).
        seeds: Of the starts and batches, two or more.

    Raises:
        InputError: For fewer than two seeds, no control, and all that `with_control`
            and `fit_seeds` refuse.

    Example:
        >>> from qfm_jax import load_dataset
        >>> from qfm_jax.models import Classifier, ModelConfig
        >>> config = ModelConfig(hidden=(4,), block="circuit", n_qubits=2)
        >>> audit = audit_model(
        ...     lambda rngs: Classifier(config, rngs=rngs),
        ...     load_dataset("digits", train_size=100, test_size=50),
        ...     TrainConfig(epochs=1), controls=("frozen",), seeds=(0, 1))
        >>> list(audit.accuracy), len(audit.differences)
        (['model', 'frozen'], 1)
    """
    check_at_least("len(seeds)", len(seeds), 2, "Differences need pairs of seeds.")
    if not controls:
        raise input_error("controls", "name one or more", "is empty")
    keys = [keys_of(seed) for seed in seeds]

    def start(i: int, control: str | None) -> nnx.Module:
        own = {"params": keys[i].start, "dropout": keys[i].dropout}
        model = build(nnx.Rngs(**own, noise=keys[i].noise))
        if control is None:
            return model
        rngs = nnx.Rngs(jax.random.fold_in(keys[i].start, 1))
        return with_control(model, control, data.image_shape, rngs=rngs)

    right = {}
    for name in (None, *dict.fromkeys(controls)):
        models = [start(i, name) for i in range(len(seeds))]
        fit_seeds(
            models,
            [data.train] * len(seeds),
            [data.validation] * len(seeds),
            training or TrainConfig(),
            [key.training for key in keys],
        )
        guesses = [predict_logits(m, data.test.pixels).argmax(1) for m in models]
        right[name or "model"] = np.array(guesses) == data.test.labels
    differences = compare(
        right["model"], {name: own for name, own in right.items() if name != "model"}
    )
    accuracy = {
        name: tuple(map(float, own.mean(axis=1))) for name, own in right.items()
    }
    return OwnAudit(accuracy, differences)
