"""What every HTML page is made with: the templates, and figures inside a page."""

import base64
import dataclasses

import jinja2
from matplotlib.figure import Figure

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


def environment() -> jinja2.Environment:
    """The templates of this package; everything put in is escaped."""
    found = jinja2.Environment(
        autoescape=True,
        loader=jinja2.PackageLoader("qfm_jax.reporting", "."),
        lstrip_blocks=True,
        trim_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    found.filters["percent"] = lambda share: f"{100 * share:.1f}"
    return found


def picture(figure: Figure, alt: str) -> Picture:
    """The figure as it stands in a page."""
    content = base64.b64encode(render(figure, "svg")).decode()
    width, height = (round(96 * inches) for inches in figure.get_size_inches())
    return Picture(f"data:image/svg+xml;base64,{content}", alt, width, height)
