"""The benchmark's arithmetic, its memory of what it measured, and one real worker."""

import doctest
import io
import json
import statistics
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pennylane as qml
import pytest
from hypothesis import given
from hypothesis.extra.numpy import arrays
from reference import expectation, state
from rich.console import Console

from qfm_jax._checks import InputError

EXPERIMENTS = Path(__file__).parents[2] / "experiments"
with pytest.MonkeyPatch.context() as patch:
    patch.syspath_prepend(EXPERIMENTS)
    import bench_simulator as bench
    import simulator_peers as peers

CEILINGS = {"gflops": 200.0, "copy_gbs": 50.0}


def row(case="8,4,256", peer=bench.OURS, turn=1, step=0.01, **changes):
    """What a worker's row looks like in the file."""
    return {
        "case": case,
        "peer": peer,
        "turn": turn,
        "first_s": 3.0,
        "step_s": step,
        "times_s": [step] * 3,
        "peak_mib": 500.0,
        "imports_mib": 300.0,
        "gradient_error": 1e-6,
        "platform": "cpu",
        "timeout_s": 150.0,
        **changes,
    }


# -- the worker ------------------------------------------------------------------------


def test_worker_agrees_with_finite_differences_of_dense_matrices():
    reports = []
    job = peers.Job(bench.OURS, "3,1,4", repeats=3)
    found = peers.work(job, reports.append)
    weights, features = peers.inputs(3, 1, 4)

    def loss(vector):
        w, x = vector[:9].reshape(1, 3, 3), vector[9:].reshape(4, 3)
        values = []
        for sample in x:
            ops = [qml.RY(angle, i) for i, angle in enumerate(sample)]
            final = state([*ops, qml.StronglyEntanglingLayers(w, range(3))], 3)
            values += [expectation(final, word) for word in ("ZII", "IZI", "IIZ")]
        return np.mean(np.square(values))

    at, h = np.concatenate([weights.ravel(), features.ravel()]), 1e-4
    steps = h * np.eye(len(at))
    expected = np.array([loss(at + d) - loss(at - d) for d in steps]) / (2 * h)
    gradient = [peers.decode(text) for text in found["gradient"]]
    assert bench.gradient_error(gradient, [expected[:9], expected[9:]]) < 1e-5
    assert len(found["times_s"]) == 3
    assert found["step_s"] == statistics.median(found["times_s"]) < found["first_s"]
    assert found["peak_mib"] >= found["imports_mib"] > 0
    assert "step_s" not in reports[0]  # a row that is cut off keeps its first result
    assert reports[0]["first_s"] == found["first_s"]
    assert found["versions"]["pennylane"] == qml.version()


@pytest.mark.parametrize(
    ("repeats", "budget_s", "expected"), [(0, 10, 0), (5, 10, 5), (5, 0, 2)]
)
def test_slow_peers_make_two_steps(repeats, budget_s, expected):
    def build(weights, features):
        return lambda: (0.0, (weights, features))

    job = peers.Job("any", "3,1,4", repeats, budget_s)
    rows = list(peers.measure(build, np.ones(3), np.ones(2), job))
    assert len(rows[-1].get("times_s", [])) == expected


def test_fastest_variant_counts(monkeypatch):
    def variant(seconds):
        def build(weights, features):
            return lambda: (peers.time.sleep(seconds), (weights, features))

        return lambda: build

    variants = {"slow": variant(0.02), "quick": variant(0), "slower": variant(0.03)}
    monkeypatch.setitem(peers.PEERS, "any", peers.Peer(("numpy",), variants))
    found = peers.work(peers.Job("any", "3,1,4", repeats=2), lambda row: None)
    assert found["variant"] == "quick"
    monkeypatch.setitem(peers.PEERS, "any", peers.Peer(("no-such-package",), variants))
    assert peers.work(peers.Job("any", "3,1,4"), print) == {"error": "not installed"}


