"""The command that started the program, and the folder of the settings files."""

import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
"""The folder that holds ``pipeline`` and ``w2v``: the checkout, or where they are installed."""

CONF = next(path for path in (ROOT / "pipeline" / "conf", ROOT / "conf") if path.is_dir())
"""The folder of the settings files: ``conf`` in a checkout, ``pipeline/conf`` if installed."""


def command(python: str = "python") -> list[str]:
    """Return how the user started the program: ``["w2v"]``, or `python` and the script's path."""
    return ["w2v"] if Path(sys.argv[0]).stem == "w2v" else [python, os.path.relpath(sys.argv[0])]


def command_line() -> str:
    """Return the command that starts this program, as help and error messages show it."""
    return "w2v" if command() == ["w2v"] else "python pipeline/run.py"
