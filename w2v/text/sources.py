"""Where text comes from: anything that yields documents, and says what it holds.

A source is an object with two methods: ``documents()`` yields one string a document, in a
fixed order; ``fingerprint()`` returns a JSON-able value that changes when the text changes. One
that has its text as bytes yields it as `Block`, which saves the way through strings.
"""

import ast
import bz2
import codecs
import gzip
import hashlib
import io
import lzma
import sys
import sysconfig
import textwrap
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from importlib import metadata
from multiprocessing import get_context
from pathlib import Path
from typing import IO, Any, Literal, NamedTuple, Protocol, cast, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from w2v.errors import InputError

BLOCK_BYTES = 1 << 22
"""Of a block, about: enough for the work on a block to outweigh the work of handing it on."""
CHUNK_BYTES = 1 << 20
"""Read at a time."""


class Block(NamedTuple):
    """Some documents in a row.

    Attributes
    ----------
    data
        UTF-8, and valid.
    stops : int64 (documents,)
        Where each document ends in ``data``; the last is the end of the data. Documents of white
        space only are among them.
    whole
        False where the last document goes on in the next block.
    done
        How much of the source has been read, from 0 to 1; None where that is not known.
    invalid, byte_order_marks
        What was found wrong in the files and is not in ``data``.
    """

    data: bytes
    stops: NDArray[np.int64]
    whole: bool = True
    done: float | None = None
    invalid: int = 0
    byte_order_marks: int = 0


Border = Callable[[bytes], int]
"""Where a document too long for a block may be cut, near the end of the given part; 0 if nowhere:
`w2v.text.tokenizer.Tokenizer.border`."""


Progress = Callable[[int, float | None], None]
"""Told the bytes read so far, and their share of all where that is known."""


class Source(Protocol):
    """What the tokenizer reads."""

    def documents(self) -> Iterator[str]:
        """One string a document, in an order that depends on the text alone."""
        ...

    def fingerprint(self) -> Any:
        """JSON-able; equal for equal text, different (SHA-256) for different text."""
        ...


@runtime_checkable
class BlockSource(Protocol):
    """A source that has its text as bytes."""

    def blocks(self, border: Border | None, limit: int | None) -> Iterator[Block]:
        """The documents as blocks, without a border whole ones; no more than ``limit`` need be
        given."""
        ...


def blocks_of(source: Source, border: Border | None, limit: int | None) -> Iterator[Block]:
    """The documents of any source as blocks."""
    if isinstance(source, BlockSource):
        return source.blocks(border, limit)
    return packed(((text, None) for text in source.documents()), limit)


def packed(
    documents: Iterable[tuple[str, float | None]], limit: int | None = None
) -> Iterator[Block]:
    """Blocks of documents, each given with what of the source is done by then.

    Parameters
    ----------
    limit
        End with so many that are not white space only.

    Raises
    ------
    InputError
        A document that cannot be encoded.
    """
    parts: list[bytes] = []
    stops: list[int] = []
    size, done, filled = 0, None, 0
    for text, done in documents:
        try:
            data = text.encode("utf-8")
        except UnicodeEncodeError as error:
            raise InputError(
                f"the document that begins {text[:40]!r} holds half of a surrogate pair "
                f"(character {error.start}), which UTF-8 cannot hold"
            ) from None
        parts.append(data)
        size += len(data)
        stops.append(size)
        if size >= BLOCK_BYTES:
            yield Block(b"".join(parts), np.array(stops, np.int64), True, done)
            parts, stops, size = [], [], 0
        filled += bool(text) and not text.isspace()
        if filled == limit:
            break
    if stops:
        yield Block(b"".join(parts), np.array(stops, np.int64), True, done)


def document_texts(block: Block) -> Iterator[str]:
    """The documents of a block, those of white space only too."""
    start = 0
    for stop in block.stops.tolist():
        yield block.data[start:stop].decode("utf-8")
        start = stop


class Unpacked(io.RawIOBase):
    """The bytes of a packed file, which knows how far the file was read as it lies."""

    def __init__(self, lying: IO[bytes], unpacked: Any) -> None:
        self.lying = lying
        self.unpacked = unpacked

    def read(self, size: int = -1) -> bytes:
        """Read unpacked bytes."""
        data: bytes = self.unpacked.read(size)
        return data

    def position(self) -> int:
        """Bytes read of the file as it lies."""
        return self.lying.tell()

    def close(self) -> None:
        """Close both."""
        if not self.closed:
            self.unpacked.close()
            self.lying.close()
        super().close()


OPENERS: dict[str, Callable[..., Any]] = {
    ".gz": gzip.open,
    ".bz2": bz2.open,
    ".xz": lzma.open,
}


