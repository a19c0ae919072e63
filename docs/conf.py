"""How Sphinx makes the documentation: `make docs`, into build/docs.

The pages need no network: formulas become MathML, which browsers draw themselves. A
warning ends the build.
"""

import ast
import inspect
import re
import sys
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import Any

from latex2mathml.converter import convert
from pennylane.typing import TensorLike
from pennylane.wires import WiresLike
from sphinx.util.typing import stringify_annotation

DOCS = Path(__file__).parent
PACKAGE = DOCS.parent / "qfm_jax"
sys.path.insert(0, str(DOCS))  # for Sphinx, which imports this file

project = "qfm_jax"
html_title = "qfm_jax"
author = copyright = "qfm_jax's authors"
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
html_theme = "sphinx_book_theme"
html_theme_options = {
    "show_toc_level": 2,
    "use_download_button": False,
    "navbar_persistent": [],  # the side bar has the search
    "footer_content_items": [],
}
html_static_path = ["_static"]
html_css_files = ["pages.css"]
html_show_copyright = False
html_math_renderer = "mathml"
myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 3
default_role = "code"  # `x` in a docstring is code
highlight_language = "text"  # of blocks that name none; `>>>` is Python anyway
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
toc_object_entries_show_parents = "hide"
autodoc_preserve_defaults = True  # `os.environ` by its name, not by what is in it
autodoc_default_options = {
    "members": True,
    "no-value": True,
    # scikit-learn writes these, with links into its own documentation.
    "exclude-members": "set_fit_request, set_predict_request, set_score_request",
}
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_rtype = False
exclude_patterns = ["_build"]
suppress_warnings = ["myst.header"]

PARTS = (
    *("data", "circuits", "simulator", "devices", "parallel", "hardware", "models"),
    *("training", "estimators", "descriptors", "evaluation", "runs", "deployment"),
    *("audit", "reporting"),
)
"""The parts that have a page, by the flow of the data."""


def setup(app: Any) -> None:
    """Sphinx calls this."""
    app.add_html_math_renderer("mathml", (_inline, None), (_block, None))
    app.connect("builder-inited", lambda app: write_reference(Path(app.srcdir)))
    # Before and after Napoleon, which takes what stands before a colon in the text of a
    # field for the field's type.
    app.connect("autodoc-process-docstring", _remember, priority=400)
    app.connect("autodoc-process-docstring", _escape, priority=600)
    app.connect("autodoc-process-signature", _shorten)
    app.connect("autodoc-skip-member", _skip_foreign)


# -- the reference ---------------------------------------------------------------------


def write_reference(docs: Path) -> None:
    """Writes a page for each part, and one that lists them with their public names."""
    folder = docs / "reference"
    folder.mkdir(exist_ok=True)
    names = public_names()
    lines = [
        "# Reference",
        "",
        "All names below are imported from `qfm_jax` itself. Figures come from the",
        "functions `plot_*` of `qfm_jax.reporting`. `qfm_jax.InputError` says in a",
        "sentence what is wrong with an argument.",
        "",
        "| part | what it holds | public names |",
        "|---|---|---|",
    ]
    for part in PARTS:
        modules = list(modules_of(part))
        own = ", ".join(f"`{name}`" for name in names.pop(part, []))
        summary = first_line(modules[0][1])
        lines.append(f"| [{part}](reference/{part}.rst) | {summary} | {own} |")
        title = f"{part}\n{'=' * len(part)}\n\n"
        blocks = [f".. automodule:: {name}\n" for name, _ in modules]
        short = [name.removeprefix("qfm_jax.") for name, _ in modules]
        heads = [f"{name}\n{'-' * len(name)}\n\n" for name in short]
        text = "\n".join(h + b for h, b in zip(heads, blocks, strict=True))
        _write(folder / f"{part}.rst", title + text)
    assert not names, f"PARTS lacks {', '.join(names)}"
    toc = [
        "",
        "```{toctree}",
        ":hidden:",
        "",
        *(f"reference/{p}" for p in PARTS),
        "```",
    ]
    _write(docs / "reference.md", "\n".join([*lines, *toc, ""]))


def _write(path: Path, text: str) -> None:
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        path.write_text(text, encoding="utf-8")


