"""What word vectors are worth: similarity, analogies, neighbours and a map.

Figures that the data leave undefined are None, never NaN, so that results are valid JSON.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from w2v.errors import InputError
from w2v.vectors import WordVectors

BENCHMARKS = {
    "wordsim353": "wordsim353.tsv",
    "simlex999": "simlex999.txt",
    "google": "questions-words.txt",
}

FEWEST_FOR_INTERVAL = 10
"""Pairs below which the bootstrap says nothing."""

_SCORES = 1 << 24
"""Cosines held at a time when analogies are solved: 64 MiB of float32."""

# Long function words of English, which would crowd out the words that say something.
_FUNCTION_WORDS = frozenset(
    """about above after again also although another because been before being below between
    both cannot could does doing down during each either even every except from further have
    having here hers herself himself however instead into itself just like made make many more
    most much must myself neither only other others otherwise ours over rather same shall
    should since some such than that their theirs them themselves then there therefore these
    they this those though through thus toward under unless until upon very were what whatever
    when whenever where whereas whether which while whom whose will with within without would
    your yours yourself""".split()  # noqa: SIM905 (a list of 90 quoted words reads worse)
)


class Pair(NamedTuple):
    """Two words, and how alike people find them (any scale; more is more alike)."""

    a: str
    b: str
    score: float


class Question(NamedTuple):
    """a is to b as c is to the answer."""

    category: str
    a: str
    b: str
    c: str
    answer: str


class Neighbour(NamedTuple):
    """`neighbour` is the word with the rank-th largest cosine (from 1) with `word`."""

    word: str
    rank: int
    neighbour: str
    cosine: float


@dataclass(frozen=True)
class SimilarityResult:
    """How the cosines of pairs agree with people.

    Parameters
    ----------
    spearman, pearson
        Rank and product-moment correlation; None for fewer than two pairs or constant scores.
    ci95
        Percentile bootstrap interval of `spearman` over the pairs; None when not asked for, or
        for fewer than ten pairs.
    resamples
        Bootstrap samples drawn.
    pairs, total
        Pairs both of whose words have vectors, and pairs given.
    coverage
        pairs / total; None for no pairs at all.
    unknown
        The words without a vector, sorted.
    """

    spearman: float | None
    pearson: float | None
    ci95: tuple[float, float] | None
    resamples: int
    pairs: int
    total: int
    coverage: float | None
    unknown: tuple[str, ...]


@dataclass(frozen=True)
class CategoryResult:
    """One category of analogy questions; see `AnalogyResult` for the fields."""

    category: str
    accuracy: float | None
    correct: int
    questions: int
    total: int


@dataclass(frozen=True)
class AnalogyResult:
    """How many analogies come out right.

    Parameters
    ----------
    accuracy, semantic, syntactic
        Correct answers among the questions used: of all categories, of those whose name does
        not start with "gram", of those whose name does. None where no question was used.
    correct, questions, total
        Questions answered correctly, used (all four words in the vocabulary), and given.
    coverage
        questions / total; None for no questions at all.
    vocabulary
        How many words, the most frequent ones, were asked about and could answer.
    categories
        In the order of the questions.
    """

    accuracy: float | None
    semantic: float | None
    syntactic: float | None
    correct: int
    questions: int
    total: int
    coverage: float | None
    vocabulary: int
    categories: tuple[CategoryResult, ...]


def benchmark_path(name: str) -> Path:
    """Where the installed gensim keeps a benchmark; gensim is not imported.

    Parameters
    ----------
    name
        ``wordsim353``, ``simlex999`` or ``google``.

    Raises
    ------
    InputError
        Another name, gensim not installed, or installed without its test data.

    References
    ----------
    Finkelstein et al. (2002), WordSim-353. Hill, Reichart, Korhonen (2015), SimLex-999.
    Mikolov, Chen, Corrado, Dean (2013), the Google analogies.
    """
    if name not in BENCHMARKS:
        raise InputError(f"no benchmark is named {name!r}; there are {', '.join(BENCHMARKS)}")
    spec = find_spec("gensim")
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        path = Path(folder) / "test" / "test_data" / BENCHMARKS[name]
        if path.is_file():
            return path
    raise InputError(f"the benchmark {name!r} comes with gensim; install gensim to have it")


def _lines(path: str | Path) -> list[str]:
    try:
        return Path(path).read_text(encoding="utf-8-sig").split("\n")
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: byte {error.start} is not UTF-8") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from None


def load_pairs(path: str | Path) -> list[Pair]:
    """Read word pairs: ``word<TAB>word<TAB>score`` a line, lines that start with # left out.

    Raises
    ------
    InputError
        A file that cannot be read, or another kind of line.
    """
    pairs = []
    for number, line in enumerate(_lines(path), start=1):
        if not line.strip() or line.startswith("#"):
            continue
        try:
            a, b, score = (field.strip() for field in line.split("\t"))
            pair = Pair(a, b, float(score))
            if not (a and b and np.isfinite(pair.score)):
                raise ValueError
        except ValueError:
            raise InputError(
                f"{path}: line {number} is {line[:80]!r}; word<TAB>word<TAB>score is needed"
            ) from None
        pairs.append(pair)
    return pairs


def load_analogies(path: str | Path) -> list[Question]:
    """Read analogies: four words a line, under ``: category`` lines.

    Raises
    ------
    InputError
        A file that cannot be read, another kind of line, or a question before any category.
    """
    questions = []
    category = ""
    for number, line in enumerate(_lines(path), start=1):
        if line.startswith(":"):
            category = line[1:].strip()
        elif line.strip():
            words = line.split()
            if len(words) != 4 or not category:
                raise InputError(
                    f"{path}: line {number} is {line[:80]!r}; "
                    "four words under a ': category' line are needed"
                )
            questions.append(Question(category, *words))
    return questions


def similarity(
    vectors: WordVectors,
    pairs: Sequence[Pair],
    *,
    generator: np.random.Generator | None = None,
    resamples: int = 1000,
) -> SimilarityResult:
    """Correlate the cosines of word pairs with people's scores; pairs without vectors drop out.

    Words are compared in upper case, and of several that then agree the most frequent counts.

    Parameters
    ----------
    generator
        Draws the bootstrap samples; None: no interval.
    resamples
        How many of them.
    """
    row_of = _rows_by_form(vectors, _most_frequent(vectors, len(vectors)))
    rows, scores, unknown = [], [], set()
    for pair in pairs:
        missing = [word for word in (pair.a, pair.b) if word.upper() not in row_of]
        unknown.update(missing)
        if not missing:
            rows.append((row_of[pair.a.upper()], row_of[pair.b.upper()]))
            scores.append(pair.score)
    a, b = np.array(rows, dtype=np.intp).reshape(-1, 2).T
    cosines = np.einsum("ij,ij->i", vectors.unit[a], vectors.unit[b], dtype=np.float64)
    people = np.array(scores, dtype=np.float64)
    spearman = _spearman(people, cosines)
    ci95 = None
    drawn = 0
    if generator is not None and spearman is not None and len(rows) >= FEWEST_FOR_INTERVAL:
        drawn = resamples
        samples = generator.integers(len(rows), size=(resamples, len(rows)))
        figures = [_spearman(people[sample], cosines[sample]) for sample in samples]
        defined = [figure for figure in figures if figure is not None]
        if defined:
            low, high = np.percentile(defined, (2.5, 97.5))
            ci95 = (float(low), float(high))
    return SimilarityResult(
        spearman=spearman,
        pearson=_pearson(people, cosines),
        ci95=ci95,
        resamples=drawn,
        pairs=len(rows),
        total=len(pairs),
        coverage=_ratio(len(rows), len(pairs)),
        unknown=tuple(sorted(unknown)),
    )


def analogies(
    vectors: WordVectors, questions: Sequence[Question], vocabulary: int = 30_000
) -> AnalogyResult:
    """Answer analogies by 3CosAdd: the word nearest to b − a + c that is none of the three.

    Words are compared in upper case, and of several that then agree the most frequent is asked
    about.

    Parameters
    ----------
    vocabulary
        Only the most frequent words are asked about and can answer. Accuracy falls as this
        grows, so figures compare only at equal settings.

    Raises
    ------
    InputError
        `vocabulary` below 1.

    References
    ----------
    Mikolov, Chen, Corrado, Dean (2013), Efficient estimation of word representations in vector
    space, section 4.
    """
    if vocabulary < 1:
        raise InputError(f"vocabulary={vocabulary}: at least 1 word is needed")
    rows = _most_frequent(vectors, vocabulary)
    unit = vectors.unit[: len(rows)] if _is_range(rows) else vectors.unit[rows]
    row_of = _rows_by_form(vectors, rows)
    # Rows from here on count within the most frequent words.
    place = {form: position for position, form in enumerate(row_of)}
    form_of = np.array([place[vectors.words[row].upper()] for row in rows], dtype=np.intp)
    first = np.full(len(place), len(rows), dtype=np.intp)
    np.minimum.at(first, form_of, np.arange(len(rows)))
    variants = _variants(form_of, first)

    used = [
        index
        for index, question in enumerate(questions)
        if all(word.upper() in place for word in question[1:])
    ]
    forms = np.array(
        [[place[word.upper()] for word in questions[index][1:]] for index in used], dtype=np.intp
    ).reshape(-1, 4)
    correct = np.zeros(len(used), dtype=bool)
    batch = max(1, _SCORES // max(1, len(rows)))
    buffer = np.empty((min(batch, len(used)), len(rows)), np.float32)
    for start in range(0, len(used), batch):
        asked = forms[start : start + batch, :3]
        a, b, c = first[asked].T
        scores = np.matmul(unit[b] - unit[a] + unit[c], unit.T, out=buffer[: len(asked)])
        for column in (a, b, c):
            scores[np.arange(len(asked)), column] = -np.inf
        if variants:
            for line, three in enumerate(asked.tolist()):
                for form in three:
                    if form in variants:
                        scores[line, variants[form]] = -np.inf
        best = scores.argmax(axis=1)
        correct[start : start + batch] = (
            form_of[best] == forms[start : start + batch, 3]
        ) & np.isfinite(scores[np.arange(len(asked)), best])
    return _tally(questions, used, correct, len(rows))


def neighbours(vectors: WordVectors, words: Sequence[str], k: int) -> list[Neighbour]:
    """The k nearest words of each word, as rows in the order of `words`.

    Raises
    ------
    InputError
        A word without a vector, k below 1.
    """
    return [
        Neighbour(word, rank, neighbour, cosine)
        for word in words
        for rank, (neighbour, cosine) in enumerate(vectors.nearest(word, k), start=1)
    ]


def probe_words(vectors: WordVectors, n: int) -> list[str]:
    """Choose words to look at: from frequent to middling, evenly spaced by log rank.

    Words of four letters or more count; numbers, anything else with other signs than letters,
    and the longer function words of English do not.

    Returns
    -------
    list of str
        n words, the most frequent first, or all that count where there are fewer.
    """
    rows = _most_frequent(vectors, len(vectors))
    words = [
        word
        for word in (vectors.words[row] for row in rows)
        if len(word) >= 4 and word.isalpha() and word.lower() not in _FUNCTION_WORDS
    ]
    # Further down even large corpora show a word a few times only.
    words = words[: max(n, len(words) // 5)]
    if n >= len(words):
        return words
    ranks = np.geomspace(max(1, len(words) // 20), len(words), n).astype(int) - 1
    for index in range(1, n):  # where ranks crowd, move on to the next free one
        ranks[index] = max(ranks[index], ranks[index - 1] + 1)
    ranks = np.minimum(ranks, len(words) - n + np.arange(n))
    return [words[rank] for rank in ranks]


def project_2d(vectors: WordVectors, words: Sequence[str]) -> NDArray[np.float64]:
    """Project words' vectors on their first two principal components.

    Returns
    -------
    ndarray
        (n, 2), centred. The sign of a component is such that the coordinate of largest size is
        positive. Components that n words or d dimensions do not have are 0.

    Raises
    ------
    InputError
        A word without a vector.
    """
    rows = [vectors.row(word) for word in words]
    chosen = vectors.vectors[rows].astype(np.float64)
    xy = np.zeros((len(rows), 2))
    if len(rows) == 0:
        return xy
    left, singular, _ = np.linalg.svd(chosen - chosen.mean(axis=0), full_matrices=False)
    shown = min(2, len(singular))
    xy[:, :shown] = left[:, :shown] * singular[:shown]
    largest = xy[np.abs(xy).argmax(axis=0), np.arange(2)]
    return xy * np.where(largest < 0, -1.0, 1.0)


def _most_frequent(vectors: WordVectors, limit: int) -> NDArray[np.intp]:
    if vectors.counts is None:
        return np.arange(min(limit, len(vectors)))
    return np.argsort(-vectors.counts, kind="stable")[:limit]


def _is_range(rows: NDArray[np.intp]) -> bool:
    return bool((rows == np.arange(len(rows))).all())


def _rows_by_form(vectors: WordVectors, rows: NDArray[np.intp]) -> dict[str, int]:
    return {vectors.words[row].upper(): int(row) for row in reversed(rows)}


def _variants(form_of: NDArray[np.intp], first: NDArray[np.intp]) -> dict[int, NDArray[np.intp]]:
    """The rows of a form but its first, for the forms that have several."""
    later = np.flatnonzero(first[form_of] != np.arange(len(form_of)))
    return {int(form): later[form_of[later] == form] for form in np.unique(form_of[later])}


def _tally(
    questions: Sequence[Question], used: list[int], correct: NDArray[np.bool_], vocabulary: int
) -> AnalogyResult:
    tallies: dict[str, list[int]] = {question.category: [0, 0, 0] for question in questions}
    for question in questions:
        tallies[question.category][2] += 1
    for index, right in zip(used, correct.tolist(), strict=True):
        tally = tallies[questions[index].category]
        tally[0] += right
        tally[1] += 1
    categories = tuple(
        CategoryResult(category, _ratio(right, asked), right, asked, total)
        for category, (right, asked, total) in tallies.items()
    )

    def accuracy(kind: Sequence[CategoryResult]) -> float | None:
        return _ratio(sum(c.correct for c in kind), sum(c.questions for c in kind))

    return AnalogyResult(
        accuracy=accuracy(categories),
        semantic=accuracy([c for c in categories if not c.category.startswith("gram")]),
        syntactic=accuracy([c for c in categories if c.category.startswith("gram")]),
        correct=int(correct.sum()),
        questions=len(used),
        total=len(questions),
        coverage=_ratio(len(used), len(questions)),
        vocabulary=vocabulary,
        categories=categories,
    )


def _ratio(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def _ranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Ranks from 1; equal values share the mean of theirs."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    return (np.cumsum(counts) - (counts - 1) / 2)[inverse]


def _spearman(x: NDArray[np.float64], y: NDArray[np.float64]) -> float | None:
    return _pearson(_ranks(x), _ranks(y))


def _pearson(x: NDArray[np.float64], y: NDArray[np.float64]) -> float | None:
    if len(x) < 2 or x.min() == x.max() or y.min() == y.max():
        return None
    x = x - x.mean()
    y = y - y.mean()
    scale = np.linalg.norm(x) * np.linalg.norm(y)
    return float(np.clip(x @ y / scale, -1.0, 1.0)) if scale > 0.0 else None
