"""A model over a few seeds and learning rates, all trained together: a row of a study.

No question of its own: `scale_qubits.py` and `scale_data.py` train their models here.
Each model gets the same learning rates to choose from, on validation images, and the
same number of steps; the test images are scored once, with the rate that was chosen.
"""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from qfm_jax.data import Dataset
from qfm_jax.models import Classifier, ModelConfig, count_parameters
from qfm_jax.models.prediction import predict_seeds
from qfm_jax.training import TrainConfig, fit_seeds


def train_paired(
    network: ModelConfig,
    data: Sequence[Dataset],
    *,
    n_steps: int,
    batch_size: int = 32,
    rates: Sequence[float] = (0.01,),
) -> dict[str, Any]:
    """Trains one seed for each data set with each rate; scores those of the best rate.

    Args:
        network: The model.
        data: The images of seed 0, 1, ..., with the same test images.
        n_steps: Steps at least; whole epochs are made, one at least.
        batch_size: Images a step.
        rates: Learning rates to choose from: that of the best mean validation accuracy.

    Returns:
        Test accuracy of each seed, validation accuracy of each rate and seed, and what
        the model is and took: plain values.
    """
    n_train = len(data[0].train)
    per_epoch = n_train // min(batch_size, n_train)
    epochs = max(1, round(n_steps / per_epoch))
    training = TrainConfig(epochs, batch_size, learning_rate=rates[0])
    pairs = [(rate, seed) for rate in rates for seed in range(len(data))]
    n_classes = data[0].n_classes
    models = [
        Classifier(network, n_classes=n_classes, rngs=nnx.Rngs(seed))
        for _, seed in pairs
    ]
    histories = fit_seeds(
        models,
        [data[seed].train for _, seed in pairs],
        [data[seed].validation for _, seed in pairs],
        training,
        [jax.random.key(seed) for _, seed in pairs],
        rate_factors=[rate / rates[0] for rate, _ in pairs],
    )
    validation = [history.best.validation_accuracy for history in histories]
    of_rates = np.reshape(validation, (len(rates), -1))
    chosen = int(of_rates.mean(1).argmax())
    ours = slice(chosen * len(data), (chosen + 1) * len(data))
    losses = [[r.train_loss for r in history.epochs] for history in histories[ours]]
    quantum, classical = count_parameters(models[0])
    return {
        "accuracy": accuracies_of(models[ours], data),
        "validation_accuracy": of_rates.tolist(),
        "chosen_rate": rates[chosen],
        "diverged": [not bool(np.isfinite(own).all()) for own in losses],
        "epochs": epochs,
        "n_train": n_train,
        "n_test": len(data[0].test),
        "n_parameters": quantum + classical,
        "n_parameters_quantum": quantum,
        "seconds_of_a_seed": histories[0].seconds_training,
    }


def accuracies_of(models: Sequence[Classifier], data: Sequence[Dataset]) -> list[float]:
    """Share of the test images that each model classifies rightly."""
    test = data[0].test
    states = jax.tree.map(lambda *leaves: jnp.stack(leaves), *map(nnx.state, models))
    images = [test.pixels] * len(models)
    found = predict_seeds(models[0], states, images).argmax(axis=2)
    return [float(share) for share in (found == test.labels).mean(axis=1)]
