"""Trained word vectors: look words up, compare them, find neighbors, load and save."""

import difflib
import math
import warnings
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from w2v.errors import InputError
from w2v.files import local_path
from w2v.text.punctuation import PLAIN
from w2v.text.tokenizer import Tokenizer, Words
from w2v.vectors import formats
from w2v.vectors.formats import Contents, Use
from w2v.vectors.locate import find_vectors
from w2v.vectors.ngrams import Subwords
from w2v.vectors.search import MAX_COSINES, top_k
from w2v.vectors.selection import Selection
from w2v.vectors.shrink import (
    PAIRS,
    SimilarityLoss,
    compare_cosines,
    principal_axes,
    rotated,
)
from w2v.vectors.texts import TextVectors, Weights, sif_weights, text_vectors, without_component

MIN_LENGTH, MAX_LENGTH = 1e-15, 1e15
"""For vectors of lengths between these, dot products with unit vectors are accurate in float32."""

MIN_ALPHABETICAL = 100
"""Fewer words may be in alphabetical order by chance, or because a person wrote them so."""


class WordVectors:
    """Word vectors: V words, each with a vector of d numbers.

    The words keep the order in which they are given, which is usually by descending count.

    Parameters
    ----------
    words
        V different words.
    vectors
        (V, d) float32 or float16; other types are converted to float32. The array is not copied,
        and is read-only through this object.
    counts
        (V,) int64, how often each word occurs in the corpus; None if unknown.
    outside
        (V, d) float32, the outside vectors of the same model; None if unknown. They are not copied.
    subwords
        The n-grams of a fastText model, which give vectors to words outside the vocabulary.

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
        array = _floats(vectors)
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
            self.outside = _floats(outside)
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
        """Return the vector of a word, (d,) float32.

        With a fastText model, the vector of an unknown word is computed from its n-grams.

        Raises
        ------
        InputError
            The word has no vector.
        """
        vector: NDArray[np.float32]
        if self.subwords is not None and isinstance(word, str) and word not in self._rows:
            vector = self.subwords.means([word.encode("utf-8", "replace")])[0]
        else:
            vector = self.vectors[self.row(word)]
        return vector.astype(np.float32, copy=False)

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
        """Return the error message for a word without a vector, with words of similar spelling."""
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
        """The rows of `vectors` by descending count of their words: intp (V,).

        Words of equal count keep their order; without counts, all words do.

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
        """For each word in lower case, the row of the most frequent word with this spelling."""
        return {self.words[row].lower(): row for row in self.by_frequency[::-1].tolist()}

    def find(self, word: str) -> int | None:
        """Return the row of a word, or of a word that differs only in case; None if there is none.

        If several words differ only in case, the most frequent one is found. Case is ignored as by
        `str.lower`, which keeps ``maße`` and ``masse`` apart. A word that contains spaces also
        matches a word with ``_`` in their place, and typographic apostrophes and hyphens match the
        ASCII characters.
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
        """The Euclidean length of each vector: float64 (V,).

        Raises
        ------
        InputError
            A vector contains NaN or an infinity.
        """
        return self._lengths(slice(None))

    def _lengths(self, rows: NDArray[np.intp] | slice) -> NDArray[np.float64]:
        """Return the Euclidean lengths of the vectors in some rows.

        Raises
        ------
        InputError
            One of these vectors contains NaN or an infinity.
        """
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
        """Return the vectors in some rows, scaled to length 1: (rows, d). Zero vectors stay zero.

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
        """All vectors scaled to length 1: float32 (V, d). Zero vectors stay zero.

        The array is computed at the first use and takes as much memory as `vectors`.

        Raises
        ------
        InputError
            A vector contains NaN or an infinity.
        """
        unit = self.unit_rows(slice(None))
        unit.flags.writeable = False
        return unit

    def similarity(self, a: str | Sequence[str], b: str | Sequence[str]) -> float:
        """Return the cosine between the vectors of two words, or of two lists of words.

        Parameters
        ----------
        a, b
            A word; or several words, which are represented by the mean of their vectors.

        Raises
        ------
        InputError
            A word has no vector, or a list is empty.
        """
        if isinstance(a, str) and isinstance(b, str) and self.subwords is None:  # the quick way
            x = self.vectors[self.row(a)].astype(np.float64)
            y = self.vectors[self.row(b)].astype(np.float64)
            squares = float(x @ x) * float(y @ y)
            if 0.0 < squares < math.inf:
                return min(1.0, max(-1.0, float(x @ y) / math.sqrt(squares)))
        sets = ([s] if isinstance(s, str) else word_list(n, s) for n, s in (("a", a), ("b", b)))
        vectors = [self._finite(words) for words in sets]
        one, other = (given[0] if len(given) == 1 else given.mean(axis=0) for given in vectors)
        lengths = math.sqrt(one @ one) * math.sqrt(other @ other)
        return min(1.0, max(-1.0, float(one @ other) / lengths)) if lengths else 0.0

    def _finite(self, words: Sequence[str]) -> NDArray[np.float64]:
        """Return the vectors of words: float64 (n, d).

        Raises
        ------
        InputError
            A word has no vector, or its vector is not finite.
        """
        chosen: NDArray[np.float64]
        if self.subwords is not None:
            chosen = np.array([self[word] for word in words], np.float64)
        elif len(words) == 1:
            chosen = self.vectors[self.row(words[0])].astype(np.float64)[np.newaxis]
        else:
            chosen = self.vectors[[self.row(word) for word in words]].astype(np.float64)
        if not math.isfinite(chosen.sum()):  # NaN and infinities stay in a sum
            finite = np.isfinite(chosen).all(axis=1)
            word = words[int(np.argmin(finite))]
            raise InputError(f"the vector of {word!r} holds NaN or an infinity")
        return chosen

    def _directions(self, words: Sequence[str]) -> NDArray[np.float64]:
        """Return the vectors of words, scaled to length 1: float64 (n, d). Zero vectors stay
        zero.
        """
        chosen = self._finite(words)
        lengths = np.sqrt(np.einsum("ij,ij->i", chosen, chosen))
        lengths[lengths == 0.0] = 1.0
        chosen /= lengths[:, np.newaxis]
        return chosen

    def nearest(
        self,
        query: str | Sequence[str] | ArrayLike = (),
        k: int = 10,
        *,
        minus: str | Sequence[str] = (),
        among: Sequence[str] | None = None,
        min_count: int | None = None,
    ) -> list[tuple[str, float]]:
        """Find the k words with the largest cosines to a query.

        Parameters
        ----------
        query
            A word; several words, which are represented by the mean of their vectors, each scaled
            to length 1; or a vector (d,) of numbers. Words of the query are never answers. If the
            query is a vector, no word is excluded: if it is the vector of a word, this word is the
            first answer.
        k
            The number of words, at least 1. If there are fewer words, all of them are returned.
        minus
            A word or several, whose vectors, scaled to length 1, are subtracted from the query, as
            in ``nearest(["king", "woman"], minus="man")``. These words are never answers either.
        among
            Only these words can be answers; None: all words.
        min_count
            Only words that occur at least this often in the corpus can be answers.

        Returns
        -------
        list of (word, cosine)
            The largest cosine first; of equal cosines, the word that comes first in `words`.

        Raises
        ------
        InputError
            A word has no vector, the vector has another size or is not finite, the query is
            neither words nor a vector, k < 1, or `min_count` is given and counts are unknown.

        References
        ----------
        Mikolov, Yih, Zweig (2013), Linguistic regularities in continuous space word
        representations.
        """
        asked = self._query(query, minus)
        k, rows = self._answers(k, among, min_count)
        return self._nearest([asked], k, rows)[0]

    def nearest_many(
        self,
        queries: Sequence[str | Sequence[str]] | ArrayLike,
        k: int = 10,
        *,
        among: Sequence[str] | None = None,
        min_count: int | None = None,
    ) -> list[list[tuple[str, float]]]:
        """Find the k words with the largest cosines for each of many queries, by matrix products.

        Parameters
        ----------
        queries
            Each is a query of `nearest`: a word, several words, or a vector. An array (n, d) is n
            vectors.
        k
            The number of words per query, at least 1.
        among
            Only these words can be answers; None: all words.
        min_count
            Only words that occur at least this often in the corpus can be answers.

        Returns
        -------
        list of lists of (word, cosine)
            One list for each query, the largest cosine first; the words of a query are not in its
            list.

        Raises
        ------
        InputError
            A word has no vector, a vector has another size or is not finite, a query is neither
            words nor a vector, k < 1, or `min_count` is given and counts are unknown.
        """
        if isinstance(queries, str) or not hasattr(queries, "__iter__"):
            raise InputError(f"queries={queries!r:.60}: must be a list of queries")
        k, rows = self._answers(k, among, min_count)
        asked = [self._query(query, ()) for query in queries]
        return self._nearest(asked, k, rows)

    def analogy(self, a: str, b: str, c: str, k: int = 10) -> list[tuple[str, float]]:
        """Complete "a is to b as c is to ..." by 3CosAdd.

        To evaluate files of analogy questions, use `w2v.evaluate.analogies`.

        Parameters
        ----------
        a, b, c
            Words, which are never answers.
        k
            The number of answers, at least 1.

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
        return self.nearest([b, c], k, minus=[a])

    def odd_one_out(self, words: Sequence[str]) -> str:
        """Return the word that is least similar to the others.

        Parameters
        ----------
        words
            At least three words.

        Returns
        -------
        str
            The word with the smallest cosine with the mean of all, each scaled to length 1; of
            equal cosines, the first.

        Raises
        ------
        InputError
            A word has no vector, or there are fewer than three words.
        """
        given = word_list("words", words)
        if len(given) < 3:
            raise InputError(f"words={given!r:.60}: must be at least three words")
        directions = self._directions(given)
        return given[int(np.argmin(directions @ directions.sum(axis=0)))]

    def text_vectors(
        self,
        texts: Iterable[str] | Iterable[Iterable[str]],
        *,
        weights: Weights = "mean",
        tokenizer: Tokenizer | Callable[[str], Iterable[str]] | None = None,
        a: float = 1e-3,
        remove_common: bool | None = None,
    ) -> TextVectors:
        """Return the vectors of texts: the weighted means of the vectors of their words.

        Parameters
        ----------
        texts
            Strings, which are tokenized; or lists of tokens, which are used unchanged.
        weights
            ``mean``: every word has the same weight. ``sif`` (smooth inverse frequency): a word of
            probability p, computed from the counts, has the weight a / (a + p).
        tokenizer
            Splits strings; ``w2v.Words()`` if None, as in training.
        a
            The parameter of the SIF weights.
        remove_common
            Whether to subtract the component along the first singular vector of the text vectors,
            the direction that most of them share; None: only with ``sif``.

        Returns
        -------
        TextVectors
            ``vectors``, float32 (texts, d); ``known``, how many tokens of each text are in the
            vocabulary; and ``unknown``, the other tokens and how often each occurs.

        Raises
        ------
        InputError
            A text is neither a string nor a list of tokens, or counts are needed and unknown.

        References
        ----------
        Arora, Liang, Ma (2017), A simple but tough-to-beat baseline for sentence embeddings.
        """
        if weights not in ("mean", "sif"):
            raise InputError(f"weights={weights!r:.40}: must be mean or sif")
        if not isinstance(a, int | float) or not 0 < a < np.inf:
            raise InputError(f"a={a!r:.40}: must be a finite number above 0")
        if isinstance(texts, str) or not hasattr(texts, "__iter__"):
            raise InputError(f"texts={texts!r:.60}: must be a list of texts, as in [text]")
        if weights == "sif" and self.counts is None:
            raise InputError("weights=sif: needs counts; load the vectors with counts=")
        split = Words() if tokenizer is None else tokenizer
        splitter = split.tokens if isinstance(split, Tokenizer) else split
        found = text_vectors(
            (tokens_of(text, number, splitter) for number, text in enumerate(texts, start=1)),
            self._rows,
            self.vectors,
            sif_weights(self.counts, a) if weights == "sif" and self.counts is not None else None,
            None if self.subwords is None else self.__getitem__,
        )
        if remove_common or (remove_common is None and weights == "sif"):
            found = found._replace(vectors=without_component(found.vectors))
        return found

    def probability(
        self,
        context: str | Sequence[str] | None,
        word: str | Sequence[str],
        *,
        exponent: float = 0.0,
    ) -> Any:
        """Return the model's probability of outside words given center words.

        It is the exact softmax of the scores u_x · v over all words x of the vocabulary, in
        float64. It is computed from the center vectors v and the outside vectors u.

        Parameters
        ----------
        context
            The outside word, or several; None: every word, in the order of `words`.
        word
            The center word, or several.
        exponent
            0 for a model that was trained with the exact softmax. The scores of negative sampling
            are relative to the noise distribution count ** exponent, which must be multiplied in:
            give the exponent of the training, usually 0.75.

        Returns
        -------
        float, or float64 array
            (words, contexts), without the axis of an argument that is a single word.

        Raises
        ------
        InputError
            There are no outside vectors, a word has no vector, or an exponent is given and counts
            are unknown.

        References
        ----------
        Mikolov et al. (2013), Distributed Representations of Words and Phrases, equation 2. Levy,
        Goldberg (2014), Neural word embedding as implicit matrix factorization, on the scores of
        negative sampling.
        """
        if self.outside is None:
            raise InputError(
                "there are no outside vectors; they are in the folder of a model, which "
                "w2v.train(...).save or a run writes"
            )
        if not isinstance(exponent, int | float) or not np.isfinite(exponent):
            raise InputError(f"exponent={exponent!r:.40}: must be a finite number")
        if exponent and self.counts is None:
            raise InputError(f"exponent={exponent}: needs counts; the vectors have none")
        centers = [
            self.row(w) for w in ([word] if isinstance(word, str) else word_list("word", word))
        ]
        columns: list[int] | slice = slice(None)
        if context is not None:
            listed = [context] if isinstance(context, str) else word_list("context", context)
            columns = [self.row(w) for w in listed]
        log_noise = np.zeros(len(self))
        if exponent and self.counts is not None:
            with np.errstate(divide="ignore"):
                log_noise = exponent * np.log(self.counts)
        parts = []
        step = max(1, MAX_COSINES // len(self))
        outside = self.outside.astype(np.float64)
        for start in range(0, len(centers), step):
            scores = self.vectors[centers[start : start + step]].astype(np.float64) @ outside.T
            scores += log_noise
            scores -= scores.max(axis=1, keepdims=True)
            np.exp(scores, out=scores)
            scores /= scores.sum(axis=1, keepdims=True)
            parts.append(scores[:, columns])
        found = np.concatenate(parts)
        if isinstance(context, str):
            found = found[:, 0]
        if isinstance(word, str):
            found = found[0]
        return float(found) if found.ndim == 0 else found

    def shrink(
        self,
        words: int | None = None,
        dim: int | None = None,
        dtype: DTypeLike = np.float32,
    ) -> tuple[Self, SimilarityLoss]:
        """Return smaller vectors (fewer words, dimensions or bytes), and how much cosines change.

        Parameters
        ----------
        words
            The number of words to keep, the most frequent ones; None: all.
        dim
            The number of dimensions to keep: the coordinates with respect to the leading principal
            axes of the vectors that are kept. Outside vectors are then dropped. None: all
            dimensions.
        dtype
            ``float32``; or ``float16``, which has three significant digits and takes half the
            memory and disk space.

        Returns
        -------
        vectors : WordVectors
            The smaller vectors, without n-grams.
        loss : SimilarityLoss
            The mean and the largest change of the cosine, and the rank correlation, over random
            pairs of the words that are kept.

        Raises
        ------
        InputError
            An argument is not allowed, or a number does not fit into float16.
        """
        for name, value, most in (("words", words, len(self)), ("dim", dim, self.dimensions)):
            if value is not None and (
                not isinstance(value, int | np.integer) or not 1 <= value <= most
            ):
                raise InputError(f"{name}={value!r:.40}: must be from 1 to {most:,}, or None")
        kind = np.dtype(dtype) if dtype in ("float16", "float32", np.float16, np.float32) else None
        if kind is None:
            raise InputError(f"dtype={dtype!r:.40}: must be float32 or float16")
        rows = np.arange(len(self)) if words is None else np.sort(self.by_frequency[:words])
        self._lengths(rows)  # refuses vectors that are not finite
        chosen, outside = self.vectors[rows], self.outside
        if dim is not None:
            chosen, outside = rotated(chosen, principal_axes(chosen, dim)), None
        with np.errstate(over="ignore"):
            chosen = chosen.astype(kind)
            outside = None if outside is None else outside[rows].astype(kind)
        if not np.isfinite(chosen).all() or (
            outside is not None and not np.isfinite(outside).all()
        ):
            raise InputError("dtype=float16: a number is larger than 65,504")
        made = type(self)(
            [self.words[row] for row in rows.tolist()],
            chosen,
            None if self.counts is None else self.counts[rows],
            outside,
        )
        random = np.random.default_rng(0)
        pairs = random.integers(0, len(rows), (2, PAIRS if len(rows) > 1 else 0))
        pairs = pairs[:, pairs[0] != pairs[1]]
        return made, compare_cosines(self._pair_cosines(rows[pairs]), made._pair_cosines(pairs))

    def _pair_cosines(self, rows: NDArray[np.intp]) -> NDArray[np.float64]:
        """Return the cosine of each pair of vectors: float64 (n,).

        Parameters
        ----------
        rows : (2, n)
            The rows of the two vectors of each pair.
        """
        parts = []
        for start in range(0, rows.shape[1], PAIRS // 10):
            a, b = (self.unit_rows(one[start : start + PAIRS // 10]) for one in rows)
            parts.append(np.einsum("ij,ij->i", a, b, dtype=np.float64))
        return np.concatenate(parts) if parts else np.empty(0)

    def _query(
        self, query: str | Sequence[str] | ArrayLike, minus: str | Sequence[str]
    ) -> tuple[NDArray[np.float64], set[int]]:
        """Convert a query of `nearest` to a vector of length 1.

        Returns
        -------
        direction : float64 (d,)
            The sum of the vectors of the query minus those of `minus`, each of length 1, scaled to
            length 1.
        rows : set of int
            The rows of the words in the query, which are never answers.
        """
        negative = [minus] if isinstance(minus, str) else word_list("minus", minus, least=0)
        positive = query_words(query, len(negative) > 0)
        if positive is None:
            vector = _direction(self._vector_of_numbers(query))
        else:
            vector = (
                self._directions(positive).sum(axis=0) if positive else np.zeros(self.dimensions)
            )
        if negative:
            vector = vector - self._directions(negative).sum(axis=0)
        words = [*(positive or ()), *negative]
        return _direction(vector), {self._rows[word] for word in words if word in self._rows}

    def _vector_of_numbers(self, query: object) -> NDArray[np.float64]:
        """Convert a query that is not words to a vector: float64 (d,).

        Raises
        ------
        InputError
            The query is not d finite numbers.
        """
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
        return vector

    def _answers(
        self, k: int, among: Sequence[str] | None, min_count: int | None
    ) -> tuple[int, NDArray[np.intp] | None]:
        """Validate the arguments `k`, `among` and `min_count` of `nearest`.

        Returns
        -------
        k : int
        rows : intp (n,) or None
            The rows of the words that can be answers, ascending; None: all words.

        Raises
        ------
        InputError
            An argument is not allowed, a word has no vector, or counts are needed and unknown.
        """
        if not isinstance(k, int | np.integer) or isinstance(k, bool) or k < 1:
            raise InputError(f"k={k!s:.40}: at least 1 neighbour must be asked for")
        if among is None and min_count is None:
            return int(k), None
        rows = None
        if among is not None:
            rows = np.unique([self.row(word) for word in word_list("among", among)]).astype(np.intp)
        if min_count is not None:
            if self.counts is None:
                raise InputError(f"min_count={min_count}: needs counts; the vectors have none")
            if not isinstance(min_count, int | np.integer) or min_count < 0:
                raise InputError(f"min_count={min_count!r:.40}: must be a whole number, at least 0")
            frequent = self.counts >= min_count
            rows = np.flatnonzero(frequent) if rows is None else rows[frequent[rows]]
        return int(k), rows

    def _nearest(
        self,
        asked: Sequence[tuple[NDArray[np.float64], set[int]]],
        k: int,
        rows: NDArray[np.intp] | None = None,
    ) -> list[list[tuple[str, float]]]:
        """Return the k words nearest by cosine to each of several query vectors.

        Parameters
        ----------
        asked
            For each query a vector (d,) of length 1, and the rows of words that are not answers.
        rows
            The rows of the words that can be answers, ascending; None: all words.

        Returns
        -------
        list of lists of (word, cosine)
            The largest cosine first.
        """
        found: list[list[tuple[str, float]]] = []
        size = len(self) if rows is None else len(rows)
        if size == 0:
            return [[] for _ in asked]
        step = max(1, MAX_COSINES // size)
        for start in range(0, len(asked), step):
            directions, excluded = zip(*asked[start : start + step], strict=True)
            cosines = self._cosines(np.array(directions, np.float32), rows)
            counts = []
            for one, given in zip(cosines, excluded, strict=True):
                out = np.array([*given], np.intp)
                if rows is not None:
                    place = np.minimum(np.searchsorted(rows, out), size - 1)
                    out = place[rows[place] == out]
                one[out] = -np.inf
                counts.append(size - len(out))
            best = top_k(cosines, min(k, size))
            values = np.take_along_axis(cosines, best, axis=1).tolist()
            chosen = (best if rows is None else rows[best]).tolist()
            for places, scores, count in zip(chosen, values, counts, strict=True):
                pairs = zip(places[:count], scores[:count], strict=True)
                found.append([(self.words[row], score) for row, score in pairs])
        return found

    @cached_property
    def _divisors(self) -> NDArray[np.float32] | None:
        """The length of each vector, by which dot products are divided: float32 (V,).

        For a zero vector it is 1. The value is None if some length is so small or so large that
        dividing by it in float32 would be inaccurate.
        """
        divisors = np.where(self.norms == 0.0, 1.0, self.norms)
        if divisors.min(initial=1.0) < MIN_LENGTH or divisors.max(initial=1.0) > MAX_LENGTH:
            return None
        return divisors.astype(np.float32)

    def _cosines(
        self, directions: NDArray[np.float32], rows: NDArray[np.intp] | None
    ) -> NDArray[np.float32]:
        """Return the cosines of query vectors with the vectors in some rows: float32 (n, rows).

        Parameters
        ----------
        directions : (n, d)
            Query vectors of length 1.
        rows
            The rows, ascending; None: all rows.
        """
        part: slice | NDArray[np.intp] = slice(None)
        if rows is not None:  # the first rows need no copy
            first = len(rows) > 0 and rows[0] == 0 and rows[-1] == len(rows) - 1
            part = slice(len(rows)) if first else rows
        if self._divisors is None or self.vectors.dtype != np.float32:
            cosines = directions @ self.unit[part].T
        else:
            # Unlike `unit`, this needs no copy of the vectors, which may be mapped into memory.
            cosines = directions @ self.vectors[part].T
            cosines /= self._divisors[part]
        return np.clip(cosines, -1.0, 1.0, out=cosines)

    def _contents(self) -> Contents:
        return Contents(self.words, self.vectors, self.counts, self.outside, self.subwords)

    def save(self, directory: str | Path) -> None:
        """Write the vectors into a folder from which `load` can read them; it is created if needed.

        The files are ``vectors.npy``, ``vocabulary.tsv`` (words and counts) and, if known,
        ``outside_vectors.npy``; with n-grams also ``subwords.npy`` and ``ngrams.json``.

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
            A folder that `save` or a training run wrote, or the ``vectors.npy`` in it, which is
            mapped into memory instead of read; a run's folder or its ``summary.json``; a file of
            word2vec (text or binary), fastText (``.vec`` or ``.bin``) or GloVe, compressed (gzip,
            bzip2, xz, Zstandard, zip) or not; a Parquet file, or a folder of them as Spark writes
            a model. The format is detected from the content.
        use
            ``v+u`` adds the outside vectors, which a training run also saves, to the center
            vectors; this makes a copy in memory.
        limit
            Read at most this many words, the first ones: in most files, the most frequent.
        words
            Read only these words. Only the words that are read take memory. If a fastText model has
            n-grams, words that were not read still get vectors, from their n-grams.
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
            The header of a word2vec file states another number of rows; words are blank, repeated,
            end in a number or are not in the encoding; or words that were asked for are missing.

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
            The folder, which is created if needed.
        names
            The formats: keys of `w2v.vectors.formats.FORMATS`, such as ``word2vec-text``.

        Raises
        ------
        InputError
            A word cannot be written in one of the formats.
        KeyError
            A format is unknown.
        """
        for name in names:
            target = formats.FORMATS[name]
            target.write(local_path(folder) / target.name, self._contents())

    def save_word2vec(self, path: str | Path, binary: bool = False, *, header: bool = True) -> None:
        """Write a file in the format of word2vec, which gensim and many other tools read.

        Parameters
        ----------
        path
            The file, compressed if its name ends in .gz, .bz2 or .xz.
        binary
            Write the numbers as float32 instead of text.
        header
            False omits the first line ``words dimensions``, which gives the text format of GloVe.

        Raises
        ------
        InputError
            A word cannot be written in this format, or a binary file is requested without a header.
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
        """Load a file in the format of word2vec, gensim, fastText (text) or GloVe.

        Unlike `load`, the caller can state the format.

        Parameters
        ----------
        binary
            Whether the numbers are float32 instead of text. None: detect it.
        header
            Whether the first line is ``words dimensions``. False: text as GloVe writes it. None:
            detect it.
        encoding
            How the words are encoded.

        Raises
        ------
        InputError
            The file cannot be read, is damaged or has another format, or the encoding is unknown.

        Warns
        -----
        UserWarning
            The header states another number of rows, or words are blank, repeated, end in a number
            or are not in the encoding.
        """
        return cls(*formats.read_word2vec(local_path(path), binary, header, encoding))

    def save_projector(self, directory: str | Path) -> None:
        """Write ``vectors.tsv`` and ``metadata.tsv`` for TensorBoard's embedding projector.

        Raises
        ------
        InputError
            A word is empty, contains a tab or a line break, or is not valid Unicode.
        """
        formats.write_projector(local_path(directory), self._contents())

    def to_gensim(self) -> Any:
        """Return a copy as ``gensim.models.KeyedVectors``, with counts if they are known."""
        from gensim.models import KeyedVectors

        keyed = KeyedVectors(self.dimensions)
        keyed.add_vectors(list(self.words), self.vectors)
        if self.counts is not None:
            for word, count in zip(self.words, self.counts.tolist(), strict=True):
                keyed.set_vecattr(word, "count", count)
        return keyed


