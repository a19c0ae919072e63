"""Test images on an IBM device, rehearsed in Qiskit's local mode on fake backends."""

import dataclasses
import json
import logging
import re

import numpy as np
import pytest
import qiskit_ibm_runtime
from flax import nnx
from qiskit.primitives import StatevectorSampler
from qiskit_aer import AerSimulator
from qiskit_aer.primitives import SamplerV2 as AerSampler
from qiskit_ibm_runtime import SamplerV2, exceptions
from qiskit_ibm_runtime.accounts import management

from qfm_jax._checks import InputError
from qfm_jax.circuits import AngleEmbedding, Circuit, RealAmplitudes
from qfm_jax.deployment import (
    Target,
    batch,
    deploy,
    dry_run,
    model_circuits,
    sample_of,
    submit,
)
from qfm_jax.deployment.account import AccountLookup, result_of
from qfm_jax.deployment.model_circuits import ModelCircuits, images_per_job
from qfm_jax.hardware import backends
from qfm_jax.models import ModelConfig, QuantumLayer
from qfm_jax.runs.model import load_model

TOKEN = "planted-token-4711"
SHOTS = 100


@pytest.fixture
def run(submitted_run):
    return submitted_run


class Stand:
    """A job at IBM: an id that outlives the process, and an end."""

    def __init__(self, job, tag, n):
        self.job, self.tag, self.id, self.end = job, tag, f"ibm-job-{n}", None

    def job_id(self):
        return self.id

    def result(self):
        if self.end is not None:
            raise self.end
        return self.job.result()


def without_noise(sampler, pubs, shots):
    return AerSampler(seed=1).run(pubs, shots=shots)


class Account:
    """IBM's side: takes jobs, runs them, and finds them again."""

    def __init__(self):
        self.jobs, self.ends, self.options, self.pubs = [], {}, [], []
        self.before = self.after = lambda n: None
        self.execute = without_noise

    def run(self, sampler, pubs, shots):
        n = len(self.jobs)
        self.before(n)
        (tag,) = sampler.options.environment.job_tags
        job = Stand(self.execute(sampler, pubs, shots=shots), tag, n)
        job.end = self.ends.get(n)
        self.jobs.append(job)
        self.pubs.append(pubs)
        self.options.append(sampler.options)
        self.after(n)
        return job

    def by_id(self, job_id):
        return next(job for job in self.jobs if job.id == job_id)

    def by_tag(self, tag):
        return next((job for job in self.jobs if job.tag == tag), None)


RUN = SamplerV2.run


@pytest.fixture
def account(monkeypatch):
    account = Account()
    monkeypatch.setattr(
        SamplerV2, "run", lambda self, pubs, *, shots: account.run(self, pubs, shots)
    )
    monkeypatch.setattr(model_circuits, "MOST_IN_A_JOB", 8)
    return account


def sent(run, folder, account=None, **options):
    given = {"shots": SHOTS, "samples": 20, "max_seconds": 30} | options
    return submit(run, "fake_manila", folder=folder, lookup=account, **given)


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_rehearsal_has_the_errors_of_the_device(run, tmp_path, monkeypatch):
    told, ran, transpile = [], [], ModelCircuits.transpiled

    def transpiled(self, backend):  # each time a little differently
        ran.append((self, transpile(self, backend)))
        return ran[-1][1]

    monkeypatch.setattr(ModelCircuits, "transpiled", transpiled)
    found = sent(run, tmp_path, shots=4000, progress=lambda *now: told.append(now))
    assert told == [(0, 20), (20, 20)]
    kept = ["job-0.json", "jobs.json", "lock", "scores.json", "submitted-0.json"]
    assert names(tmp_path) == kept
    assert found.ideal == deploy(run, Target(), samples=20).ideal
    assert found.scores.n_test == 20
    values = json.loads((tmp_path / "job-0.json").read_text())["expectations"]
    model, fake = load_model(run), backends.get_backend("fake_manila")
    features = np.asarray(model.features(sample_of(run, 20).pixels / np.float32(255)))
    ((circuits, isa),) = ran
    pubs = circuits.pubs(features, isa)
    noisy = AerSampler.from_backend(AerSimulator.from_backend(fake), seed=5)
    results = noisy.run(pubs, shots=4000).result()
    expected = circuits.expectations(results, features)
    np.testing.assert_allclose(values, expected, atol=5 * (2 / 4000) ** 0.5)
    assert np.abs(values - np.asarray(model.block(features))).max() > 0.1


