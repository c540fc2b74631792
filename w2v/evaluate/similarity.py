"""Word similarity: correlation of the cosines of word pairs with human ratings."""

import csv
import itertools
import math
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from w2v.errors import InputError
from w2v.evaluate.datasets import read_lines
from w2v.evaluate.ensemble import HasVectors, vectors_of
from w2v.evaluate.statistics import (
    Interval,
    numbered,
    pearson,
    ratio,
    spearman,
    spearman_interval,
)
from w2v.files import is_number
from w2v.settings import check_choice, check_whole
from w2v.vectors import WordVectors

Unknown = Literal["skip", "zero"]
"""How word pairs and analogy questions with unknown words are treated.

``skip`` leaves them out; ``zero`` gives a pair a cosine of 0, and counts a question as wrong.
"""

UNKNOWN: tuple[Unknown, ...] = ("skip", "zero")


class Pair(NamedTuple):
    """Two words and the human rating of their similarity; a larger `score` means more similar."""

    a: str
    b: str
    score: float


@dataclass(frozen=True)
class SimilarityResult:
    """The correlation of the cosines of word pairs with human ratings.

    Attributes
    ----------
    spearman, pearson
        Rank and linear correlation; None for fewer than two pairs, or if all ratings or all cosines
        are equal.
    ci95, resamples
        The 95 % bootstrap interval of `spearman`, and the number of samples; None and 0 if it was
        not requested, for fewer than ten different pairs, or without a correlation.
    pairs, total
        The number of pairs used, and of all pairs given.
    known, coverage
        The number of pairs whose words both have vectors, and known / total (None without pairs).
    ngrams
        The number of pairs with a word whose vector was made from n-grams.
    oov
        How pairs with a word that has no vector are treated: ``skip`` leaves them out, ``zero``
        gives them a cosine of 0.
    unknown
        The words without a vector, sorted.
    """

    spearman: float | None
    pearson: float | None
    ci95: Interval | None
    resamples: int
    pairs: int
    total: int
    known: int
    ngrams: int
    coverage: float | None
    oov: Unknown
    unknown: tuple[str, ...]


def load_pairs(path: str | Path) -> list[Pair]:
    """Load word pairs and human ratings from a text file with two words and a score per line.

    The separator (tab, comma, semicolon or white space) is detected from the first line. A header
    may name the columns, for example ``word1``, ``word2`` and ``score``. Without names, the words
    are in general the first two columns with words, and the score is the next column of numbers. Of
    several columns that are named as scores, one named as a mean or gold score is taken. Other
    columns, blank lines, and lines that start with # are ignored.

    Raises
    ------
    InputError
        The file cannot be read or has no pairs, the columns cannot be identified, or a line lacks a
        word or a finite decimal number.
    """
    lines = [
        (number, line)
        for number, line in enumerate(read_lines(path), start=1)
        if line.strip() and not line.startswith("#")
    ]
    if not lines:
        raise InputError(f"{path}: holds no pairs; a line is two words and a score")
    separator = _separator(lines[0][1])
    try:
        table = [_fields(line, separator) for _, line in lines]
        first, second, score, header = _columns(table)
    except (InputError, csv.Error) as error:
        raise InputError(f"{path}: {error}") from None
    pairs = []
    for (number, line), fields in list(zip(lines, table, strict=True))[header:]:
        try:
            pair = Pair(fields[first], fields[second], float(fields[score]))
            finite = is_number(fields[score]) and math.isfinite(pair.score)
            if not (pair.a and pair.b and finite):
                raise ValueError
        except (ValueError, IndexError):
            raise InputError(
                f"{path}: line {number} is {line[:80]!r}; two words and a finite score are needed"
            ) from None
        pairs.append(pair)
    return pairs


def _separator(line: str) -> str | None:
    """Return the separator of a line's fields: a tab, comma or semicolon; None for white space.

    A tab is chosen if the line has at least two tabs; otherwise a comma if it has at least two
    commas, and otherwise a semicolon if it has at least two semicolons.
    """
    return next((sign for sign in "\t,;" if line.count(sign) >= 2), None)


def _fields(line: str, separator: str | None) -> list[str]:
    if separator in (None, "\t"):
        fields = [field.strip() for field in line.split(separator)]
        return [field[1:-1] if _QUOTED.fullmatch(field) else field for field in fields]
    return [field.strip() for field in next(csv.reader([line], delimiter=separator))]