def first_line(path: Path) -> str:
    """The first line of a module's docstring."""
    found = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
    return (found or "").splitlines()[0]


def modules_of(part: str) -> Iterator[tuple[str, Path]]:
    """The modules of a part, with their files: all but private ones."""
    if (PACKAGE / f"{part}.py").exists():
        yield f"qfm_jax.{part}", PACKAGE / f"{part}.py"
        return
    yield f"qfm_jax.{part}", PACKAGE / part / "__init__.py"
    for path in sorted((PACKAGE / part).glob("*.py")):
        if not path.name.startswith("_"):
            yield f"qfm_jax.{part}.{path.stem}", path


def public_names() -> dict[str, list[str]]:
    """The public names by the part of the package that they come from."""
    names: dict[str, list[str]] = {}
    stub = (PACKAGE / "__init__.pyi").read_text(encoding="utf-8")
    for node in ast.parse(stub).body:
        if isinstance(node, ast.ImportFrom):
            part = str(node.module).partition(".")[0]
            if part != "_checks":
                names.setdefault(part, []).extend(alias.name for alias in node.names)
    return names


# -- how docstrings are read -----------------------------------------------------------


_FIELDS: dict[str, list[str]] = {}


def _remember(
    app: Any, what: str, name: str, obj: Any, options: Any, lines: list[str]
) -> None:
    if what in ("attribute", "property", "data"):
        _FIELDS[name] = list(lines)


def _escape(
    app: Any, what: str, name: str, obj: Any, options: Any, lines: list[str]
) -> None:
    lines[:] = escaped(_FIELDS.get(name, lines))


def _shorten(
    app: Any,
    what: str,
    name: str,
    obj: Any,
    options: Any,
    signature: str | None,
    returns: str | None,
) -> tuple[str | None, str | None]:
    """Writes the names of types that Python has replaced by their long unions."""
    for alias, union in {"TensorLike": TensorLike, "WiresLike": WiresLike}.items():
        long = stringify_annotation(union, "smart")
        signature = signature and signature.replace(long, alias)
        returns = returns and returns.replace(long, alias)
    return signature, returns


def _skip_foreign(
    app: Any, what: str, name: str, obj: Any, is_skipped: bool, options: Any
) -> bool | None:
    """Skips imported functions before autodoc reads them: it stumbles over SciPy's."""
    module = getattr(obj, "__module__", None) or "qfm_jax"
    is_foreign = inspect.isfunction(obj) and not module.startswith("qfm_jax")
    return True if is_foreign else None


def escaped(lines: list[str]) -> list[str]:
    """Keeps powers, bras and names from being markup; code and formulas are left."""
    kinds, is_code, formula = [], False, None
    for line in lines:
        text = line.lstrip()
        indent = len(line) - len(text)
        if formula is not None and text and indent <= formula:
            formula = None
        if text.startswith(".. ") or text.rstrip().endswith("::"):
            formula = indent
        is_code = bool(text) and (is_code or text.startswith(">>>"))
        kinds.append(is_code or formula is not None)
    found: list[str] = []
    for is_kept, run in groupby(zip(kinds, lines, strict=True), lambda pair: pair[0]):
        text = "\n".join(line for _, line in run)
        found += (text if is_kept else _outside_code(text)).split("\n")
    return found


KEPT = re.compile(r"(:\w+:`[^`]*`|`[^`]*`|(?<![\w*])\*\w[\w -]*\*(?![\w*]))")
"""Formulas, code, and a word or two in italics."""


def _outside_code(text: str) -> str:
    parts = KEPT.split(text)
    markup = re.compile(r"(?<!\\)([*|])|(?<=\w)(_)(?!\w)")
    parts[::2] = [markup.sub(r"\\\1\2", part) for part in parts[::2]]
    return "".join(parts)


# -- formulas --------------------------------------------------------------------------


def _inline(writer: Any, node: Any) -> None:
    writer.body.append(convert(node.astext()))
    _skip()


def _block(writer: Any, node: Any) -> None:
    writer.body.append(f"<p>{convert(node.astext(), display='block')}</p>")
    _skip()


def _skip() -> None:
    from docutils.nodes import SkipNode

    raise SkipNode