@pytest.mark.parametrize(("n", "layers"), [(3, 3), (4, 5), (5, 2)])
def test_rings_are_pennylanes(n, layers):
    op = qml.StronglyEntanglingLayers(np.zeros((layers, n, 3)), range(n))
    pairs = [tuple(part.wires) for part in op.decomposition() if part.name == "CNOT"]
    assert [pair for ring in peers.rings(n, layers) for pair in ring] == pairs
    for i in range(n):
        diagonal = np.diag(qml.matrix(qml.Z(i), wire_order=range(n)))
        assert np.array_equal(peers.signs(n)[:, i], diagonal.real)


@given(arrays(np.float64, (2, 3)))
def test_every_bit_of_a_gradient_is_kept(array):
    assert peers.decode(peers.encode(array)).tobytes() == array.tobytes()


def test_examples():
    assert doctest.testmod(peers).failed == doctest.testmod(bench).failed == 0


@pytest.mark.parametrize("peer", bench.TORCH)
def test_gradients_of_pytorch_are_those_of_dense_matrices(peer):
    pytest.importorskip("torch")
    found = peers.work(peers.Job(peer, "3,1,4", repeats=2), lambda row: None)
    exact = peers.work(peers.Job(bench.EXACT, "3,1,4", repeats=0), lambda row: None)
    gradients = [[peers.decode(g) for g in one["gradient"]] for one in (found, exact)]
    assert bench.gradient_error(*gradients) < 1e-5
    assert found["step_s"] > 0


def test_pytorch_is_compared_with_pytorch():
    options = bench.Options(interface="torch", short=True)
    first = [(peer, turn) for case, peer, turn in bench.plan(options) if case[0] == "4"]
    assert first == [(peer, 1) for peer in bench.TORCH]
    assert bench.output_name(options) == "bench_simulator_torch_short"


# -- arithmetic ------------------------------------------------------------------------


def test_gradient_error_is_the_larger_of_both():
    expected = [np.array([3.0, 4.0]), np.array([0.0, 10.0])]
    found = [np.array([3.0, 4.5]), np.array([0.5, 10.0])]
    assert bench.gradient_error(found, expected) == pytest.approx(0.1)
    assert bench.gradient_error(found[::-1], expected[::-1]) == pytest.approx(0.1)


def test_gradient_of_the_first_samples_scales_with_their_share():
    x = np.arange(1.0, 9.0)  # loss: the mean of x^2
    found, first = [np.zeros(3), 2 * x / 8], [np.ones(3), 2 * x[:2] / 2]
    assert bench.gradient_error(found, first, 2 / 8) < 1e-15
    assert bench.gradient_error(found, first, 1 / 8) == pytest.approx(1)


def test_turns_are_pooled():
    first = row(turn=1, step=0.010, times_s=[0.008, 0.010, 0.011], peak_mib=480.0)
    second = row(turn=2, step=0.012, times_s=[0.012, 0.009, 0.015], first_s=2.5)
    other = row(peer="qujax", step=0.1, imports_mib=450.0)
    merged, alone = bench.merge([first, other, second], CEILINGS)
    assert merged.step_s == pytest.approx(0.0105)  # the median of all six
    assert merged.first_s == 2.5
    assert merged.drift == pytest.approx(0.2)
    assert (merged.peak_mib, merged.above_imports_mib) == (500, 200)
    # 58 x 2^8 flop for 256 samples x 32 rotations; 3 x 2 x 8 bytes x 2^8 for 256 x 4.
    assert merged.product_share == pytest.approx(58 * 2**21 / 0.0105 / 200e9)
    assert merged.copy_share == pytest.approx(48 * 2**18 / 0.0105 / 50e9)
    assert (alone.drift, alone.above_imports_mib) == (None, 50)


def test_double_precision_moves_twice_the_bytes():
    single, double = bench.merge([row(), row(peer=bench.DOUBLE)], CEILINGS)
    assert double.copy_share == pytest.approx(2 * single.copy_share)
    assert double.product_share == single.product_share


def test_what_has_no_step_says_why():
    late = {"case": "8,4,256", "peer": "qujax", "turn": 1, "first_s": 9.0}
    late |= {"error": "over 150 s", "cut_off": True}
    (merged,) = bench.merge([late], CEILINGS)
    assert (merged.error, merged.first_s, merged.step_s) == ("over 150 s", 9, None)