WORDS = Circuit(AngleEmbedding(3), RealAmplitudes(3, 1), ("ZII", "XYI", "YXZ"))


@pytest.mark.parametrize(
    ("n_layers", "shape", "per_image"),
    [(1, (4, 3), 3), (2, (4, 6), 6), (1, (2, 2, 2, 3), 12)],
    ids=["three bases", "side by side", "patches"],
)
def test_outcomes_find_their_way_back(n_layers, shape, per_image):
    layers = [QuantumLayer(WORDS, rngs=nnx.Rngs(seed)) for seed in range(n_layers)]
    circuits = ModelCircuits(layers)
    features = np.random.default_rng(0).uniform(0, np.pi, shape).astype(np.float32)
    pubs = circuits.pubs(features, [m.circuits for m in circuits.measurements])
    assert sum(len(angles) for _, angles in pubs) == shape[0] * per_image
    assert circuits.per_image(shape) == per_image
    outcomes = StatevectorSampler(seed=1).run(pubs, shots=20_000).result()
    shares = np.split(features, n_layers, axis=-1)
    parts = [layer(share) for layer, share in zip(layers, shares, strict=True)]
    found = circuits.expectations(outcomes, features)
    np.testing.assert_allclose(found, np.concatenate(parts, axis=-1), atol=0.04)


def test_jobs_are_split_and_each_has_its_limit(run, tmp_path, account):
    told = []
    sent(run, tmp_path, account, max_seconds=20, progress=lambda *n: told.append(n))
    assert [sum(len(a) for _, a in pubs) for pubs in account.pubs] == [8, 8, 4]
    assert told == [(0, 20), (8, 20), (16, 20), (20, 20)]
    limits = [options.max_execution_time for options in account.options]
    assert limits == [8, 8, 4]
    note = json.loads((tmp_path / "submitted-1.json").read_text())
    assert (note["id"], note["backend"]) == ("ibm-job-1", "fake_manila")
    assert (note["first"], note["images"], note["circuits"]) == (8, 8, 8)
    assert (note["shots"], note["limit"]) == (SHOTS, 8)
    assert re.match(r"20\d\d-\d\d-\d\dT.*\+00:00$", note["when"])
    assert note["seconds"] == pytest.approx(8 * SHOTS * 256e-6, rel=0.1)


def test_a_process_killed_while_it_waits_pays_once(run, tmp_path, account):
    account.ends = {1: KeyboardInterrupt()}
    with pytest.raises(KeyboardInterrupt):
        sent(run, tmp_path, account)
    assert len(account.jobs) == 3
    assert {"job-0.json", "submitted-2.json"} <= set(names(tmp_path))
    assert "job-1.json" not in names(tmp_path)
    account.jobs[1].end = None
    account.jobs[0].end = AssertionError("its result is kept")
    words = []
    found = sent(run, tmp_path, account, say=words.append)
    assert len(account.jobs) == 3
    assert found.scores.n_test == 20
    assert words == [f"Waiting for job ibm-job-{n} on fake_manila ..." for n in (1, 2)]
    again = sent(run, tmp_path, account)  # nothing is asked of the account
    assert again.scores == found.scores


def test_a_process_killed_between_two_jobs_sends_the_rest(run, tmp_path, account):
    def kill(n):
        if n == 1:
            raise KeyboardInterrupt

    account.before = kill
    with pytest.raises(KeyboardInterrupt):
        sent(run, tmp_path, account)
    assert len(account.jobs) == 1
    account.before = lambda n: None
    sent(run, tmp_path, account)
    assert len(account.jobs) == 3


