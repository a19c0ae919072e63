"""The docstrings -> the API reference, as pages that need no network.

python docs/build.py [FOLDER]      build/docs where left out; `make docs` calls it

The first page lists the public names by the flow of the data: the README's picture and
tree, with the names that the stub `qfm_jax/__init__.pyi` has of each module. Warnings
are errors.
"""

import ast
import importlib
import re
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
MATH = re.compile(r":math:`([^`]+)`|^( *)\.\. math:: (.+(?:\n\2 +\S.*)*)", re.MULTILINE)
"""A formula within a line, or one of its own that may go on in indented lines."""


def introduction() -> str:
    """The text of the first page, in Markdown."""
    flow, _ = _blocks()
    lines = []
    for part, summary, names in parts():
        links = ", ".join(f"`qfm_jax.{name}`" for name in names)
        lines.append(f"- `qfm_jax.{part}`: {summary}" + (links and f"  \n  {links}"))
    return "\n".join(
        [
            "Quantum, hybrid and classical image classifiers, side by side.",
            "",
            "Data moves in one direction; so do the imports, and so does this list.",
            "",
            f"```text\n{flow}```",
            "",
            *lines,
            "",
            "All names below are imported from `qfm_jax` itself. Figures come from the",
            "functions `plot_*` of `qfm_jax.reporting`. `qfm_jax.InputError` says in a",
            "sentence what is wrong with an argument.",
        ]
    )


def parts() -> list[tuple[str, str, list[str]]]:
    """The parts of the package in the README's order: name, summary, public names."""
    _, tree = _blocks()
    names, found = public_names(), []
    for line in tree.split("experiments/")[0].splitlines()[1:]:
        file, summary = line.split(maxsplit=1)
        part = file.removesuffix("/").removesuffix(".py")
        found.append((part, summary, names.pop(part, [])))
    if names:
        raise SystemExit(f"README.md's tree does not name {', '.join(names)}.")
    return found


def _blocks() -> list[str]:
    """The README's picture of the flow, and its tree."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    return re.findall(r"```\n(images -data.*?|qfm_jax/\n.*?)```", readme, re.DOTALL)


def public_names() -> dict[str, list[str]]:
    """The public names by the part of the package that they come from."""
    names: dict[str, list[str]] = {}
    for module, name in _imports(ROOT / "qfm_jax" / "__init__.pyi"):
        part = module.partition(".")[0]
        if part != "_checks":
            names.setdefault(part, []).append(name)
    return names


def modules() -> list[str]:
    """The modules that are shown: all but private ones and the command line's."""
    found = ["qfm_jax"]
    for path in sorted((ROOT / "qfm_jax").rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        parts = parts[:-1] if parts[-1] == "__init__" else parts
        is_private = any(part.startswith("_") for part in parts)
        if len(parts) > 1 and not is_private and parts[1] != "commands":
            found.append(".".join(parts))
    return found


def reexported(file: Path) -> list[str]:
    """The names that a package has of its modules, for its own page."""
    return [name for _, name in _imports(file)]


def _imports(file: Path) -> Iterator[tuple[str, str]]:
    """(module, name) of each name that a file imports from beside it."""
    for node in ast.parse(file.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.ImportFrom) and node.level:
            for alias in node.names:
                yield node.module or "", alias.name


def to_markdown(docstring: str) -> str:
    """A docstring as pdoc's Markdown: powers as they are, formulas as MathML."""
    from pdoc.docstrings import google

    return google(with_mathml(with_powers(docstring)))


def with_powers(docstring: str) -> str:
    """Keeps powers such as 2**n from being bold; code is left alone."""

    def kept(match: re.Match[str]) -> str:
        return match[0] if match[1] else r"\*\*"

    return re.sub(
        r"(`[^`]*`|^ *(?:>>>|\.\.\.).*$)|(?<=\w)\*\*(?=\w)",
        kept,
        docstring,
        flags=re.MULTILINE,
    )


def with_mathml(docstring: str) -> str:
    """The docstring with its formulas as MathML, which browsers draw themselves."""
    from latex2mathml.converter import convert

    def drawn(match: re.Match[str]) -> str:
        inline, indent, block = match.groups()
        if inline:
            return convert(inline.replace("\n", " "))
        return f"{indent}{convert(' '.join(block.split()), display='block')}"

    return MATH.sub(drawn, docstring)


def short_types(annotation: str) -> str:
    """Writes the types of arrays as one does in code."""
    from numpy.typing import ArrayLike

    members = str(ArrayLike).removeprefix("typing.Union[").removesuffix("]")
    short = annotation.replace(members, "ArrayLike")
    return short.replace("jax.jaxlib._jax.Array", "jax.Array")


def build(folder: Path) -> None:
    """Writes the pages of the whole package."""
    import pdoc.doc
    import pdoc.render

    import qfm_jax

    written = pdoc.doc.formatannotation
    pdoc.doc.formatannotation = lambda annotation: short_types(written(annotation))
    pdoc.render.env.filters["to_markdown"] = to_markdown
    pdoc.render.configure(
        docformat="google",
        include_undocumented=False,
        show_source=False,
        footer_text=f"qfm_jax {qfm_jax.__version__}",
    )
    names = [name for *_, names in parts() for name in names]
    names.append("InputError")
    vars(qfm_jax)["__all__"] = names  # in the order of the page
    vars(qfm_jax).update({name: getattr(qfm_jax, name) for name in names})  # lazy
    shown = {}
    for name in modules():
        module = importlib.import_module(name)
        if hasattr(module, "__path__") and module is not qfm_jax:
            vars(module)["__all__"] = reexported(Path(str(module.__file__)))
        shown[name] = pdoc.doc.Module(module)
    assert shown["qfm_jax"].members  # reads the stub, and takes the stub's docstring
    shown["qfm_jax"].docstring = introduction()
    for name, page in shown.items():
        place = folder / f"{name.replace('.', '/')}.html"
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(pdoc.render.html_module(page, shown), encoding="utf-8")
    index, search = pdoc.render.html_index(shown), pdoc.render.search_index(shown)
    (folder / "index.html").write_text(index, encoding="utf-8")
    (folder / "search.js").write_text(search, encoding="utf-8")


def main(argv: list[str] | None = None) -> int:
    """0 if the pages are there, 2 where a package is missing."""
    arguments = sys.argv[1:] if argv is None else argv
    folder = Path(arguments[0]) if arguments else ROOT / "build" / "docs"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            # The type of optax's states refers to itself, which pdoc cannot follow.
            warnings.filterwarnings("ignore", ".*ForwardRef.'ArrayTree'")
            # A TypedDict forgets its bases, so that pdoc cannot name an entry's origin.
            warnings.filterwarnings("ignore", ".*_records[.].* is taken from")
            build(folder)
    except ModuleNotFoundError as error:
        print(
            f"The API reference needs {error.name}, which is not installed. `make docs`"
            " installs it; so does pip install 'qfm_jax[docs]'.",
            file=sys.stderr,
        )
        return 2
    print(f"Written: {folder / 'index.html'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
