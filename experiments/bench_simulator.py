"""How fast does qfm.statevector train a circuit, next to other simulators?

Question: RY angle embedding, L strongly entangling layers, all <Z_i>, loss = mean of
    squares: how long does a cold process take to the first value and gradient (in
    weights and features), how long a step, how much memory, how exact is it, how far
    from what the machine could do?

Command:  python experiments/bench_simulator.py --script PATH --timeout 400
        --python TorchQuantum=PATH --python qujax=PATH ...
    --python names the interpreter of a peer that this Python lacks ("not installed").
    --interface torch: PyTorch on this device, default.qubit and lightning.qubit.
    --resume continues a run that was stopped. `make bench` runs the form --short.

Expected: about an hour on 2 cores, most of it in the peers' compilers (default.qubit
    needs 4 minutes at 8 qubits and 16 layers: the reason for --timeout 400); 2 minutes
    with --short.

Each peer runs each case in a process of its own, without a compilation cache
(`simulator_peers.py`). Ours come first and again last in each case: their steps are
pooled, and how far the two medians lie apart is the drift. Gradients are checked
against lightning.qubit's adjoint method in double precision. The ceilings (matrix
product, copy) are measured at the start and the end of the run; the better one counts.
"""

import hashlib
import json
import os
import statistics
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import tyro
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from rich.console import Console
from rich.table import Table
from simulator_peers import PEERS, Job, decode

from qfm_jax._checks import check_one_of, input_error
from qfm_jax.cli import in_sentences
from qfm_jax.files import write_json
from qfm_jax.runs.versions import machine_versions

HERE = Path(__file__).parent
CPP = (".hpp", ".cpp", ".txt")
CASES = ("4,2,256", "8,4,256", "10,4,128", "12,4,64", "16,4,8", "8,16,256")
DEPTH = {"12,64,64": "12,4,64", "8,64,256": "8,4,256"}
"""Deep cases, which only ours run, and the shallow ones that they are compared with."""
SWEEP = ("8,4,16", "8,4,1024", "8,4,4096")
GPU = ("8,4,4096", "12,4,4096", "16,4,256", "20,4,16", "24,2,1")
OURS, XLA, BACKPROP, VMAP, DOUBLE = (name for name in PEERS if name.startswith("qfm."))
DEFAULT, FULL, EXACT = "default.qubit", "default.qubit float32", "lightning.qubit"
OTHERS = (EXACT, "PennyLane-PyTorch", "TensorCircuit-NG", "TorchQuantum", "qujax")
IN_TORCH = "PyTorch on qfm.statevector"
ONE_MEAN = ("one mean", "one mean on lightning.qubit")
"""Of one sample, with the gradient in the weights alone: for states of many qubits."""
TORCH = (OURS, IN_TORCH, "PennyLane-PyTorch", "PyTorch on lightning.qubit")
"""Ours in JAX and in PyTorch, and default.qubit and lightning.qubit in PyTorch."""
REFERENCE_SAMPLES = 256
"""Of larger batches only the first samples' gradient in the features is checked."""


@dataclass(frozen=True)
class Options:
    """What to measure."""

    short: bool = False
    """Two cases, ours (once) and default.qubit."""
    gpu: bool = False
    """Cases for a GPU: batches of 4,096 and up to 24 qubits."""
    interface: Literal["jax", "torch"] = "jax"
    """The library that trains; "torch" needs PyTorch: `make test-torch`."""
    sweep: bool = False
    """Other batches too, for the figure against the batch."""
    cases: tuple[str, ...] = ()
    """Cases "qubits,layers,batch", instead of the usual ones."""
    peers: tuple[str, ...] = ()
    """Peers, instead of the usual ones."""
    python: tyro.conf.UseAppendAction[tuple[str, ...]] = ()
    """PEER=PATH: the interpreter of a peer's process; may be given again."""
    script: Path | None = None
    """A script with `circuit(n, layers, g)`, as one more peer."""
    repeats: int = 15
    """Steps, of which the median is reported."""
    budget_s: float = 10.0
    """Seconds of steps after which no other one starts (2 are always made)."""
    timeout: float = 150.0
    """Seconds that a peer gets for a case."""
    resume: bool = False
    """Keep what the output file holds from the same settings."""
    out: Path | None = None
    """JSON file to write, figures beside it; one in `results/` where left out."""


