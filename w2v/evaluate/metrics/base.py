"""The base class of evaluation metrics, and functions that several metrics use."""

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar, NamedTuple

import numpy as np

from w2v.errors import InputError
from w2v.evaluate.answers import Answers
from w2v.evaluate.datasets import STANDARD_URL, standard_path
from w2v.evaluate.similarity import UNKNOWN
from w2v.limits import at_least, matching, one_of, text
from w2v.settings import Settings, setting
from w2v.vectors import USES, WordVectors


@dataclass(frozen=True)
class EvaluationSettings(Settings):
    """The settings of an evaluation: the benchmarks, and how vectors are evaluated on them."""

    use: str = setting(
        "center vectors (v), or their sums with the outside vectors (v+u)", one_of(USES), "v"
    )
    similarity: dict[str, str | None] = setting(
        "word pairs, name=file; gensim: the file of that name that gensim ships; standard: the "
        "standard set of that name; null: none",
        default={"wordsim353": "gensim", "simlex999": "gensim"},
    )
    analogy: dict[str, str | None] = setting(
        "analogies, name=file in Google's format, or name=folder of BATS",
        default={"google": "gensim"},
    )
    sets: str = setting(
        "the folder that keeps the standard sets, which are downloaded once",
        text("a folder"),
        "outputs/benchmarks",
    )
    sets_url: str | None = setting(
        "the address of a folder to download them from; null: that of the collection on GitHub",
        matching("https?://.*", "an http:// or https:// address"),
        None,
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
    every: int | None = setting(
        "compute scores after every so many epochs of training, as curves beside the loss; null: "
        "only at the end",
        at_least(1),
        None,
    )
    curves: list[str] | None = setting(
        "the scores to compute then, such as similarity/wordsim353/spearman; null: Spearman's "
        "correlations of all similarity benchmarks",
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
        if "mean" in self.similarity:
            self.refuse("similarity", "names other than mean, which is the mean over all of them")

    @property
    def followed(self) -> list[str]:
        """The names of the scores that are computed during training; empty if none are."""
        if self.every is None:
            return []
        if self.curves is not None:
            return self.curves
        pairs = self.similarity.items()
        return [f"similarity/{name}/spearman" for name, path in pairs if path is not None]


@dataclass(frozen=True)
class MetricInput:
    """The input from which a metric is computed.

    Attributes
    ----------
    vectors
        The word vectors to evaluate.
    settings
        The settings of the evaluation.
    other
        A function that loads the vectors of another run for comparison; None to compare with none.
    tables
        Whether to compute the rows of result tables in addition to the scores.
    intervals
        Whether to compute bootstrap confidence intervals, which take time.
    """

    vectors: WordVectors
    settings: EvaluationSettings
    other: Callable[[], WordVectors] | None = None
    tables: bool = True
    intervals: bool = True


class MetricResult(NamedTuple):
    """The scores and tables that a metric has computed.

    Attributes
    ----------
    scores
        The scores as JSON values: for each benchmark, by its name, a dict of its scores. A metric
        without benchmarks has each score by its own name.
    rows
        The rows of each result table, by the name of the table. A row is a tuple or dict of column
        values. There may be no rows if no tables were requested.
    answers
        The benchmark items and the cosines or ranks from which a score is computed (`Answers`), by
        the name of the score.
    """

    scores: dict[str, Any]
    rows: dict[str, list[Any]]
    answers: Mapping[str, Answers] = MappingProxyType({})


class ScoreLine(NamedTuple):
    """One line of a printed table of scores.

    Attributes
    ----------
    name
        The name of the benchmark and of the score.
    value
        The score; None if it is undefined.
    interval
        The 95 % confidence interval of the score, if there is one.
    used
        A text that says what the score was computed from, such as "203 of 353 pairs".
    """

    name: str
    value: float | None
    interval: Sequence[float] | None
    used: str


class Metric(ABC):
    """Base class of evaluation metrics.

    Attributes
    ----------
    section
        The name of the metric, which is the key of its scores in ``scores.json``.
    figures
        The names of its main scores, by which runs are compared, such as ``spearman``.
    detailed
        The names of scores that are long lists and are left out of the summary.
    columns
        The type of each column of the metric's result tables, by the name of the table and then of
        the column: ``str``, ``float64``, ``int64`` or ``bool``. Tables that are defined in
        `w2v.evaluate.metrics.tables` are not repeated here.
    """

    section: ClassVar[str]
    figures: ClassVar[tuple[str, ...]]
    detailed: ClassVar[tuple[str, ...]] = ()
    columns: ClassVar[dict[str, dict[str, str]]] = {}

    @abstractmethod
    def benchmarks(self, settings: EvaluationSettings) -> dict[str, Path]:
        """Return the file or folder of each benchmark that the metric uses, by benchmark name.

        Standard sets of word pairs (`w2v.evaluate.datasets.STANDARD`) are downloaded if they are
        missing. The dict is empty if the metric uses no benchmarks.

        Raises
        ------
        InputError
            There is no benchmark of a given name, a benchmark comes from gensim and gensim is not
            installed, or a standard set cannot be downloaded.
        """

    def load(self, path: Path) -> Sequence[Any]:
        """Load a benchmark's items, such as word pairs, from a path that `benchmarks` returns.

        A metric without benchmark files need not define this method.

        Raises
        ------
        InputError
            The file cannot be read.
        """
        raise NotImplementedError

    @abstractmethod
    def compute(self, given: MetricInput) -> MetricResult | None:
        """Compute the scores and tables; return None if the metric does not apply to the input.

        Raises
        ------
        InputError
            A benchmark cannot be read, or there is another error in the input.
        """

    @abstractmethod
    def lines(self, scores: Mapping[str, Any]) -> Iterator[ScoreLine]:
        """Yield the metric's scores as lines of the table that is printed after an evaluation.

        Parameters
        ----------
        scores
            The scores of the metric, by benchmark.
        """

    def summary(self, scores: Mapping[str, Any]) -> dict[str, Any]:
        """Return the scores, by benchmark, without the long lists named in `detailed`."""
        return {
            name: {key: value for key, value in result.items() if key not in self.detailed}
            for name, result in scores.items()
        }

    def figure_names(self, settings: EvaluationSettings) -> list[str]:
        """Return the names of the main scores (`figures`) of an evaluation with these settings.

        The names, such as ``similarity/wordsim353/spearman``, include those of scores that may turn
        out to be undefined.
        """
        return [
            f"{self.section}/{name}/{figure}"
            for name in getattr(settings, self.section)
            if getattr(settings, self.section)[name] is not None
            for figure in self.figures
        ]

    def figures_of(self, scores: Mapping[str, Any]) -> dict[str, float]:
        """Return the main scores (`figures`), by names like ``similarity/wordsim353/spearman``.

        Scores that are undefined are left out.

        Parameters
        ----------
        scores
            The scores of the metric, by benchmark.
        """
        return {
            f"{self.section}/{name}/{figure}": value
            for name, result in scores.items()
            for figure in self.figures
            if (value := self.figure(result, figure)) is not None
        }

    def figure(self, result: Mapping[str, Any], figure: str) -> float | None:
        """Return one main score from the scores of a benchmark; None if it is undefined.

        Parameters
        ----------
        result
            All scores of the benchmark, by name.
        figure
            The name of the main score, one of `figures`.
        """
        value: float | None = result.get(figure)
        return value


def read_once(read: Callable[[Path], Sequence[Any]], path: Path) -> Sequence[Any]:
    """Read a benchmark, or return its items from memory if it was read recently and is unchanged.

    Parameters
    ----------
    read
        The function that reads the file or folder at a path.
    path
        The file or folder of the benchmark.

    Raises
    ------
    InputError
        A file cannot be read.
    """
    local = Path(path)
    try:
        files = sorted(local.rglob("*")) if local.is_dir() else [local]
        stamps = tuple((str(f), s.st_size, s.st_mtime_ns) for f in files for s in [f.stat()])
    except OSError:
        return read(path)
    return _read_unchanged(read, local, stamps)


@lru_cache(16)
def _read_unchanged(
    read: Callable[[Path], Sequence[Any]], path: Path, stamps: tuple[tuple[str, int, int], ...]
) -> Sequence[Any]:
    """Read a benchmark from a file or folder by calling ``read(path)``, and cache its items.

    `stamps` has the path, the size and the time of the last change of the file, or of each file in
    the folder. It is a part of the key of the cache, so that `read` is called again if a file has
    changed.
    """
    del stamps
    return read(path)


BANDS = (1_000, 5_000, 20_000)
"""The frequency ranks at which bands of words end. The last band ends at the rarest word."""


def bands(size: int) -> list[tuple[int, int]]:
    """Divide a vocabulary of `size` words into bands of frequency ranks.

    Returns
    -------
    list of (first, last)
        The first and the last rank of each band, from 1. The bands end at the numbers in `BANDS`
        that are less than `size`, and the last one at `size`.
    """
    ends = [*(end for end in BANDS if end < size), size]
    return list(zip([1, *(end + 1 for end in ends)], ends, strict=False))


def rarest_ranks(vectors: WordVectors, items: Sequence[Sequence[str]]) -> list[int]:
    """Return the frequency rank of the rarest word of each word pair or analogy question.

    Ranks count from 1, the most frequent word. The rank is 0 if `WordVectors.find` does not find
    one of the words in the vocabulary.
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
    """Return a row of the table ``bands``: a score on the items of one band of word frequency.

    Parameters
    ----------
    benchmark, metric
        The names of the benchmark and of the score.
    band
        The first and the last frequency rank of the band.
    used
        The number of pairs or questions that the score is computed from.
    value, interval
        The score and its 95 % confidence interval; None if undefined.
    """
    low, high = interval or (None, None)
    found = {"used": used, "value": value, "low": low, "high": high}
    return {"benchmark": benchmark, "metric": metric, "first": band[0], "last": band[1], **found}


def benchmark_files(
    named: Mapping[str, str | None], shipped: Callable[[str], Path], settings: EvaluationSettings
) -> dict[str, Path]:
    """Return the path of each benchmark, by name; download missing standard sets of word pairs.

    `named` has the path of each benchmark, by name. In place of a path, ``gensim`` stands for the
    benchmark of this name that gensim ships, whose path `shipped` returns; ``standard`` for the set
    of this name in `w2v.evaluate.datasets.STANDARD`; and None for no benchmark. Standard sets are
    kept in ``settings.sets``, and downloaded from ``settings.sets_url`` (None: `STANDARD_URL`).

    Raises
    ------
    InputError
        gensim is not installed, or does not ship a benchmark of the name.
    NamedError
        There is no standard set of the name, or it cannot be downloaded.
    """
    files = {}
    for name, path in named.items():
        if path == "standard":
            try:
                files[name] = standard_path(name, settings.sets, settings.sets_url or STANDARD_URL)
            except InputError as error:
                raise NamedError(name, str(error)) from None
        elif path is not None:
            files[name] = shipped(name) if path == "gensim" else Path(path)
    return files


class NamedError(InputError):
    """An error in finding or downloading a standard set of word pairs, with the set's name.

    Attributes
    ----------
    name
        The name of the set in the settings.
    """

    def __init__(self, name: str, text: str) -> None:
        super().__init__(text)
        self.name = name
