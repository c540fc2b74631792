"""Vector files of other tools: word2vec's text and binary, and text without a header (GloVe's).

A file is read from front to back; every complaint names its offset in (unpacked) bytes, and
memory grows with the bytes that were read, whatever a header says.
"""

import re
import zlib
from collections.abc import Sequence
from lzma import LZMAError
from pathlib import Path
from typing import IO, NoReturn

import numpy as np
from numpy.typing import NDArray

from w2v.errors import InputError
from w2v.files import written_aside
from w2v.text.sources import OPENERS, open_binary

MAX_DIMENSIONS = 1 << 16
MAX_WORD = 1 << 16
"""Bounds on a file (dimensions; bytes in a word), so that no header is believed."""

SPACE = b" \t\n\r\v\f"

_NUMERALS = frozenset(b"0123456789+-.eEnaifNAIF \t\r\n")
_HEADER = re.compile(rb"[ \t]*(\d{1,18})[ \t]+(\d{1,18})[ \t\r]*\n")
_BLOCK = 1 << 20

_OTHERS = {
    b"\x80": "is a pickle, as gensim's own save writes; nothing is unpickled here",
    b"\xba\x16\x4f\x2f": "is a fastText model; its .vec file is what can be read",
    b"\x93NUMPY": "is an array without words; the folder of vectors.npy and vocabulary.tsv is read",
    b"PK\x03\x04": "is a zip archive; unpack it first",
    b"\x89HDF": "is an HDF5 file",
}
"""What some files that are not in these formats start with."""


def check_words(words: Sequence[str], forbidden: str, name: str) -> None:
    """Refuse words that a file cannot hold.

    Raises
    ------
    InputError
        A word that is empty, longer than 65,536 bytes, holds one of the forbidden characters, or
        is no Unicode text.
    """
    pattern = re.compile(f"[{re.escape(forbidden)}\ud800-\udfff]")
    for word in words:
        if not word or pattern.search(word) or len(word.encode()) > MAX_WORD:
            raise InputError(
                f"the word {word[:40]!r} cannot be written to {name}; a word there is Unicode "
                f"text of 1 to {MAX_WORD:,} bytes without any of {forbidden!r}"
            )


def write_rows(
    path: Path, words: Sequence[str], vectors: NDArray[np.float32], binary: bool, header: bool
) -> None:
    """Write rows of a word and its numbers; see `w2v.WordVectors.save_word2vec`."""
    check_words(words, SPACE.decode(), path.name)
    path.parent.mkdir(parents=True, exist_ok=True)
    pattern = " ".join(["%.9g"] * vectors.shape[1])
    with written_aside(path) as aside, OPENERS.get(path.suffix, open)(aside, "wb") as file:
        if header:
            file.write(b"%d %d\n" % vectors.shape)
        for word, vector in zip(words, vectors, strict=True):
            if binary:
                file.write(word.encode() + b" " + vector.astype("<f4").tobytes() + b"\n")
            else:
                file.write(f"{word} {pattern % tuple(vector.tolist())}\n".encode())


def read_rows(
    path: str | Path, binary: bool | None = None, header: bool | None = True
) -> tuple[list[str], NDArray[np.float32]]:
    """Read rows of a word and its numbers.

    Parameters
    ----------
    path
        A file; unpacked when its name ends in .gz, .bz2 or .xz.
    binary
        None: told from the bytes that follow the first word.
    header
        Whether the first line is ``words dimensions``. None: told from that line.

    Returns
    -------
    words : list of str
        Bytes that are not UTF-8 are spelt as escapes such as ``\\xe2``. A word may come twice.
    vectors : float32 (words, dimensions)

    Raises
    ------
    InputError
        A file that cannot be read, ends early, goes on after the last word, holds a number that
        is not finite in float32, or has another format.
    """
    try:
        with open_binary(str(path)) as file:
            rows = RowFile(file, str(path), header)
            words, vectors = rows.read(binary)
    except (OSError, EOFError, LZMAError, zlib.error) as error:
        raise InputError(f"{path}: cannot be read ({error})") from None
    finite = np.isfinite(vectors).all(axis=1)
    if not finite.all():
        word = words[int(np.argmin(finite))]
        raise InputError(
            f"{path}: the vector of {word!r} holds NaN or an infinity or is no float32"
        )
    return words, vectors


