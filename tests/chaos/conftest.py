"""What the chaos suite shares: its ledger, its seed, a small disk."""

import os
import random
import subprocess

import pytest
from chaos.ledger import Ledger, as_markdown

from qfm_jax.runs.results import add_rows
from qfm_jax.runs.versions import machine_versions

LEDGER = Ledger()
SEED = int(os.environ.get("CHAOS_SEED", "0"))


@pytest.fixture
def faults():
    """Counts what is tried."""
    return LEDGER.faults


@pytest.fixture
def rng(request):
    """Random moments: others in each test, the same for the same seed."""
    return random.Random(f"{SEED} {request.node.name}")


@pytest.fixture
def disk(tmp_path):
    """A disk of 2 MiB of its own; skips where none may be mounted."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(folder)]
    try:
        subprocess.run(command, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("no disk may be mounted here")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def pytest_terminal_summary(terminalreporter):
    rows = list(LEDGER.rows.values())
    if not rows:
        return
    terminalreporter.section(f"faults tried, and what they cost (seed {SEED})")
    terminalreporter.write_line(as_markdown(rows))
    if path := os.environ.get("CHAOS_OUT"):
        versions = machine_versions()
        new = [
            {"cell": {"fault": row.pop("kind"), "seed": SEED}, **row}
            | {"versions": versions}
            for row in map(dict, rows)
        ]
        add_rows(path, "chaos", new)
