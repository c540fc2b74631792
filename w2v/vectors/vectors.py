"""Trained word vectors: look words up, compare them, find neighbours, load and save."""

import difflib
import warnings
from collections.abc import Collection, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from w2v.errors import InputError
from w2v.files import local_path
from w2v.text.punctuation import PLAIN
from w2v.vectors import formats
from w2v.vectors.fasttext import Subwords
from w2v.vectors.formats import Contents, Use
from w2v.vectors.locate import find_vectors
from w2v.vectors.search import top_k
from w2v.vectors.selection import Selection

MIN_LENGTH, MAX_LENGTH = 1e-15, 1e15
"""Between these lengths, products of a vector with one of length 1 are accurate in float32."""

MIN_ALPHABETICAL = 100
"""Fewer words may be in alphabetical order by chance, or because a person wrote them so."""


class WordVectors:
    """Words with one vector each, in a fixed order: by falling count if counts are known.

    Parameters
    ----------
    words
        V different words.
    vectors
        (V, d) float32; other float types are converted. The array is not copied, and can only be
        read through this object.
    counts
        (V,) int64, how often each word occurs in the corpus; None if unknown.
    outside
        (V, d) float32, the outside vectors of the same model; None if unknown. Not copied either.
    subwords
        The n-grams of a model of fastText. From them, unknown words get vectors, too.

    Raises
    ------
    InputError
        The shapes do not agree, a word occurs twice, or a count is negative.

    Notes
    -----
    The cosine with a zero vector is defined as 0.
    """

    def __init__(
        self,
        words: Sequence[str],
        vectors: ArrayLike,
        counts: ArrayLike | None = None,
        outside: ArrayLike | None = None,
        subwords: Subwords | None = None,
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
        self.subwords = subwords
        self.outside: NDArray[np.float32] | None = None
        if outside is not None:
            self.outside = np.asarray(outside, dtype=np.float32).view()
            self.outside.flags.writeable = False
            if self.outside.shape != self.vectors.shape:
                raise InputError(
                    f"outside vectors have the shape {self.outside.shape}; the vectors have "
                    f"{self.vectors.shape}"
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
        return isinstance(word, str) and word in self._rows

    def __getitem__(self, word: str) -> NDArray[np.float32]:
        """Return the vector of a word, (d,) float32; of an unknown one that of its n-grams."""
        vector: NDArray[np.float32]
        if self.subwords is not None and isinstance(word, str) and word not in self._rows:
            vector = self.subwords.means([word.encode("utf-8", "replace")])[0]
        else:
            vector = self.vectors[self.row(word)]
        return vector

    def __repr__(self) -> str:
        return f"WordVectors({len(self):,} words, {self.dimensions} dimensions)"

    @property
    def dimensions(self) -> int:
        """The number of components of a vector, d."""
        return int(self.vectors.shape[1])

    def row(self, word: str) -> int:
        """Return the row of a word in `vectors`.

        Raises
        ------
        InputError
            The word has no vector; the message suggests words with a similar spelling.
        """
        try:
            return self._rows[word]
        except (KeyError, TypeError):
            raise InputError(self._unknown(word)) from None

    def _unknown(self, word: object) -> str:
        """Return the message about a word that has no vector."""
        message = f"the word {word!r} is not among the {len(self):,} words"
        if not isinstance(word, str):
            return f"{message}; a word is a string"
        # Comparing with all words would take seconds; a misspelled word mostly begins correctly.
        first = word[:1].casefold()
        alike = [known for known in self.words if known[:1].casefold() == first]
        same = [known for known in alike if known.casefold() == word.casefold()]
        close = same or difflib.get_close_matches(word, alike, n=3)
        return f"{message}; close to it: {', '.join(map(repr, close))}" if close else message

    @cached_property
    def by_frequency(self) -> NDArray[np.intp]:
        """(V,) rows by falling count; words of equal count, or without counts, stay in order.

        Warns
        -----
        UserWarning
            There are no counts, and the words are in alphabetical order.
        """
        if self.counts is None:
            if _alphabetical(self.words):
                warnings.warn(
                    f"the {len(self):,} words are in alphabetical order and have no counts: what "
                    "is done with the most frequent words, such as analogies, is done with the "
                    "first ones instead; give counts=, a file of words and their counts",
                    stacklevel=2,
                )
            return np.arange(len(self))
        return np.argsort(-self.counts, kind="stable")

    @cached_property
    def _row_of_lowercase(self) -> dict[str, int]:
        """The row of the most frequent word with this spelling in lower case."""
        return {self.words[row].lower(): row for row in self.by_frequency[::-1].tolist()}

    def find(self, word: str) -> int | None:
        """Return the row of a word, or of one that differs only in case; None if there is none.

        If several words differ from it only in case, the most frequent one is found. Case is
        ignored as `str.lower` does, which keeps ``maße`` and ``masse`` apart. A word that contains
        spaces also matches a word with ``_`` in their place, and typographic apostrophes and
        hyphens match plain ones.
        """
        for spelling in spellings(word):
            row = self._rows.get(spelling)
            if row is None:
                row = self._row_of_lowercase.get(spelling.lower())
            if row is not None:
                return row
        return None

    @cached_property
    def norms(self) -> NDArray[np.float64]:
        """(V,) the length of each vector.

        Raises
        ------
        InputError
            A vector contains NaN or an infinity.
        """
        return self._lengths(slice(None))

    def _lengths(self, rows: NDArray[np.intp] | slice) -> NDArray[np.float64]:
        """Return the lengths of some vectors, and refuse those that are not finite."""
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
        """Return some vectors scaled to length 1, (rows, d); zero vectors stay zero.

        Raises
        ------
        InputError
            One of these vectors contains NaN or an infinity.
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
        """(V, d) all vectors scaled to length 1; zero vectors stay zero.

        Computed at the first use, and as large in memory as `vectors`.

        Raises
        ------
        InputError
            A vector contains NaN or an infinity.
        """
        unit = self.unit_rows(slice(None))
        unit.flags.writeable = False
        return unit

    def similarity(self, a: str, b: str) -> float:
        """Return the cosine of the angle between the vectors of two words.

        Raises
        ------
        InputError
            A word has no vector.
        """
        one, other = self._direction(a), self._direction(b)
        return float(np.clip(one @ other, -1.0, 1.0))

    def _direction(self, word: str) -> NDArray[np.float64]:
        """Return the vector of a word scaled to length 1, (d,); a zero vector stays zero."""
        vector = self[word]
        if not np.isfinite(vector).all():
            raise InputError(f"the vector of {word!r} holds NaN or an infinity")
        return _direction(vector)

    def nearest(
        self, query: str | Sequence[str] | ArrayLike, k: int = 10
    ) -> list[tuple[str, float]]:
        """Find the k words with the largest cosines.

        Parameters
        ----------
        query
            A word; several words, which stand for the mean of their vectors, each scaled to length
            1; or a vector (d,) of numbers. The words given are not answers. A vector may be that
            of a word, which is then the first answer.
        k
            At least 1. If there are fewer words, all of them are returned.

        Returns
        -------
        list of (word, cosine)
            The largest cosine first; of equal cosines, the word that comes first in `words`.

        Raises
        ------
        InputError
            A word has no vector, the vector has another size or is not finite, the query is
            neither words nor a vector, or k < 1.
        """
        if isinstance(query, str):
            row = self._rows.get(query)
            return self._nearest(self._direction(query), k, set() if row is None else {row})
        given = np.asarray(query if hasattr(query, "__len__") else None, dtype=object)
        if given.ndim == 1 and given.size and all(isinstance(word, str) for word in given):
            words = [str(word) for word in given]
            directions = np.array([self._direction(word) for word in words])
            rows = {self._rows[word] for word in words if word in self._rows}
            return self._nearest(directions.mean(axis=0), k, rows)
        try:
            vector = np.asarray(query, dtype=np.float64)
        except (TypeError, ValueError):
            vector = np.empty(())
        if vector.ndim == 0:
            raise InputError(
                f"the query is {query!r:.60}; a word, a list of words, or a vector of "
                f"{self.dimensions} numbers is needed"
            )
        if vector.shape != (self.dimensions,):
            raise InputError(
                f"a vector of shape {vector.shape} was given; these have ({self.dimensions},)"
            )
        if not np.isfinite(vector).all():
            raise InputError("the vector holds NaN or an infinity")
        return self._nearest(vector, k, set())

    def analogy(self, a: str, b: str, c: str, k: int = 10) -> list[tuple[str, float]]:
        """Complete "a is to b as c is to ..." by 3CosAdd.

        Parameters
        ----------
        a, b, c
            Words, which are never answers.
        k
            At least 1.

        Returns
        -------
        list of (word, cosine)
            The k words nearest to b - a + c, each of the three scaled to length 1; the largest
            cosine first.

        Raises
        ------
        InputError
            A word has no vector, or k < 1.

        References
        ----------
        Mikolov, Yih, Zweig (2013), Linguistic regularities in continuous space word
        representations, section 4. Levy, Goldberg (2014), equation 1.
        """
        rows = [self.row(word) for word in (a, b, c)]
        unit = self.unit_rows(rows).astype(np.float64)
        return self._nearest(unit[1] - unit[0] + unit[2], k, set(rows))

    def _nearest(
        self, vector: NDArray[np.floating], k: int, excluded: set[int]
    ) -> list[tuple[str, float]]:
        """Find the k words nearest to a vector, except those of the excluded rows."""
        if not isinstance(k, int | np.integer) or k < 1:
            raise InputError(f"k={k}: at least 1 neighbour must be asked for")
        k = min(k, len(self) - len(excluded))
        if k <= 0:
            return []
        cosines = self._cosines(vector)
        cosines[list(excluded)] = -np.inf
        return [(self.words[row], float(cosines[row])) for row in top_k(cosines[None], k)[0]]

    @cached_property
    def _divisors(self) -> NDArray[np.float32] | None:
        """(V,) the lengths, 1 for zero vectors; None if float32 cannot divide by them safely."""
        divisors = np.where(self.norms == 0.0, 1.0, self.norms)
        if divisors.min(initial=1.0) < MIN_LENGTH or divisors.max(initial=1.0) > MAX_LENGTH:
            return None
        return divisors.astype(np.float32)

    def _cosines(self, vector: NDArray[np.floating]) -> NDArray[np.float32]:
        """Return the cosines of a vector with all vectors, (V,)."""
        direction = _direction(vector).astype(np.float32)
        if self._divisors is None:
            cosines = self.unit @ direction
        else:
            # Unlike `unit`, this needs no copy of the vectors, which may be mapped into memory.
            cosines = self.vectors @ direction
            cosines /= self._divisors
        return np.clip(cosines, -1.0, 1.0, out=cosines)

    def _contents(self) -> Contents:
        return Contents(self.words, self.vectors, self.counts, self.outside, self.subwords)

    def save(self, directory: str | Path) -> None:
        """Write ``vectors.npy``, ``vocabulary.tsv`` and, if known, ``outside_vectors.npy``.

        The directory is created.

        See `w2v.vectors.formats.write_folder`.

        Raises
        ------
        InputError
            A word is empty, contains a tab or a line feed, or is not valid Unicode.
        """
        formats.write_folder(local_path(directory), self._contents())

    @classmethod
    def load(
        cls,
        path: str | Path,
        use: Use = "v",
        *,
        limit: int | None = None,
        words: Collection[str] | None = None,
        counts: str | Path | None = None,
        encoding: str = "utf-8",
    ) -> Self:
        """Load vectors from a file or folder of any format that this project reads.

        Parameters
        ----------
        path
            A folder as `save` or a training run leaves it, or the ``vectors.npy`` in it, which is
            mapped into memory instead of read; a run's folder or its ``summary.json``; a file of
            word2vec (text or binary), fastText (``.vec`` or ``.bin``) or GloVe, compressed (gzip,
            bzip2, xz, Zstandard, zip) or not; a Parquet file, or a folder of them as Spark writes
            a model. The format is told by the content. See `w2v.vectors.find_vectors` and
            `w2v.vectors.formats.read`.
        use
            ``v+u`` adds the outside vectors, which training leaves in the folder, to the center
            vectors; this makes a copy in memory.
        limit
            Read at most this many words, the first ones: of most files, the most frequent.
        words
            Read only these words. Memory is taken for the words that are read, not for the file.
            With fastText's n-grams, words that are not read count as unknown.
        counts
            A file of words and how often they occur, separated by a tab, a space, a comma or a
            semicolon, for vectors without counts. Words that it lacks count 0, with a warning.
        encoding
            How the words of a file of word2vec, fastText or GloVe are encoded.

        Raises
        ------
        InputError
            A file is missing, damaged or of another format, or files do not agree.

        Warns
        -----
        UserWarning
            What `w2v.vectors.formats.read_word2vec` warns of.

        References
        ----------
        On sums with outside vectors: Pennington, Socher, Manning (2014), GloVe, section 4.2.
        Levy, Goldberg, Dagan (2015), Improving distributional similarity, section 3.3.
        """
        if not isinstance(path, str | Path):
            raise InputError(f"path={path!r:.60}: must be the path of a file or folder")
        selection = Selection(limit, words)
        path = find_vectors(path)
        contents = formats.read(path, use, encoding, selection)
        if counts is not None:
            found = formats.read_counts(local_path(counts), contents.words)
            contents = contents._replace(counts=found)
        try:
            return cls(*contents)
        except InputError as error:
            raise InputError(f"{path}: {error}") from None

    def export(self, folder: str | Path, names: Sequence[str]) -> None:
        """Write the vectors into a folder, in several formats for other tools.

        Parameters
        ----------
        folder
            Created if needed.
        names
            Keys of `w2v.vectors.formats.FORMATS`.

        Raises
        ------
        InputError
            A word cannot be written in one of the formats.
        """
        for name in names:
            target = formats.FORMATS[name]
            target.write(local_path(folder) / target.name, self._contents())

    def save_word2vec(self, path: str | Path, binary: bool = False, *, header: bool = True) -> None:
        """Write the format of word2vec, which gensim and many others read.

        See `w2v.vectors.formats.write_word2vec` for the parameters and errors.
        """
        formats.write_word2vec(local_path(path), self._contents(), binary, header)

    @classmethod
    def load_word2vec(
        cls,
        path: str | Path,
        binary: bool | None = None,
        *,
        header: bool | None = True,
        encoding: str = "utf-8",
    ) -> Self:
        """Load a file of word2vec, gensim, fastText or GloVe, whose format the caller may know.

        See `w2v.vectors.formats.read_word2vec` for the parameters and errors.
        """
        return cls(*formats.read_word2vec(local_path(path), binary, header, encoding))

    def save_projector(self, directory: str | Path) -> None:
        """Write ``vectors.tsv`` and ``metadata.tsv`` for TensorBoard's embedding projector.

        See `w2v.vectors.formats.write_projector`.
        """
        formats.write_projector(local_path(directory), self._contents())

    def to_gensim(self) -> Any:
        """Return a copy as ``gensim.models.KeyedVectors``, with the counts if they are known."""
        from gensim.models import KeyedVectors

        keyed = KeyedVectors(self.dimensions)
        keyed.add_vectors(list(self.words), self.vectors)
        if self.counts is not None:
            for word, count in zip(self.words, self.counts.tolist(), strict=True):
                keyed.set_vecattr(word, "count", count)
        return keyed


def spellings(word: str) -> list[str]:
    """Return the forms in which a word is looked up, in this order; see `WordVectors.find`."""
    joined = "_".join(word.split())
    return list(dict.fromkeys((word, joined, joined.translate(PLAIN))))


def _direction(vector: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return a vector scaled to length 1; a zero vector stays zero."""
    largest = np.abs(vector).max(initial=0.0)
    if largest == 0.0:
        return vector.astype(np.float64)
    scaled = vector / np.float64(largest)  # keeps the squares from overflowing
    direction: NDArray[np.float64] = scaled / np.linalg.norm(scaled)
    return direction


def _alphabetical(words: Sequence[str]) -> bool:
    """Tell whether words are in alphabetical order, forwards or backwards, with few exceptions.

    Words of equal count are often in alphabetical order, so this looks at the order as a whole.
    """
    if len(words) < MIN_ALPHABETICAL:
        return False
    places = np.linspace(0, len(words) - 1, min(len(words), 1000)).astype(np.intp)
    sample = [words[place] for place in places]
    orders = (sample, [word.casefold() for word in sample])
    ranks = [np.argsort(np.argsort(np.array(order), kind="stable")) for order in orders]
    return any(abs(np.corrcoef(rank, places)[0, 1]) > 0.9 for rank in ranks)