@dataclass(frozen=True)
class Timing:
    """What a peer needs for a case; None where it was not measured."""

    case: str
    """Numbers "qubits,layers,batch"."""
    peer: str
    """Its name."""
    error: str | None = None
    """Why there is no step: "not installed", "over 150 s", or the exception."""
    first_s: float | None = None
    """From the imports to the first value and gradient; the shorter of two turns."""
    step_s: float | None = None
    """Median of the steps of all turns."""
    drift: float | None = None
    """By how much the longer turn's median exceeds the shorter one's."""
    peak_mib: float | None = None
    """Peak memory of the process; the larger of two turns."""
    above_imports_mib: float | None = None
    """The same without what the process held after its imports."""
    gradient_error: float | None = None
    """Norm of the error relative to the gradient's; the larger of both gradients."""
    product_share: float | None = None
    """Least work's share of the rate of the machine's matrix product."""
    copy_share: float | None = None
    """Least traffic's share of the rate of the machine's copy."""
    platform: str | None = None
    """Where it ran: "cpu" or JAX's name of another one."""


def main(argv: Sequence[str] | None = None) -> None:
    options = tyro.cli(Options, args=argv, description=__doc__)
    check_options(options)
    out = options.out or HERE / "results" / f"{output_name(options)}.json"
    out.parent.mkdir(parents=True, exist_ok=True)
    console = Console(width=max(Console().width, 132))
    result = measure(options, out, console)
    measured = merge(result["rows"], result["ceilings"])
    result["summary"] = [asdict(one) for one in measured]
    write_json(out, result)
    console.print(table_of(measured))
    console.print("Written:", out, *figures(measured, out))


def output_name(options: Options) -> str:
    """A short run or one on a GPU does not overwrite the long one."""
    form = "_short" if options.short else "_gpu" if options.gpu else ""
    library = "_torch" if options.interface == "torch" else ""
    return f"bench_simulator{library}{form}"


# -- measuring -------------------------------------------------------------------------


def check_options(options: Options) -> None:
    """Raises InputError for a case, a peer or an interpreter that cannot be."""
    for case in options.cases:
        numbers = case.split(",")
        whole = [int(x) if x.isdecimal() else 0 for x in numbers]
        if len(whole) != 3 or whole[0] < 2 or min(whole) < 1:
            must = "be three whole numbers: qubits (at least 2), layers, batch"
            raise input_error("cases", must, f"is {case!r}", "Example: 8,4,256.")
    for pair in options.python:
        peer, _, path = pair.partition("=")
        check_one_of("python", peer, PEERS, "Write PEER=PATH.")
        if not Path(path).is_file():
            raise input_error("python", "name an interpreter", f"{path!r} is no file")
    for peer in options.peers:
        check_one_of("peers", peer, PEERS)
    if options.script is not None and not options.script.is_file():
        raise input_error("script", "be a file", f"is {options.script}")


def plan(options: Options) -> Iterator[tuple[str, str, int]]:
    """(case, peer, turn) in the order of measuring: ours first, and again last."""
    cases = options.cases or (GPU if options.gpu else CASES)
    peers = options.peers or (OURS, XLA, BACKPROP, VMAP, DOUBLE, DEFAULT, *OTHERS)
    if options.interface == "torch":
        cases = options.cases or (CASES[:2] if options.short else CASES)
        peers = options.peers or TORCH
    elif options.short:
        cases = options.cases or CASES[:2]
        peers = options.peers or (OURS, XLA, DEFAULT)
    elif options.gpu:
        peers = options.peers or (OURS, BACKPROP, DEFAULT, FULL)
    script = [options.script.name] if options.script is not None else []
    again = (OURS, XLA, BACKPROP, VMAP, IN_TORCH)
    twice = [peer for peer in peers if peer in again] + script
    once = [peer for peer in peers if peer not in twice]
    for case in dict.fromkeys((*cases, *(SWEEP if options.sweep else ()))):
        yield from ((case, peer, 1) for peer in (*twice, *once))
        yield from ((case, peer, 2) for peer in twice if not options.short)
    for case, shallow in DEPTH.items():
        if shallow in cases and not (options.short or options.cases):
            ours = [peer for peer in twice if peer in (OURS, BACKPROP)]
            yield from ((case, peer, turn) for turn in (1, 2) for peer in ours)


