"""How the program was started, and where its files of settings are."""

import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
"""The folder of the packages: the checkout, or where they are installed."""

CONF = next(path for path in (ROOT / "pipeline" / "conf", ROOT / "conf") if path.is_dir())
"""The files of settings. The checkout has them at its top level, a wheel inside the package."""


def command(python: str = "python") -> list[str]:
    """Return the words that start the program as the user did: ``w2v``, or Python and a script."""
    return ["w2v"] if Path(sys.argv[0]).stem == "w2v" else [python, os.path.relpath(sys.argv[0])]


def command_line() -> str:
    """Return what help and messages call the program."""
    return "w2v" if command() == ["w2v"] else "python pipeline/run.py"