# -- measuring -------------------------------------------------------------------------


def test_ours_come_first_and_last():
    script = Path("any/fused_vqc.py")
    keys = list(bench.plan(bench.Options(script=script)))
    assert len(keys) == len(set(keys))
    for case in bench.CASES:
        order = [(peer, turn) for at, peer, turn in keys if at == case]
        ours = [bench.OURS, bench.XLA, bench.BACKPROP, bench.VMAP, "fused_vqc.py"]
        assert order[:5] == [(peer, 1) for peer in ours]
        assert order[-5:] == [(peer, 2) for peer in ours]
        others = {bench.DOUBLE, bench.DEFAULT, *bench.OTHERS}
        assert {peer for peer, _ in order[5:-5]} == others
    assert sum(case in bench.DEPTH for case, _, _ in keys) == 8
    short = list(bench.plan(bench.Options(short=True)))
    assert short == [
        (case, peer, 1)
        for case in ("4,2,256", "8,4,256")
        for peer in (bench.OURS, bench.XLA, bench.DEFAULT)
    ]


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"cases": ("8,4",)}, "`cases` must be three whole numbers"),
        ({"cases": ("1,4,8",)}, r"at least 2\), layers, batch, but is '1,4,8'"),
        ({"cases": ("8,x,8",)}, "`cases` must be three"),
        ({"peers": ("qujx",)}, "Did you mean 'qujax'"),
        ({"python": ("qujx=/bin/sh",)}, r"Did you mean 'qujax'\? Write PEER=PATH"),
        ({"python": ("qujax=/no/such",)}, "'/no/such' is no file"),
        ({"script": Path("/no/such.py")}, "`script` must be a file"),
    ],
)
def test_bad_options(changes, match):
    with pytest.raises(InputError, match=match):
        bench.check_options(bench.Options(**changes))


@pytest.fixture
def asked(monkeypatch):
    """Answers jobs without a process, and records them."""
    jobs = []

    def answer(job, options, timeout):
        jobs.append(job)
        if job.peer == "ceilings":
            return {**CEILINGS, "copy_gbs": float(len(jobs))}
        said = ("first_s", "step_s", "times_s", "peak_mib", "imports_mib", "platform")
        found = {name: row()[name] for name in said}
        return found | {"gradient": [peers.encode(np.ones(n)) for n in (3, 4)]}

    monkeypatch.setattr(bench, "run", answer)
    return jobs


def names(jobs):
    return [job.peer for job in jobs if job.peer != "ceilings"]


def test_run_writes_everything_and_resumes(asked, tmp_path, capsys, monkeypatch):
    out = tmp_path / "new" / "bench.json"
    command = ["--cases", "8,4,256", "--peers", bench.OURS, "qujax", "--out", str(out)]
    command += ["--python", f"qujax={sys.executable}", "--python", "qfm.statevector="]
    with pytest.raises(InputError, match="name an interpreter"):
        bench.main(command)
    command = command[:-2]
    bench.main(command)
    assert names(asked) == [bench.EXACT, bench.OURS, "qujax", bench.OURS]
    result = json.loads(out.read_text())
    assert [one["gradient_error"] for one in result["rows"]] == [0, 0, 0]
    assert result["ceilings"]["copy_gbs"] == len(asked)  # the better of both
    assert result["rows"][1]["settings"]["python"] == sys.executable
    assert out.with_suffix(".png").read_bytes().startswith(b"\x89PNG")
    assert "all figures of one run" in capsys.readouterr().out
    monkeypatch.setattr(bench, "figures", lambda measured, path: [])
    asked.clear()
    bench.main([*command, "--resume"])
    assert names(asked) == []
    result["rows"][1] |= {"error": "died"}
    out.write_text(json.dumps(result))
    bench.main([*command, "--resume"])
    assert names(asked) == ["qujax"]
    asked.clear()
    bench.main(command)
    assert len(names(asked)) == 4


