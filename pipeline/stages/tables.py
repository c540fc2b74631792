"""Tidy tables of results: one observation a row, columns of a fixed type."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from w2v import evaluate as judge
from w2v.evaluate.statistics import ratio, wilson
from w2v.vectors import WordVectors

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = {
    "pairs": {
        "benchmark": "str",
        "word_1": "str",
        "word_2": "str",
        "human": "float64",
        "model": "float64",
        "used": "bool",
    },
    "similarity": {
        "benchmark": "str",
        "vectors": "str",
        "spearman": "float64",
        "pearson": "float64",
        "low": "float64",
        "high": "float64",
        "pairs": "int64",
        "total": "int64",
        "coverage": "float64",
        "oov": "str",
    },
    "analogies": {
        "benchmark": "str",
        "method": "str",
        "section": "str",
        "category": "str",
        "questions": "int64",
        "total": "int64",
        "correct_1": "int64",
        "correct_5": "int64",
        "accuracy": "float64",
        "low": "float64",
        "high": "float64",
        "vocabulary": "int64",
    },
    "neighbours": {"word": "str", "rank": "int64", "neighbour": "str", "similarity": "float64"},
    "bands": {
        "benchmark": "str",
        "metric": "str",
        "first": "int64",
        "last": "int64",
        "used": "int64",
        "value": "float64",
        "low": "float64",
        "high": "float64",
    },
    "stability": {"word": "str", "overlap": "float64"},
}

BANDS = (1_000, 5_000, 20_000)
"""Frequency ranks at which a band of words ends."""


def table(name: str, rows: Sequence[Any]) -> "pd.DataFrame":
    """The rows as the table of that name; undefined figures are NaN."""
    import pandas as pd

    types = COLUMNS[name]
    frame = pd.DataFrame(rows, columns=None if rows and isinstance(rows[0], dict) else list(types))
    return frame.reindex(columns=list(types)).astype(types)


def pair_bands(
    benchmark: str,
    vectors: WordVectors,
    pairs: Sequence[judge.Pair],
    random: np.random.Generator,
) -> list[dict[str, Any]]:
    """Rank correlations by the frequency rank of a pair's rarer word, of pairs with vectors."""
    rarest = rarest_ranks(vectors, [pair[:2] for pair in pairs])
    rows = []
    for first, last in bands(len(vectors)):
        chosen = [p for p, rank in zip(pairs, rarest, strict=True) if first <= rank <= last]
        found = judge.similarity(vectors, chosen, generator=random)
        rows.append(
            band_row(benchmark, "spearman", first, last, found.pairs, found.spearman, found.ci95)
        )
    return rows


def question_bands(
    benchmark: str,
    vectors: WordVectors,
    questions: Sequence[judge.Question],
    answers: NDArray[np.int64],
    vocabulary: int,
) -> list[dict[str, Any]]:
    """Accuracies by the frequency rank of a question's rarest word; unknown words are left out.

    Parameters
    ----------
    answers
        The ranks that `w2v.evaluate.answer_ranks` gives.
    """
    asked = np.flatnonzero(answers >= 0)
    words = []
    for index in asked.tolist():
        question = questions[index]
        answer = next(w for w in (question.answer, *question.others) if vectors.find(w) is not None)
        words.append((question.a, question.b, question.c, answer))
    rarest = np.array(rarest_ranks(vectors, words), dtype=np.int64)
    rows = []
    for first, last in bands(vocabulary):
        found = answers[asked[(first <= rarest) & (rarest <= last)]]
        right, used = int((found == 1).sum()), len(found)
        share, interval = ratio(right, used), wilson(right, used)
        rows.append(band_row(benchmark, "accuracy", first, last, used, share, interval))
    return rows


def bands(size: int) -> list[tuple[int, int]]:
    """First and last rank, from 1, of each band of so many words."""
    ends = [*(end for end in BANDS if end < size), size]
    return list(zip([1, *(end + 1 for end in ends)], ends, strict=False))


def rarest_ranks(vectors: WordVectors, asked: Sequence[Sequence[str]]) -> list[int]:
    """The frequency rank, from 1, of the rarest of some words; 0 where one has no vector."""
    rank_of_row = np.empty(len(vectors), dtype=np.int64)
    rank_of_row[vectors.by_frequency] = np.arange(1, len(vectors) + 1)
    ranks = []
    for words in asked:
        rows = [vectors.find(word) for word in words]
        ranks.append(max((int(rank_of_row[r]) for r in rows if r is not None), default=0))
        if None in rows:
            ranks[-1] = 0
    return ranks


def band_row(
    benchmark: str,
    metric: str,
    first: int,
    last: int,
    used: int,
    value: float | None,
    interval: tuple[float, float] | None,
) -> dict[str, Any]:
    """A row of the table ``bands``."""
    low, high = interval or (None, None)
    return {
        "benchmark": benchmark,
        "metric": metric,
        "first": first,
        "last": last,
        "used": used,
        "value": value,
        "low": low,
        "high": high,
    }
