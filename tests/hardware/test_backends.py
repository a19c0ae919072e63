"""Backends by name: what there is, what is refused, and that no token gets out."""

import json

import pytest
import qiskit_ibm_runtime
from qiskit.providers.exceptions import QiskitBackendNotFoundError
from qiskit_ibm_runtime.accounts import management

from qfm_jax import InputError
from qfm_jax.hardware.backends import backend_names, canonical_name, get_backend

TOKEN = "planted-token-4711"


@pytest.fixture
def no_account(tmp_path, monkeypatch):
    """A machine on which no account was ever saved; the file where it would be."""
    for name in ("TOKEN", "CHANNEL", "INSTANCE", "URL"):
        monkeypatch.delenv(f"QISKIT_IBM_{name}", raising=False)
    path = tmp_path / "qiskit-ibm.json"
    monkeypatch.setattr(management, "_DEFAULT_ACCOUNT_CONFIG_JSON_FILE", str(path))
    return path


class Service:
    """An account with two devices."""

    def backend(self, name):
        if name != "ibm_torino":
            raise QiskitBackendNotFoundError(name)
        return get_backend("fake_torino")

    def backends(self):
        return [get_backend("fake_torino"), get_backend("fake_fez")]


def test_fake_backends_are_found_by_every_way_of_writing_them():
    names = backend_names()
    assert names == sorted(names)
    assert len(names) > 50
    assert {"aer", "fake_sherbrooke", "fake_torino", "fake_manila"} <= set(names)
    for name in ("fake_manila", "FakeManila", "FakeManilaV2", "fakemanila"):
        assert canonical_name(name) == "fake_manila"
    assert get_backend("FakeSherbrooke", n_qubits=127).num_qubits == 127
    assert get_backend("aer", n_qubits=8).name == "aer_simulator"


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        (
            "fake_sherbroke",
            "`backend` must be 'aer', .* Did you mean 'fake_sherbrooke'",
        ),
        ("FakeTorinno", "is 'FakeTorinno'. Did you mean 'fake_torino'"),
        ("nothing at all", "There are .* without an account"),
        ("ibm:", "must be ibm:NAME for a device, but is 'ibm:'. Write the"),
    ],
)
def test_unknown_names(name, sentence):
    with pytest.raises(InputError, match=sentence):
        get_backend(name)


def test_too_few_qubits():
    with pytest.raises(InputError, match=r"at least 8 .* 'fake_manila', which has 5"):
        get_backend("fake_manila", n_qubits=8)


def test_no_account_says_how_to_save_one(no_account):
    with pytest.raises(
        InputError, match=r"No IBM .* QiskitRuntimeService.save_account"
    ):
        get_backend("ibm:ibm_torino")


@pytest.mark.parametrize("channel", ["ibm_quantum", "ibm_clouds"])
def test_a_wrong_channel_in_the_environment(no_account, monkeypatch, channel):
    monkeypatch.setenv("QISKIT_IBM_CHANNEL", channel)
    monkeypatch.setenv("QISKIT_IBM_TOKEN", TOKEN)
    sentence = f"`QISKIT_IBM_CHANNEL` must be one of .* but is '{channel}'"
    with pytest.raises(InputError, match=sentence) as error:
        get_backend("ibm:ibm_torino")
    assert TOKEN not in str(error.value)


def test_a_saved_account_of_a_channel_that_is_gone(no_account):
    saved = {"channel": "ibm_quantum", "token": TOKEN, "is_default_account": True}
    no_account.write_text(json.dumps({"mine": saved}))
    with pytest.raises(InputError, match="account is not valid: its channel") as error:
        get_backend("ibm:ibm_torino")
    assert TOKEN not in str(error.value)


def test_a_refused_account_repeats_nothing_of_the_answer(no_account, monkeypatch):
    def refuse():
        raise RuntimeError(f"bad key {TOKEN}")

    monkeypatch.setattr(qiskit_ibm_runtime, "QiskitRuntimeService", refuse)
    with pytest.raises(InputError, match=r"did not answer .*RuntimeError") as error:
        get_backend("ibm:ibm_torino")
    assert TOKEN not in str(error.value)
    assert error.value.__suppress_context__  # nor does a traceback


def test_a_device_is_looked_up_by_its_name(no_account, monkeypatch):
    monkeypatch.setattr(qiskit_ibm_runtime, "QiskitRuntimeService", Service)
    assert get_backend("ibm:ibm_torino", n_qubits=8).num_qubits == 133
    with pytest.raises(
        InputError, match=r"of your account, but is 'ibm_torin'. Did you"
    ):
        get_backend("ibm:ibm_torin")
