"""Qiskit's own service, backend, batch and jobs, up to the calls over the network."""

import json

import pytest
from qiskit.primitives.containers.sampler_pub import SamplerPub
from qiskit_aer.primitives import SamplerV2
from qiskit_ibm_runtime import QiskitRuntimeService
from qiskit_ibm_runtime.api.exceptions import RequestsApiError
from qiskit_ibm_runtime.utils import RuntimeDecoder, RuntimeEncoder

from qfm_jax._checks import InputError
from qfm_jax.deployment import dry_run, model_circuits, submit
from qfm_jax.hardware import backends
from qfm_jax.hardware.backends import get_backend

CRN = "crn:v1:a-name"


class Wire:
    """IBM's servers: what Qiskit's RuntimeClient asks of them, and what they answer."""

    _instance = CRN

    def __init__(self):
        self.fake = get_backend("fake_manila")
        self.sent, self.states, self.sessions, self.closed = [], {}, [], []

    def backend_configuration(self, backend_name, calibration_id=None):
        raw = self.fake._load_json(self.fake.conf_filename)
        return raw | {"backend_name": backend_name}

    def backend_properties(self, name, datetime=None, calibration_id=None):
        return self.fake._load_json(self.fake.props_filename) | {"backend_name": name}

    def backend_status(self, name):
        return {
            "backend_name": name,
            "backend_version": "1.0.0",
            "operational": True,
            "pending_jobs": 0,
            "status_msg": "active",
        }

    def cloud_usage(self):
        return {"usage_limit_seconds": 600, "usage_consumed_seconds": 0}

    def create_session(self, backend, instance, max_time, mode):
        self.sessions.append((backend, instance, max_time, mode))
        return {"id": "session"}

    def close_session(self, session_id):
        self.closed.append(session_id)

    def program_run(self, *, program_id, params, **options):
        # Through JSON, as over the network.
        text = json.dumps(params, cls=RuntimeEncoder)
        self.sent.append((json.loads(text, cls=RuntimeDecoder), options))
        assert program_id == "sampler"
        return {"id": f"job-{len(self.sent) - 1}", "backend": options["backend_name"]}

    def job_get(self, job_id, exclude_params=True):
        n = int(job_id.removeprefix("job-"))
        if n >= len(self.sent):
            error = RequestsApiError("not here")
            error.status_code = 404
            raise error
        state = self.states.get(n, {"status": "Completed"})
        if isinstance(state, BaseException):
            raise state
        return {
            "id": job_id,
            "state": state,
            "backend": self.sent[n][1]["backend_name"],
            "program": {"id": "sampler"},
            "tags": self.sent[n][1]["job_tags"],
        }

    def jobs_get(self, job_tags=None, **_):
        names = [f"job-{n}" for n in range(len(self.sent))]
        jobs = [job for job in map(self.job_get, names) if job["tags"] == job_tags]
        return {"jobs": jobs, "count": len(jobs)}

    def job_results(self, job_id):
        n = int(job_id.removeprefix("job-"))
        if n in self.states:
            return "Traceback: no result"
        pubs = [SamplerPub.coerce(tuple(pub)) for pub in self.sent[n][0]["pubs"]]
        result = SamplerV2(seed=1).run(pubs).result()
        return json.dumps(result, cls=RuntimeEncoder)


@pytest.fixture
def wire(monkeypatch):
    """An account with one device, `ibm_manila`."""
    wire, service = Wire(), object.__new__(QiskitRuntimeService)
    service._active_api_client, service._api_clients = wire, {CRN: wire}
    service._channel, service._backend_configs = "ibm_quantum_platform", {}
    monkeypatch.setattr(
        QiskitRuntimeService,
        "backend",
        lambda self, name: self._create_backend_obj(name, CRN, False),
    )
    monkeypatch.setattr(backends, "_ibm_service", lambda: service)
    monkeypatch.setattr(model_circuits, "MOST_IN_A_JOB", 8)
    return wire


def sent(run, folder, **options):
    given = {"shots": 200, "samples": 20, "max_seconds": 20, "folder": folder}
    return submit(run, "ibm:ibm_manila", **given | options)


pytestmark = pytest.mark.filterwarnings(
    "ignore:The RuntimeOptions class:DeprecationWarning"  # of Qiskit's own use of it
)


def test_jobs_go_in_one_batch_with_limits_and_tags(submitted_run, tmp_path, wire):
    found = sent(submitted_run, tmp_path)
    assert found.scores.n_test == 20
    assert wire.sessions == [("ibm_manila", CRN, None, "batch")]
    assert wire.closed == ["session"]
    options = [options for _, options in wire.sent]
    assert [one["max_execution_time"] for one in options] == [8, 8, 4]
    assert {one["session_id"] for one in options} == {"session"}
    notes = [
        json.loads((tmp_path / f"submitted-{n}.json").read_text()) for n in range(3)
    ]
    assert [note["id"] for note in notes] == ["job-0", "job-1", "job-2"]
    assert [one["job_tags"] for one in options] == [[note["tag"]] for note in notes]
    assert all("simulator" not in params["options"] for params, _ in wire.sent)


def test_killed_jobs_are_attached_by_id_and_by_tag(submitted_run, tmp_path, wire):
    wire.states = {1: KeyboardInterrupt()}
    with pytest.raises(KeyboardInterrupt):
        sent(submitted_run, tmp_path)
    wire.states = {}
    path = tmp_path / "submitted-2.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"id": None}))
    assert sent(submitted_run, tmp_path).scores.n_test == 20
    assert len(wire.sent) == 3
    assert json.loads(path.read_text())["id"] == "job-2"


@pytest.mark.parametrize(
    ("state", "sentence"),
    [
        (
            {"status": "Failed", "reason": "bad", "reason_code": 1517},
            "Job job-1 failed with error code 1517",
        ),
        ({"status": "Failed"}, r"Job job-1 failed\."),
        ({"status": "Cancelled"}, "Job job-1 was cancelled"),
        (
            {"status": "Cancelled", "reason": "long", "reason_code": 1305},
            "Job job-1 took longer than its limit of 8 s",
        ),
    ],
)
def test_ends_without_a_result(submitted_run, tmp_path, wire, state, sentence):
    wire.states = {1: state}
    with pytest.raises(InputError, match=sentence):
        sent(submitted_run, tmp_path)
    assert (tmp_path / "job-2.json").exists()
    assert not (tmp_path / "job-1.json").exists()


def test_a_job_of_another_account_is_not_paid_again(submitted_run, tmp_path, wire):
    wire.states = {0: KeyboardInterrupt()}
    with pytest.raises(KeyboardInterrupt):
        sent(submitted_run, tmp_path)
    wire.states, wire.sent = {}, []
    with pytest.raises(InputError, match=r"Job job-0 is not found in your IBM Quantum"):
        sent(submitted_run, tmp_path)
    assert wire.sent == []


def test_a_dry_run_asks_for_the_device_and_sends_nothing(submitted_run, wire):
    found = dry_run(submitted_run, "ibm:ibm_manila", shots=200)
    assert found.budget.costs[0].backend == "ibm_manila"
    assert "--device ibm:ibm_manila --shots 200 --submit" in found.command
    assert wire.sent == wire.sessions == []
