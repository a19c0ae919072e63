"""A convolution and what follows it, as matrix products."""

import jax
import jax.numpy as jnp
from flax import nnx


class Convolution(nnx.Module):
    """A 3x3 convolution ("same" padding), 2x2 max pooling, normalisation, then ReLU.

    `lax.conv` inside `lax.scan` is ten times slower than outside on the CPU, and
    `reduce_window` is slow everywhere there. So each 2x2 window of outputs is computed
    whole: the 4x4 patch that its four outputs see, times the kernel placed at the four
    positions. The product has better proportions for the machine (16 c_in x 4 c_out
    instead of 9 c_in x c_out), and pooling is a maximum over one axis.

    Args:
        c_in: Channels of the input.
        c_out: Channels of the output.
        pool: Whether to pool; where the normalisation's factors are positive, it does
            not matter that this comes first, and it saves three quarters of the work.
        normalized: Batch normalisation (Ioffe and Szegedy, arXiv 1502.03167) in place
            of a bias: over the batch in training, with running averages elsewhere.
        rngs: Flax random number generators; the stream `params` starts the kernel.

    Example:
        >>> layer = Convolution(1, 16, rngs=nnx.Rngs(0))
        >>> layer(jnp.zeros((5, 28, 28, 1))).shape
        (5, 14, 14, 16)
    """

    def __init__(
        self,
        c_in: int,
        c_out: int,
        *,
        pool: bool = True,
        normalized: bool = False,
        rngs: nnx.Rngs,
    ):
        init = nnx.initializers.he_normal()
        self.kernel = nnx.Param(init(rngs.params(), (3, 3, c_in, c_out), jnp.float32))
        self.pool = pool
        self.frozen = False  # set where the averages must not move in training either
        norm = nnx.BatchNorm(c_out, momentum=0.9, rngs=rngs) if normalized else None
        self.norm = nnx.data(norm)
        self.bias = nnx.data(None if normalized else nnx.Param(jnp.zeros(c_out)))

    def __call__(self, x: jax.Array) -> jax.Array:
        """Maps x (batch, height, width, c_in) to (batch, height, width, c_out).

        Height and width are halved where it pools; an odd last row or column is left
        out then, as max pooling does.
        """
        y = self._pooled(x) if self.pool else self._convolved(x)
        if self.norm is None:
            assert self.bias is not None
            return jax.nn.relu(y + self.bias[...])
        use_averages = True if self.frozen else None  # None: as training or not
        return jax.nn.relu(self.norm(y, use_running_average=use_averages))

    def _pooled(self, x: jax.Array) -> jax.Array:
        h, w = x.shape[1] // 2, x.shape[2] // 2
        return self._windows(x, h, w).max(axis=3)

    def _convolved(self, x: jax.Array) -> jax.Array:
        batch, height, width, _ = x.shape
        h, w = (height + 1) // 2, (width + 1) // 2
        windows = self._windows(x, h, w).reshape(batch, h, w, 2, 2, -1)
        whole = windows.swapaxes(2, 3).reshape(batch, 2 * h, 2 * w, -1)
        return whole[:, :height, :width]

    def _windows(self, x: jax.Array, h: int, w: int) -> jax.Array:
        """The outputs of h x w windows, (batch, h, w, 4, c_out)."""
        _, height, width, c_in = x.shape
        rows, columns = (1, max(1, 2 * h - height + 1)), (1, max(1, 2 * w - width + 1))
        padded = jnp.pad(x, ((0, 0), rows, columns, (0, 0)))
        patches = jnp.concatenate(
            [
                padded[:, i : i + 2 * h - 1 : 2, j : j + 2 * w - 1 : 2]
                for i in range(4)
                for j in range(4)
            ],
            axis=-1,
        )  # (batch, h, w, 16 c_in)
        products = patches.reshape(-1, 16 * c_in) @ self._placed_kernel()
        return products.reshape(*patches.shape[:3], 4, -1)

    def _placed_kernel(self) -> jax.Array:
        """The kernel at the four positions of a 4x4 patch, (16 c_in, 4 c_out)."""
        kernel = self.kernel[...]
        placed = [
            jnp.pad(kernel, ((i, 1 - i), (j, 1 - j), (0, 0), (0, 0)))
            for i in range(2)
            for j in range(2)
        ]
        return jnp.stack(placed, axis=3).reshape(16 * kernel.shape[2], -1)