@lru_cache(1 << 14)  # the words of a benchmark are looked up in one model after the other
def spellings(word: str) -> tuple[str, ...]:
    """Return the spellings with which `WordVectors.find` looks up a word, in this order.

    They are the word itself, the word with ``_`` for spaces, and the word with ``_`` for spaces and
    ASCII apostrophes and hyphens.
    """
    joined = "_".join(word.split())
    return tuple(dict.fromkeys((word, joined, joined.translate(PLAIN))))


def _floats(values: ArrayLike) -> NDArray[Any]:
    """Return a read-only array: float16 if `values` are float16, or else float32."""
    array = np.asarray(values)
    array = array.view() if array.dtype == np.float16 else np.asarray(array, np.float32).view()
    array.flags.writeable = False
    return array


def word_list(name: str, words: object, least: int = 1) -> list[str]:
    """Check an argument that must be a list of words, and return it as a list.

    Parameters
    ----------
    name
        The name of the argument, for error messages.
    words
        The value of the argument.
    least
        The smallest number of words allowed.

    Raises
    ------
    InputError
        `words` is not a list of at least `least` strings.
    """
    if isinstance(words, str | bytes) or not isinstance(words, Iterable):
        raise InputError(f"{name}={words!r:.60}: must be a list of words")
    found = list(words)
    if len(found) < least or not all(isinstance(word, str) for word in found):
        raise InputError(f"{name}={found!r:.60}: must be a list of words")
    return [str(word) for word in found]