def measure(options: Options, out: Path, console: Console) -> dict[str, Any]:
    """All rows, written as they come; the ceilings before and after."""
    result: dict[str, Any] = {"rows": [], "references": {}, "ceilings": {}}
    if options.resume and out.exists():
        result |= json.loads(out.read_text())
    result |= {"versions": machine_versions(accelerator=False)}
    result["rows"] = [row for row in result["rows"] if is_kept(row, options)]
    for case, known in list(result["references"].items()):
        if isinstance(known, dict) and known["gradient"] is None:  # it failed: again
            del result["references"][case]
    done = {(row["case"], row["peer"], row["turn"]) for row in result["rows"]}
    missing = [key for key in plan(options) if key not in done]
    add_ceilings(result)
    for case, peer, turn in missing:
        known = None if peer in ONE_MEAN else reference_of(case, result, options)
        found = run(peer_job(peer, case, options), options, options.timeout)
        row = {"case": case, "peer": peer, "turn": turn, **found}
        row |= {"settings": settings(peer, options), "timeout_s": options.timeout}
        gradient = row.pop("gradient", None)
        if peer in ONE_MEAN and gradient is not None:
            row |= agreed(gradient, case, result)
        elif gradient is not None and known is not None:
            row |= checked(gradient, known, numbers_of(case)[2])
        result["rows"].append(row)
        write_json(out, result)
        console.print(f"{case:>10}  {peer:<26} {told(row)}", highlight=False)
    if missing:
        add_ceilings(result)
    return result


def told(row: Mapping[str, Any]) -> str:
    """A row in a few words."""
    if "step_s" not in row:
        return str(row.get("error"))
    step, first = 1e3 * row["step_s"], row["first_s"]
    return f"first {first:.2f} s, step {step:.2f} ms, {row['peak_mib'] or 0:.0f} MiB"


def peer_job(peer: str, case: str, options: Options) -> Job:
    script = options.script
    if script is not None and peer == script.name:
        peer = str(script.resolve())
    return Job(peer, case, options.repeats, options.budget_s)


def run(job: Job, options: Options, timeout: float) -> dict[str, Any]:
    """The row of a job in a fresh process."""
    python = dict(pair.split("=", 1) for pair in options.python).get(job.peer)
    worker = str(HERE / "simulator_peers.py")
    command = [python or sys.executable, worker, json.dumps(asdict(job))]
    environment = {**os.environ, "PYTHONWARNINGS": "ignore"}
    environment["JAX_ENABLE_COMPILATION_CACHE"] = "false"
    environment.pop("JAX_ENABLE_X64", None)
    try:
        done = subprocess.run(
            command, capture_output=True, env=environment, timeout=timeout
        )
    except subprocess.TimeoutExpired as late:
        found = last_row(late.stdout or b"")
        late_row = {} if "step_s" in found else {"error": f"over {timeout:g} s"}
        return {**found, **late_row, "cut_off": True}
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip().splitlines()
        return {"error": said[-1] if said else f"exit status {done.returncode}"}
    return last_row(done.stdout)


def last_row(output: bytes) -> dict[str, Any]:
    """The last whole line that is a row; peers may print other things."""
    lines = output.decode(errors="replace").split("\n")[:-1]
    rows = [line for line in lines if line.startswith("{")]
    return json.loads(rows[-1]) if rows else {}


