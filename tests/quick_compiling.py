"""XLA for tests: thousands of small programs are compiled here, and run once.

Code need not be fast then. Without XLA's fusion emitters, and with one part a program,
compiling takes a quarter of the CPU time. PennyLane's device tests and the benchmarks
run what users run.
"""

import os

FLAGS = (
    "--xla_backend_optimization_level=0",
    "--xla_cpu_use_fusion_emitters=false",
    "--xla_cpu_parallel_codegen_split_count=1",
)


def compile_quickly() -> None:
    """Sets the flags; XLA reads them when it starts, and in processes started later."""
    given = os.environ.get("XLA_FLAGS")
    os.environ["XLA_FLAGS"] = " ".join(filter(None, [given, *FLAGS]))
