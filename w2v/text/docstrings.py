"""A source of documents: the docstrings of installed packages."""

import ast
import hashlib
import sys
import sysconfig
import textwrap
import warnings
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from importlib import metadata
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from w2v.hashes import content_sha256
from w2v.settings import SettingError
from w2v.text.blocks import Block
from w2v.text.sources import Border, documents_to_blocks

STANDARD_LIBRARY = "stdlib"
SKIPPED_FOLDERS = {"site-packages", "tests", "test", "idlelib", "lib2to3", "_vendor"}
DOCUMENTING_CALLS = {"add_newdoc", "add_newdoc_for_scalar_type"}
"""The functions by which NumPy and SciPy give docstrings to their compiled functions."""


@dataclass(frozen=True)
class PyDocs:
    """A source of the docstrings of installed Python packages, one document per docstring.

    The source files are parsed; packages are not imported. `SKIPPED_FOLDERS`, such as those of
    tests, are left out, as are doctests and their output. If several docstrings are equal, only
    the first is used: packages repeat some docstrings hundreds of times.

    Parameters
    ----------
    packages
        Names of installed distributions, such as ``scikit-learn``, or ``stdlib`` for the standard
        library.
    workers
        The number of processes that parse the source files.
    """

    packages: Sequence[str]
    workers: int = field(default=1, compare=False)

    def documents(self) -> Iterator[str]:
        """Yield each docstring as a document, package by package and file by file.

        Within a file, outer docstrings come before nested ones.

        Raises
        ------
        SettingError
            A package is not installed, or none of its Python files is found.
        """
        return (text for text, _ in self._documents())

    def blocks(
        self,
        border: Border | None = None,  # noqa: ARG002 (docstrings are short: none is cut)
        limit: int | None = None,
    ) -> Iterator[Block]:
        """Yield the docstrings in blocks of UTF-8 text, each of many whole docstrings.

        Parameters
        ----------
        border
            Not used: it would say where a long document may be cut, and none is cut.
        limit
            Stop after this many documents that are not only white space; None: read all.

        Raises
        ------
        SettingError
            A package is not installed, or none of its Python files is found.
        """
        return documents_to_blocks(self._documents(), limit)

    def _documents(self) -> Iterator[tuple[str, float]]:
        files = [file for package in self.packages for file in self._files(package)]
        seen: set[bytes] = set()
        pool = ProcessPoolExecutor(self.workers, mp_context=get_context("spawn"))
        try:
            parsed = pool.map(file_docstrings, files, chunksize=32)
            for number, docstrings in enumerate(parsed, start=1):
                for text in docstrings:
                    digest = hashlib.blake2b(text.encode(), digest_size=16).digest()
                    if digest not in seen:
                        seen.add(digest)
                        yield text, number / len(files)
        finally:
            # If no more documents are wanted, or after an error, the other files are not parsed.
            pool.shutdown(cancel_futures=True)

    def fingerprint(self) -> dict[str, Any]:
        """Return a JSON-serializable dict that changes when the installed packages change.

        It contains the package names in the order of `packages`, and a string for each package. For
        the standard library, this is the version of Python. For any other package, it is the
        SHA-256 of the file RECORD, in which pip lists the package's files and their hashes, or, if
        there is no such file, the SHA-256 of the package's Python files.

        Raises
        ------
        SettingError
            A package is not installed, or has no RECORD and none of its Python files is found.
        """
        prints = {}
        for package in self.packages:
            if package == STANDARD_LIBRARY:
                content = sys.version
            else:
                record = distribution(package).read_text("RECORD")
                content = (
                    hashlib.sha256(record.encode()).hexdigest()
                    if record
                    else content_sha256(self._files(package))
                )
            prints[package] = content
        return {"packages": [*self.packages], "releases": prints}

    @staticmethod
    def _files(package: str) -> list[Path]:
        """Return the Python files of a package; raise a `SettingError` if there are none."""
        if package == STANDARD_LIBRARY:
            root = Path(sysconfig.get_path("stdlib"))
            files = [path.relative_to(root) for path in root.rglob("*.py")]
        else:
            found = distribution(package)
            root = Path(str(found.locate_file("")))
            files = [Path(str(file)) for file in found.files or () if file.suffix == ".py"]
        kept = (root / file for file in files if not SKIPPED_FOLDERS & set(file.parts))
        paths = sorted(path for path in kept if path.is_file())
        if not paths:
            wanted = "a package with Python files; none is among its installed files"
            raise SettingError(PyDocs, "packages", package, wanted)
        return paths


def distribution(package: str) -> metadata.Distribution:
    """Return the installed distribution called `package`.

    Raises
    ------
    SettingError
        No such distribution is installed.
    """
    try:
        return metadata.distribution(package)
    except (metadata.PackageNotFoundError, ValueError):  # ValueError: an empty name
        wanted = f"the name of an installed package, as pip shows it, or {STANDARD_LIBRARY}"
        raise SettingError(PyDocs, "packages", package, wanted) from None


def file_docstrings(path: Path) -> list[str]:
    """Return the docstrings in a Python file, without doctests; [] if it cannot be read or parsed.

    Docstrings that NumPy and SciPy set by a call of ``add_newdoc`` are included.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the package's own syntax warnings
            tree = ast.parse(path.read_bytes())
    except (SyntaxError, ValueError, OSError, RecursionError, MemoryError):
        return []
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    texts = []
    for node in ast.walk(tree):
        if isinstance(node, documented):
            texts.append(ast.get_docstring(node) or "")
        elif isinstance(node, ast.Call) and getattr(node.func, "id", "") in DOCUMENTING_CALLS:
            literals = (n.value for n in ast.walk(node) if isinstance(n, ast.Constant))
            texts.extend(textwrap.dedent(s) for s in literals if isinstance(s, str) and " " in s)
    # An escape in a literal may stand for half of a surrogate pair, which UTF-8 cannot hold.
    texts = [text.encode("utf-8", "replace").decode("utf-8") for text in texts]
    return [prose for text in texts if (prose := without_doctests(text)).strip()]


def without_doctests(text: str) -> str:
    """Return the text without doctests: the lines from ``>>>`` up to the next blank line."""
    kept, example = [], False
    for line in text.split("\n"):
        stripped = line.strip()
        example = stripped.startswith(">>>") or (example and bool(stripped))
        if not example:
            kept.append(line)
    return "\n".join(kept)