def add_ceilings(result: dict[str, Any]) -> None:
    """Measures the ceilings; the higher ones stay."""
    found, known = run(Job("ceilings"), Options(), 300), result["ceilings"]
    if "error" in found:
        raise SystemExit(f"The ceilings cannot be measured: {found['error']}")
    result["ceilings"] = {
        name: max(found[name], known.get(name, 0)) for name in ("gflops", "copy_gbs")
    }


def reference_of(
    case: str, result: dict[str, Any], options: Options
) -> dict[str, Any] | None:
    """lightning.qubit's gradient, kept in the result; None where it has none."""
    if case not in result["references"]:
        samples = min(numbers_of(case)[2], REFERENCE_SAMPLES)
        job = Job(EXACT, case, repeats=0, samples=samples)
        found = run(job, options, 4 * options.timeout)
        reference = {"samples": samples, "gradient": found.get("gradient")}
        result["references"][case] = reference
    known = result["references"][case]
    return None if known["gradient"] is None else dict(known)


def agreed(
    gradient: Sequence[str], case: str, result: dict[str, Any]
) -> dict[str, Any]:
    """How far a gradient lies from the first one of `ONE_MEAN`."""
    first = result["references"].setdefault(f"{case}, one mean", gradient)
    error = gradient_error([decode(gradient[0])], [decode(first[0])])
    return {} if first is gradient else {"gradient_error": error}


def checked(
    gradient: Sequence[str], reference: Mapping[str, Any], batch: int
) -> dict[str, Any]:
    """The gradient's error, or that it is not finite."""
    error = gradient_error(
        [decode(g) for g in gradient],
        [decode(g) for g in reference["gradient"]],
        reference["samples"] / batch,
    )
    if not np.isfinite(error):
        return {"error": "the gradient is not finite"}
    return {"gradient_error": error, "gradient_samples": reference["samples"]}


def gradient_error(
    found: Sequence[np.ndarray], expected: Sequence[np.ndarray], share: float = 1
) -> float:
    """The larger of both gradients' errors, relative to their norm.

    Args:
        found: Flat gradients in weights and features.
        expected: The same, of the first samples alone.
        share: Their share of the batch. Below 1 only the features' gradient is
            compared: the loss being a mean, it scales with that share.
    """
    pairs = list(zip(found, expected, strict=True))
    if share < 1:
        features, few = pairs[1]
        pairs = [(features[: len(few)], few * share)]
    return max(float(np.linalg.norm(a - b) / np.linalg.norm(b)) for a, b in pairs)


def settings(peer: str, options: Options) -> dict[str, Any]:
    """What a row depends on, down to the code that is ours."""
    if options.script is not None and peer == options.script.name:
        sources = [options.script]
    elif "qfm." in peer:
        folder = HERE.parent / "qfm_jax" / "simulator"
        sources = sorted(p for p in folder.rglob("*") if p.suffix in (".py", *CPP))
    else:
        sources = []
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in sources))
    return {
        "repeats": options.repeats,
        "budget_s": options.budget_s,
        "python": dict(p.split("=", 1) for p in options.python).get(peer, "own"),
        "source": digest.hexdigest()[:12] if sources else None,
    }


def is_kept(row: Mapping[str, Any], options: Options) -> bool:
    """Whether a row need not be measured again: same settings, and no failure.

    A row that was cut off stays unless the timeout is longer now.
    """
    if row.get("settings") != settings(row["peer"], options):
        return False
    if row.get("cut_off"):
        return bool(row["timeout_s"] >= options.timeout)
    return "error" not in row


# -- judging ---------------------------------------------------------------------------


def merge(
    rows: Sequence[Mapping[str, Any]], ceilings: Mapping[str, float]
) -> list[Timing]:
    """One entry for each case and peer, in the order of the rows."""
    keys = list(dict.fromkeys((row["case"], row["peer"]) for row in rows))
    return [
        merge_turns(
            [row for row in rows if (row["case"], row["peer"]) == key], ceilings
        )
        for key in keys
    ]