_WORD_NAME = re.compile(
    r"(word|term|token|lemma|item|concept|noun|verb|phrase|wort|mot|w|t)[ _.-]*([12ab]|one|two)"
)
_SCORE_NAME = re.compile(r"human|score|simlex|similarity|relatedness|rating|mean|average|avg|gold")
_MEAN_NAME = re.compile(r"mean|average|avg|gold")
_OTHER_NAME = re.compile(r"(\b|_)(sd|std|stdev|id|count|var|n)(\b|_)|deviation")
_PARTS_OF_SPEECH = frozenset(
    "n v a r s nn vb jj rb noun verb adj adv adjective adverb propn pos".split()  # noqa: SIM905
)
_QUOTED = re.compile('"[^"]+"')
_NO_VALUE = frozenset(["", "-", "?", "na", "n/a", "none", "null"])
_NAME_COLUMNS = "name the columns in a first line, such as word1, word2, score"
MIN_ID_ROWS = 3
"""A column of numbers needs at least this many rows to be taken for the ids of the pairs.

In a shorter column, scores may count up by one, as ids do, by chance.
"""


def _columns(table: Sequence[Sequence[str]]) -> tuple[int, int, int, bool]:
    """Find the columns with the two words and the score in a table of rated word pairs.

    Returns
    -------
    first, second, score
        The indices of the columns. If no column has scores, `score` is the number of columns, an
        index that no row has.
    header
        Whether the first row is a header.

    Raises
    ------
    InputError
        The columns cannot be identified.
    """
    names = [name.casefold() for name in table[0]]
    width = max(map(len, table))
    columns = [[row[place] for row in table if place < len(row)] for place in range(width)]
    numbers = [place for place in range(width) if _mostly(is_number, columns[place])]
    titles = [
        place
        for place in range(len(names))
        if place in numbers and not is_number(names[place]) and names[place] not in _NO_VALUE
    ]
    named = [place for place, name in enumerate(names) if _WORD_NAME.fullmatch(name)]
    named.sort(key=names.__getitem__)
    words = named if titles and len(named) == 2 else _word_columns(columns, numbers)
    called = [
        p for p in titles if _SCORE_NAME.search(names[p]) and not _OTHER_NAME.search(names[p])
    ]
    if len(called) > 1:  # such as the ratings of several people and their mean
        called = [p for p in called if _MEAN_NAME.search(names[p])] or called
    scores = called or [place for place in numbers if place > max(words)]
    if not scores:  # a column before the words is a score or an id
        scores = [p for p in numbers if p not in words and not _is_whole(columns[p])]
    if len(scores) > 1 and not called and _is_id(columns[scores[0]]):
        del scores[0]
    header = bool(scores) and scores[0] in titles and len(table) > 1
    if len(scores) > 1 and (header or scores[0] < min(words)):
        raise InputError(
            f"which of the columns {', '.join(map(repr, table[0]))} is the score? {_NAME_COLUMNS}"
        )
    # Without a column of scores, an index beyond all lines makes the caller reject the first line.
    return words[0], words[1], scores[0] if scores else width, header


def _word_columns(columns: Sequence[Sequence[str]], numbers: Sequence[int]) -> Sequence[int]:
    """Return the indices of the two columns that hold words, judged by the contents of all columns.

    Parameters
    ----------
    columns
        The fields of each column.
    numbers
        The indices of the columns that hold numbers.

    Raises
    ------
    InputError
        There are not exactly two such columns.
    """
    if len(columns) <= 3 and numbers in ([], [2], [0, 2], [1, 2], [0, 1, 2]):
        # Words may be numbers, but a column that has only numbers, beside one of words, has ids.
        ids = _is_id(columns[0]) or (
            1 not in numbers and len(columns[0]) >= MIN_ID_ROWS and all(map(is_number, columns[0]))
        )
        found = [1] if ids else [0, 1]
    else:
        texts = [place for place in range(len(columns)) if place not in numbers]
        contexts = [p for p in texts if _mostly(lambda field: field.count(" ") > 1, columns[p])]
        tags = [p for p in texts if _PARTS_OF_SPEECH.issuperset(map(str.casefold, columns[p][1:]))]
        found = (
            [p for p in texts if p not in contexts and p not in tags] if len(texts) > 2 else texts
        )
        # Columns after the score may have comments.
        ends = [place for place in numbers if sum(p < place for p in found) >= 2]
        found = [place for place in found if not ends or place < ends[0]]
    if len(found) != 2:
        raise InputError(
            f"{len(found)} columns could hold the words, and 2 are needed; {_NAME_COLUMNS}"
        )
    return found


def _mostly(test: Callable[[str], bool], column: Sequence[str]) -> bool:
    """Return whether a test is true for at least half of the fields of a column."""
    return sum(map(test, column)) * 2 >= len(column)


