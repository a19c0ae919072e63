"""What the simulator would do with a circuit, in numbers and in sentences."""

from collections import Counter
from dataclasses import dataclass

from . import memory
from .reading import Reader
from .simulation import Execution, plan, why_not_native


@dataclass(frozen=True)
class Explanation:
    """What runs for one tape; `print` it to read it as sentences."""

    n_wires: int
    """Wires of the circuit."""
    simulated_wires: int
    """Those of them that a measurement can see."""
    gates: int
    """Gates that a measurement can see."""
    passes: int
    """Passes over the state that are made of them."""
    compiled_passes: int
    """Passes that are compiled: repeated layers are compiled once."""
    decomposed: tuple[str, ...]
    """Operations that PennyLane decomposes at every call, with the actual values."""
    differentiation: str
    """"reversible": passes are undone; "backprop": their states are kept."""
    reason: str
    """Why it is differentiated in that way."""
    not_native: str
    """Why the native kernels do not run it in JAX; empty where they do."""
    c_dtype: str
    """"complex64" or "complex128"."""
    arguments: int
    """Arrays of numbers that may change without compiling again."""
    folded: int
    """Arrays of numbers that are part of the program: known where `jax.jit` traces."""
    batch: int | None
    """Samples of a broadcast tape; `jax.vmap` adds its own."""
    bytes_per_sample: int
    """Estimated bytes of one sample's value and gradient."""
    budget: int
    """Bytes that the samples of one chunk may take together."""

    def __str__(self) -> str:
        """All of it in sentences."""
        made = ", ".join(f"{n} {name}" for name, n in Counter(self.decomposed).items())
        chunk = max(self.budget // self.bytes_per_sample, 1)
        sample, whole = self.bytes_per_sample / 2**20, self.budget / 2**20
        lines = [
            f"{self.gates} gates on {self.simulated_wires} of {self.n_wires} wires run "
            f"as {self.passes} passes ({self.compiled_passes} of them compiled) in "
            f"{self.c_dtype}.",
            "Runs by the native kernels."
            if not self.not_native
            else f"Runs by XLA, not by the native kernels: {self.not_native}.",
            f"Differentiated by {self.differentiation}: {self.reason}.",
            f"Decomposed at each call: {made or 'nothing'}.",
            f"{self.arguments} arrays of numbers may change without compiling again, "
            f"{self.folded} are part of the program.",
            f"A sample takes about {sample:.3g} MiB; chunks of a batch hold {chunk} of "
            f"them, from a budget of {whole:.0f} MiB.",
        ]
        return "\n".join(lines)


def explanation(task: Execution, batch: int | None, read: Reader) -> Explanation:
    """Explains a task and how its tape was read."""
    program, structure = plan(task).program, task.structure
    reversible = task.reversible and program.reversible
    reason = "every pass is unitary, and nothing is kept"
    if not task.reversible:
        reason = "it was asked for"
    elif not program.reversible:
        names = ", ".join(dict.fromkeys(read.not_unitary))
        reason = f"it is not known that these are unitary: {names}"
    return Explanation(
        n_wires=structure.circuit.n_wires,
        simulated_wires=program.n_wires,
        gates=program.n_gates,
        passes=sum(len(stage.steps) * stage.count for stage in program.stages),
        compiled_passes=sum(len(stage.steps) for stage in program.stages),
        decomposed=tuple(read.decomposed),
        differentiation="reversible" if reversible else "backprop",
        reason=reason,
        not_native=why_not_native(task),
        c_dtype=task.c_dtype,
        arguments=len(structure.arguments),
        folded=len(structure.leaves) - len(structure.arguments),
        batch=batch,
        bytes_per_sample=memory.bytes_per_sample(program, task),
        budget=task.budget,
    )
