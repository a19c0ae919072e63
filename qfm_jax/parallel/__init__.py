"""Many devices, processes and hosts: meshes, and units of work on Dask's workers.

A unit is a value with a name, which a function works on. Its result comes back, or lies
in files that every worker sees.

Dask's processes send each other functions and results by pickle, so that whoever
reaches a scheduler runs code with the rights of its user: name one that you trust.
`local` starts one that no other user can reach, behind TLS with a certificate of its
own. No file is unpickled. Dask is an extra, `pip install 'qfm_jax[cluster]'`, and is
imported when it is asked for.
"""

from .scheduler import Connection as Connection
from .scheduler import Scheduler as Scheduler
from .scheduler import connect as connect
from .units import Standing as Standing
from .units import UnitsFailedError as UnitsFailedError
from .units import run_units as run_units
from .workers import check_shared as check_shared
