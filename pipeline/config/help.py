"""Generate the text of ``--help``: each setting with its meaning, type, limits and default."""

import re
import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, fields, is_dataclass
from itertools import takewhile
from pathlib import Path
from typing import get_type_hints

from pipeline.config.program import CONF, command_line
from pipeline.config.settings import Config
from pipeline.config.values import as_yaml
from w2v.settings import describe

WIDTH, COLUMN = 100, 36
"""The width of the help in characters, and where its second column begins."""

TEMPLATE = {
    "app_name": "w2v",
    "header": "word2vec as experiments: tokenize → vocab → train → evaluate, tracked in MLflow.",
    "footer": """\
Values are set as key=value, choices as group=name; -m runs every combination of lists:
  {command}
  {command} loss=softmax corpus=files corpus.path=my.txt train.epochs=3
  {command} -m loss=negsample,softmax model.window=2,5,10 'seed=range(3)'
--cfg job shows the settings of a command without running it, --hydra-help Hydra's own options.
Compare the runs: mlflow ui --backend-store-uri sqlite:///outputs/mlflow.db
""",
}
"""The program's name, and the start and the end of ``--help``; ``{command}`` is a placeholder."""


def help_text(groups: Mapping[str, Mapping[str, type]]) -> str:
    """Return the text of ``--help`` for Hydra; `groups[group][choice]` is a class of settings."""
    lines = [TEMPLATE["header"], ""]
    lines += [f"Usage: {command_line()} [group=name ...] [key=value ...]"]
    sections = {
        key: {"": kind}
        for key, kind in get_type_hints(Config).items()
        if key not in groups and isinstance(kind, type) and is_dataclass(kind)
    }
    for group, kinds in {**groups, **sections, "experiment": {}}.items():
        lines += ["", group]
        texts = {name: list(settings_of(kind, f"{group}.")) for name, kind in kinds.items()}
        first = next(iter(texts.values()), [])
        shared = [line for line in first if all(line in other for other in texts.values())]
        for path in sorted((CONF / group).glob("*.yaml")):
            lines += entry(f"  {group}={path.stem}", meaning(path))
            for left, right in texts.get(path.stem, ()):
                if (left, right) not in shared:
                    lines += entry(f"    {left}", right)
        for left, right in shared:
            lines += entry(f"  {left}", right)
    lines += ["", "the whole experiment"]
    for left, right in settings_of(Config, ""):
        lines += entry(f"  {left}", right)
    # The text is a template of Python's string.Template.
    footer = TEMPLATE["footer"].replace("{command}", command_line())
    return "\n".join([*lines, "", footer]).replace("$", "$$")


def meaning(path: Path) -> str:
    """Return the first sentence of the comments at the top of a file in ``conf/``."""
    comments = takewhile(lambda line: line.startswith("#"), path.read_text().split("\n"))
    lines = [line.removeprefix("# ") for line in comments]
    text = " ".join(line for line in lines if not line.startswith(("@package", "python ")))
    return re.split(r"(?<!al)[.?] (?=[A-Z]|$)", text + " ")[0].strip()


def settings_of(kind: type, prefix: str) -> Iterator[tuple[str, str]]:
    """Yield two texts for each setting of a class: ``key=default``, ``meaning (values allowed)``.

    The key is ``<prefix><setting>`` or, in a nested class, ``<prefix><field>.<setting>``. If there
    is no default, or an empty one, the first text is just the key. An example of `prefix` is
    ``loss.``; if `prefix` is empty, nested classes are left out: the help has a section for each.
    """
    made = {field.name: field for field in fields(kind)}
    for one in describe(kind):
        field = made[one.name]
        default = field.default if field.default_factory is MISSING else field.default_factory()
        value = "" if default in (MISSING, "", [], {}) else f"={as_yaml(default)}"
        yield f"{prefix}{one.name.rstrip('_')}{value}", f"{one.meaning} ({one.allowed})"
    for name, hint in get_type_hints(kind).items():
        if name in made and prefix and isinstance(hint, type) and is_dataclass(hint):
            yield from settings_of(hint, f"{prefix}{name}.")


def entry(left: str, right: str) -> list[str]:
    """Format a help entry in two columns, and return its lines."""
    rows = [f"{' ' * COLUMN}{line}" for line in textwrap.wrap(right, WIDTH - COLUMN)]
    if len(left) >= COLUMN or not rows:
        return [left, *rows]
    return [left + rows[0][len(left) :], *rows[1:]]
