"""Tags that say what produced a run: the commit, the versions of the packages, the user."""

import getpass
import platform
import subprocess
from contextlib import suppress
from importlib import metadata
from pathlib import Path

ROOT = Path(__file__).parents[2]

PACKAGES = ("numpy", "scipy", "numba", "pandas", "gensim", "hydra-core", "mlflow")
"""Packages whose versions are recorded."""


def provenance_tags() -> dict[str, str]:
    """Return the tags of a run that starts now; the name of the host is not among them."""
    tags = {"mlflow.source.name": "pipeline/run.py", "mlflow.source.type": "LOCAL"}
    with suppress(OSError, KeyError):  # the user of a container need not have a name
        tags["mlflow.user"] = getpass.getuser()
    tags |= git_tags(ROOT)
    tags["environment.python"] = platform.python_version()
    tags["environment.platform"] = f"{platform.system()} {platform.machine()}"
    for package in PACKAGES:
        tags[f"environment.{package}"] = metadata.version(package)
    return tags


def git_tags(root: Path) -> dict[str, str]:
    """Return the commit of a checkout, and whether tracked files differ from it.

    Nothing is returned where ``root`` is not the top of a git repository, or git is missing.
    """

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(root), *arguments]
        result = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True)
        return result.stdout

    try:
        prefix, commit = git("rev-parse", "--show-prefix", "HEAD").split("\n")[:2]
        if prefix:  # the project is installed inside the checkout of another one
            return {}
        changed = git("status", "--porcelain", "--untracked-files=no")
    except (OSError, ValueError, subprocess.SubprocessError):
        return {}
    return {"mlflow.source.git.commit": commit, "git.changed": str(bool(changed)).lower()}
