"""What every HTML page is made with: the templates, and figures inside a page."""

import base64
import dataclasses
import hashlib
from importlib.resources import files
from pathlib import Path
from typing import Any

import jinja2
from matplotlib.figure import Figure

from .._checks import InputError
from ..evaluation import percent
from ..files import write_whole
from .style import render


@dataclasses.dataclass(frozen=True)
class Picture:
    """A figure inside the page."""

    uri: str
    """The SVG file as a `data:` address."""
    alt: str
    """What it shows, for those who do not see it."""
    width: int
    """Width in CSS pixels."""
    height: int
    """Height in CSS pixels."""


def write_page(path: Path, template: str, content: dict[str, Any]) -> None:
    """Writes a page that needs nothing else; an older one at `path` is replaced.

    Raises:
        InputError: If `path` cannot be written.
    """
    templates = _templates()
    script = files("qfm_jax.reporting").joinpath("templates", "page.js").read_text()
    text = templates.get_template(template).render(
        content, script=script, policy=_policy(script)
    )
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, text.encode())
    except OSError as error:
        raise InputError(
            f"The report {path} cannot be written: {error.strerror}. "
            "Choose another path."
        ) from error


def picture(figure: Figure, alt: str) -> Picture:
    """The figure as it stands in a page."""
    content = base64.b64encode(render(figure, "svg")).decode()
    width, height = (round(96 * inches) for inches in figure.get_size_inches())
    return Picture(f"data:image/svg+xml;base64,{content}", alt, width, height)


def _policy(script: str) -> str:
    """A browser fetches nothing for the page, and runs its own script alone."""
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return (
        "default-src 'none'; img-src data:; style-src 'unsafe-inline'; "
        f"script-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    )


def _templates() -> jinja2.Environment:
    """The templates of this package; everything put in is escaped."""
    found = jinja2.Environment(
        autoescape=True,
        loader=jinja2.PackageLoader("qfm_jax.reporting", "templates"),
        lstrip_blocks=True,
        trim_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    found.filters["percent"] = percent
    return found