def _is_whole(column: Sequence[str]) -> bool:
    """Return whether all fields of a column are integers without sign, apart from a header."""
    fields = column if is_number(column[0]) else column[1:]
    return all(re.fullmatch("[0-9]{1,18}", field) for field in fields)


def _is_id(column: Sequence[str]) -> bool:
    """Return whether a whole column counts up by one, as 1, 2, 3 do; a header does not matter.

    The result is False if the column has fewer than `MIN_ID_ROWS` fields besides the header.
    """
    fields = column if is_number(column[0]) else column[1:]
    if len(fields) < MIN_ID_ROWS or not _is_whole(column):
        return False
    return all(int(b) == int(a) + 1 for a, b in itertools.pairwise(fields))


def as_pairs(name: str, given: Iterable[object]) -> list[Pair]:
    """Return word pairs as `Pair`; they may be given as tuples of two words and a score.

    `name` is the name of the user's argument that holds the pairs, for the error message.

    Raises
    ------
    InputError
        An item is something else than two words and a number.
    """
    return [_as_pair(name, item) for item in given]


def _as_pair(name: str, item: Any) -> Pair:
    try:
        a, b, score = item
        if isinstance(a, str) and isinstance(b, str) and not isinstance(item, str):
            return Pair(a, b, float(score))
    except (TypeError, ValueError, OverflowError):
        pass
    raise InputError(
        f"{name}: holds {item!r:.60}; two words and a score are needed, as in ('cat', 'dog', 7.5)"
    )


def pair_text(pair: Pair) -> str:
    """Return the two words of a pair as one text, which ignores their order and case."""
    return "\t".join(sorted((pair.a.casefold(), pair.b.casefold())))


def ratings(pairs: Sequence[Pair]) -> NDArray[np.float64]:
    """Return the human rating of each word pair, float64 (n,).

    Raises
    ------
    InputError
        A rating is NaN or infinite.
    """
    found = np.array([pair.score for pair in pairs], np.float64)
    if not np.isfinite(found).all():
        a, b, score = pairs[int(np.argmin(np.isfinite(found)))]
        raise InputError(f"the score of {a!r} and {b!r} is {score}; must be a finite number")
    return found


class PairAnswers(NamedTuple):
    """The cosines of n word pairs; also, which pairs rely on n-grams, and which words are unknown.

    Attributes
    ----------
    cosines : float64 (n,)
        The cosine of the two words of each pair; NaN if a word has no vector.
    ngrams : bool (n,)
        Whether a word of the pair is outside the vocabulary and has a vector made from its n-grams
        (subwords).
    unknown
        The words without a vector, sorted.
    """

    cosines: NDArray[np.float64]
    ngrams: NDArray[np.bool_]
    unknown: tuple[str, ...]


def pair_answers(vectors: WordVectors, pairs: Sequence[Pair]) -> PairAnswers:
    """Compute the cosine of each word pair; NaN if one of the two words has no vector.

    The cosine of a word with itself is exactly 1, or 0 if its vector is zero. A word that is not in
    the vocabulary may match a word in another case, or with ``_`` in place of spaces
    (`w2v.WordVectors.find`). A word without a match gets the mean of the vectors of its n-grams
    (subwords). If `vectors` has no vectors of n-grams, or the mean is zero, the word has no vector.

    Raises
    ------
    InputError
        A vector that is used contains NaN or an infinity.
    """
    words = list(dict.fromkeys(word for pair in pairs for word in pair[:2]))
    found = {word: vectors.find(word) for word in words}
    missing = sorted(word for word in words if found[word] is None)
    made = ngram_vectors(vectors, missing)
    # The rows of words made from n-grams come after those of the vocabulary.
    number = found | {word: len(vectors) + place for place, word in enumerate(made)}
    rows = np.array([[number[pair.a], number[pair.b]] for pair in pairs], np.float64)
    rows = rows.reshape(-1, 2)  # None became NaN
    known = ~np.isnan(rows).any(axis=1)
    chosen = rows[known].astype(np.intp)
    ends = np.empty((*chosen.shape, vectors.dimensions), np.float32)
    inside = chosen < len(vectors)
    ends[inside] = vectors.unit_rows(chosen[inside])
    if made:
        others = np.array(list(made.values()))
        others /= np.linalg.norm(others, axis=1, keepdims=True)
        ends[~inside] = others[chosen[~inside] - len(vectors)]
    found_cosines = np.einsum("ij,ij->i", ends[:, 0], ends[:, 1], dtype=np.float64)
    # By rounding, the squared lengths of unit vectors differ; pairs of equal words must not.
    found_cosines[(chosen[:, 0] == chosen[:, 1]) & ends[:, 0].any(axis=1)] = 1.0
    cosines = np.full(len(pairs), np.nan)
    cosines[known] = np.clip(found_cosines, -1.0, 1.0)
    ngrams = np.array([pair.a in made or pair.b in made for pair in pairs], dtype=bool)
    return PairAnswers(cosines, ngrams, tuple(word for word in missing if word not in made))