def test_a_job_that_arrived_before_its_id_was_written_is_found(run, tmp_path, account):
    def kill(n):
        if n == 1:
            raise KeyboardInterrupt

    account.after = kill
    with pytest.raises(KeyboardInterrupt):
        sent(run, tmp_path, account)
    assert json.loads((tmp_path / "submitted-1.json").read_text())["id"] is None
    account.after = lambda n: None
    sent(run, tmp_path, account)
    assert [job.id for job in account.jobs] == ["ibm-job-0", "ibm-job-1", "ibm-job-2"]
    note = json.loads((tmp_path / "submitted-1.json").read_text())
    assert note["id"] == "ibm-job-1"


@pytest.mark.parametrize(
    ("end", "sentence"),
    [
        (
            exceptions.RuntimeJobFailureError(f"Error code 1517; {TOKEN}"),
            r"Job ibm-job-1 failed with error code 1517\. The results of images 8 to "
            r"15 are missing, all others are kept\. .* remove .*submitted-1.json",
        ),
        (exceptions.RuntimeJobFailureError(TOKEN), r"Job ibm-job-1 failed\. The res"),
        (
            exceptions.RuntimeInvalidStateError(TOKEN),
            "Job ibm-job-1 was cancelled. The results of images 8 to 15 are missing",
        ),
        (
            exceptions.RuntimeJobMaxTimeoutError(TOKEN),
            "took longer than its limit of 12 s of QPU, and .* give more --max-seconds",
        ),
    ],
    ids=["failed", "failed without a code", "cancelled", "too long"],
)
def test_a_lost_job_is_named_and_its_neighbours_stay(
    run, tmp_path, account, end, sentence
):
    account.ends = {1: end}
    with pytest.raises(InputError, match=sentence) as error:
        sent(run, tmp_path, account)
    assert TOKEN not in str(error.value)
    assert {"job-0.json", "job-2.json"} <= set(names(tmp_path))
    with pytest.raises(InputError, match=sentence):
        sent(run, tmp_path, account)
    assert len(account.jobs) == 3
    (tmp_path / "submitted-1.json").unlink()
    assert sent(run, tmp_path, account).scores.n_test == 20
    assert len(account.jobs) == 4


def test_trouble_on_the_way_loses_nothing(run, tmp_path, account):
    account.ends = {0: ConnectionError(TOKEN)}
    with pytest.raises(InputError, match=r"ibm-job-0 gave no answer \(Conn.* goes on"):
        sent(run, tmp_path, account)
    account.jobs[0].end = None
    sent(run, tmp_path, account)
    assert len(account.jobs) == 3


def test_what_cannot_be_sent_leaves_what_was_sent(run, tmp_path, account, monkeypatch):
    def full(n):
        if n == 2:
            raise exceptions.IBMRuntimeError(f"too many jobs, {TOKEN}")

    account.before = full
    monkeypatch.setattr(batch, "is_local", lambda backend: False)
    sentence = r"Job 2 could not be sent \(IBMRuntimeError\)\. .* sends nothing twice"
    with pytest.raises(InputError, match=sentence) as error:
        sent(run, tmp_path, account)
    assert TOKEN not in str(error.value)
    assert {"job-0.json", "job-1.json"} <= set(names(tmp_path))
    account.before = lambda n: None
    sent(run, tmp_path, account)
    assert len(account.jobs) == 3


def test_circuits_that_are_not_the_backend_s_are_refused(run, tmp_path, monkeypatch):
    monkeypatch.setattr(
        ModelCircuits,
        "transpiled",
        lambda self, backend: [m.circuits for m in self.measurements],
    )
    monkeypatch.setattr(batch, "seconds_of", lambda circuits, backend, shots: 0.1)
    with pytest.raises(InputError, match=r"does not take the .* not its own"):
        sent(run, tmp_path)


def test_a_rehearsal_that_was_killed_starts_again(run, tmp_path, account):
    account.ends = {0: KeyboardInterrupt()}
    with pytest.raises(KeyboardInterrupt):
        sent(run, tmp_path)
    sent(run, tmp_path)
    assert len(account.jobs) == 6


def test_two_processes_do_not_send_the_same_jobs(run, tmp_path, account):
    def other(n):
        with pytest.raises(InputError, match=r"is worked on by .* the same command"):
            sent(run, tmp_path, account)

    account.before = other
    sent(run, tmp_path, account)
    assert len(account.jobs) == 3


