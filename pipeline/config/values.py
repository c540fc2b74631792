"""Convert settings to YAML text, and nested settings to one dictionary with dotted keys."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from w2v.manifest_differences import flat

NOT_IDENTITY = ("tracking", "outputs", "cache", "ray", "search", "report", "plan")
"""Top-level keys of settings that do not change a run's scores, such as where it is recorded. They
are not among its parameters in MLflow, and a grid sweep cannot vary them."""


def as_yaml(value: Any) -> str:
    """Format a value as in YAML: ``null``, ``[a, b]``; blank or unprintable text is quoted."""
    if value is None or isinstance(value, bool):
        return "null" if value is None else str(value).lower()
    if isinstance(value, list):
        return f"[{', '.join(map(as_yaml, value))}]"
    return str(value) if str(value).isprintable() and str(value).strip() else repr(value)


def yaml_page(settings: Mapping[str, Any]) -> str:
    """Return settings as YAML: the text of ``OmegaConf.to_yaml``, made faster with libyaml."""
    return yaml.dump(
        settings, Dumper=_Dumper, default_flow_style=False, allow_unicode=True, sort_keys=False
    )


class _Dumper(getattr(yaml, "CSafeDumper", yaml.SafeDumper)):  # type: ignore[misc]
    """A YAML dumper that quotes strings that OmegaConf would read as numbers, such as ``1e-4``."""


def _represent_text(dumper: Any, text: str) -> yaml.ScalarNode:
    style = "'" if _NUMBER.fullmatch(text) else None
    node: yaml.ScalarNode = dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)
    return node


_NUMBER = re.compile(r"[-+]?[0-9_.]+([eE][-+]?[0-9]+)?|[-+]?\.?(inf|nan)", re.IGNORECASE)
_Dumper.add_representer(str, _represent_text)


def flatten(settings: Mapping[str, Any], without: Sequence[str] = ()) -> dict[str, Any]:
    """Flatten nested settings to ``{"model.dim": 100}``; omit keys in `without` and those below."""
    left_out = tuple(f"{key}." for key in without)
    return {key: one for key, one in flat(settings).items() if not f"{key}.".startswith(left_out)}
