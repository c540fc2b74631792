"""Trained word vectors: looking words up, cosines, and the files they live in."""

import difflib
import warnings
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from w2v.errors import InputError
from w2v.files import NO_ARRAY, written_aside
from w2v.vectors.formats import check_words, read_rows, write_rows

__all__ = [
    "OUTSIDE",
    "USES",
    "VECTORS",
    "VOCABULARY",
    "Use",
    "WordVectors",
    "written_aside",
]

VECTORS = "vectors.npy"
VOCABULARY = "vocabulary.tsv"
OUTSIDE = "outside_vectors.npy"

Use = Literal["v", "v+u"]
"""The centre vectors, or their sums with the outside vectors."""

USES: tuple[Use, ...] = ("v", "v+u")

_PLAIN = 1e-15, 1e15
"""Lengths of vectors whose products with a vector of length one are exact enough in float32."""


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
        if row is None and " " in form:
            return self._row_of_form.get("_".join(form.split()))
        return row

    @cached_property
    def norms(self) -> NDArray[np.float64]:
        """(V,): the length of each vector.

        Raises
        ------
        InputError
            A vector that holds NaN or an infinity.
        """
        return self._lengths(slice(None))

    def _lengths(self, rows: NDArray[np.intp] | slice) -> NDArray[np.float64]:
        chosen = self.vectors[rows]
        lengths: NDArray[np.float64] = np.sqrt(
            np.einsum("ij,ij->i", chosen, chosen, dtype=np.float64)
        )
        if not np.isfinite(lengths).all():
            place = int(np.flatnonzero(~np.isfinite(lengths))[0])
            word = self.words[np.arange(len(self))[rows][place]]
            raise InputError(f"the vector of {word!r} holds NaN or an infinity")
        return lengths

    def unit_rows(self, rows: ArrayLike | slice) -> NDArray[np.float32]:
        """Some vectors divided by their lengths, zero vectors left as they are: (rows, d).

        Raises
        ------
        InputError
            One of these vectors holds NaN or an infinity.
        """
        index = rows if isinstance(rows, slice) else np.asarray(rows, dtype=np.intp)
        lengths = self._lengths(index)
        lengths[lengths == 0.0] = 1.0
        chosen = self.vectors[index]
        unit = np.empty(chosen.shape, np.float32)
        np.divide(chosen, lengths[:, None], out=unit, casting="same_kind")
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
        one, other = self.unit_rows([self.row(a), self.row(b)]).astype(np.float64)
        return float(np.clip(_direction(one) @ _direction(other), -1.0, 1.0))

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
            return self._nearest(self.vectors[row].astype(np.float64), k, {row})
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
        unit = self.unit_rows(rows).astype(np.float64)
        return self._nearest(unit[1] - unit[0] + unit[2], k, set(rows))

    def _nearest(
        self, vector: NDArray[np.floating], k: int, left_out: set[int]
    ) -> list[tuple[str, float]]:
        if k < 1:
            raise InputError(f"k={k}: at least 1 neighbour must be asked for")
        k = min(k, len(self) - len(left_out))
        if k <= 0:
            return []
        cosines = self._cosines(vector)
        cosines[list(left_out)] = -np.inf
        # All that tie with the k-th, so that the order of the words decides and not chance.
        rows = np.flatnonzero(cosines >= np.partition(cosines, -k)[-k])
        rows = rows[np.argsort(-cosines[rows], kind="stable")][:k]
        return [(self.words[row], float(cosines[row])) for row in rows]

    @cached_property
    def _divisors(self) -> NDArray[np.float32] | None:
        """The lengths, 1 for zero vectors; None where they are too far from 1 for float32."""
        divisors = np.where(self.norms == 0.0, 1.0, self.norms)
        low, high = _PLAIN
        if divisors.min(initial=1.0) < low or divisors.max(initial=1.0) > high:
            return None
        return divisors.astype(np.float32)

    def _cosines(self, vector: NDArray[np.floating]) -> NDArray[np.float32]:
        """(V,): with every word's vector. These are not copied: they may be mapped into memory."""
        direction = _direction(vector).astype(np.float32)
        if self._divisors is None:
            cosines = self.unit @ direction
        else:
            cosines = self.vectors @ direction
            cosines /= self._divisors
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
        check_words(self.words, "\t\n", VOCABULARY)
        table = ("\n".join(self._table()) + "\n").encode()
        directory.mkdir(parents=True, exist_ok=True)
        with written_aside(directory / VECTORS) as aside, aside.open("wb") as file:
            np.save(file, self.vectors, allow_pickle=False)
        with written_aside(directory / VOCABULARY) as aside:
            aside.write_bytes(table)

    def _table(self) -> list[str]:
        """The words, with their counts where there are any, under a header."""
        if self.counts is None:
            return ["word", *self.words]
        rows = zip(self.words, self.counts.tolist(), strict=True)
        return ["word\tcount", *(f"{word}\t{count}" for word, count in rows)]

    @classmethod
    def load(cls, path: str | Path, use: Use = "v") -> Self:
        """Open what `save` wrote; the vectors are mapped into memory, not read.

        Parameters
        ----------
        use
            ``v+u`` adds the outside vectors, which training leaves beside them, to the vectors:
            a copy in memory.

        Raises
        ------
        InputError
            Files that are missing, damaged or do not agree.

        References
        ----------
        Pennington, Socher, Manning (2014), GloVe, section 4.2. Levy, Goldberg, Dagan (2015),
        Improving distributional similarity, section 3.3 (the sums).
        """
        directory = Path(path)
        vectors = _mapped(directory / VECTORS)
        try:
            table = (directory / VOCABULARY).read_bytes()
        except OSError as error:
            raise _not_read(directory / VOCABULARY, error) from None
        words, counts = _parse_vocabulary(table, directory / VOCABULARY)
        if use == "v+u":
            outside = _mapped(directory / OUTSIDE)
            if outside.shape != vectors.shape:
                raise InputError(
                    f"{directory / OUTSIDE}: has the shape {outside.shape}; "
                    f"the vectors have {vectors.shape}"
                )
            vectors = vectors + outside
        try:
            return cls(words, vectors, counts)
        except InputError as error:
            raise InputError(f"{directory}: {error}") from None

    def save_word2vec(self, path: str | Path, binary: bool = False, *, header: bool = True) -> None:
        """Write the format of the word2vec tools, which gensim and many others read.

        A header ``V d``, then one word a row with its d numbers: as text with nine significant
        digits, which give back the same float32, or as bytes (float32, little-endian). Counts
        are not part of the format. A name that ends in .gz, .bz2 or .xz is packed.

        Parameters
        ----------
        header
            False leaves it out: text as GloVe writes it.

        Raises
        ------
        InputError
            A word that is empty, longer than 65,536 bytes, holds ASCII white space, or is no
            Unicode text; bytes without a header, which nothing reads.
        """
        if binary and not header:
            raise InputError("binary files need the header: it says where a vector ends")
        write_rows(Path(path), self.words, self.vectors, binary, header)

    @classmethod
    def load_word2vec(
        cls, path: str | Path, binary: bool | None = None, *, header: bool | None = True
    ) -> Self:
        """Read the format of the word2vec tools, as the C programs, gensim or fastText write it.

        Parameters
        ----------
        path
            A file; unpacked when its name ends in .gz, .bz2 or .xz.
        binary
            None: told from the bytes that follow the first word.
        header
            Whether the first line is ``words dimensions``. False: text as GloVe writes it, whose
            words may hold spaces. None: told from the line.

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
            A file that cannot be read, ends early, goes on after the last word, holds no such
            rows, or numbers that are not finite; the message gives the offset in (unpacked)
            bytes. Memory grows with the bytes that were read, whatever the header says.
        """
        words, vectors = read_rows(path, binary, header)
        first = {word: row for row, word in reversed(list(enumerate(words)))}
        if len(first) < len(words):
            warnings.warn(
                f"{path}: {len(words) - len(first)} repeated words; the first of each is kept",
                stacklevel=2,
            )
            kept = sorted(first.values())
            words, vectors = [words[row] for row in kept], vectors[kept]
        return cls(words, vectors)

    def save_projector(self, directory: str | Path) -> None:
        """Write ``vectors.tsv`` and ``metadata.tsv``, which TensorBoard's projector takes.

        One word a line in both, nine significant digits between tabs; the metadata are the words
        alone, or ``word`` and ``count`` under a header where there are counts.

        Raises
        ------
        InputError
            A word that is empty, holds a tab or a line break, or is no Unicode text.
        """
        directory = Path(directory)
        check_words(self.words, "\t\n\r", "metadata.tsv")
        directory.mkdir(parents=True, exist_ok=True)
        pattern = "\t".join(["%.9g"] * self.dimensions) + "\n"
        with (
            written_aside(directory / "vectors.tsv") as aside,
            aside.open("w", encoding="ascii", newline="\n") as file,
        ):
            file.writelines(pattern % tuple(vector.tolist()) for vector in self.vectors)
        with (
            written_aside(directory / "metadata.tsv") as aside,
            aside.open("w", encoding="utf-8", newline="\n") as file,
        ):
            # A single column has no header there: the projector would take it for a word.
            file.writelines(f"{line}\n" for line in self._table()[self.counts is None :])

    def to_gensim(self) -> Any:
        """A copy as ``gensim.models.KeyedVectors``, with the counts where there are any."""
        from gensim.models import KeyedVectors

        keyed = KeyedVectors(self.dimensions)
        keyed.add_vectors(list(self.words), self.vectors)
        if self.counts is not None:
            for word, count in zip(self.words, self.counts.tolist(), strict=True):
                keyed.set_vecattr(word, "count", count)
        return keyed


def _direction(vector: NDArray[np.floating]) -> NDArray[np.float64]:
    """The vector at length one; a zero vector stays as it is."""
    largest = np.abs(vector).max(initial=0.0)
    if largest == 0.0:
        return vector.astype(np.float64)
    scaled = vector / np.float64(largest)  # keeps the squares from overflowing
    direction: NDArray[np.float64] = scaled / np.linalg.norm(scaled)
    return direction


def _mapped(path: Path) -> NDArray[np.float32]:
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except NO_ARRAY as error:
        raise _not_read(path, error) from None
    if not isinstance(array, np.ndarray) or array.dtype != np.float32:
        raise InputError(f"{path}: holds {getattr(array, 'dtype', 'no array')}; float32 is needed")
    return array


def _not_read(path: Path, error: Exception) -> InputError:
    reason = " ".join(str(error).split())
    return InputError(
        f"{path}: cannot be read ({reason}); a directory with {VECTORS} and {VOCABULARY} is needed"
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