def test_the_estimate_is_held_against_the_limit_before_anything_is_sent(
    run, tmp_path, account
):
    sentence = (
        r"`max_seconds` must be at least 6, the estimate for 20 circuits x 1,000 shots "
        r"on fake_manila \(seconds = .*\), but is 5\. Take fewer .* nothing was sent"
    )
    with pytest.raises(InputError, match=sentence):
        sent(run, tmp_path, account, shots=1000, max_seconds=5)
    with pytest.raises(InputError, match="`max_seconds` must be at least 3, the"):
        sent(run, tmp_path / "other", account, max_seconds=2)  # a second a job
    assert account.jobs == []


@pytest.mark.parametrize(
    ("backend", "options", "sentence"),
    [
        ("aer", {}, "`backend` must be ibm:NAME, or a fake backend .* is 'aer'"),
        ("fake_manilla", {}, "Did you mean 'fake_manila'"),
        ("fake_armonk", {}, "`backend` must have at least 3 qubits"),
        ("fake_manila", {"shots": 0}, "`shots` must be .* at least 1, but is 0"),
        ("fake_manila", {"shots": 20_000_000}, "`shots` must fit one image .* fewer"),
        (
            "fake_manila",
            {"max_seconds": 0},
            "`max_seconds` must be .* The dry run says",
        ),
        ("fake_manila", {"samples": 361}, "`samples` must be at most 360"),
    ],
)
def test_bad_input(run, tmp_path, backend, options, sentence):
    given = {"shots": SHOTS, "samples": 5, "max_seconds": 9, "folder": tmp_path}
    with pytest.raises(InputError, match=sentence):
        submit(run, backend, **given | options)
    assert not list(tmp_path.glob("submitted-*"))


def test_files_of_another_kind_are_refused(run, tmp_path, account, monkeypatch):
    sent(run, tmp_path, account)
    with pytest.raises(InputError, match="jobs of another evaluation: its shots diff"):
        sent(run, tmp_path, account, shots=7)
    monkeypatch.setattr(model_circuits, "MOST_IN_A_JOB", 10)
    with pytest.raises(InputError, match=r"results of 8 images, and 10 are due"):
        sent(run, tmp_path, account)
    for path in tmp_path.glob("job-*.json"):
        path.unlink()
    with pytest.raises(InputError, match=r"submitted-0.json is of 8 images from nu"):
        sent(run, tmp_path, account)
    (tmp_path / "submitted-0.json").write_text('{"format": 1, "id": "x"}')
    with pytest.raises(InputError, match=r"submitted-0.json is damaged.*paid"):
        sent(run, tmp_path, account)
    assert len(account.jobs) == 3


class Service:
    """A QiskitRuntimeService with one job."""

    def __init__(self):
        self.trouble = None

    def job(self, job_id):
        if self.trouble:
            raise self.trouble
        if job_id != "known":
            raise exceptions.RuntimeJobNotFound(f"{job_id} {TOKEN}")
        return job_id

    def jobs(self, limit, job_tags):
        if self.trouble:
            raise self.trouble
        return ["known"][:limit] if job_tags == ["mine"] else []


def test_an_account_finds_jobs_by_id_and_by_tag():
    service = Service()
    lookup = AccountLookup(service)
    assert (lookup.by_id("known"), lookup.by_tag("mine")) == ("known", "known")
    assert lookup.by_tag("other") is None
    with pytest.raises(InputError, match=r"Job x is not found in your .* that sent"):
        lookup.by_id("x")
    service.trouble = RuntimeError(TOKEN)
    for find in (lookup.by_id, lookup.by_tag):
        with pytest.raises(InputError, match=r"did not answer .*\(Runt") as error:
            find("known")
        assert TOKEN not in str(error.value)


def test_a_result_that_is_empty_is_a_lost_job():
    class Empty:
        def result(self):
            return None

    with pytest.raises(InputError, match="Job mine ended without a result"):
        result_of(Empty(), "mine", 1)