def open_binary(path: str) -> IO[bytes]:
    """Open a local file for reading bytes, unpacked when its suffix names a known packing."""
    file: IO[bytes] = OPENERS.get(Path(path).suffix, open)(path, "rb")
    return file


def open_unpacked(path: str) -> IO[bytes]:
    """As `open_binary`, for a `Files` that tells how far it has read."""
    file = open_raw(path)
    opener = OPENERS.get(Path(path).suffix)
    return cast(IO[bytes], Unpacked(file, opener(file, "rb"))) if opener else file


def open_raw(path: str) -> IO[bytes]:
    """Open a local file for reading its bytes as they lie."""
    return Path(path).open("rb")


def bytes_of(path: str, opener: Callable[[str], IO[bytes]]) -> Iterator[tuple[bytes, int]]:
    """The bytes of a file, some at a time, each with the place in the file as it lies.

    Raises
    ------
    InputError
        A file that cannot be read or unpacked.
    """
    try:
        with opener(path) as file:
            while data := file.read(CHUNK_BYTES):
                yield data, file.position() if isinstance(file, Unpacked) else file.tell()
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; corpus.path must name text files") from None
    except IsADirectoryError:
        raise InputError(f"{path} is a folder; corpus.path must name text files") from None
    except (InputError, MemoryError):
        raise
    except Exception as error:  # each packing and each store has errors of its own
        raise InputError(f"{path}: cannot be read ({error})") from None


def size_of(paths: Sequence[str]) -> int | None:
    """Bytes of local files as they lie; None if any is not local."""
    try:
        return sum(Path(path).stat().st_size for path in paths)
    except OSError:
        return None


class Valid(NamedTuple):
    """Text of a file: valid UTF-8 that ends between characters, and what was found before it."""

    data: bytes
    invalid: int
    byte_order_mark: bool
    place: int


Errors = Literal["strict", "replace", "ignore"]


def valid_utf8(path: str, chunks: Iterable[tuple[bytes, int]], errors: Errors) -> Iterator[Valid]:
    """The text of a file without its mark of byte order.

    Raises
    ------
    InputError
        What is not UTF-8, after the text before it, where ``errors`` is ``"strict"``.
    """
    rest, offset, begins = b"", 0, True
    for chunk, place, final in with_end(chunks):
        data = rest + chunk
        if begins and len(data) < len(codecs.BOM_UTF8) and not final:
            rest = data
            continue
        mark = begins and data.startswith(codecs.BOM_UTF8)
        if mark:
            data = data[len(codecs.BOM_UTF8) :]
            offset += len(codecs.BOM_UTF8)
        begins = False
        invalid = 0
        if data.isascii():
            good, used = data, len(data)
        else:
            try:
                used = codecs.utf_8_decode(data, "strict", final)[1]
                good = data[:used]
            except UnicodeDecodeError as error:
                at = error.start
                if errors == "strict":
                    yield Valid(data[:at], 0, mark, place)
                    raise InputError(
                        f"{path}: byte {offset + at} (0x{data[at]:02x}) is not UTF-8; convert the "
                        "file to UTF-8, or set corpus.errors=replace or ignore"
                    ) from None
                replaced, used = codecs.utf_8_decode(data, "replace", final)
                ignored, _ = codecs.utf_8_decode(data, "ignore", final)
                invalid = replaced.count("\ufffd") - ignored.count("\ufffd")
                good = (replaced if errors == "replace" else ignored).encode("utf-8")
        yield Valid(good, invalid, mark, place)
        rest, offset = data[used:], offset + used


