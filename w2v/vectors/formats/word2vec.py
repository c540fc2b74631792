"""Read and write files of word2vec, text or binary, also as gensim, fastText and GloVe use them.

A file is a header ``V d``, then each of V words with the d numbers of its vector. A text file has a
line for each word. In a binary file, the numbers are little-endian float32. The files of fastText
(``.vec``) are text. Those of GloVe are text without a header.
"""

import re
from codecs import BOM_UTF8
from collections.abc import Sequence
from itertools import takewhile
from pathlib import Path
from typing import IO, NoReturn

import numpy as np
from numpy.typing import NDArray

from w2v.compression import OPENERS, UNPACK_ERRORS, unpacked
from w2v.errors import InputError
from w2v.files import is_number, written_aside
from w2v.vectors.formats.contents import Contents
from w2v.vectors.formats.file_reader import MAX_DIMENSIONS, MAX_WORD, FileReader
from w2v.vectors.formats.selection import EVERYTHING, Selection
from w2v.vectors.formats.words import check_encoding, check_words, decode_words

WHITE_SPACE = b" \t\n\r\v\f"

_NUMBER_BYTES = frozenset(b"0123456789+-.eEnaifNAIF \t\r\n")
_HEADER = re.compile(rb"[ \t]*(\d{1,18})[ \t]+(\d{1,18})[ \t\r]*\n")

_OTHER_FORMATS = {
    b"\x80": (
        "is a pickle, as gensim's save() writes it, and a pickle can run code; write the vectors "
        "by save_word2vec_format()"
    ),
    b"\x93NUMPY": "is an array without words; the folder of vectors.npy and vocabulary.tsv is read",
    b"\x89HDF": "is an HDF5 file",
    b"\xff\xfe": "is UTF-16 text; convert it to UTF-8",
    b"\xfe\xff": "is UTF-16 text; convert it to UTF-8",
}
"""The first bytes of files in formats that are not read, and the error message for each format."""


def write_word2vec(
    path: Path, contents: Contents, binary: bool = False, header: bool = True
) -> None:
    """Write a word2vec file: a header ``V d``, then each word with the d numbers of its vector.

    The file is compressed if the name ends in .gz, .bz2 or .xz. Counts are not written. Numbers in
    text have nine significant digits, from which every float32 can be recovered exactly.

    Parameters
    ----------
    binary
        Write the numbers as little-endian float32 instead of text.
    header
        False omits the header, as in files of GloVe.

    Raises
    ------
    InputError
        A word is empty, longer than 65,536 bytes, contains ASCII white space, or is not valid
        Unicode; or a binary file is requested without a header.
    """
    if binary and not header:
        raise InputError("binary files need the header: it says where a vector ends")
    words, vectors = contents.words, contents.vectors
    check_words(words, WHITE_SPACE.decode(), path.name)
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


def read_word2vec(
    path: Path,
    binary: bool | None = None,
    header: bool | None = True,
    encoding: str = "utf-8",
    selection: Selection = EVERYTHING,
) -> Contents:
    r"""Read the words and vectors in a file of word2vec, gensim, fastText (``.vec``) or GloVe.

    The file may be compressed (gzip, bzip2, xz, Zstandard or zip). In text, a word may contain
    spaces: the vector is the last d fields of a line. Blank words, and words that repeat an earlier
    one, are skipped. Bytes that are not in the encoding become escapes such as ``\xe2``, so that
    different words stay different.

    Parameters
    ----------
    binary
        Whether the numbers are float32 instead of text; None: detect it.
    header
        Whether the first line has the numbers of words and of dimensions, unlike in files of GloVe;
        None: detect it.
    selection
        The words to read. Reading stops as soon as all have been found.

    Raises
    ------
    InputError
        The file cannot be read, ends inside a row, has a number that is not finite in float32, or
        has another format; or the encoding is unknown.

    Warns
    -----
    UserWarning
        The header states another number of rows; words are blank, repeated or not in the encoding;
        or words with spaces end in a number, which may belong to the vector.
    """
    check_encoding(encoding)
    try:
        with unpacked(path) as (file, _):
            source = _Word2vecFile(file, str(path), header)
            found, vectors = source.read(binary, selection, selection.encoded(encoding))
    except UNPACK_ERRORS as error:
        raise InputError(f"{path}: cannot be read ({error})") from None
    words, rows = decode_words(path, found, vectors, encoding, source.notes)
    return Contents(words, vectors if len(rows) == len(vectors) else vectors[rows])