def test_no_token_gets_into_a_file_or_a_log(
    run, tmp_path, monkeypatch, caplog, capfd, account
):
    saved = {
        "channel": "ibm_quantum_platform",
        "token": TOKEN,
        "is_default_account": True,
    }
    path = tmp_path / "home" / "qiskit-ibm.json"
    path.parent.mkdir()
    path.write_text(json.dumps({"default": saved}))
    monkeypatch.setattr(management, "_DEFAULT_ACCOUNT_CONFIG_JSON_FILE", str(path))
    monkeypatch.setenv("QISKIT_IBM_TOKEN", TOKEN)
    caplog.set_level(logging.DEBUG)
    folder = run.directory / "deployments" / "rehearsal"
    words = []
    account.execute = RUN  # in Qiskit's local mode
    account.ends = {1: exceptions.RuntimeJobFailureError(TOKEN)}
    with pytest.raises(InputError) as error:
        sent(run, folder, account, say=words.append)
    words += [str(error.value), dry_run(run, "fake_manila", shots=SHOTS).text]

    def refuse():
        raise RuntimeError(f"bad key {TOKEN}")

    monkeypatch.setattr(qiskit_ibm_runtime, "QiskitRuntimeService", refuse)
    with pytest.raises(
        InputError, match=r"did not answer as it should \(Runt"
    ) as error:
        submit(run, "ibm:ibm_torino", shots=9, max_seconds=9, folder=folder / "ibm")
    words.append(str(error.value))
    files = [path for path in run.directory.rglob("*") if path.is_file()]
    assert folder / "submitted-2.json" in files
    assert not [path for path in files if TOKEN.encode() in path.read_bytes()]
    printed = capfd.readouterr()
    assert TOKEN not in " ".join([*words, caplog.text, printed.out, printed.err])
    assert "Submitting job using options" in caplog.text  # Qiskit's own log is seen


def test_a_dry_run_says_what_it_costs_and_how_to_submit(run, account, monkeypatch):
    found = dry_run(run, "FakeManila", shots=1000, samples=20, seed=3)
    assert account.jobs == []
    assert found.jobs == 3
    assert found.seconds == pytest.approx(20 * 1000 * 256e-6, rel=0.1)
    assert found.max_seconds > found.seconds + 10
    assert found.command == (
        f"qfm evaluate {run.directory} --device fake_manila --shots 1000 --samples 20 "
        f"--seed 3 --submit --max-seconds {found.max_seconds}"
    )
    assert "nothing is sent" in found.text
    assert "20 images x 1 circuits x 1 settings x 1,000 shots in 3 jobs" in found.text
    assert "5 s of QPU, 1% of 10 minutes in 28 days" in found.text
    assert found.text.endswith(found.command)
    assert found.warnings == found.budget.costs[0].warnings
    whole = dry_run(run, "fake_manila", shots=1000)
    assert whole.budget.workload.n_images == 360
    assert "--samples" not in whole.command
    monkeypatch.setattr(
        backends, "_ibm_backend", lambda name: backends.get_backend("fake_torino")
    )
    device = dry_run(run, "ibm:ibm_torino", shots=1000)
    assert "--device ibm:ibm_torino" in device.command


def test_the_dry_run_s_seconds_and_jobs_are_the_submission_s(run, tmp_path, account):
    planned = dry_run(run, "fake_manila", shots=SHOTS, samples=20)
    sent(run, tmp_path, account, max_seconds=planned.max_seconds)
    notes = [json.loads(p.read_text()) for p in tmp_path.glob("submitted-*.json")]
    assert len(notes) == planned.jobs
    seconds = sum(note["seconds"] for note in notes)
    assert seconds == pytest.approx(planned.seconds, rel=0.02)
    assert sum(note["limit"] for note in notes) <= planned.max_seconds


def test_a_dry_run_refuses_what_a_submission_would(run):
    with pytest.raises(InputError, match="`samples` must be at most 360, but is 361"):
        dry_run(run, "fake_manila", shots=1, samples=361)
    with pytest.raises(InputError, match="`shots` must fit one image"):
        dry_run(run, "fake_manila", shots=20_000_000)
    other = dataclasses.replace(
        run, config=dataclasses.replace(run.config, network=ModelConfig())
    )
    with pytest.raises(InputError, match="`RUN` must name a run whose model has a cir"):
        dry_run(other, "fake_manila", shots=1)


def test_the_images_of_a_job_stay_within_the_limits():
    assert images_per_job(1, 4096) == 2441
    assert images_per_job(6, 100) == 833
