"""`WordVectors`: words and their vectors, with look-up, nearest neighbors, loading and saving.

The code of most longer methods is in other modules of this package: `cosines`, `nearest`, `texts`,
`probability`, `shrink` and `formats`.
"""

import warnings
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from w2v.errors import InputError
from w2v.files import local_path, refuse_unwritable
from w2v.settings import check_choice
from w2v.text.tokenizer import Tokenizer
from w2v.vectors import cosines, formats
from w2v.vectors.formats import USES, Contents, Selection, Use
from w2v.vectors.locate import find_vectors
from w2v.vectors.lookup import alphabetical, spellings, unknown_word
from w2v.vectors.nearest import make_query, nearest_words, possible_answers
from w2v.vectors.ngrams import Subwords
from w2v.vectors.probability import outside_probability
from w2v.vectors.shrink import SimilarityLoss, shrink_vectors
from w2v.vectors.texts import TextVectors, Weights, text_vectors

MIN_LENGTH, MAX_LENGTH = 1e-15, 1e15
"""For vectors of lengths between these, dot products with unit vectors are accurate in float32."""


class WordVectors:
    """Word vectors: V words, each with a vector of d numbers.

    The cosine with a zero vector is defined as 0.

    Parameters
    ----------
    words
        V different words, usually by descending count.
    vectors
        (V, d). An array of float32 or float16 is used without copying it, but the attribute
        `vectors` is read-only; other types are converted to float32.
    counts
        (V,) int64, how often each word occurs in the corpus; None if unknown.
    outside
        (V, d), the outside (context) vectors of the words, converted like `vectors`; None if
        unknown.
    subwords
        The vectors of character n-grams, from which words that are not among `words` get vectors,
        as in fastText; None: they get none.

    Raises
    ------
    InputError
        The shapes do not agree, the vectors are not numbers, a word occurs twice or is not a
        string, or a count is negative or not a whole number.
    """

    def __init__(
        self,
        words: Sequence[str],
        vectors: ArrayLike,
        counts: ArrayLike | None = None,
        outside: ArrayLike | None = None,
        subwords: Subwords | None = None,
    ) -> None:
        if isinstance(words, str) or not isinstance(words, Iterable):
            raise InputError(f"words={words!r:.60}: must be a list of strings")
        self.words = tuple(words)
        odd = next((row for row, w in enumerate(self.words) if not isinstance(w, str)), None)
        if odd is not None:
            raise InputError(f"words[{odd}] is {self.words[odd]!r:.60}; words are strings")
        self.vectors: NDArray[np.float32] = _floats("vectors", vectors)
        self.counts = None if counts is None else _whole_numbers(counts)
        self._rows = {word: row for row, word in enumerate(self.words)}
        if self.vectors.ndim != 2 or len(self.vectors) != len(self.words):
            raise InputError(
                f"vectors have the shape {self.vectors.shape}; "
                f"{len(self.words)} words need ({len(self.words)}, dimensions)"
            )
        self.subwords = subwords
        self.outside: NDArray[np.float32] | None = None
        if outside is not None:
            self.outside = _floats("outside", outside)
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

        If there are n-grams (`subwords`), the vector of a word that is not among `words` is
        computed from them.

        Raises
        ------
        InputError
            The word has no vector.
        """
        if self.subwords is not None and isinstance(word, str) and word not in self._rows:
            made = self.ngram_vector(word)
            if made is None:
                raise InputError(
                    f"the word {word!r} is not among the {len(self):,} words, and none of its "
                    "n-grams has a vector"
                )
            return made
        vector: NDArray[np.float32] = self.vectors[self.row(word)]
        return vector.astype(np.float32, copy=False)

    def ngram_vector(self, word: str) -> NDArray[np.float32] | None:
        """Return the mean of the vectors of a word's n-grams, (d,) float32, or None.

        None is returned if there are no vectors of n-grams (`subwords`), if the word has no
        n-grams, for example because it is too short, or if the mean is zero.
        """
        if self.subwords is None:
            return None
        vector = self.subwords.means([word.encode(self.subwords.encoding, "replace")])[0]
        return vector if vector.any() else None

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
            The word is not among `words`.
        """
        try:
            return self._rows[word]
        except (KeyError, TypeError):
            raise InputError(unknown_word(word, self.words)) from None

    @cached_property
    def by_frequency(self) -> NDArray[np.intp]:
        """The rows of `vectors` by descending count of their words: intp (V,).

        Words of equal count keep their order. Without counts, all words keep their order.

        Warns
        -----
        UserWarning
            There are no counts, and the words seem to be in alphabetical order.
        """
        if self.counts is None:
            if alphabetical(self.words):
                warnings.warn(
                    f"the {len(self):,} words are in alphabetical order and have no counts: what "
                    "is done with the most frequent words, such as analogies, is done with the "
                    "first ones instead; give a file of words and their counts, too",
                    stacklevel=2,
                )
            return np.arange(len(self))
        return np.argsort(-self.counts, kind="stable")

    @cached_property
    def _row_of_lowercase(self) -> dict[str, int]:
        """For each lower-case form of a word, the row of the most frequent word with this form.

        Without counts, it is the row of the first word with this form.
        """
        return {self.words[row].lower(): row for row in self.by_frequency[::-1].tolist()}

    def find(self, word: str) -> int | None:
        """Return the row of a word, even if its spelling is a little different; None if not found.

        Three spellings are looked up in turn: the word itself; the word with ``_`` for spaces; and
        this second one with ASCII apostrophes and hyphens for typographic ones. If a spelling is
        not among `words`, a word that differs from it only in case is found, the most frequent one
        if there are several. Case is ignored as by `str.lower`, which keeps ``maße`` and ``masse``
        apart.
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
        return cosines.lengths(self, slice(None))

    def unit_rows(self, rows: ArrayLike | slice) -> NDArray[np.float32]:
        """Return the vectors in some rows, scaled to length 1: float32 (rows, d).

        Zero vectors stay zero.

        Raises
        ------
        InputError
            One of these vectors contains NaN or an infinity.
        """
        index = rows if isinstance(rows, slice) else np.asarray(rows, dtype=np.intp)
        lengths = cosines.lengths(self, index)
        lengths[lengths == 0.0] = 1.0
        chosen = self.vectors[index]
        unit = np.empty(chosen.shape, np.float32)
        np.divide(chosen, lengths[:, None], out=unit, casting="same_kind")
        return unit

    @cached_property
    def unit(self) -> NDArray[np.float32]:
        """All vectors scaled to length 1: float32 (V, d). Zero vectors stay zero.

        The array is computed at the first use and kept in memory.

        Raises
        ------
        InputError
            A vector contains NaN or an infinity.
        """
        unit = self.unit_rows(slice(None))
        unit.flags.writeable = False
        return unit

    @cached_property
    def _divisors(self) -> NDArray[np.float32] | None:
        """The length of each vector, float32 (V,), to compute cosines from dot products; or None.

        The cosine of a vector v and a query vector q of length 1 is v·q divided by the length of v.
        For a zero vector, 1 stands in place of the length. The property is None if some length is
        so small or so large that dividing by it in float32 would be inaccurate.
        """
        divisors = np.where(self.norms == 0.0, 1.0, self.norms)
        if divisors.min(initial=1.0) < MIN_LENGTH or divisors.max(initial=1.0) > MAX_LENGTH:
            return None
        return divisors.astype(np.float32)

    def _cosines(
        self, directions: NDArray[np.float32], rows: NDArray[np.intp] | None
    ) -> NDArray[np.float32]:
        """Return the cosines of query vectors with the vectors in some rows: float32 (n, m).

        Parameters
        ----------
        directions : (n, d)
            Query vectors of length 1 or zero.
        rows
            The m rows, ascending; None: all rows.
        """
        part: slice | NDArray[np.intp] = slice(None)
        if rows is not None:  # the first rows need no copy
            first = len(rows) > 0 and rows[0] == 0 and rows[-1] == len(rows) - 1
            part = slice(len(rows)) if first else rows
        if self._divisors is None or self.vectors.dtype != np.float32:
            found = directions @ self.unit[part].T
        else:
            # Unlike `unit`, this needs no copy of the vectors, which may be mapped into memory.
            found = directions @ self.vectors[part].T
            found /= self._divisors[part]
        return np.clip(found, -1.0, 1.0, out=found)

    def similarity(self, a: str | Sequence[str], b: str | Sequence[str]) -> float:
        """Return the cosine between the vectors of two words, or of two lists of words.

        Parameters
        ----------
        a, b
            A word or a list of words. The vector of a list is the mean of the vectors of its words,
            which are not scaled to length 1.

        Raises
        ------
        InputError
            A word has no vector or one that is not finite, or a list is empty.
        """
        return cosines.similarity(self, a, b)

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
            A word; several words, whose vectors are scaled to length 1 and added; or a vector (d,).
            With `minus`, it may be empty. The words are never answers; a vector excludes no word.
        minus
            Words whose vectors, scaled to length 1, are subtracted, as in ``nearest(["king",
            "woman"], minus="man")``. They are never answers either.
        among
            Only these words, which must be in `words`, can be answers; None: all words.
        min_count
            Only words that occur at least this often can be answers; None: all words.

        Returns
        -------
        list of (word, cosine)
            The largest cosine first; equal cosines in the order of `words`. Fewer than k if fewer
            words can be answers. Cosines are computed in float32, so equal vectors can get cosines
            that differ in the last bit.

        Raises
        ------
        InputError
            A word has no vector, a vector is not finite, the query is neither words nor d numbers,
            k < 1, or `min_count` is given and counts are unknown.

        References
        ----------
        Mikolov, Yih, Zweig (2013), Linguistic regularities in continuous space word
        representations.
        """
        asked = make_query(self, query, minus)
        k, rows = possible_answers(self, k, among, min_count)
        return nearest_words(self.words, self._cosines, [asked], k, rows)[0]

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
            Each is a word, several words or a vector, as in `nearest`. An array (n, d) is n
            vectors.
        among, min_count
            Which words can be answers, as in `nearest`.

        Returns
        -------
        list of lists of (word, cosine)
            One list for each query, without the words of the query; the largest cosine first. Fewer
            than k words if fewer can be answers. Cosines equal those of `nearest` up to rounding.

        Raises
        ------
        InputError
            A word has no vector, a vector is not finite, a query is neither words nor d numbers,
            k < 1, or `min_count` is given and counts are unknown.
        """
        if isinstance(queries, str) or not hasattr(queries, "__iter__"):
            raise InputError(f"queries={queries!r:.60}: must be a list of queries")
        k, rows = possible_answers(self, k, among, min_count)
        asked = [make_query(self, query) for query in queries]
        return nearest_words(self.words, self._cosines, asked, k, rows)

    def analogy(self, a: str, b: str, c: str, k: int = 10) -> list[tuple[str, float]]:
        """Complete "a is to b as c is to ..." by 3CosAdd.

        The words a, b and c are never answers.

        Returns
        -------
        list of (word, cosine)
            The k words nearest to b - a + c (vectors scaled to length 1), the largest cosine first.

        Raises
        ------
        InputError
            A word has no vector or one that is not finite, or k < 1.

        References
        ----------
        Mikolov, Yih, Zweig (2013), Linguistic regularities in continuous space word
        representations, section 4. Levy, Goldberg (2014), Linguistic regularities in sparse and
        explicit word representations, equation 1.
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
            The word whose vector has the smallest cosine with the mean of the vectors of all
            `words`, each scaled to length 1; of equal cosines, the first word.

        Raises
        ------
        InputError
            A word has no vector or one that is not finite, or there are fewer than three words.
        """
        return cosines.odd_one_out(self, words)

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
            Strings, which are tokenized, or lists of tokens, which are used unchanged. Tokens
            without a vector are left out. A text in which no token has a vector gets the zero
            vector.
        weights
            ``mean``: all tokens have the same weight. ``sif`` (smooth inverse frequency): a word of
            probability p, computed from `counts`, has the weight a / (a + p); a word whose vector
            comes from n-grams has the weight 1.
        tokenizer
            Splits strings into tokens; None: ``w2v.Words()``.
        remove_common
            Whether to subtract the component along the first singular vector of the text vectors.
            None: with ``sif`` only.

        Returns
        -------
        TextVectors
            ``vectors``, float32 (texts, d); ``known``, how many tokens of each text are among
            `words`; and ``unknown``, how often each other token occurs in all texts.

        Raises
        ------
        InputError
            An argument is not allowed, counts are needed and unknown, or the vector of a token is
            not finite.

        References
        ----------
        Arora, Liang, Ma (2017), A simple but tough-to-beat baseline for sentence embeddings.
        """
        return text_vectors(
            self,
            self._rows,
            texts,
            weights=weights,
            tokenizer=tokenizer,
            a=a,
            remove_common=remove_common,
        )

    def probability(
        self,
        context: str | Sequence[str] | None,
        word: str | Sequence[str],
        *,
        exponent: float = 0.0,
    ) -> Any:
        """Return the model's probability of outside words given center words, by the exact softmax.

        The score of an outside word is u · v: u is its outside vector, and v the center vector of
        the center word. The softmax is taken over the scores of all `words`, in float64.

        Parameters
        ----------
        context
            The outside word, or several; None: all words, in the order of `words`.
        word
            The center word, or several.
        exponent
            0 for a model trained with the exact softmax. For negative sampling, the exponent of its
            noise distribution, usually 0.75: exp(score) is multiplied by count ** exponent, because
            the scores are relative to this distribution. Words with the count 0 then get the
            probability 0.

        Returns
        -------
        float, or float64 array
            (center words, outside words). An argument that is a single word has no axis; two single
            words give a float.

        Raises
        ------
        InputError
            There are no outside vectors, a word has no vector, a vector or `exponent` is not
            finite, or `exponent` is not 0 and counts are unknown or all 0.

        References
        ----------
        Mikolov et al. (2013), Distributed Representations of Words and Phrases, equation 2. Levy,
        Goldberg (2014), Neural word embedding as implicit matrix factorization.
        """
        return outside_probability(self, context, word, exponent)

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
            The number of leading principal axes, computed without centering, onto which the vectors
            are projected. The result then has no outside vectors. None: keep all dimensions.
        dtype
            ``float32``, or ``float16`` with three significant digits.

        Returns
        -------
        vectors : WordVectors
            The smaller vectors, without n-grams.
        loss : SimilarityLoss
            The change of the cosines of random pairs of the kept words.

        Raises
        ------
        InputError
            An argument is not allowed, a vector of a kept word is not finite, or a number does not
            fit into float16.
        """
        return shrink_vectors(self, words, dim, dtype)

    def contents(self) -> Contents:
        """Return the words, vectors, counts, outside vectors and n-grams, to be written to files.

        Counts, outside vectors and n-grams are None if there are none. The functions of `formats`
        that write files take the result as an argument.
        """
        return Contents(self.words, self.vectors, self.counts, self.outside, self.subwords)

    def save(self, directory: str | Path) -> None:
        """Write the vectors into a folder from which `load` can read them; it is created if needed.

        The files are ``vectors.npy`` and ``vocabulary.tsv`` (words and, if known, counts). If there
        are outside vectors, ``outside_vectors.npy`` is written as well; and if there are n-grams,
        ``subwords.npy`` and ``ngrams.json``. Files of an earlier model in the folder are replaced
        or removed, also its training history (``history.json``) and the state of its engine
        (``engine.npz``).

        Raises
        ------
        InputError
            The folder cannot be written; or a word is empty, longer than 65,536 bytes, contains a
            tab or a line feed, or is not valid Unicode.
        """
        with refuse_unwritable(f"directory={directory}"):
            formats.write_folder(local_path(directory), self.contents())

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
            The format is detected. The path may be:

            - a folder that `save` or a training run wrote, or its ``vectors.npy``; the vectors are
              mapped into memory unless `words` or ``v+u`` is given;
            - the folder of a pipeline run, or its ``summary.json``;
            - a file of word2vec (text or binary), fastText (``.vec`` or ``.bin``) or GloVe, which
              may be compressed by gzip, bzip2, xz, Zstandard or zip;
            - a Parquet file, or a folder of Parquet files, as Spark writes a model.
        use
            ``v``: center vectors. ``v+u``: the sums of center and outside vectors, for a folder
            that has both.
        limit
            Read at most this many words, the first ones: in most files, the most frequent.
        words
            Read only these words. Other words still get vectors from n-grams if there are any.
        counts
            A text file of counts, for vectors without counts. Each line is a word, then a tab, a
            space, a comma or a semicolon, then the count; or the count and then the word, as
            ``uniq -c`` writes. Words that the file lacks get the count 0, with a warning.
        encoding
            How the words of a file of word2vec, fastText or GloVe are encoded.

        Raises
        ------
        InputError
            A file is missing, damaged or of another format, none of `words` is found, there are no
            outside vectors for ``v+u``, or another argument is not allowed.

        Warns
        -----
        UserWarning
            Some of `words` are missing, or the file has faults, such as repeated words.

        References
        ----------
        On ``v+u``: Pennington, Socher, Manning (2014), GloVe, section 4.2. Levy, Goldberg, Dagan
        (2015), Improving distributional similarity, section 3.3.
        """
        if not isinstance(path, str | Path):
            raise InputError(f"path={path!r:.60}: must be the path of a file or folder")
        check_choice("use", use, USES)
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
        """Write the vectors into a folder, in one or more formats for other tools.

        Parameters
        ----------
        folder
            The folder, which is created if needed.
        names
            The formats: keys of `w2v.vectors.formats.FORMATS`, such as ``word2vec-text``.

        Raises
        ------
        InputError
            A format is unknown, the folder cannot be written, or a word cannot be written in one of
            the formats.
        """
        names = [names] if isinstance(names, str) else names
        for name in names:
            check_choice("names", name, formats.FORMATS)
        with refuse_unwritable(f"folder={folder}"):
            formats.export(local_path(folder), names, self.contents())

    def save_word2vec(self, path: str | Path, binary: bool = False, *, header: bool = True) -> None:
        """Write a file in the format of word2vec, which gensim and many other tools read.

        Parameters
        ----------
        path
            The file, compressed if its name ends in .gz, .bz2 or .xz.
        binary
            Write the numbers as float32 instead of text.
        header
            False omits the first line, which has the numbers of words and of dimensions. The result
            is the text format of GloVe.

        Raises
        ------
        InputError
            The file cannot be written, a word cannot be written in this format, or a binary file is
            requested without a header.
        """
        with refuse_unwritable(f"path={path}"):
            formats.write_word2vec(local_path(path), self.contents(), binary, header)

    @classmethod
    def load_word2vec(
        cls,
        path: str | Path,
        binary: bool | None = None,
        *,
        header: bool | None = True,
        encoding: str = "utf-8",
    ) -> Self:
        """Load a file in word2vec's format, also from gensim, fastText (``.vec``) or GloVe.

        Parameters
        ----------
        path
            The file, which may be compressed by gzip, bzip2, xz, Zstandard or zip.
        binary
            Whether the numbers are float32 instead of text. None: detect it.
        header
            Whether the first line has the numbers of words and of dimensions; False for GloVe.
            None: detect it.

        Raises
        ------
        InputError
            The file cannot be read, is damaged or has another format, or the encoding is unknown.

        Warns
        -----
        UserWarning
            The header states another number of rows; words are blank, repeated or not in the
            encoding; or words with spaces end in a number that may belong to the vector, as in
            ``windows 95``.
        """
        return cls(*formats.read_word2vec(local_path(path), binary, header, encoding))

    def save_projector(self, directory: str | Path) -> None:
        """Write ``vectors.tsv`` and ``metadata.tsv`` into a folder, for TensorBoard's projector.

        Raises
        ------
        InputError
            The folder cannot be written; or a word is empty, longer than 65,536 bytes, contains a
            tab or a line break, or is not valid Unicode.
        """
        with refuse_unwritable(f"directory={directory}"):
            formats.write_projector(local_path(directory), self.contents())

    def to_gensim(self) -> Any:
        """Return a copy as ``gensim.models.KeyedVectors``, with counts if they are known."""
        from gensim.models import KeyedVectors

        keyed = KeyedVectors(self.dimensions)
        keyed.add_vectors(list(self.words), self.vectors)
        if self.counts is not None:
            for word, count in zip(self.words, self.counts.tolist(), strict=True):
                keyed.set_vecattr(word, "count", count)
        return keyed


def _floats(name: str, values: ArrayLike) -> NDArray[Any]:
    """Return a read-only array: float16 if `values` are float16, or else float32.

    If `values` are not an array of numbers, raise an `InputError`. Its message begins with `name`,
    the name of the argument.
    """
    try:
        array = np.asarray(values)
        if array.dtype.kind == "c":
            raise TypeError("complex numbers")
        array = array.view() if array.dtype == np.float16 else np.asarray(array, np.float32).view()
    except (TypeError, ValueError):
        raise InputError(f"{name}: must be numbers, in rows of the same length") from None
    array.flags.writeable = False
    return array


def _whole_numbers(counts: ArrayLike) -> NDArray[np.int64]:
    """Return counts as int64; raise `InputError` if one is not whole or does not fit."""
    try:
        given = np.asarray(counts)
        with np.errstate(invalid="ignore"):
            whole = given.astype(np.int64)
        if np.array_equal(whole, given):
            return whole
    except (TypeError, ValueError, OverflowError):
        pass
    raise InputError("counts: must be whole numbers")
