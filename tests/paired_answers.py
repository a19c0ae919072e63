"""Right answers of models that are made up: what paired statistics are tested with."""

import numpy as np

from qfm_jax.audit.statistics import compare

N_TEST = 1000


def answers(n_right):
    """Answers of which the first `n_right[i]` are right in seed i."""
    return np.arange(N_TEST) < np.asarray(n_right)[:, np.newaxis]


def against(*images_won, seed=0):
    """Controls that the model beats by these numbers of images, seed by seed."""
    controls = {
        f"control{i}": answers(500 - np.array(won)) for i, won in enumerate(images_won)
    }
    return compare(answers([500] * len(images_won[0])), controls, seed=seed)