def query_words(query: object, may_be_empty: bool) -> list[str] | None:
    """Return the words of a query of `WordVectors.nearest`; None if the query is a vector.

    Parameters
    ----------
    may_be_empty
        Whether an empty list is a query without words.
    """
    if isinstance(query, str):
        return [query]
    given = np.asarray(query if hasattr(query, "__len__") else None, dtype=object)
    if given.ndim == 1 and given.size and all(isinstance(word, str) for word in given):
        return [str(word) for word in given]
    return [] if may_be_empty and given.shape == (0,) else None


def tokens_of(text: object, number: int, split: Callable[[str], Iterable[str]]) -> Iterable[str]:
    """Return the tokens of a text, which is a string or already an iterable of tokens.

    Parameters
    ----------
    number
        The number of the text, for messages.
    split
        Splits a string into tokens.

    Raises
    ------
    InputError
        The text is neither a string nor an iterable.
    """
    if isinstance(text, str):
        return split(text)
    if isinstance(text, bytes | Mapping) or not isinstance(text, Iterable):
        raise InputError(f"texts: text {number} is {text!r:.60}; a string or a list is needed")
    return text


def _direction(vector: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return a vector scaled to length 1; a zero vector stays zero."""
    largest = np.abs(vector).max(initial=0.0)
    if largest == 0.0:
        return vector.astype(np.float64)
    scaled = vector / np.float64(largest)  # keeps the squares from overflowing
    direction: NDArray[np.float64] = scaled / np.linalg.norm(scaled)
    return direction


def _alphabetical(words: Sequence[str]) -> bool:
    """Return whether words are almost in alphabetical order, ascending or descending.

    This is so if the rank correlation is above 0.9. A sample from the whole list is used, because
    short runs of words with equal counts are often in alphabetical order.
    """
    if len(words) < MIN_ALPHABETICAL:
        return False
    places = np.linspace(0, len(words) - 1, min(len(words), 1000)).astype(np.intp)
    sample = [words[place] for place in places]
    orders = (sample, [word.casefold() for word in sample])
    ranks = [np.argsort(np.argsort(np.array(order), kind="stable")) for order in orders]
    return any(abs(np.corrcoef(rank, places)[0, 1]) > 0.9 for rank in ranks)
