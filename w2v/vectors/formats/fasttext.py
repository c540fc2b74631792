"""fastText's binary models (``.bin``), with the vectors of words and of character n-grams.

All numbers are little-endian. A file is::

    magic   int32    0x2f4f16ba
    version int32    11 or 12
    dim, ws, epoch, minCount, neg, wordNgrams, loss, model, bucket, minn, maxn, lrUpdateRate
            int32 each
    t       float64
    size, nwords, nlabels    int32 each
    ntokens, pruned          int64 each
    size times: the word in bytes, a NUL, its count (int64), its kind (int8: 0 word, 1 label)
    quantized   int8, then the input matrix: rows, columns (int64 each), float32 by rows
    quantized   int8, then the output matrix in the same form

The input matrix has a row for each word, then one for each of ``bucket`` hash values of n-grams.
The vector of a word is the mean of its own row and the rows of its n-grams.

References
----------
Bojanowski, Grave, Joulin, Mikolov (2017), Enriching Word Vectors with Subword Information.
"""

import codecs
import struct
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO, Any, NamedTuple, NoReturn

import numpy as np
from numpy.typing import NDArray

from w2v.compression import UNPACK_ERRORS, unpacked
from w2v.errors import InputError
from w2v.files import written_aside
from w2v.vectors.formats.contents import Contents
from w2v.vectors.formats.file_reader import MAX_DIMENSIONS, MAX_WORD, FileReader
from w2v.vectors.formats.selection import EVERYTHING, Selection
from w2v.vectors.formats.words import check_encoding, check_words, decode_words
from w2v.vectors.ngrams import WORDS_AT_A_TIME, Subwords

MAGIC = 0x2F4F16BA
VERSIONS = (11, 12)
SKIP_GRAM, SUPERVISED = 2, 3
"""Values of the file's field ``model``: skip-gram, and a classifier of texts."""
NEGATIVE_SAMPLING = 2
"""The value of the file's field ``loss`` for negative sampling."""

ENTRY = struct.Struct("<qb")
"""The layout of what follows a word and its NUL byte: its count (int64) and its kind (int8)."""


def is_fasttext(path: Path) -> bool:
    """Return whether the first bytes of a file, compressed or not, are those of a fastText model.

    Raises
    ------
    InputError
        The file cannot be read.
    """
    magic = MAGIC.to_bytes(4, "little")
    try:
        with unpacked(path) as (file, _):
            return file.read(len(magic)) == magic
    except UNPACK_ERRORS as error:
        raise InputError(f"{path}: cannot be read ({error})") from None


def write_fasttext(path: Path, contents: Contents) -> None:
    """Write a fastText model (version 12), always marked as skip-gram with negative sampling.

    In fastText, a word's vector is the mean of its row of the input matrix and the vectors of its
    n-grams. The row is computed such that this mean is the given vector, up to rounding. Without
    counts, 1 is written for each word; without outside vectors, the output matrix is zero. Words
    are written in the encoding in which n-grams are hashed (`Subwords.encoding`); without n-grams,
    in UTF-8.

    Raises
    ------
    InputError
        A word is empty, longer than 65,536 bytes, contains NUL or is not valid Unicode.
    """
    check_words(contents.words, "\0", path.name)
    path.parent.mkdir(parents=True, exist_ok=True)
    _, vectors, counts, outside, subwords = contents
    size, dim = vectors.shape
    buckets, shortest, longest, encoding = 0, 0, 0, "utf-8"
    if subwords is not None:
        _, shortest, longest, encoding = subwords
        buckets = len(subwords.rows)
    words = [word.encode(encoding) for word in contents.words]
    numbers = [1] * size if counts is None else counts.tolist()
    settings = dim, 5, 5, 1, 5, 1, NEGATIVE_SAMPLING, SKIP_GRAM, buckets, shortest, longest, 100
    with written_aside(path) as aside, aside.open("wb") as file:
        file.write(struct.pack("<2i", MAGIC, 12))
        file.write(struct.pack("<12id", *settings, 1e-4))
        file.write(struct.pack("<3i2q", size, size, 0, sum(numbers), -1))
        for word, count in zip(words, numbers, strict=True):
            file.write(word + b"\0" + ENTRY.pack(count, 0))
        file.write(struct.pack("<b2q", 0, size + buckets, dim))
        for start in range(0, size, WORDS_AT_A_TIME):
            part = slice(start, start + WORDS_AT_A_TIME)
            own = vectors[part] if subwords is None else subwords.own(words[part], vectors[part])
            file.write(own.astype("<f4").tobytes())
        if subwords is not None:
            for start in range(0, buckets, WORDS_AT_A_TIME):
                rows = subwords.rows[start : start + WORDS_AT_A_TIME]
                file.write(rows.astype("<f4").tobytes())
        file.write(struct.pack("<b2q", 0, size, dim))
        for start in range(0, size, WORDS_AT_A_TIME):
            count = min(WORDS_AT_A_TIME, size - start)
            if outside is None:
                file.write(bytes(4 * count * dim))
            else:
                file.write(outside[start : start + count].astype("<f4").tobytes())


