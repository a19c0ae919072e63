"""A convolution and what follows it, as matrix products."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from flax import nnx

from ..parallel.mesh import in_shares
from ..simulator.arrays import on_gpu
from .winograd import Window, largest, side_by_side, window_outputs


class Convolution(nnx.Module):
    """A 3x3 convolution ("same" padding), 2x2 max pooling, normalisation, then ReLU.

    `lax.conv` inside `lax.scan` is ten times slower than outside on the CPU, and
    `reduce_window` is slow everywhere there. So each 2x2 window of outputs is computed
    whole, and pooling is a maximum of four. On a CPU by Winograd's method, a few images
    at a time, whose patches then stay in its caches; computed again for the gradient,
    they need not be kept. Elsewhere, and with few channels, where the method has more
    to add than to multiply, as one product: the 4x4 patch that four outputs see, times
    the kernel placed at the four positions (16 c_in x 4 c_out instead of 9 c_in x
    c_out, which suits the machine better).

    Args:
        c_in: Channels of the input.
        c_out: Channels of the output.
        pool: Whether to pool. Pooling comes first, which saves three quarters of what
            follows; a bias and a relu do not notice.
        normalized: Batch normalisation (Ioffe and Szegedy, arXiv 1502.03167) in place
            of a bias: over the batch in training, with running averages elsewhere.
            Where it pools, mean and variance are those of the maxima.
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
        bias = None if normalized else nnx.Param(jnp.zeros(c_out, jnp.float32))
        self.bias = nnx.data(bias)

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
        if self._is_wide:
            return self._by_winograd(x, h, w, largest)
        return self._windows(_framed(x, h, w)).max(axis=3)

    def _convolved(self, x: jax.Array) -> jax.Array:
        batch, height, width, _ = x.shape
        h, w = (height + 1) // 2, (width + 1) // 2
        if self._is_wide:
            whole = self._by_winograd(x, h, w, side_by_side)
        else:
            windows = self._windows(_framed(x, h, w)).reshape(batch, h, w, 2, 2, -1)
            whole = windows.swapaxes(2, 3).reshape(batch, 2 * h, 2 * w, -1)
        return whole[:, :height, :width]

    @property
    def _is_wide(self) -> bool:
        return self.kernel.shape[2] >= WIDE and not on_gpu()

    def _by_winograd(
        self, x: jax.Array, h: int, w: int, join: Callable[[Window], jax.Array]
    ) -> jax.Array:
        """What `join` makes of the outputs of h x w windows."""

        def of_some(x: jax.Array, kernel: jax.Array) -> jax.Array:
            return join(window_outputs(_framed(x, h, w), kernel))

        def of_all(x: jax.Array, kernel: jax.Array) -> jax.Array:
            return _in_chunks(of_some, x, kernel, n_windows=h * w)

        return in_shares(of_all, x, self.kernel[...])

    def _windows(self, framed: jax.Array) -> jax.Array:
        """The outputs of all windows by one product, (batch, h, w, 4, c_out)."""
        _, height, width, c_in = framed.shape
        patches = jnp.concatenate(
            [
                framed[:, i : i + height - 3 : 2, j : j + width - 3 : 2]
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


WIDE = 16
"""Input channels from which Winograd's method pays."""

CHUNK = 1_600
"""Windows that are worked on at a time: products large enough for the machine, and
transformed patches (64 bytes a channel each) small enough for its caches."""


def _framed(x: jax.Array, h: int, w: int) -> jax.Array:
    """What h x w windows see: the images within zeros, or without an odd last row."""
    _, height, width, _ = x.shape
    below, right = 2 * h + 1 - height, 2 * w + 1 - width
    padded = jnp.pad(x, ((0, 0), (1, max(0, below)), (1, max(0, right)), (0, 0)))
    return padded[:, : 2 * h + 2, : 2 * w + 2]


def _in_chunks(
    function: Callable[[jax.Array, jax.Array], jax.Array],
    x: jax.Array,
    kernel: jax.Array,
    n_windows: int,
) -> jax.Array:
    """A function of images, each by itself, on some `CHUNK` windows at a time."""
    batch = len(x)
    n_chunks = max(1, round(batch * n_windows / CHUNK))
    if n_chunks == 1:
        return function(x, kernel)
    size = -(-batch // n_chunks)
    n_chunks = -(-batch // size)
    filled = jnp.pad(x, [(0, n_chunks * size - batch)] + [(0, 0)] * (x.ndim - 1))
    again = jax.checkpoint(function)  # reads x again instead of keeping its patches
    chunks = filled.reshape(n_chunks, size, *x.shape[1:])
    results = jax.lax.map(lambda chunk: again(chunk, kernel), chunks)
    return results.reshape(-1, *results.shape[2:])[:batch]
