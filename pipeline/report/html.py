"""Pages that are one file each: nothing in them asks for anything outside."""

import base64
import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.report.sanitize import visible
from w2v.files import written_aside

if TYPE_CHECKING:
    from jinja2 import Environment

TEMPLATES = Path(__file__).parent / "templates"


def _environment() -> "Environment":
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

    return Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        # Whatever a template shows: text that came from outside shows as text.
        finalize=lambda value: (
            visible(value) if isinstance(value, str) and not isinstance(value, Markup) else value
        ),
    )


def write_page(
    path: Path,
    template: str,
    styles: Sequence[str],
    script: str | None = None,
    filters: Mapping[str, Callable[..., Any]] | None = None,
    **values: Any,
) -> None:
    """Fill a template and write the page, whole or not at all.

    Parameters
    ----------
    template, styles, script
        Names of files in ``templates/``. The template shows ``style``, ``script`` and
        ``policy``, which forbids the page every request and every other script.
    filters
        How the template writes figures.
    values
        What else the template shows. Strings are escaped.
    """
    from markupsafe import Markup

    code = "" if script is None else (TEMPLATES / script).read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(code.encode()).digest()).decode()
    policy = (
        "default-src 'none'; img-src data:; style-src 'unsafe-inline'; "
        f"script-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    )
    sheets = "".join((TEMPLATES / name).read_text(encoding="utf-8") for name in styles)
    environment = _environment()
    environment.filters |= filters or {}
    text = environment.get_template(template).render(
        style=Markup(sheets), script=Markup(code), policy=Markup(policy), **values
    )
    with written_aside(path) as aside:
        aside.write_text(text, encoding="utf-8", newline="\n")


def embedded_json(value: Any) -> str:
    """JSON that may stand inside a ``<script>`` element: no character can end it.

    Returns
    -------
    Markup
        Not escaped again by a template.
    """
    from markupsafe import Markup

    text = json.dumps(value, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    for sign in "<>&":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return Markup(text)


def embedded_image(path: Path) -> str:
    """A PNG file as an address that holds the picture itself."""
    return "data:image/png;base64," + base64.b64encode(path.read_bytes()).decode()
