"""A data set -> its images, one row for each class."""

import numpy as np
from matplotlib.figure import Figure

from .._checks import check_at_least
from ..data import Dataset
from .style import WIDE, house_style, short


def plot_images(data: Dataset, n_images: int = 12) -> Figure:
    """Shows the first training images of each class, a class a row.

    Args:
        data: The data set.
        n_images: Images of each class at most, at least 1.

    Raises:
        InputError: For fewer than one image.

    Example:
        >>> from qfm_jax import load_dataset
        >>> figure = plot_images(load_dataset("digits"), n_images=3)
        >>> [text.get_text() for text in figure.texts][:2]
        ['0', '1']
    """
    check_at_least("n_images", n_images, 1)
    train = data.train
    own = [np.flatnonzero(train.labels == i)[:n_images] for i in range(data.n_classes)]
    n_columns = max(map(len, own))
    # Inches: names stand on the left; beyond them every image has a square.
    margin, side = 1.1, min(0.7, (WIDE - 1.1) / n_columns)
    size = (margin + side * n_columns, side * data.n_classes)
    with house_style():
        figure = Figure(figsize=size)
        axes = figure.add_axes((margin / size[0], 0, 1 - margin / size[0], 1))
        axes.axis("off")
        for row, (chosen, name) in enumerate(zip(own, data.class_names, strict=True)):
            place = 1 - (row + 0.5) / data.n_classes
            figure.text(0, place, short(name), ha="left", va="center")
            for column, i in enumerate(chosen):
                # Dark on light prints well; without interpolation the pixels stay.
                axes.imshow(
                    train.pixels[i],
                    cmap="gray_r",
                    interpolation="none",
                    extent=(column + 0.04, column + 0.96, row + 0.96, row + 0.04),
                )
        axes.set(xlim=(0, n_columns), ylim=(data.n_classes, 0))
    return figure
