"""`python -m qfm_jax` is `qfm`, where the script is not on the path."""

import sys

from .cli import main

if __name__ == "__main__":  # not when documentation or tests import it
    sys.exit(main())
