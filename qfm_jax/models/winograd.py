r"""3x3 convolutions with fewer multiplications: Winograd's F(2x2, 3x3).

Each 2x2 window of outputs sees a 4x4 patch d of the input. With a kernel g of 3x3 it is

    Y = A^T [(G g G^T) * (B^T d B)] A

where * goes element by element: 16 multiplications for four outputs in place of 36,
each of them a matrix product over the channels (Lavin and Gray, arXiv 1509.09308).
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np

G = np.array([[2, 0, 0], [1, 1, 1], [1, -1, 1], [0, 0, 2]], np.float32) / 2

Window = tuple[jax.Array, jax.Array, jax.Array, jax.Array]
"""Four arrays of one shape: of windows, the outputs from left to right, row by row."""


def window_outputs(x: jax.Array, kernel: jax.Array) -> Window:
    """The outputs of all 2x2 windows, without padding.

    Args:
        x: Inputs (batch, 2 h + 2, 2 w + 2, c_in).
        kernel: (3, 3, c_in, c_out).

    Returns:
        Four arrays (batch, h, w, c_out).

    Example:
        >>> x = jnp.arange(16.0).reshape(1, 4, 4, 1)
        >>> middle = jnp.zeros((3, 3, 1, 1)).at[1, 1].set(1)
        >>> [float(output.item()) for output in window_outputs(x, middle)]
        [5.0, 6.0, 9.0, 10.0]
    """
    h, w, c_in = x.shape[1] // 2 - 1, x.shape[2] // 2 - 1, x.shape[3]
    weights = jnp.einsum("ip,jq,pqco->ijco", G, G, kernel)
    rows = _of_patch([x[:, i : i + 2 * h - 1 : 2] for i in range(4)])
    products = []
    for i, row in enumerate(rows):
        columns = [row[:, :, j : j + 2 * w - 1 : 2] for j in range(4)]
        for j, patch in enumerate(_of_patch(columns)):
            product = patch.reshape(-1, c_in) @ weights[i, j]
            products.append(product.reshape(*patch.shape[:3], -1))
    of_rows = [_to_outputs(products[4 * i : 4 * i + 4]) for i in range(4)]
    left, right = ([row[j] for row in of_rows] for j in range(2))
    (upper_left, lower_left), (upper_right, lower_right) = map(
        _to_outputs, (left, right)
    )
    return upper_left, upper_right, lower_left, lower_right


def _of_patch(d: list[jax.Array]) -> list[jax.Array]:
    """B^T along one axis."""
    return [d[0] - d[2], d[1] + d[2], d[2] - d[1], d[1] - d[3]]


def _to_outputs(m: list[jax.Array]) -> tuple[jax.Array, jax.Array]:
    """A^T along one axis."""
    return m[0] + m[1] + m[2], m[1] - m[2] - m[3]


def largest(outputs: Window) -> jax.Array:
    """Max pooling: the largest output of each window."""
    return functools.reduce(jnp.maximum, outputs)


def side_by_side(outputs: Window) -> jax.Array:
    """All outputs in their places, (batch, 2 h, 2 w, c_out)."""
    batch, h, w, c_out = outputs[0].shape
    windows = jnp.stack(outputs, axis=3).reshape(batch, h, w, 2, 2, c_out)
    return windows.swapaxes(2, 3).reshape(batch, 2 * h, 2 * w, c_out)