class _Word2vecFile(FileReader):
    """Reader of word2vec files, text or binary.

    Parameters
    ----------
    file
        The file, opened for reading at its first byte.
    path
        The name of the file, for messages.
    header
        Whether the first line has the numbers of words and of dimensions; None: detect it from this
        line.

    Attributes
    ----------
    notes
        Messages about the rows and words of the file, which the method `read` collects. The caller
        issues them as warnings.
    dimensions
        d, the number of components of a vector.
    """

    def __init__(self, file: IO[bytes], path: str, header: bool | None) -> None:
        super().__init__(file, path)
        self.notes: list[str] = []
        self.count: int | None = None
        self.wanted: frozenset[bytes] | None = None  # the selected words; None: all
        self.line_is_cut = False  # whether the line read last has no line break
        self.fill(64)
        if self.buffer.startswith(BOM_UTF8):
            self.skip(len(BOM_UTF8))
        for magic, problem in _OTHER_FORMATS.items():
            if self.buffer.startswith(magic):
                self.fail(problem)
        found = _HEADER.match(self.buffer[self.start : self.start + 64])
        if found is None and header:
            self.fail(f"the header is {self._line(64)!r}; 'words dimensions' is needed", 0)
        if found is None or header is False:
            self.fill(MAX_WORD + 64 * MAX_DIMENSIONS)
            first = self.buffer[self.start :].partition(b"\n")[0]
            fields = first.split()
            numbers = list(takewhile(is_number, reversed(fields)))
            self.dimensions = min(len(numbers), len(fields) - (not first[:1].isspace()))
            # Two fields could be a damaged header, unless the caller knows that there is none.
            if self.dimensions < 2 - (header is False):
                self.fail(
                    f"the first line is {first[:40]!r}; the header 'words dimensions', or a word "
                    "and its numbers are needed"
                )
        else:
            self.skip(found.end())
            self.count, self.dimensions = map(int, found.groups())
        if not 1 <= self.dimensions <= MAX_DIMENSIONS:
            self.fail(
                f"{self.dimensions} dimensions are promised; 1 to {MAX_DIMENSIONS} are read", 0
            )

    def read(
        self, binary: bool | None, selection: Selection, wanted: frozenset[bytes] | None
    ) -> tuple[list[bytes], NDArray[np.float32]]:
        """Read words and their vectors.

        Parameters
        ----------
        binary
            Whether the numbers are float32 instead of text; None: detect it.
        selection
            Which words are wanted; reading stops when all of them have been found.
        wanted
            The words of the selection, encoded as in the file; None: all words.

        Returns
        -------
        words : list of bytes
        vectors : float32 (words, d)
        """
        words: list[bytes] = []
        different: set[bytes] = set()
        rows = bytearray()
        count = blank = 0
        self.wanted = wanted
        if binary is None:
            binary = self.count is not None and self._looks_binary()
        read_row = self._binary_row if binary else self._text_row
        while (row := read_row(count)) is not None:
            count += 1
            word, vector = row
            blank += not word.strip()
            if word.strip() and vector is not None:
                words.append(word)
                rows += vector
                if not selection.everything:
                    different.add(word)
                if selection.full(len(different)):
                    return words, np.frombuffer(rows, "<f4").reshape(len(words), -1)
        if self.count is not None and count < self.count and (count == 0 or self.line_is_cut):
            self._ends_early(max(0, count - 1))
        if self.count not in (None, count):
            self.notes.append(
                f"has {count:,} rows, which are read; its header promises {self.count:,}"
            )
        if blank:
            self.notes.append(f"{blank:,} blank words are skipped")
        if not binary:
            self._check_numbers_in_words(words)
        return words, np.frombuffer(rows, "<f4").reshape(len(words), self.dimensions)

    def _check_numbers_in_words(self, words: Sequence[bytes]) -> None:
        """Add a warning to `notes` if words with spaces end in a number, as in ``windows 95``.

        The number may really be a part of the word's vector. If all words of the file are of this
        kind, the header probably states too few dimensions, and an `InputError` is raised.
        """
        found = [word for word in words if len(word.split()) > 1 and is_number(word.split()[-1])]
        if found and len(found) == len(words):
            self.fail(
                f"the word {found[0][:40]!r} ends in a number, as every word; are there more "
                f"dimensions than {self.dimensions}?"
            )
        if found:
            self.notes.append(
                f"{len(found):,} words end in a number, such as {found[0][:40]!r}: their lines "
                f"have more than {self.dimensions} numbers"
            )

    def _looks_binary(self) -> bool:
        """Return whether the first vector is in binary, as opposed to decimal numbers."""
        self.fill(MAX_WORD + 64 * self.dimensions)
        start = self.buffer[self.start :].lstrip(b"\n")
        _, _, vector = start.partition(b" ")
        text, _, _ = vector[:64].partition(b"\n")
        if text.strip() and _NUMBER_BYTES.issuperset(text):
            return False
        line, end, _ = start.partition(b"\n")
        fields = line.split()  # a word in a text file may contain spaces
        if (
            self.dimensions > 2
            and end
            and len(fields) == self.dimensions + 1
            and _is_readable(line)
        ):
            return False  # text with something else than numbers; fewer bytes could be by chance
        return len(fields) <= self.dimensions or not all(map(is_number, fields[-self.dimensions :]))

    def _binary_row(self, number: int) -> tuple[bytes, bytes | None] | None:
        """Read a word and its vector from a binary file; return None at the end of the file.

        Parameters
        ----------
        number
            The index of the row, from 0, for messages.

        Returns
        -------
        word : bytes
        vector : bytes or None
            The bytes of the float32 numbers; None for a word that is not wanted.
        """
        self.fill(MAX_WORD + 2 + 4 * self.dimensions)
        # word2vec ends a vector with a line break, gensim does not.
        while self.buffer.startswith(b"\n", self.start):
            self.skip(1)
        size = 4 * self.dimensions
        if len(self.buffer) - self.start <= size and not self.buffer[self.start :].strip():
            return None
        space = self.buffer.find(b" ", self.start, self.start + MAX_WORD + 1)
        if space < 0 and len(self.buffer) - self.start > MAX_WORD:
            self.fail(f"word {number + 1} has more than {MAX_WORD:,} bytes; is it binary?")
        if space < 0 or len(self.buffer) < space + 1 + size:
            self._ends_early(number)
        word = self.buffer[self.start : space]
        vector = self.buffer[space + 1 : space + 1 + size]
        self.skip(space + 1 + size - self.start)
        return word, vector if self.wanted is None or word in self.wanted else None

    def _text_row(self, number: int) -> tuple[bytes, bytes | None] | None:
        """Read a word and its vector from a line of text; return None at the end of the file.

        Parameters
        ----------
        number
            The index of the row, from 0, for messages.

        Returns
        -------
        word : bytes
        vector : bytes or None
            The bytes of the numbers, converted to float32; None for a word that is not wanted,
            whose numbers are not parsed.
        """
        fields: list[bytes] = []
        while not fields:
            at = self.offset
            line = self._line(MAX_WORD + 64 * self.dimensions)
            if not line:
                return None
            fields = line.split()
        self.line_is_cut = not line.endswith(b"\n")
        word, *values = fields
        if len(fields) == self.dimensions and line[:1].isspace():
            word, values = b"", fields
        elif len(values) > self.dimensions:
            word, *values = line.strip().rsplit(maxsplit=self.dimensions)
        if self.wanted is not None and word not in self.wanted:
            return word, None
        try:
            if len(values) != self.dimensions or len(word) > MAX_WORD:
                raise ValueError
            if b"_" in line and any(b"_" in value for value in values):
                raise ValueError  # `float` takes 1_000
            with np.errstate(over="ignore"):
                vector = np.array(list(map(float, values)), dtype="<f4")
        except ValueError:
            shown = line[:40] + b"..." if len(line) > 40 else line
            self.fail(
                f"row {number + 1} is {shown!r} with {len(values)} values; "
                f"a word and {self.dimensions} numbers are needed",
                at,
            )
        return word, vector.tobytes()

    def _ends_early(self, number: int) -> NoReturn:
        """Raise an `InputError`: the file ends inside the row with the index `number`."""
        self.offset += len(self.buffer) - self.start
        promised = "" if self.count is None else f"; the header promises {self.count} rows"
        self.fail(f"the file ends in row {number + 1}{promised}")

    def _line(self, limit: int) -> bytes:
        """Read a line, or only its first `limit` bytes if it is longer."""
        self.fill(limit)
        end = self.buffer.find(b"\n", self.start, self.start + limit) + 1
        line = self.buffer[self.start : end or self.start + limit]
        self.skip(len(line))
        return line


def _is_readable(line: bytes) -> bool:
    """Return whether a line is UTF-8 text of printable characters, as `str.isprintable` has it."""
    try:
        return line.rstrip(b"\r").decode().isprintable()
    except UnicodeDecodeError:
        return False
