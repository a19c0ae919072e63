"""The API reference names all that is public; formulas and sentences are as meant."""

import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import pytest
from numpy.typing import ArrayLike

import qfm_jax

ROOT = Path(__file__).parents[1]
spec = importlib.util.spec_from_file_location("build_docs", ROOT / "docs" / "build.py")
docs = importlib.util.module_from_spec(spec)
spec.loader.exec_module(docs)


def test_the_first_page_names_every_public_name_in_the_order_of_the_data():
    page = docs.introduction()
    missing = [name for name in qfm_jax.__all__ if f"`qfm_jax.{name}`" not in page]
    assert missing == []
    flow = ["load_dataset", "as_jax_function", "QuantumLayer", "fit", "write_report"]
    places = [page.index(f"`qfm_jax.{name}`") for name in flow]
    assert places == sorted(places)


def test_every_module_but_private_ones_has_a_page():
    shown = docs.modules()
    assert {"qfm_jax", "qfm_jax.reporting.pareto", "qfm_jax.runs.directory"} <= set(
        shown
    )
    assert not [name for name in shown if "._" in name or ".commands" in name]


def test_a_page_of_a_package_has_the_names_of_its_modules():
    file = ROOT / "qfm_jax" / "reporting" / "__init__.py"
    assert {"plot_pareto", "plot_images"} <= set(docs.reexported(file))


def test_formulas_are_found_within_a_line_over_two_and_alone():
    text = (
        "At :math:`a_1`, :math:`b\n    + c`.\n\n    .. math:: d\n        = e\n\n    f"
    )
    found = [match.groups() for match in docs.MATH.finditer(text)]
    assert [inline for inline, *_ in found] == ["a_1", "b\n    + c", None]
    assert found[-1][1:] == ("    ", "d\n        = e")


def test_powers_are_no_bold_text_and_code_is_left_alone():
    text = "Up to 2**n and `2**m`; **bold**.\n    >>> 2**3\n    8"
    assert docs.with_powers(text) == text.replace("2**n", r"2\*\*n")


def test_types_of_arrays_are_written_as_in_code():
    short = docs.short_types(str(ArrayLike | None))
    assert "ArrayLike" in short
    assert "numpy" not in short
    assert docs.short_types("jax.jaxlib._jax.Array") == "jax.Array"


def test_a_missing_package_is_named_with_its_cure(monkeypatch, tmp_path, capsys):
    monkeypatch.setitem(sys.modules, "pdoc", None)
    assert docs.main([str(tmp_path)]) == 2
    assert "qfm_jax[docs]" in capsys.readouterr().err


def test_all_pages_are_written_without_a_warning(tmp_path):
    subprocess.run(
        [sys.executable, ROOT / "docs" / "build.py", tmp_path], check=True, text=True
    )
    assert "plot_pareto" in (tmp_path / "qfm_jax" / "reporting.html").read_text("utf-8")
    pages = {page.stem for page in tmp_path.rglob("*.html")}
    assert {name.rpartition(".")[2] for name in docs.modules()} <= pages


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md"])
def test_what_a_page_of_the_project_points_to_is_there(name):
    text = (ROOT / name).read_text(encoding="utf-8")
    targets = re.findall(r"\]\(([^)#]+)\)", text)
    missing = [t for t in targets if "://" not in t and not (ROOT / t).exists()]
    assert missing == []
