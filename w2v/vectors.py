"""Trained word vectors: looking words up, cosines, and the files they live in."""

import difflib
import re
import uuid
import warnings
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from lzma import LZMAError
from pathlib import Path
from typing import IO, Any, NoReturn, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from w2v.errors import InputError
from w2v.sources import OPENERS, open_binary

VECTORS = "vectors.npy"
VOCABULARY = "vocabulary.tsv"

MAX_DIMENSIONS = 1 << 16
MAX_WORD = 1 << 16
"""Bounds on a word2vec file (dimensions; bytes in a word), so that no header is believed."""

_SPACE = b" \t\n\r\v\f"
_NUMERALS = frozenset(b"0123456789+-.eEnaifNAIF \t\r\n")
_HEADER = re.compile(rb"[ \t]*(\d{1,18})[ \t]+(\d{1,18})[ \t\r]*\n")
_BLOCK = 1 << 20


@contextmanager
def written_aside(path: Path) -> Iterator[Path]:
    """Give a path beside `path` to write to; rename it to `path` if the block succeeds."""
    aside = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    try:
        yield aside
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)


class WordVectors:
    """Words with one vector each, in a fixed order: by falling count where counts are known.

    Parameters
    ----------
    words
        V different words.
    vectors
        (V, d) float32; other float types are converted. Neither copied nor written to.
    counts
        (V,) int64, how often each word stands in the corpus; None where nobody knows.

    Raises
    ------
    InputError
        Shapes that do not agree, a word that comes twice, a count below 0.

    Notes
    -----
    The cosine with a zero vector is defined as 0.
    """

    def __init__(
        self, words: Sequence[str], vectors: ArrayLike, counts: ArrayLike | None = None
    ) -> None:
        self.words = tuple(words)
        array = np.asarray(vectors, dtype=np.float32).view()
        array.flags.writeable = False
        self.vectors: NDArray[np.float32] = array
        self.counts = None if counts is None else np.asarray(counts, dtype=np.int64)
        self._rows = {word: row for row, word in enumerate(self.words)}
        if self.vectors.ndim != 2 or len(self.vectors) != len(self.words):
            raise InputError(
                f"vectors have the shape {self.vectors.shape}; "
                f"{len(self.words)} words need ({len(self.words)}, dimensions)"
            )
        if self.counts is not None and self.counts.shape != (len(self.words),):
            raise InputError(
                f"counts have the shape {self.counts.shape}; "
                f"{len(self.words)} words need ({len(self.words)},)"
            )
        if self.counts is not None and self.counts.min(initial=0) < 0:
            raise InputError(f"a count is {self.counts.min()}; counts are 0 or more")
        if len(self._rows) != len(self.words):
            word = next(w for row, w in enumerate(self.words) if self._rows[w] != row)
            raise InputError(f"the word {word!r} comes twice; every word has one vector")

    def __len__(self) -> int:
        return len(self.words)

    def __iter__(self) -> Iterator[str]:
        return iter(self.words)

    def __contains__(self, word: object) -> bool:
        return word in self._rows

    def __getitem__(self, word: str) -> NDArray[np.float32]:
        vector: NDArray[np.float32] = self.vectors[self.row(word)]
        return vector

    def __repr__(self) -> str:
        return f"WordVectors({len(self):,} words, {self.dimensions} dimensions)"

    @property
    def dimensions(self) -> int:
        """How many numbers a vector has."""
        return int(self.vectors.shape[1])

    def row(self, word: str) -> int:
        """The row of a word in `vectors`.

        Raises
        ------
        InputError
            A word without a vector; the message names words spelt like it.
        """
        try:
            return self._rows[word]
        except (KeyError, TypeError):
            raise InputError(self._unknown(word)) from None

    def _unknown(self, word: object) -> str:
        message = f"the word {word!r} is not among the {len(self):,} words"
        if not isinstance(word, str):
            return f"{message}; a word is a string"
        # Comparing with every word takes seconds; who mistypes gets the first letter right.
        first = word[:1].casefold()
        alike = [known for known in self.words if known[:1].casefold() == first]
        same = [known for known in alike if known.casefold() == word.casefold()]
        close = same or difflib.get_close_matches(word, alike, n=3)
        return f"{message}; close to it: {', '.join(map(repr, close))}" if close else message

    @cached_property
    def by_frequency(self) -> NDArray[np.intp]:
        """(V,): the rows by falling count, ties and vectors without counts in order."""
        if self.counts is None:
            return np.arange(len(self))
        return np.argsort(-self.counts, kind="stable")

    @cached_property
    def _row_of_form(self) -> dict[str, int]:
        return {self.words[row].upper(): row for row in self.by_frequency[::-1].tolist()}

    def find(self, word: str) -> int | None:
        """The row of the most frequent word that is equal in upper case; None: there is none.

        What is written with spaces is also sought with ``_`` in their place.
        """
        form = word.upper()
        row = self._row_of_form.get(form)
        return self._row_of_form.get("_".join(form.split())) if row is None else row

    @cached_property
    def norms(self) -> NDArray[np.float64]:
        """(V,): the length of each vector.

        Raises
        ------
        InputError
            A vector that holds NaN or an infinity.
        """
        squares = np.einsum("ij,ij->i", self.vectors, self.vectors, dtype=np.float64)
        if not np.isfinite(squares).all():
            word = self.words[int(np.flatnonzero(~np.isfinite(squares))[0])]
            raise InputError(f"the vector of {word!r} holds NaN or an infinity")
        norms: NDArray[np.float64] = np.sqrt(squares)
        return norms

    def unit_rows(self, rows: ArrayLike | slice) -> NDArray[np.float32]:
        """Some vectors divided by their lengths, zero vectors left as they are: (rows, d).

        Raises
        ------
        InputError
            A vector, of any row, that holds NaN or an infinity.
        """
        index = rows if isinstance(rows, slice) else np.asarray(rows, dtype=np.intp)
        lengths = self.norms[index]
        chosen = self.vectors[index]
        unit = np.empty(chosen.shape, np.float32)
        divisors = np.where(lengths == 0.0, 1.0, lengths)[:, None]
        np.divide(chosen, divisors, out=unit, casting="same_kind")
        return unit

    @cached_property
    def unit(self) -> NDArray[np.float32]:
        """(V, d): the vectors divided by their lengths, zero vectors left as they are.

        Made at first use, and as large as `vectors`.

        Raises
        ------
        InputError
            A vector that holds NaN or an infinity.
        """
        unit = self.unit_rows(slice(None))
        unit.flags.writeable = False
        return unit

    def similarity(self, a: str, b: str) -> float:
        """The cosine of the angle between two words' vectors.

        Raises
        ------
        InputError
            A word without a vector.
        """
        return float(self._cosines(self.unit[self.row(b)], self.unit[self.row(a)][None])[0])

    def nearest(self, word: str | ArrayLike, k: int = 10) -> list[tuple[str, float]]:
        """The k words with the largest cosines, largest first; ties in the order of `words`.

        Parameters
        ----------
        word
            A word, which its own list leaves out, or a vector (d,).
        k
            At least 1; all other words where there are fewer than k.

        Raises
        ------
        InputError
            A word without a vector, a vector of another size or not finite, k below 1.
        """
        if isinstance(word, str):
            row = self.row(word)
            return self._nearest(self.unit[row], k, {row})
        vector = np.asarray(word, dtype=np.float64)
        if vector.shape != (self.dimensions,):
            raise InputError(
                f"a vector of shape {vector.shape} was given; these have ({self.dimensions},)"
            )
        if not np.isfinite(vector).all():
            raise InputError("the vector holds NaN or an infinity")
        return self._nearest(vector, k, set())

    def analogy(self, a: str, b: str, c: str, k: int = 10) -> list[tuple[str, float]]:
        """Complete "a is to b as c is to ...": the k best words and their cosines (3CosAdd).

        The words nearest to b − a + c, each taken at length 1; a, b and c are left out.

        Raises
        ------
        InputError
            A word without a vector, k below 1.

        References
        ----------
        Mikolov, Yih, Zweig (2013), Linguistic regularities in continuous space word
        representations, section 4. Levy, Goldberg (2014), equation 1.
        """
        rows = [self.row(word) for word in (a, b, c)]
        unit = self.unit[rows].astype(np.float64)
        return self._nearest(unit[1] - unit[0] + unit[2], k, set(rows))

    def _nearest(
        self, vector: NDArray[np.floating], k: int, left_out: set[int]
    ) -> list[tuple[str, float]]:
        if k < 1:
            raise InputError(f"k={k}: at least 1 neighbour must be asked for")
        k = min(k, len(self) - len(left_out))
        if k <= 0:
            return []
        cosines = self._cosines(vector, self.unit)
        cosines[list(left_out)] = -np.inf
        # All that tie with the k-th, so that the order of the words decides and not chance.
        rows = np.flatnonzero(cosines >= np.partition(cosines, -k)[-k])
        rows = rows[np.argsort(-cosines[rows], kind="stable")][:k]
        return [(self.words[row], float(cosines[row])) for row in rows]

    @staticmethod
    def _cosines(vector: NDArray[np.floating], unit: NDArray[np.float32]) -> NDArray[np.float32]:
        largest = np.abs(vector).max(initial=0.0)
        if largest > 0.0:
            vector = vector / largest  # keeps the squares from overflowing
            vector = vector / np.linalg.norm(vector)
        cosines = unit @ vector.astype(np.float32)
        return np.clip(cosines, -1.0, 1.0, out=cosines)

    def save(self, directory: str | Path) -> None:
        """Write `vectors.npy` and `vocabulary.tsv` into a directory, made if need be.

        The table opens with ``word<TAB>count`` (``word`` alone where there are no counts) and
        has one word a line, in order, in UTF-8.

        Raises
        ------
        InputError
            A word that is empty, holds a tab or a line break, or is no Unicode text.
        """
        directory = Path(directory)
        lines = ["word" if self.counts is None else "word\tcount"]
        lines += (
            self.words
            if self.counts is None
            else [f"{word}\t{count}" for word, count in zip(self.words, self.counts, strict=True)]
        )
        self._check_words("\t\n", VOCABULARY)
        table = ("\n".join(lines) + "\n").encode()
        directory.mkdir(parents=True, exist_ok=True)
        with written_aside(directory / VECTORS) as aside, aside.open("wb") as file:
            np.save(file, self.vectors, allow_pickle=False)
        with written_aside(directory / VOCABULARY) as aside:
            aside.write_bytes(table)

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Open what `save` wrote; the vectors are mapped into memory, not read.

        Raises
        ------
        InputError
            Files that are missing, damaged or do not agree.
        """
        directory = Path(path)
        try:
            vectors = np.load(directory / VECTORS, mmap_mode="r", allow_pickle=False)
            table = (directory / VOCABULARY).read_bytes()
        except (OSError, ValueError, EOFError) as error:
            raise InputError(
                f"{directory}: cannot be read ({error}); "
                f"a directory with {VECTORS} and {VOCABULARY} is needed"
            ) from None
        if not isinstance(vectors, np.ndarray) or vectors.dtype != np.float32:
            kind = getattr(vectors, "dtype", "no array")
            raise InputError(f"{directory / VECTORS}: holds {kind}; float32 is needed")
        words, counts = _parse_vocabulary(table, directory / VOCABULARY)
        try:
            return cls(words, vectors, counts)
        except InputError as error:
            raise InputError(f"{directory}: {error}") from None

    def save_word2vec(self, path: str | Path, binary: bool = False) -> None:
        """Write the format of the word2vec tools, which gensim and many others read.

        A header ``V d``, then one word a row with its d numbers: as text with nine significant
        digits, which give back the same float32, or as bytes (float32, little-endian). Counts
        are not part of the format. A name that ends in .gz, .bz2 or .xz is packed.

        Raises
        ------
        InputError
            A word that is empty, longer than 65,536 bytes, holds ASCII white space, or is no
            Unicode text.
        """
        path = Path(path)
        self._check_words(_SPACE.decode(), path.name)
        path.parent.mkdir(parents=True, exist_ok=True)
        pattern = " ".join(["%.9g"] * self.dimensions)
        with written_aside(path) as aside, OPENERS.get(path.suffix, open)(aside, "wb") as file:
            file.write(b"%d %d\n" % self.vectors.shape)
            for word, vector in zip(self.words, self.vectors, strict=True):
                if binary:
                    file.write(word.encode() + b" " + vector.astype("<f4").tobytes() + b"\n")
                else:
                    file.write(f"{word} {pattern % tuple(vector.tolist())}\n".encode())

    @classmethod
    def load_word2vec(cls, path: str | Path, binary: bool | None = None) -> Self:
        """Read the format of the word2vec tools, as the C programs, gensim or fastText write it.

        Parameters
        ----------
        path
            A file; unpacked when its name ends in .gz, .bz2 or .xz.
        binary
            None: told from the bytes that follow the first word.

        Returns
        -------
        WordVectors
            Without counts, which the format lacks. Bytes that are not UTF-8 (the C tool cuts
            words inside a character) are spelt as escapes such as ``\\xe2``, so that every
            word stays printable and different words stay different. Of a word that comes
            twice the first is kept, with a warning.

        Raises
        ------
        InputError
            A file that cannot be read, ends early, goes on after the last word, or holds no
            word2vec rows; the message gives the offset in (unpacked) bytes. Memory grows with
            the bytes that were read, whatever the header says.
        """
        try:
            with open_binary(str(path)) as file:
                rows = _Word2VecFile(file, str(path))
                words, vectors = rows.read(rows.looks_binary() if binary is None else binary)
        except (OSError, EOFError, LZMAError, zlib.error) as error:
            raise InputError(f"{path}: cannot be read ({error})") from None
        first = {word: row for row, word in reversed(list(enumerate(words)))}
        if len(first) < len(words):
            warnings.warn(
                f"{path}: {len(words) - len(first)} repeated words; the first of each is kept",
                stacklevel=2,
            )
            kept = sorted(first.values())
            words, vectors = [words[row] for row in kept], vectors[kept]
        finite = np.isfinite(vectors).all(axis=1)
        if not finite.all():
            word = words[int(np.argmin(finite))]
            raise InputError(
                f"{path}: the vector of {word!r} holds NaN or an infinity or is no float32"
            )
        return cls(words, vectors)

    def to_gensim(self) -> Any:
        """A copy as ``gensim.models.KeyedVectors``, with the counts where there are any."""
        from gensim.models import KeyedVectors

        keyed = KeyedVectors(self.dimensions)
        keyed.add_vectors(list(self.words), self.vectors)
        if self.counts is not None:
            for word, count in zip(self.words, self.counts.tolist(), strict=True):
                keyed.set_vecattr(word, "count", count)
        return keyed

    def _check_words(self, forbidden: str, name: str) -> None:
        pattern = re.compile(f"[{re.escape(forbidden)}\ud800-\udfff]")
        for word in self.words:
            if not word or pattern.search(word) or len(word.encode()) > MAX_WORD:
                raise InputError(
                    f"the word {word[:40]!r} cannot be written to {name}; a word there is Unicode "
                    f"text of 1 to {MAX_WORD:,} bytes without any of {forbidden!r}"
                )


def _parse_vocabulary(table: bytes, path: Path) -> tuple[list[str], NDArray[np.int64] | None]:
    try:
        header, *lines = table.decode().split("\n")
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: byte {error.start} is not UTF-8") from None
    if header not in ("word", "word\tcount") or not lines or lines.pop() != "":
        raise InputError(
            f"{path}: the first line must be 'word<TAB>count' or 'word', and every line must end "
            "in a line break"
        )
    if header == "word":
        return lines, None
    words, counts = [], []
    for number, line in enumerate(lines, start=2):
        word, tab, count = line.partition("\t")
        if not (tab and count.isascii() and count.isdecimal() and len(count) < 19):
            raise InputError(f"{path}: line {number} is {line[:80]!r}; word<TAB>count is needed")
        words.append(word)
        counts.append(int(count))
    return words, np.array(counts, dtype=np.int64)


class _Word2VecFile:
    """Reads one word2vec file from front to back and knows the offset of every complaint."""

    def __init__(self, file: IO[bytes], path: str) -> None:
        self.file = file
        self.path = path
        self.buffer = b""
        self.start = 0  # of what is still unread, in the buffer
        self.offset = 0  # of the same byte, in the file
        header = self._line(64)
        found = _HEADER.fullmatch(header)
        if found is None:
            self._fail(f"the header is {header!r}; 'words dimensions' is needed", 0)
        self.count, self.dimensions = map(int, found.groups())
        if not 1 <= self.dimensions <= MAX_DIMENSIONS:
            self._fail(
                f"the header gives {self.dimensions} dimensions; 1 to {MAX_DIMENSIONS} are read", 0
            )

    def looks_binary(self) -> bool:
        """Whether the first vector is not spelt with the signs of decimal numbers."""
        self._fill(MAX_WORD + 64)
        _, _, vector = self.buffer[self.start :].lstrip(b"\n").partition(b" ")
        text, _, _ = vector[:64].partition(b"\n")
        return not text.strip() or not _NUMERALS.issuperset(text)

    def read(self, binary: bool) -> tuple[list[str], NDArray[np.float32]]:
        words: list[str] = []
        rows = bytearray()
        for _ in range(self.count):
            word, vector = self._binary_row(len(words)) if binary else self._text_row(len(words))
            words.append(word.decode("utf-8", "backslashreplace"))
            rows += vector
        while self._fill(1):
            rest = self.buffer[self.start :].lstrip(_SPACE)
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
