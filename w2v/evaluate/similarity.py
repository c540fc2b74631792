"""Word similarity: pairs of words that people scored, and how cosines agree with them."""

import csv
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from w2v.errors import InputError
from w2v.evaluate.datasets import lines_of
from w2v.evaluate.statistics import Interval, pearson, ratio, spearman, spearman_interval
from w2v.vectors import WordVectors

Unknown = Literal["skip", "zero"]
"""What a pair or question with an unknown word counts: nothing, or as a cosine of 0 and wrong."""

UNKNOWN: tuple[Unknown, ...] = ("skip", "zero")


class Pair(NamedTuple):
    """Two words, and how alike people find them (any scale; more is more alike)."""

    a: str
    b: str
    score: float


@dataclass(frozen=True)
class SimilarityResult:
    """How the cosines of pairs agree with people.

    Parameters
    ----------
    spearman, pearson
        Rank and product-moment correlation; None for fewer than two pairs or constant scores.
    ci95
        Bootstrap interval of `spearman` (`w2v.evaluate.statistics.spearman_interval`); None when
        not asked for, for fewer than ten pairs, or where the correlation is None.
    resamples
        Bootstrap samples drawn.
    pairs, total
        Pairs that the correlations are of, and pairs given.
    known, coverage
        Pairs both of whose words have vectors; known / total, None for no pairs at all.
    oov
        ``skip``: pairs with an unknown word are left out. ``zero``: their cosine counts as 0.
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
    coverage: float | None
    oov: Unknown
    unknown: tuple[str, ...]


def load_pairs(path: str | Path) -> list[Pair]:
    """Read word pairs: two words and a score a line, between tabs, commas, semicolons or spaces.

    The separator is that of the first line. The score stands in the first column after the two
    words that holds a number there; other columns are not read. A first line without a number
    is a header. Blank lines and lines that start with # are left out.

    Raises
    ------
    InputError
        A file that cannot be read or holds no pair; another kind of line; a score that is not
        finite.
    """
    lines = [
        (number, line)
        for number, line in enumerate(lines_of(path), start=1)
        if line.strip() and not line.startswith("#")
    ]
    if not lines:
        raise InputError(f"{path}: holds no pairs; a line is two words and a score")
    separator = _separator(lines[0][1])
    column = _first_number(_fields(lines[0][1], separator))
    if column is None and len(lines) > 1:
        del lines[0]
        column = _first_number(_fields(lines[0][1], separator))
    pairs = []
    for number, line in lines:
        fields = _fields(line, separator)
        try:
            if column is None:
                raise ValueError
            pair = Pair(fields[0], fields[1], float(fields[column]))
            if not (pair.a and pair.b and math.isfinite(pair.score)):
                raise ValueError
        except (ValueError, IndexError):
            raise InputError(
                f"{path}: line {number} is {line[:80]!r}; two words and a finite score are needed"
            ) from None
        pairs.append(pair)
    return pairs


def _separator(line: str) -> str | None:
    return next((sign for sign in "\t,;" if line.count(sign) >= 2), None)


def _fields(line: str, separator: str | None) -> list[str]:
    if separator is None:
        return line.split()
    if separator == "\t":
        return [field.strip() for field in line.split("\t")]
    return [field.strip() for field in next(csv.reader([line], delimiter=separator))]


def _first_number(fields: Sequence[str]) -> int | None:
    for column, field in enumerate(fields[2:], start=2):
        try:
            float(field)
        except ValueError:
            continue
        return column
    return None


def pair_cosines(vectors: WordVectors, pairs: Sequence[Pair]) -> NDArray[np.float64]:
    """The cosine of each pair, float64 (n,); NaN where a word has no vector.

    Words are compared in upper case, and of several that then agree the most frequent counts.
    An entry of several words is also sought with ``_`` for its spaces.
    """
    cosines = np.full(len(pairs), np.nan)
    rows = [(vectors.find(pair.a), vectors.find(pair.b)) for pair in pairs]
    known = [index for index, found in enumerate(rows) if None not in found]
    a, b = np.array([rows[index] for index in known], dtype=np.intp).reshape(-1, 2).T
    cosines[known] = np.einsum(
        "ij,ij->i", vectors.unit_rows(a), vectors.unit_rows(b), dtype=np.float64
    )
    return cosines


def similarity(
    vectors: WordVectors,
    pairs: Sequence[Pair],
    *,
    oov: Unknown = "skip",
    generator: np.random.Generator | None = None,
    resamples: int = 2000,
) -> SimilarityResult:
    """Correlate the cosines of word pairs (`pair_cosines`) with people's scores.

    A pair that is given several times counts each time.

    Parameters
    ----------
    oov
        What a pair with a word that has no vector counts: nothing, or a cosine of 0.
    generator
        Draws the bootstrap samples; None: no interval.
    resamples
        How many of them.
    """
    cosines = pair_cosines(vectors, pairs)
    known = ~np.isnan(cosines)
    used = known if oov == "skip" else np.ones(len(pairs), dtype=bool)
    model = np.nan_to_num(cosines[used], nan=0.0)
    people = np.array([pair.score for pair in pairs], dtype=np.float64)[used]
    missing = {word for pair in pairs for word in pair[:2] if vectors.find(word) is None}
    interval = None
    if generator is not None:
        interval = spearman_interval(people, model, generator, resamples)
    return SimilarityResult(
        spearman=spearman(people, model),
        pearson=pearson(people, model),
        ci95=interval,
        resamples=resamples if interval else 0,
        pairs=len(model),
        total=len(pairs),
        known=int(known.sum()),
        coverage=ratio(int(known.sum()), len(pairs)),
        oov=oov,
        unknown=tuple(sorted(missing)),
    )