def merge_turns(
    rows: Sequence[Mapping[str, Any]], ceilings: Mapping[str, float]
) -> Timing:
    """The turns of a peer in a case."""
    case, peer = rows[0]["case"], rows[0]["peer"]
    error = next((row["error"] for row in rows if "error" in row), None)
    first = min((row["first_s"] for row in rows if "first_s" in row), default=None)
    timed = [row for row in rows if "step_s" in row]
    if not timed:
        return Timing(case, peer, error, first)
    steps = [row["step_s"] for row in timed]
    step = statistics.median(time for row in timed for time in row["times_s"])
    flop, traffic = least(case, 16 if peer == DOUBLE else 8)
    sized = [row for row in timed if row["peak_mib"] is not None]
    above = [row["peak_mib"] - row["imports_mib"] for row in sized]
    errors = [row["gradient_error"] for row in timed if "gradient_error" in row]
    return Timing(
        case,
        peer,
        error,
        first,
        step,
        max(steps) / min(steps) - 1 if len(steps) > 1 else None,
        max((row["peak_mib"] for row in sized), default=None),
        max(above, default=None),
        max(errors, default=None),
        flop / step / 1e9 / ceilings["gflops"],
        traffic / step / 1e9 / ceilings["copy_gbs"],
        timed[0]["platform"],
    )


def numbers_of(case: str) -> tuple[int, int, int]:
    """Qubits, layers and batch of a case."""
    n, layers, batch = map(int, case.split(","))
    return n, layers, batch


def least(case: str, itemsize: int) -> tuple[float, float]:
    """The least work (flop) and traffic (bytes) of a value and gradient.

    Work: an adjoint pass does 58 x 2^n flop for each sample and rotation. Traffic: each
    layer reads and writes the state once on the way forward and, since state and
    cotangent go back together, twice on the way back: 3 x 2 x itemsize x 2^n bytes a
    sample. A program that does without some of it (the first layer acts on a product
    state) may exceed a share of 1.

    Example:
        >>> least("8,4,256", 8)
        (121634816.0, 12582912.0)
    """
    n, layers, batch = numbers_of(case)
    amplitudes = float(2**n * batch * layers)
    return 58 * n * amplitudes, 6 * itemsize * amplitudes


# -- showing ---------------------------------------------------------------------------


def table_of(measured: Sequence[Timing]) -> Table:
    """A row for each case and peer."""
    table = Table(title="Value and gradient, all figures of one run")
    for column in ("case", "peer"):
        table.add_column(column, no_wrap=True)
    table.add_column("first s", justify="right")
    table.add_column("step ms", justify="right", no_wrap=True)
    for column in ("drift", "x ours", "MiB", "above imports"):
        table.add_column(column, justify="right")
    for column in ("gradient error", "of product", "of copy"):
        table.add_column(column, justify="right")
    ours = {one.case: one.step_s for one in measured if one.peer == OURS}
    for one in measured:
        step, base = one.step_s, ours.get(one.case)
        table.add_row(
            one.case,
            one.peer,
            shown(one.first_s, ".2f"),
            one.error if step is None else shown(1e3 * step, ".2f"),
            shown(one.drift, ".0%"),
            shown(step / base if step and base else None, ".1f"),
            shown(one.peak_mib, ".0f"),
            shown(one.above_imports_mib, ".0f"),
            shown(one.gradient_error, ".1e"),
            shown(one.product_share, ".1%"),
            shown(one.copy_share, ".1%"),
        )
    return table


def shown(value: float | None, form: str) -> str:
    return "" if value is None else format(value, form)


PANELS = {
    "step_s": "step, s",
    "first_s": "first result, s",
    "product_share": "least work / rate of the matrix product",
    "copy_share": "least traffic / rate of the copy",
}
SCALING = {
    "step_s": "step, s",
    "first_s": "first result, s",
    "peak_mib": "peak memory, MiB",
}
AXES = ("qubits", "layers", "batch")
MARKERS = "os^vDPX*<>phd8H|_"
BLUES = ("navy", "royalblue", "deepskyblue", "lightsteelblue")