def with_end(chunks: Iterable[tuple[bytes, int]]) -> Iterator[tuple[bytes, int, bool]]:
    """The chunks and an empty one that is marked as the end."""
    place = 0
    for chunk, place in chunks:
        yield chunk, place, False
    yield b"", place, True


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
    errors
        What to do where the bytes are not UTF-8: ``"strict"`` refuses the file, ``"replace"`` puts
        U+FFFD in their place, ``"ignore"`` leaves them out.
    raw
        Returns a file of bytes as they lie.
    hashed
        Told how far files have been read for their checksums.
    """

    paths: Sequence[str]
    unit: Literal["line", "file"] = "line"
    open: Callable[[str], IO[bytes]] = open_unpacked
    errors: Errors = "strict"
    raw: Callable[[str], IO[bytes]] = open_raw
    hashed: Progress = lambda *_: None

    def documents(self) -> Iterator[str]:
        """Yield the documents.

        Raises
        ------
        InputError
            A file that cannot be read or unpacked, or is not UTF-8 (with the byte's offset).
        """
        for block in self.blocks():
            yield from (text for text in document_texts(block) if text and not text.isspace())

    def blocks(
        self,
        border: Border | None = None,
        limit: int | None = None,  # noqa: ARG002 (reading stops when no more is asked for)
    ) -> Iterator[Block]:
        """See `BlockSource.blocks`.

        Raises
        ------
        InputError
            See `documents`.
        """
        packer = Packer(self.unit == "line", border)
        total, before = size_of(self.paths), 0
        try:
            for path in self.paths:
                for text in valid_utf8(path, bytes_of(path, self.open), self.errors):
                    done = min(1.0, (before + text.place) / total) if total else None
                    yield from packer.add(text, done)
                packer.end_file()
                before += (size_of([path]) or 0) if total else 0
        except InputError:
            yield from packer.end()
            raise
        yield from packer.end()

    def stamps(self) -> list[tuple[str, int, int]]:
        """Path, size in bytes and time of the last change in ns of each file that lies here."""
        found = []
        for path in self.paths:
            with suppress(OSError):
                status = Path(path).stat()
                found.append((path, status.st_size, status.st_mtime_ns))
        return found

    def fingerprint(self) -> list[str]:
        """The unit, and the SHA-256 of each file: as it lies, so packed ones need no unpacking."""
        total, read, digests = size_of(self.paths), 0, []
        for path in self.paths:
            digest = hashlib.sha256()
            for chunk, _ in bytes_of(path, self.raw):
                digest.update(chunk)
                read += len(chunk)
                self.hashed(read, read / total if total else None)
            digests.append(digest.hexdigest())
        errors = [] if self.errors == "strict" else [self.errors]
        return [self.unit, *errors, *digests]


class Packer:
    """Gathers the text of files into blocks that end where documents do, if they can."""

    def __init__(self, lines: bool, border: Border | None) -> None:
        self.lines = lines
        self.border = border
        self.parts: list[bytes] = []
        self.length = 0
        self.finished = -1
        """Where the last document that is complete ends; -1 if none is."""
        self.file_ends: list[int] = []
        self.open = False
        """Whether the last block left off within a document."""
        self.invalid = self.marks = 0
        self.done: float | None = None

    def add(self, text: Valid, done: float | None) -> Iterator[Block]:
        """Take in more of a file, and give a block if there is one."""
        start, data = self.length, text.data
        self.parts.append(data)
        self.length += len(data)
        self.invalid += text.invalid
        self.marks += text.byte_order_mark
        self.done = done
        if self.lines and (at := data.rfind(b"\n")) >= 0:
            self.finished = start + at + 1
        if self.length >= BLOCK_BYTES:
            if self.finished >= 0:
                yield self._block(self.finished, True)
            elif self.border is not None and (at := self.border(data)):
                yield self._block(start + at, False)

    def end_file(self) -> None:
        """End the document that the file leaves open."""
        rest = self.length > max(0, self.finished)
        if not self.lines or rest or (self.open and self.finished < 0):
            self.file_ends.append(self.length)
            self.finished = self.length

    def end(self) -> Iterator[Block]:
        """Give what documents are left; one that is not complete is dropped."""
        if self.finished >= 0:
            yield self._block(self.finished, True)

    def _block(self, end: int, whole: bool) -> Block:
        data = b"".join(self.parts)
        head, rest = data[:end], data[end:]
        stops = np.array([*self.file_ends, *([] if whole else [end])], np.int64)
        if self.lines:
            ends = np.flatnonzero(np.frombuffer(head, np.uint8) == ord("\n")) + 1
            stops = np.sort(np.concatenate([ends, stops]), kind="stable")
        block = Block(head, stops, whole, self.done, self.invalid, self.marks)
        self.parts, self.length = [rest], len(rest)
        self.finished, self.file_ends, self.open = -1, [], not whole
        self.invalid = self.marks = 0
        return block


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
        return (text for text, _ in self._documents())

    def blocks(
        self,
        border: Border | None = None,  # noqa: ARG002 (docstrings are short)
        limit: int | None = None,
    ) -> Iterator[Block]:
        """See `BlockSource.blocks`."""
        return packed(self._documents(), limit)

    def _documents(self) -> Iterator[tuple[str, float]]:
        files = [file for package in self.packages for file in self._files(package)]
        seen: set[bytes] = set()
        context = get_context("spawn")
        with ProcessPoolExecutor(self.workers, mp_context=context) as pool:
            parsed = pool.map(file_docstrings, files, chunksize=32)
            for number, docstrings in enumerate(parsed, start=1):
                for text in docstrings:
                    digest = hashlib.blake2b(text.encode(), digest_size=16).digest()
                    if digest not in seen:
                        seen.add(digest)
                        yield text, number / len(files)

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