def test_reference_takes_the_first_samples_of_a_large_batch(asked):
    result = {"references": {}}
    found = bench.reference_of("8,4,4096", result, bench.Options())
    assert asked[0] == peers.Job(bench.EXACT, "8,4,4096", repeats=0, samples=256)
    assert found["samples"] == 256
    bench.reference_of("8,4,4096", result, bench.Options())
    assert len(asked) == 1


def test_rows_are_kept_while_their_settings_are_the_same():
    options = bench.Options()
    done = row(settings=bench.settings(bench.OURS, options))
    assert bench.is_kept(done, options)
    assert not bench.is_kept(done, replace(options, repeats=3))
    stale = {**done, "settings": {**done["settings"], "source": "0"}}
    assert not bench.is_kept(stale, options)
    assert not bench.is_kept({**done, "error": "not installed"}, options)
    late = {**done, "error": "over 150 s", "cut_off": True}
    assert bench.is_kept(late, options)
    assert not bench.is_kept(late, replace(options, timeout=151))


@pytest.fixture
def interpreter(tmp_path):
    """Makes an "interpreter" for qujax out of shell commands."""

    def make(commands):
        path = tmp_path / "python"
        path.write_text(f"#!/bin/sh\n{commands}\n")
        path.chmod(0o755)
        return bench.Options(python=(f"qujax={path}",))

    return make


@pytest.mark.parametrize(
    ("commands", "expected"),
    [
        ("""echo hello; echo '{"step_s": 2}'; echo bye""", {"step_s": 2}),
        ("echo Traceback >&2; echo 'Error: x' >&2; exit 1", {"error": "Error: x"}),
        ("exit 3", {"error": "exit status 3"}),
        (
            """echo '{"first_s": 1}'; printf '{"st'; exec sleep 5""",
            {"first_s": 1, "error": "over 0.3 s", "cut_off": True},
        ),
        ("""echo '{"step_s": 2}'; exec sleep 5""", {"step_s": 2, "cut_off": True}),
    ],
)
def test_what_a_process_says(interpreter, commands, expected):
    job = peers.Job("qujax", "3,1,4")
    assert bench.run(job, interpreter(commands), 0.3) == expected


def test_process_finds_no_compilation_cache(interpreter, monkeypatch):
    monkeypatch.setenv("JAX_ENABLE_X64", "1")
    say = """echo "{\\"is\\": \\"$JAX_ENABLE_COMPILATION_CACHE$JAX_ENABLE_X64\\"}" """
    found = bench.run(peers.Job("qujax", "3,1,4"), interpreter(say), 5)
    assert found == {"is": "false"}


# -- showing ---------------------------------------------------------------------------


def test_series_differ_in_one_number():
    cases = [*bench.CASES, *bench.SWEEP, *bench.DEPTH]
    qubits, depth, batch = (bench.along(i, cases) for i in range(3))
    assert qubits == {"8,4,256": 8, "10,4,128": 10, "12,4,64": 12, "16,4,8": 16}
    assert depth == {"8,4,256": 4, "8,16,256": 16, "8,64,256": 64}
    assert batch == {"8,4,16": 16, "8,4,256": 256, "8,4,1024": 1024, "8,4,4096": 4096}
    assert bench.rest(0, qubits) == "layers 4, batch 256/128/64/8"


def test_table_and_figures(tmp_path):
    cases = ("8,4,256", "12,4,64")
    rows = [row(case, peer) for case in cases for peer in (bench.OURS, "qujax")]
    rows += [{"case": "8,4,256", "peer": "TorchQuantum", "error": "not installed"}]
    measured = bench.merge(rows, CEILINGS)
    console = Console(width=132, record=True, file=io.StringIO())
    console.print(bench.table_of(measured))
    lines = [line for line in console.export_text().splitlines() if "8,4,256" in line]
    assert "10.00" in lines[0]
    assert "1.0e-06" in lines[0]
    assert "not installed" in lines[2]
    paths = bench.figures(measured, tmp_path / "bench.json")
    assert [path.name for path in paths] == ["bench.png", "bench_scaling.png"]
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in paths)
    alone = bench.figures(bench.merge([row()], CEILINGS), tmp_path / "alone.json")
    assert [path.name for path in alone] == ["alone.png"]
