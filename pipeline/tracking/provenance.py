"""Tags that record the origin of a run: git commit, versions of packages, and user."""

import getpass
import platform
import subprocess
from contextlib import suppress
from functools import cache
from importlib import metadata
from pathlib import Path

PACKAGES = ("numpy", "scipy", "numba", "pandas", "gensim", "hydra-core", "mlflow")


@cache
def provenance_tags() -> dict[str, str]:
    """Return tags: platform; versions of Python and `PACKAGES`; if known, commit and login name."""
    tags = {
        "mlflow.source.name": "pipeline/run.py",
        "mlflow.source.type": "LOCAL",
        "environment.python": platform.python_version(),
        "environment.platform": f"{platform.system()} {platform.machine()}",
        **{f"environment.{package}": metadata.version(package) for package in PACKAGES},
        **git_tags(Path(__file__).parents[2]),
    }
    with suppress(metadata.PackageNotFoundError):  # it is only needed by engine=jax
        tags["environment.jax"] = metadata.version("jax")
    with suppress(OSError, KeyError):  # the user of a container need not have a name
        tags["mlflow.user"] = getpass.getuser()
    return tags


def git_tags(root: Path) -> dict[str, str]:
    """Return tags: ``root``'s git commit, whether tracked files differ from it; {} if unknown."""
    options = ["--porcelain=v2", "--branch", "--untracked-files=no"]
    command = ["git", "-C", str(root), "status", *options]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return {}
    first, *others = done.stdout.splitlines()
    commit = first.removeprefix("# branch.oid ")
    if commit == "(initial)" or not (root / ".git").exists():
        return {}
    changed = any(not line.startswith("#") for line in others)
    return {"mlflow.source.git.commit": commit, "git.changed": str(changed).lower()}
