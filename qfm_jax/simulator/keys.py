"""Where the randomness of samples comes from."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental import io_callback
from jax.extend.core import Primitive
from jax.interpreters import mlir

from .._checks import input_error

KEY_WORDS = jax.ShapeDtypeStruct((2,), np.uint32)

in_context = jax.make_user_context(default_value=False)
"""Part of JAX's own cache keys: what was compiled outside is not run inside."""


class Keys:
    """The randomness of one device.

    Args:
        seed: an integer, words, or a JAX PRNG key; None for the machine's entropy.

    Example:
        >>> keys = Keys(seed=3)
        >>> keys.of_call() is None  # NumPy's generator draws
        True
        >>> with keys.given(jax.random.key(1)):
        ...     first, second = keys.of_call(), keys.of_call()
        >>> bool(first == second)
        False
    """

    def __init__(self, seed: Any = None) -> None:
        self.rng = np.random.default_rng(_words(seed))
        self._given: _Given | None = None

    @property
    def are_given(self) -> bool:
        """Whether a caller's key is in use."""
        return self._given is not None

    @contextmanager
    def given(self, key: Any) -> Iterator[None]:
        """Takes the keys of the calls inside from this one."""
        before, self._given = self._given, _Given(key)
        try:
            with nullcontext() if is_traced() else in_context(True):
                yield
        finally:
            self._given = before

    def of_call(self) -> Any:
        """The key of a call of the device, or None: then `rng` draws.

        Without a caller's key a compiled program asks the host for one whenever it
        runs: 8 bytes. Each place in a program has a generator of its own, so that the
        order in which they ask does not matter.
        """
        if self._given is not None:
            return self._given.next()
        if not is_traced():
            return None
        (generator,) = self.rng.spawn(1)
        draw = lambda: generator.integers(2**32, size=2, dtype=np.uint32)  # noqa: E731
        return jax.random.wrap_key_data(_host_words.bind(draw=draw))


class _Given:
    """A caller's key, and how many keys were made of it."""

    def __init__(self, key: Any) -> None:
        if not jax.dtypes.issubdtype(key.dtype, jax.dtypes.prng_key):
            key = jax.random.wrap_key_data(key)
        self.key, self.n_calls, self.from_outside = key, 0, not is_traced()

    def next(self) -> Any:
        if self.from_outside and is_traced():
            raise input_error(
                "key",
                "be an argument of the function that is compiled",
                "was given outside of it: every run would repeat the samples",
                "Open `sampling_key` inside of the function.",
            )
        self.n_calls += 1
        return jax.random.fold_in(self.key, self.n_calls - 1)


def is_traced() -> bool:
    """Whether JAX compiles what runs now, so that it may run again without Python."""
    return isinstance(jnp.zeros(()), jax.core.Tracer)


def _words(seed: Any) -> Any:
    """What NumPy's generator takes; a JAX key gives its words."""
    if isinstance(seed, jax.Array):
        if jax.dtypes.issubdtype(seed.dtype, jax.dtypes.prng_key):
            seed = jax.random.key_data(seed)
        return np.asarray(seed).ravel()
    return None if seed == "global" else seed


def generator_of(key: Any) -> np.random.Generator:
    """NumPy's generator from a JAX key."""
    return np.random.default_rng(_words(key))


def _ask_host(*, draw: Callable[[], np.ndarray]) -> Any:
    return io_callback(draw, KEY_WORDS)


# A primitive of its own: JAX lets no callback with effects into a function that has its
# own derivative, and PennyLane makes one of each circuit. Without arguments it is not
# differentiated and not batched.
_host_words = Primitive("key_words_from_host")
_host_words.def_impl(lambda *, draw: jnp.asarray(draw()))
_host_words.def_abstract_eval(
    lambda *, draw: jax.core.ShapedArray(KEY_WORDS.shape, KEY_WORDS.dtype)
)
mlir.register_lowering(_host_words, mlir.lower_fun(_ask_host, multiple_results=False))
