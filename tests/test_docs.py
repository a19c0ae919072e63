"""The documentation is built without a warning, and says what the package says."""

import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import pytest

import qfm_jax

pytest.importorskip("sphinx")

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
spec = importlib.util.spec_from_file_location("conf", DOCS / "conf.py")
conf = importlib.util.module_from_spec(spec)
spec.loader.exec_module(conf)


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """The folder of the pages."""
    folder = tmp_path_factory.mktemp("docs")
    command = [sys.executable, "-m", "sphinx", "-qEW", "--keep-going", "-b", "html"]
    doctrees = folder / "doctrees"
    done = subprocess.run(
        [*command, "-d", doctrees, DOCS, folder / "html"],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return folder / "html"


WITH_CODE = sorted(
    path.name for path in DOCS.glob("*.md") if "```python" in path.read_text("utf-8")
)


@pytest.mark.parametrize("page", WITH_CODE)
def test_code_of_the_pages_runs(page, tmp_path, monkeypatch):
    text = (DOCS / page).read_text(encoding="utf-8")
    code = "\n".join(re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL))
    monkeypatch.chdir(tmp_path)
    exec(compile(code, page, "exec"), {"__name__": "page"})


def text_of(page):
    return re.sub("<[^>]+>", "", page.read_text(encoding="utf-8"))


def test_every_page_is_there_and_needs_no_network(built):
    sources = {path.stem for path in DOCS.glob("*.md")}
    assert sources <= {page.stem for page in built.glob("*.html")}
    loads = r'<(?:script|img|link)[^>]+(?:src|href)="(https?:[^"]+)"'
    for page in built.rglob("*.html"):
        assert re.findall(loads, page.read_text(encoding="utf-8")) == [], page


def test_links_within_the_pages_lead_somewhere(built):
    pages = [p for p in built.rglob("*.html") if p.parent.name != "_static"]
    for page in pages:
        text = page.read_text(encoding="utf-8")
        for link in re.findall(r'(?:href|src)="([^"#?]+)', text):
            if ":" not in link:
                assert (page.parent / link).exists(), (page, link)


def test_the_reference_lists_every_public_name_by_the_flow_of_the_data(built):
    page = text_of(built / "reference.html")
    assert [name for name in qfm_jax.__all__ if name not in page] == []
    flow = ["load_dataset", "as_jax_function", "QuantumLayer", "write_report"]
    places = [page.index(name) for name in flow]
    assert places == sorted(places)


def test_every_part_but_the_command_line_has_a_page(built):
    present = {
        path.stem
        for path in (ROOT / "qfm_jax").iterdir()
        if not path.name.startswith(("_", ".")) and path.suffix != ".typed"
    }
    assert present - {"commands", "cli", "files"} == set(conf.PARTS)
    for part in conf.PARTS:
        page = text_of(built / "reference" / f"{part}.html")
        assert all(name[8:] in page for name, _ in conf.modules_of(part))


def test_the_builders_environment_is_not_shown(built):
    parallel = text_of(built / "reference" / "parallel.html")
    assert "= os.environ" in parallel
    assert "environ({" not in parallel


def test_formulas_powers_and_fields_come_out_as_they_are_meant(built):
    blocks = (built / "reference" / "circuits.html").read_text(encoding="utf-8")
    assert "<math" in blocks
    assert "Length of the last axis of the angles that it takes." in blocks


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Up to 2**n, `2**m` and |0...0>.", r"Up to 2\*\*n, `2**m` and \|0...0>."),
        ("An *embedding* takes data_ in.", r"An *embedding* takes data\_ in."),
        (":math:`a_1 *\n b` and x_", ":math:`a_1 *\n b` and x\\_"),
        (">>> 2**3\n8\n\n2**3", ">>> 2**3\n8\n\n2\\*\\*3"),
        ("Words::\n\n    a_ |0>\n\n|1>", "Words::\n\n    a_ |0>\n\n\\|1>"),
        (".. math:: a*b\n   + |c|\n\nd|", ".. math:: a*b\n   + |c|\n\nd\\|"),
    ],
)
def test_markup_is_only_what_is_meant_as_such(text, expected):
    assert "\n".join(conf.escaped(text.split("\n"))) == expected


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md"])
def test_what_a_page_of_the_project_points_to_is_there(name):
    text = (ROOT / name).read_text(encoding="utf-8")
    targets = re.findall(r"\]\(([^)#]+)\)", text)
    targets += re.findall(r"`(docs/[\w-]+\.md)`", text)
    missing = [t for t in targets if "://" not in t and not (ROOT / t).exists()]
    assert missing == []
