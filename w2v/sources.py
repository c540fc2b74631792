"""Where text comes from: anything that yields documents, and says what it holds.

A source is an object with two methods: ``documents()`` yields one string a document, in a
fixed order; ``fingerprint()`` returns a JSON-able value that changes when the text changes.
"""

import ast
import bz2
import codecs
import gzip
import hashlib
import lzma
import sys
import sysconfig
import textwrap
import warnings
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from importlib import metadata
from multiprocessing import get_context
from pathlib import Path
from typing import IO, Any, Literal, Protocol

from w2v.errors import InputError


class Source(Protocol):
    """What the tokenizer reads."""

    def documents(self) -> Iterator[str]:
        """One string a document, in an order that depends on the text alone."""
        ...

    def fingerprint(self) -> Any:
        """JSON-able; equal for equal text, different (SHA-256) for different text."""
        ...


OPENERS: dict[str, Callable[..., Any]] = {
    ".gz": gzip.open,
    ".bz2": bz2.open,
    ".xz": lzma.open,
}


def open_binary(path: str) -> IO[bytes]:
    """Open a local file for reading bytes, unpacked when its suffix names a known packing."""
    file: IO[bytes] = OPENERS.get(Path(path).suffix, open)(path, "rb")
    return file


def open_raw(path: str) -> IO[bytes]:
    """Open a local file for reading its bytes as they lie."""
    return Path(path).open("rb")


def file_blocks(file: IO[bytes]) -> Iterator[bytes]:
    """The bytes of a file, a mebibyte at a time."""
    return iter(lambda: file.read(1 << 20), b"")


@dataclass(frozen=True)
class Files:
    """Text files in UTF-8, one document a line or one document a file.

    Parameters
    ----------
    paths
        What ``open`` takes; read in the order given.
    unit
        ``"line"``: each line that is not blank is a document. ``"file"``: each file is one.
    open
        Returns a file of bytes, unpacked already.
    """

    paths: Sequence[str]
    unit: Literal["line", "file"] = "line"
    open: Callable[[str], IO[bytes]] = open_binary

    def documents(self) -> Iterator[str]:
        """Yield the documents.

        Raises
        ------
        InputError
            A file that cannot be read or unpacked, or is not UTF-8 (with the byte's offset).
        """
        for path in self.paths:
            if self.unit == "file":
                text = "".join(self._lines(path))
                if text.strip():
                    yield text
            else:
                yield from (line for line in self._lines(path) if line.strip())

    def fingerprint(self) -> list[str]:
        """The unit, and the SHA-256 of each file: as it lies, so packed ones need no unpacking."""
        digests = []
        for path in self.paths:
            digest = hashlib.sha256()
            local = Path(path).is_file()
            for block in self._read(path, open_raw if local else self.open, file_blocks):
                digest.update(block)
            digests.append(digest.hexdigest())
        return [self.unit, *digests]

    def _read(
        self,
        path: str,
        opener: Callable[[str], IO[bytes]],
        parts: Callable[[IO[bytes]], Iterable[bytes]],
    ) -> Iterator[bytes]:
        try:
            with opener(path) as file:
                yield from parts(file)
        except FileNotFoundError:
            raise InputError(f"{path}: no such file; corpus.path must name text files") from None
        except IsADirectoryError:
            raise InputError(f"{path} is a folder; corpus.path must name text files") from None
        except (OSError, EOFError, lzma.LZMAError, zlib.error) as error:
            raise InputError(f"{path}: cannot be read ({error})") from None

    def _lines(self, path: str) -> Iterator[str]:
        offset = 0
        for line in self._read(path, self.open, iter):
            begin = len(codecs.BOM_UTF8) if offset == 0 and line.startswith(codecs.BOM_UTF8) else 0
            try:
                text = line[begin:].decode("utf-8")
            except UnicodeDecodeError as error:
                start = begin + error.start
                raise InputError(
                    f"{path}: byte {offset + start} (0x{line[start]:02x}) is not UTF-8; "
                    "corpus.path must name text files in UTF-8"
                ) from None
            offset += len(line)
            yield text


STANDARD_LIBRARY = "stdlib"
SKIPPED_FOLDERS = {"site-packages", "tests", "test", "idlelib", "lib2to3", "_vendor"}


@dataclass(frozen=True)
class PyDocs:
    """The docstrings of installed Python packages: parsed, never imported; one a document.

    Doctest code and its output are left out, for they are not prose; equal docstrings count
    once, for packages repeat them by the hundred.

    Parameters
    ----------
    packages
        Names of distributions (``scikit-learn``), or ``stdlib`` for the standard library.
    workers
        Processes that parse.
    """

    packages: Sequence[str]
    workers: int = field(default=1, compare=False)

    def documents(self) -> Iterator[str]:
        """Yield the docstrings in the order of package and file; outer ones first in a file.

        Raises
        ------
        InputError
            A package that is not installed.
        """
        files = [file for package in self.packages for file in self._files(package)]
        seen: set[bytes] = set()
        context = get_context("spawn")
        with ProcessPoolExecutor(self.workers, mp_context=context) as pool:
            for docstrings in pool.map(file_docstrings, files, chunksize=32):
                for text in docstrings:
                    digest = hashlib.blake2b(text.encode(), digest_size=16).digest()
                    if digest not in seen:
                        seen.add(digest)
                        yield text

    def fingerprint(self) -> list[list[str]]:
        """Name and content of every package: the digest of pip's record of its files."""
        prints = []
        for package in self.packages:
            if package == STANDARD_LIBRARY:
                content = sys.version
            else:
                record = distribution(package).read_text("RECORD") or ""
                content = hashlib.sha256(record.encode()).hexdigest()
            prints.append([package, content])
        return prints

    @staticmethod
    def _files(package: str) -> list[Path]:
        if package == STANDARD_LIBRARY:
            root = Path(sysconfig.get_path("stdlib"))
            files = [path.relative_to(root) for path in root.rglob("*.py")]
        else:
            found = distribution(package)
            root = Path(str(found.locate_file("")))
            files = [Path(str(file)) for file in found.files or () if file.suffix == ".py"]
        return sorted(root / file for file in files if not SKIPPED_FOLDERS & set(file.parts))


def distribution(package: str) -> metadata.Distribution:
    """The installed distribution of that name, or an `InputError` that names it."""
    try:
        return metadata.distribution(package)
    except (metadata.PackageNotFoundError, ValueError):  # ValueError: an empty name
        raise InputError(
            f"corpus.packages: {package!r} is not installed; "
            f"name installed packages as pip does, or {STANDARD_LIBRARY!r}"
        ) from None


def file_docstrings(path: Path) -> list[str]:
    """The prose of a file's docstrings, in order; none where the file is not valid Python."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of the package's code: not this program's concern
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
    # An escape in a literal may stand for half a surrogate pair, which no encoding can hold.
    texts = [text.encode("utf-8", "replace").decode("utf-8") for text in texts]
    return [prose for text in texts if (prose := without_doctests(text)).strip()]


# numpy and scipy document their compiled functions by calls of these.
DOCUMENTING_CALLS = {"add_newdoc", "add_newdoc_for_scalar_type"}


def without_doctests(text: str) -> str:
    """Drop examples: lines from a ``>>>`` prompt to the next blank line."""
    kept, example = [], False
    for line in text.split("\n"):
        stripped = line.strip()
        example = stripped.startswith(">>>") or (example and bool(stripped))
        if not example:
            kept.append(line)
    return "\n".join(kept)
