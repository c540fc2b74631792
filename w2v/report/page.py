"""Write HTML pages from templates. Each page is one file that loads no other files."""

import base64
import hashlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from w2v.errors import sanitize
from w2v.files import written_aside

TEMPLATES = Path(__file__).parent / "templates"


def write_page(
    path: Path,
    template: str,
    styles: Sequence[str],
    script: str | None = None,
    filters: Sequence[Callable[..., str]] = (),
    **values: Any,
) -> None:
    """Fill a template and write the page. If this fails, an existing page is unchanged.

    Parameters
    ----------
    template, styles, script
        Names of files in ``templates/``: the page, its style sheets and its JavaScript.
    filters
        Functions that the template can use as Jinja filters, under their names.
    values
        The variables of the template. In strings that are not ``Markup``, harmful characters are
        replaced (`w2v.errors.sanitize`) and HTML is escaped. The template also gets ``style`` and
        ``script``, the content of the style sheets and of the JavaScript, and ``policy``, a
        Content-Security-Policy that forbids all requests and all other scripts.
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=lambda value: (
            sanitize(value) if isinstance(value, str) and not isinstance(value, Markup) else value
        ),
    )
    environment.filters |= {function.__name__: function for function in filters}
    style = "".join((TEMPLATES / name).read_text(encoding="utf-8") for name in styles)
    code = "" if script is None else (TEMPLATES / script).read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(code.encode()).digest()).decode()
    policy = (
        "default-src 'none'; img-src data:; style-src 'unsafe-inline'; "
        f"script-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    )
    text = environment.get_template(template).render(
        style=Markup(style), script=Markup(code), policy=Markup(policy), **values
    )
    with written_aside(path) as aside:
        aside.write_text(text, encoding="utf-8", newline="\n")


def embedded_json(value: Any) -> str:
    """Return a value as JSON for a ``<script>`` element, marked as safe for the template.

    No text inside the value can end the element, because ``<``, ``>`` and ``&`` are escaped.
    """
    from markupsafe import Markup

    text = json.dumps(value, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    for sign in "<>&":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return Markup(text)


def embedded_image(path: Path) -> str:
    """Return a PNG file as a ``data:`` URL."""
    return "data:image/png;base64," + base64.b64encode(path.read_bytes()).decode()