def figures(measured: Sequence[Timing], path: Path) -> list[Path]:
    """Draws all peers by case, and against qubits, depth and batch where they vary."""
    cases = list(dict.fromkeys(one.case for one in measured))
    on_gpu = any(one.platform not in (None, "cpu") for one in measured)
    others = DEPTH if on_gpu else (*DEPTH, *SWEEP)
    usual = [case for case in cases if case not in others]
    places = {case: float(place) for place, case in enumerate(usual)}
    figure = Figure(figsize=(13, 8), layout="constrained")
    panels = zip(figure.subplots(2, 2).flat, PANELS.items(), strict=True)
    for axes, (name, title) in panels:
        draw(axes, name, places, measured)
        axes.set(title=title, xlabel="qubits, layers, batch")
        axes.set_xticks(list(places.values()), usual)
    paths = [save(figure, path.with_suffix(".png"))]
    series = {i: along(i, cases) for i in range(3)}
    series = {i: places for i, places in series.items() if len(places) > 1}
    if series:
        size = (4 + 4 * len(series), 10)
        figure = Figure(figsize=size, layout="constrained")
        grid = figure.subplots(len(SCALING), len(series), squeeze=False)
        for row, (name, title) in zip(grid, SCALING.items(), strict=True):
            for axes, (i, places) in zip(row, series.items(), strict=True):
                draw(axes, name, places, measured)
                axes.set(title=title, xlabel=f"{AXES[i]} ({rest(i, places)})")
                if i > 0:
                    axes.set_xscale("log", base=2)
                ticks = list(places.values())
                axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks], minor=False)
        paths.append(save(figure, path.with_name(f"{path.stem}_scaling.png")))
    return paths


def along(i: int, cases: Sequence[str]) -> dict[str, float]:
    """The longest series of cases that differ in number i alone: case -> number.

    Against qubits the batch may differ too, as it does in the usual cases; of each
    number of qubits the first case is taken.
    """
    series: dict[tuple[int, ...], dict[int, str]] = {}
    for case in cases:
        numbers = numbers_of(case)
        others = (numbers[1],) if i == 0 else (*numbers[:i], *numbers[i + 1 :])
        series.setdefault(others, {}).setdefault(numbers[i], case)
    longest = max(series.values(), key=len, default={})
    return {longest[number]: float(number) for number in sorted(longest)}


def rest(i: int, cases: Iterable[str]) -> str:
    """What the cases have in common, in words."""
    values = zip(*map(numbers_of, cases), strict=True)
    return ", ".join(
        f"{name} {'/'.join(map(str, dict.fromkeys(each)))}"
        for j, (name, each) in enumerate(zip(AXES, values, strict=True))
        if j != i
    )


def draw(
    axes: Axes, name: str, places: Mapping[str, float], measured: Sequence[Timing]
) -> None:
    """A line for each peer through its cases; ours in blue."""
    for peer in dict.fromkeys(one.peer for one in measured):
        own = {one.case: getattr(one, name) for one in measured if one.peer == peer}
        known = [case for case in places if own.get(case) is not None]
        i, is_ours = [*PEERS, peer].index(peer), peer.startswith("qfm.")
        axes.semilogy(
            [places[case] for case in known],
            [own[case] for case in known],
            marker=MARKERS[i],
            markersize=5,
            linewidth=2 if is_ours else 1,
            linestyle="-" if is_ours else "--",
            color=BLUES[i] if is_ours else f"C{i - len(BLUES) + 1}",
            label=peer,
        )
    axes.grid(alpha=0.3)


def save(figure: Figure, path: Path) -> Path:
    """Writes the figure, its legend beside the panels."""
    handles, labels = figure.axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside right upper")
    figure.savefig(path, dpi=110)
    return path


if __name__ == "__main__":
    sys.exit(in_sentences(main))
