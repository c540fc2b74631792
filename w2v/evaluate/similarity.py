"""Word similarity: how well the cosines of word pairs agree with the scores that people gave."""

import csv
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from w2v.errors import InputError
from w2v.evaluate.datasets import read_lines
from w2v.evaluate.statistics import Interval, pearson, ratio, spearman, spearman_interval
from w2v.vectors import WordVectors

Unknown = Literal["skip", "zero"]
"""How pairs and questions with a word that has no vector are treated.

``skip`` leaves them out; ``zero`` takes a cosine of 0 for a pair, and counts a question as wrong.
"""

UNKNOWN: tuple[Unknown, ...] = ("skip", "zero")


class Pair(NamedTuple):
    """Two words and how similar people find them, on any scale that grows with similarity."""

    a: str
    b: str
    score: float


@dataclass(frozen=True)
class SimilarityResult:
    """How well the cosines of word pairs agree with the scores that people gave.

    Attributes
    ----------
    spearman, pearson
        Rank and linear correlation; None for fewer than two pairs or constant scores.
    ci95
        95 % bootstrap interval of `spearman` (`w2v.evaluate.statistics.spearman_interval`); None
        if it was not requested, for fewer than ten pairs, or if the correlation is None.
    resamples
        Number of bootstrap samples drawn.
    pairs, total
        Number of pairs used, and of all pairs given.
    known, coverage
        Number of pairs whose words both have vectors, and known / total (None without pairs).
    oov
        See `Unknown`.
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
    """Read word pairs from a text file: each line is two words and a score.

    The fields are separated by tabs, commas, semicolons or spaces; the first line tells which. The
    score is the first column after the words that contains a number; other columns are ignored.
    A first line without a number is a header. Blank lines and lines that start with # are
    ignored.

    Raises
    ------
    InputError
        The file cannot be read or has no pairs, a line has another form, or a score is not
        finite.
    """
    lines = [
        (number, line)
        for number, line in enumerate(read_lines(path), start=1)
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
    """Return the character that separates the fields of a line; None for spaces."""
    return next((sign for sign in "\t,;" if line.count(sign) >= 2), None)


def _fields(line: str, separator: str | None) -> list[str]:
    """Split a line into its fields."""
    if separator is None:
        return line.split()
    if separator == "\t":
        return [field.strip() for field in line.split("\t")]
    return [field.strip() for field in next(csv.reader([line], delimiter=separator))]


def _first_number(fields: Sequence[str]) -> int | None:
    """Return the first column after the two words that contains a number."""
    for column, field in enumerate(fields[2:], start=2):
        try:
            float(field)
        except ValueError:
            continue
        return column
    return None


def pair_cosines(vectors: WordVectors, pairs: Sequence[Pair]) -> NDArray[np.float64]:
    """Return the cosine of each pair, (n,) float64; NaN if a word has no vector.

    Words are looked up as `w2v.WordVectors.find` does: without regard to case, and with ``_`` for
    the spaces of an entry of several words.
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
    """Correlate the cosines of word pairs (`pair_cosines`) with the scores that people gave.

    Parameters
    ----------
    vectors
        To evaluate.
    pairs
        A pair that occurs several times counts each time.
    oov
        How pairs with a word that has no vector are treated; see `Unknown`.
    generator
        Draws the bootstrap samples; without one, no interval is computed.
    resamples
        The number of bootstrap samples.
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