def read_fasttext(
    path: Path, encoding: str = "utf-8", selection: Selection = EVERYTHING
) -> Contents:
    r"""Read the words, their vectors and the n-grams of a model in fastText's format (``.bin``).

    Parameters
    ----------
    path
        The file, compressed or not. If it is not compressed, the vectors of n-grams are mapped into
        memory instead of being read.
    encoding
        How the words are encoded. Invalid bytes become escapes such as ``\xe2``.
    selection
        Which words are read.

    Raises
    ------
    InputError
        The file is damaged, quantized or of a version other than 11 and 12, a vector is not finite,
        or the encoding is unknown.

    Warns
    -----
    UserWarning
        Words are blank, repeated or not in the encoding.
    """
    check_encoding(encoding)
    wanted = selection.encoded(encoding)

    def choose(words: Sequence[bytes]) -> NDArray[np.intp]:
        if wanted is None:
            return np.arange(len(words))[: selection.limit]
        rows = [row for row, word in enumerate(words) if word in wanted]
        return np.array(rows, np.intp)[: selection.limit]

    try:
        with unpacked(path) as (file, packed):
            model = _Reader(file, path, mapped=not packed).model(choose, encoding)
    except UNPACK_ERRORS as error:
        raise InputError(f"{path}: cannot be read ({error})") from None
    words, rows = decode_words(path, model.words, model.vectors, encoding, [])
    return Contents(words, model.vectors[rows], model.counts[rows], subwords=model.subwords)


class _Model(NamedTuple):
    """What is read from a fastText model: the chosen words with their vectors, and all n-grams.

    Attributes
    ----------
    words
        V words, as bytes.
    counts : int64 (V,)
        How often each word occurs.
    vectors : float32 (V, d)
        The vector of each word: the mean of its own row and the rows of its n-grams.
    subwords
        The n-grams; None for a model without n-grams.
    """

    words: list[bytes]
    counts: NDArray[np.int64]
    vectors: NDArray[np.float32]
    subwords: Subwords | None


