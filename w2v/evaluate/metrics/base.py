"""The base class of metrics: what one reads and computes, and how its scores are shown."""

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np

from w2v.evaluate.similarity import UNKNOWN
from w2v.settings import Settings, at_least, one_of, setting
from w2v.vectors import USES, WordVectors


@dataclass(frozen=True)
class EvaluationSettings(Settings):
    """On which benchmarks vectors are evaluated, and how."""

    use: str = setting(
        "center vectors (v), or their sums with the outside vectors (v+u)", one_of(USES), "v"
    )
    similarity: dict[str, str | None] = setting(
        "word pairs, name=file; gensim: the file of that name that gensim ships; null: none",
        default={"wordsim353": "gensim", "simlex999": "gensim"},
    )
    analogy: dict[str, str | None] = setting(
        "analogies, name=file in Google's format, or name=folder of BATS",
        default={"google": "gensim"},
    )
    oov: str = setting(
        "pairs and questions with unknown words are skipped, or count as 0 and as wrong",
        one_of(UNKNOWN),
        "skip",
    )
    vocabulary: int = setting(
        "analogies are asked and answered within this many most frequent words",
        at_least(1),
        30_000,
    )
    compare: str | None = setting(
        "another run or file of vectors: what share of nearest neighbours is the same",
        default=None,
    )
    seed: int = setting(
        "of the intervals; apart from the seed of training, so that seeds compare", at_least(0), 0
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        for benchmarks in ("similarity", "analogy"):
            if not all(
                re.fullmatch(r"[\w.-]+", name, re.ASCII) for name in getattr(self, benchmarks)
            ):
                self.refuse(benchmarks, "names of letters, digits, _, . and -")


@dataclass(frozen=True)
class MetricInput:
    """What a metric is computed from.

    Attributes
    ----------
    vectors
        The word vectors.
    settings
        The settings of the evaluation.
    other
        Opens the vectors of another run to compare with; None if there are none.
    tables
        Whether tables are wanted beside the scores.
    """

    vectors: WordVectors
    settings: EvaluationSettings
    other: Callable[[], WordVectors] | None = None
    tables: bool = True


class MetricResult(NamedTuple):
    """What a metric has computed.

    Attributes
    ----------
    scores
        JSON values, which ``scores.json`` has under the section of the metric.
    rows
        The rows of each table, by its name: tuples or dictionaries of the columns. They may be
        left out where no tables are wanted.
    """

    scores: dict[str, Any]
    rows: dict[str, list[Any]]


class ScoreLine(NamedTuple):
    """A score as a line of a printed table.

    Attributes
    ----------
    name
        The benchmark and the figure.
    value
        None if it is undefined.
    interval
        Its 95 % interval, if there is one.
    used
        How much of the benchmark could be used, in words.
    """

    name: str
    value: float | None
    interval: Sequence[float] | None
    used: str


class Metric(ABC):
    """One way to evaluate word vectors.

    Attributes
    ----------
    section
        The key of its scores in ``scores.json`` and in the summary.
    figures
        The scores of a benchmark by which runs are compared.
    detailed
        The scores of a benchmark that are left out of the summary because they are long.
    columns
        The columns, with dtypes, of tables that `w2v.evaluate.metrics.tables` does not have.
    """

    section: ClassVar[str]
    figures: ClassVar[tuple[str, ...]]
    detailed: ClassVar[tuple[str, ...]] = ()
    columns: ClassVar[dict[str, dict[str, str]]] = {}

    @abstractmethod
    def benchmarks(self, settings: EvaluationSettings) -> dict[str, Path]:
        """Return the file of each benchmark that it reads, by the name of the benchmark.

        Raises
        ------
        InputError
            A benchmark does not exist.
        """

    def load(self, path: Path) -> Sequence[Any]:
        """Read the file of a benchmark.

        Raises
        ------
        InputError
            A file that cannot be read.
        """
        raise NotImplementedError

    @abstractmethod
    def compute(self, given: MetricInput) -> MetricResult | None:
        """Compute the scores; None if the settings name nothing to compute.

        Raises
        ------
        InputError
            A file that cannot be read.
        """

    @abstractmethod
    def lines(self, scores: Mapping[str, Any]) -> Iterator[ScoreLine]:
        """Yield the scores as lines of a printed table."""

    def summary(self, scores: Mapping[str, Any]) -> dict[str, Any]:
        """Return the scores without those that are `detailed`."""
        return {
            name: {key: value for key, value in result.items() if key not in self.detailed}
            for name, result in scores.items()
        }

    def figure_names(self, settings: EvaluationSettings) -> list[str]:
        """Return the names that `figures_of` will return, before anything is computed."""
        return [
            f"{self.section}/{name}/{figure}"
            for name in getattr(settings, self.section)
            if getattr(settings, self.section)[name] is not None
            for figure in self.figures
        ]

    def figures_of(self, scores: Mapping[str, Any]) -> dict[str, float]:
        """Return the figures by names such as ``similarity/wordsim353/spearman``.

        Figures that are undefined are left out.
        """
        return {
            f"{self.section}/{name}/{figure}": value
            for name, result in scores.items()
            for figure in self.figures
            if (value := self.figure(result, figure)) is not None
        }

    def figure(self, result: Mapping[str, Any], figure: str) -> float | None:
        """Return one of the `figures` of a benchmark, from its scores."""
        value: float | None = result.get(figure)
        return value


_read: dict[tuple[object, ...], Sequence[Any]] = {}


def read_once(read: Callable[[Path], Sequence[Any]], path: Path) -> Sequence[Any]:
    """Read a benchmark, or return what was read before if its files have not changed since.

    Raises
    ------
    InputError
        A file that cannot be read.
    """
    local = Path(path)
    try:
        files = sorted(local.rglob("*")) if local.is_dir() else [local]
        stamps = tuple((str(f), s.st_size, s.st_mtime_ns) for f in files for s in [f.stat()])
    except OSError:
        return read(path)
    key = (read, *stamps)
    if key not in _read:
        found = read(path)
        if len(_read) >= MAX_READ:
            _read.clear()
        _read[key] = found
    return _read[key]


MAX_READ = 16
"""How many benchmarks are kept in memory."""

BANDS = (1_000, 5_000, 20_000)
"""The frequency ranks at which bands of words end."""


def bands(size: int) -> list[tuple[int, int]]:
    """Divide a vocabulary into bands by frequency; return the first and last rank of each."""
    ends = [*(end for end in BANDS if end < size), size]
    return list(zip([1, *(end + 1 for end in ends)], ends, strict=False))


def rarest_ranks(vectors: WordVectors, items: Sequence[Sequence[str]]) -> list[int]:
    """Return the frequency rank, from 1, of the rarest word of each pair or question.

    It is 0 if one of the words has no vector.
    """
    rank_of_row = np.empty(len(vectors), dtype=np.int64)
    rank_of_row[vectors.by_frequency] = np.arange(1, len(vectors) + 1)
    find = cache(vectors.find)
    ranks = []
    for words in items:
        rows = [find(word) for word in words]
        known = [int(rank_of_row[row]) for row in rows if row is not None]
        ranks.append(max(known, default=0) if None not in rows else 0)
    return ranks


def band_row(
    benchmark: str,
    metric: str,
    band: tuple[int, int],
    used: int,
    value: float | None,
    interval: tuple[float, float] | None,
) -> dict[str, Any]:
    """Return a row of the table ``bands``: a score over the words of one band of frequency."""
    low, high = interval or (None, None)
    found = {"used": used, "value": value, "low": low, "high": high}
    return {"benchmark": benchmark, "metric": metric, "first": band[0], "last": band[1], **found}


def benchmark_files(
    named: Mapping[str, str | None], shipped: Callable[[str], Path]
) -> dict[str, Path]:
    """Return the file of each benchmark; those whose path is None are left out.

    For the path ``gensim``, `shipped` returns the file that gensim ships.
    """
    files = {name: path for name, path in named.items() if path is not None}
    return {name: shipped(name) if path == "gensim" else Path(path) for name, path in files.items()}