class RowFile:
    """Reads one file from front to back and knows the offset of every complaint."""

    def __init__(self, file: IO[bytes], path: str, header: bool | None) -> None:
        self.file = file
        self.path = path
        self.buffer = b""
        self.start = 0  # of what is still unread, in the buffer
        self.offset = 0  # of the same byte, in the file
        self.count: int | None = None
        self._fill(64)
        for magic, problem in _OTHERS.items():
            if self.buffer.startswith(magic):
                self._fail(problem)
        found = _HEADER.match(self.buffer[:64])
        if found is None and header:
            self._fail(f"the header is {self._line(64)!r}; 'words dimensions' is needed", 0)
        if found is None or header is False:
            self._fill(MAX_WORD + 64 * MAX_DIMENSIONS)
            first = self.buffer.partition(b"\n")[0]
            self.dimensions = len(first.split()) - 1
            if self.dimensions < 2 - (header is False):
                self._fail(
                    f"the first line is {first[:40]!r}; the header 'words dimensions', or a word "
                    "and its numbers are needed"
                )
        else:
            self._skip(found.end())
            self.count, self.dimensions = map(int, found.groups())
        if not 1 <= self.dimensions <= MAX_DIMENSIONS:
            self._fail(
                f"{self.dimensions} dimensions are promised; 1 to {MAX_DIMENSIONS} are read", 0
            )

    def looks_binary(self) -> bool:
        """Whether the first vector is not spelt with the signs of decimal numbers."""
        self._fill(MAX_WORD + 64)
        _, _, vector = self.buffer[self.start :].lstrip(b"\n").partition(b" ")
        text, _, _ = vector[:64].partition(b"\n")
        return not text.strip() or not _NUMERALS.issuperset(text)

    def read(self, binary: bool | None) -> tuple[list[str], NDArray[np.float32]]:
        """The words and their vectors; see `read_rows`."""
        words: list[str] = []
        rows = bytearray()
        if binary is None:
            binary = self.count is not None and self.looks_binary()
        while self._fill(1) if self.count is None else len(words) < self.count:
            word, vector = self._binary_row(len(words)) if binary else self._text_row(len(words))
            words.append(word.decode("utf-8", "backslashreplace"))
            rows += vector
        while self._fill(1):
            rest = self.buffer[self.start :].lstrip(SPACE)
            if rest:
                self._skip(len(self.buffer) - self.start - len(rest))
                self._fail(f"more follows after the {self.count} words of the header")
            self._skip(len(self.buffer) - self.start)
        return words, np.frombuffer(rows, "<f4").reshape(len(words), self.dimensions)

    def _binary_row(self, number: int) -> tuple[bytes, bytes]:
        self._fill(MAX_WORD + 2 + 4 * self.dimensions)
        # The C tool ends a vector with a line break, gensim does not.
        while self.buffer.startswith(b"\n", self.start):
            self._skip(1)
        space = self.buffer.find(b" ", self.start, self.start + MAX_WORD + 1)
        size = 4 * self.dimensions
        if space < 0 and len(self.buffer) - self.start > MAX_WORD:
            self._fail(f"word {number + 1} has more than {MAX_WORD:,} bytes; is it binary?")
        if space < 0 or len(self.buffer) < space + 1 + size:
            self._ends_early(number)
        word = self.buffer[self.start : space]
        if not word:
            self._fail(f"word {number + 1} is empty")
        vector = self.buffer[space + 1 : space + 1 + size]
        self._skip(space + 1 + size - self.start)
        return word, vector

    def _text_row(self, number: int) -> tuple[bytes, bytes]:
        at = self.offset
        line = self._line(MAX_WORD + 64 * self.dimensions)
        word, *values = line.split() or [b""]
        if self.count is None and len(values) > self.dimensions:
            # Some of GloVe's words hold spaces; the header of word2vec's would not count them.
            word, *values = line.rstrip(SPACE).rsplit(maxsplit=self.dimensions)
        if not line:
            self._ends_early(number)
        try:
            if len(values) != self.dimensions or len(word) > MAX_WORD:
                raise ValueError
            with np.errstate(over="ignore"):
                vector = np.array(list(map(float, values)), dtype="<f4")
        except ValueError:
            shown = line[:40] + b"..." if len(line) > 40 else line
            self._fail(
                f"row {number + 1} is {shown!r} with {len(values)} values; "
                f"a word and {self.dimensions} numbers are needed",
                at,
            )
        return word, vector.tobytes()

    def _ends_early(self, number: int) -> NoReturn:
        self.offset += len(self.buffer) - self.start
        self._fail(f"the file ends in row {number + 1}; the header promises {self.count} rows")

    def _line(self, limit: int) -> bytes:
        self._fill(limit)
        end = self.buffer.find(b"\n", self.start, self.start + limit) + 1
        line = self.buffer[self.start : end or self.start + limit]
        self._skip(len(line))
        return line

    def _fill(self, size: int) -> bool:
        """Read until `size` bytes are at hand or the file ends; False: nothing is left."""
        while len(self.buffer) - self.start < size:
            block = self.file.read(_BLOCK)
            if not block:
                break
            self.buffer = self.buffer[self.start :] + block
            self.start = 0
        return len(self.buffer) > self.start

    def _skip(self, size: int) -> None:
        self.start += size
        self.offset += size

    def _fail(self, problem: str, at: int | None = None) -> NoReturn:
        raise InputError(f"{self.path}: byte {self.offset if at is None else at}: {problem}")