def pair_cosines(
    vectors: WordVectors, pairs: Sequence[tuple[str, str, float]]
) -> NDArray[np.float64]:
    """Return the cosine of each word pair, float64 (n,); NaN if a word has no vector.

    Words are looked up, or their vectors made from n-grams, as `pair_answers` describes.

    Raises
    ------
    InputError
        An item of `pairs` is something else than two words and a number, or a vector that is used
        contains NaN or an infinity.
    """
    return pair_answers(vectors, as_pairs("pairs", pairs)).cosines


def ngram_vectors(vectors: WordVectors, missing: Sequence[str]) -> dict[str, NDArray[np.float32]]:
    """Return a dict from each word in `missing` to the mean of the vectors of its n-grams, (d,).

    The words are not in the vocabulary. If all words of the vocabulary are in lower case, the
    n-grams are those of the lowercased words. A word is left out if it has no n-grams, or if the
    mean is zero. If `vectors` has no vectors of n-grams, the result is empty.
    """
    if vectors.subwords is None:
        return {}
    if missing and all(word == word.lower() for word in vectors.words):
        spelled = [word.lower() for word in missing]
    else:
        spelled = list(missing)
    made = zip(missing, map(vectors.ngram_vector, spelled), strict=True)
    return {word: vector for word, vector in made if vector is not None}


def similarity(
    vectors: WordVectors | HasVectors,
    pairs: Sequence[tuple[str, str, float]] | str | Path,
    *,
    oov: Unknown = "skip",
    generator: np.random.Generator | None = None,
    resamples: int = 2000,
) -> SimilarityResult:
    """Correlate the cosines of word pairs with human ratings.

    `vectors` may be a trained model. `pairs` are tuples of two words and a score, or the path of a
    file with them (`load_pairs`). A repeated pair counts each time; for the confidence interval, it
    is one pair with several ratings. `oov` says how pairs with a word that has no vector are
    treated: ``skip`` leaves them out, ``zero`` gives them a cosine of 0. The interval comes from a
    bootstrap with `resamples` samples; without a generator, it is not computed.

    Raises
    ------
    InputError
        `vectors` has no word vectors, or a vector that is used is not finite; a pair cannot be
        loaded, or is not two words and a finite number; `oov` is unknown; or `resamples` is not a
        whole number of at least 1.
    """
    rated = load_pairs(pairs) if isinstance(pairs, str | Path) else as_pairs("pairs", pairs)
    answers = pair_answers(vectors_of("vectors", vectors), rated)
    return correlate(rated, answers, oov, generator, resamples)


def correlate(
    pairs: Sequence[Pair],
    answers: PairAnswers,
    oov: Unknown = "skip",
    generator: np.random.Generator | None = None,
    resamples: int = 2000,
) -> SimilarityResult:
    """Correlate the cosines of word pairs, which `pair_answers` computed, with human ratings.

    `answers` is the result of `pair_answers` for `pairs`. `oov` says how pairs with a word that has
    no vector are treated: ``skip`` leaves them out, ``zero`` gives them a cosine of 0. `generator`
    and `resamples` are the random generator and the number of samples of a bootstrap for a
    confidence interval; without a generator, no interval is computed.

    Raises
    ------
    InputError
        The human rating of a pair is not finite, `oov` is unknown, or `resamples` is no whole
        number of at least 1.
    """
    check_choice("oov", oov, UNKNOWN)
    cosines = answers.cosines
    known = ~np.isnan(cosines)
    used = known if oov == "skip" else np.ones(len(pairs), dtype=bool)
    model = np.nan_to_num(cosines[used], nan=0.0)
    people = ratings(pairs)[used]
    interval = None
    if generator is not None:
        check_whole("resamples", resamples)
        same = numbered(pair_text(pair) for pair in itertools.compress(pairs, used))
        interval = spearman_interval(people, model, same, generator, resamples)
    return SimilarityResult(
        spearman=spearman(people, model),
        pearson=pearson(people, model),
        ci95=interval,
        resamples=resamples if interval else 0,
        pairs=len(model),
        total=len(pairs),
        known=int(known.sum()),
        ngrams=int(answers.ngrams.sum()),
        coverage=ratio(int(known.sum()), len(pairs)),
        oov=oov,
        unknown=answers.unknown,
    )
