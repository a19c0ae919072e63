"""Differentiable quantum and hybrid image classification in JAX.

The public names stand in `__init__.pyi`; each is imported when it is first used, so
that `import qfm_jax` and `qfm --help` answer at once.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
__version__ = "0.1.0"