class _Reader(FileReader):
    """Reader of fastText models in the binary format (``.bin``).

    Parameters
    ----------
    file
        The file, opened for reading at its first byte.
    path
        The path of the file.
    mapped
        Whether to map the matrices into memory instead of reading them; only for a file that is not
        compressed.
    """

    def __init__(self, file: IO[bytes], path: Path, mapped: bool) -> None:
        super().__init__(file, path)
        self.size = path.stat().st_size if mapped else None

    def model(self, choose: Callable[[Sequence[bytes]], NDArray[np.intp]], encoding: str) -> _Model:
        """Read the model: the vectors of chosen words, and all n-grams.

        `choose` gets all words of the file, and returns the indices of those to read. `encoding` is
        that of the words.
        """
        magic, version = self._numbers("<2i")
        if magic != MAGIC or version not in VERSIONS:
            self.fail(f"version {version} of fastText's format; 11 and 12 are read")
        dim, *_, kind, bucket, shortest, longest, _ = self._numbers("<12i")
        self._take(8)
        if not (1 <= dim <= MAX_DIMENSIONS and bucket >= 0 and shortest >= 0 and longest >= 0):
            self.fail(
                f"dim={dim}, bucket={bucket}, minn={shortest} and maxn={longest} are promised"
            )
        if version == 11 and kind == SUPERVISED:  # such classifiers had no n-grams
            longest = 0
        words, counts = self._dictionary()
        matrix = self._matrix("input", len(words) + bucket, dim)
        self._matrix("output", None, dim, skip=True)
        if self.fill(1):
            self.fail("the file does not end after the output matrix")
        rows = choose(words)
        chosen = [words[row] for row in rows.tolist()]
        vectors = np.ascontiguousarray(matrix[rows], np.float32)
        if bucket == 0 or longest == 0:
            return _Model(chosen, counts[rows], vectors, None)
        name = codecs.lookup(encoding).name.removesuffix("-sig")  # words have no byte order mark
        subwords = Subwords(matrix[len(words) :], shortest, longest, name)
        return _Model(chosen, counts[rows], subwords.means(chosen, vectors), subwords)

    def _dictionary(self) -> tuple[list[bytes], NDArray[np.int64]]:
        """Read the words and their counts; the labels of a classifier are skipped."""
        size, count, labels, _, pruned = self._numbers("<3i2q")
        if not (size == count + labels and count >= 0 and labels >= 0):
            self.fail(f"{size} entries, {count} words and {labels} labels are promised")
        words: list[bytes] = []
        counts: list[int] = []
        for number in range(size):
            self.fill(MAX_WORD + 10)
            end = self.buffer.find(b"\0", self.start, self.start + MAX_WORD + 1)
            if end < 0 and len(self.buffer) - self.start > MAX_WORD:
                self.fail(f"entry {number + 1} has more than {MAX_WORD:,} bytes")
            if end < 0 or len(self.buffer) < end + 10:
                self._ends_early()
            frequency, kind = ENTRY.unpack_from(self.buffer, end + 1)
            if frequency < 0 or kind != (number >= count):
                self.fail(f"entry {number + 1} has the count {frequency} and the kind {kind}")
            if kind == 0:
                words.append(self.buffer[self.start : end])
                counts.append(frequency)
            self.skip(end + 10 - self.start)
        if pruned > 0:
            self._refuse_quantized()
        return words, np.array(counts, np.int64)

    def _matrix(
        self, name: str, rows: int | None, dim: int, skip: bool = False
    ) -> NDArray[np.float32]:
        """Read a matrix, or map it into memory: float32 (rows, dim).

        Parameters
        ----------
        name
            The name of the matrix, for messages.
        rows
            The number of rows that it must have; None: any number.
        dim
            The number of columns that it must have.
        skip
            Pass over the matrix and return an empty one.
        """
        if self._numbers("<b")[0]:
            self._refuse_quantized()
        m, n = self._numbers("<2q")
        if m < 0 or n != dim or (rows is not None and m != rows):
            wanted = "?" if rows is None else rows
            self.fail(f"the {name} matrix is promised as {m} x {n}; {wanted} x {dim} is needed")
        size = 4 * m * n
        if self.size is None:
            return np.frombuffer(self._read(size, skip), "<f4").reshape(-1, n)
        if self.offset + size > self.size:
            self._ends_early(self.size)
        if m == 0 or skip:
            found = np.empty((0, n), np.float32)
        else:
            found = np.memmap(self.path, "<f4", "r", self.offset, (m, n))
        self.offset += size
        self.file.seek(self.offset)
        self.buffer, self.start = b"", 0
        return found

    def _read(self, size: int, skip: bool) -> bytearray:
        """Read `size` bytes block by block, and return them; with `skip`, return no bytes.

        If the file ends early, an error is raised before memory is allocated for all of `size`.
        """
        found = bytearray()
        while size:
            self.fill(1)
            part = self.buffer[self.start : self.start + size]
            if not part:
                self._ends_early()
            if not skip:
                found += part
            size -= len(part)
            self.skip(len(part))
        return found

    def _numbers(self, layout: str) -> tuple[Any, ...]:
        return struct.unpack(layout, self._take(struct.calcsize(layout)))

    def _take(self, size: int) -> bytes:
        self.fill(size)
        if len(self.buffer) - self.start < size:
            self._ends_early()
        taken = self.buffer[self.start : self.start + size]
        self.skip(size)
        return taken

    def _ends_early(self, at: int | None = None) -> NoReturn:
        self.offset += len(self.buffer) - self.start
        self.fail("the file ends early; is it a whole fastText model?", at)

    def _refuse_quantized(self) -> NoReturn:
        self.fail(
            "is quantized (.ftz): it holds approximations in place of vectors; give the .bin that "
            "it was made from"
        )
