"""Analogy questions ("a is to b as c is to what?"): read them, answer them, count answers."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import chain
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from w2v.errors import InputError
from w2v.evaluate.datasets import read_lines
from w2v.evaluate.similarity import Unknown
from w2v.evaluate.statistics import Interval, ratio, wilson
from w2v.files import local_path
from w2v.vectors import WordVectors
from w2v.vectors.vectors import spellings

Method = Literal["3CosAdd", "3CosMul"]

METHODS: tuple[Method, ...] = ("3CosAdd", "3CosMul")

TOP = 5
"""The number of best answers among which the correct one is sought."""

MAX_COSINES = 1 << 24
"""Cosines held in memory at a time: 64 MiB of float32."""

MAX_SCORES = 1 << 18
"""Scores computed at a time: a megabyte of float32, which stays in the cache."""

EPSILON = 1e-6
"""Keeps the quotient of 3CosMul finite. It has the value that gensim uses, so that scores agree."""


class Question(NamedTuple):
    """A question "a is to b as c is to what?" and its answer.

    Attributes
    ----------
    category
        The name that the file has for the kind of relation, such as ``capital-common-countries``.
    a, b, c, answer
        The words of the question, and its answer.
    others
        Further answers that are equally correct.
    """

    category: str
    a: str
    b: str
    c: str
    answer: str
    others: tuple[str, ...] = ()

    @property
    def section(self) -> str:
        """``syntactic`` or ``semantic``, as `section_of` derives it from the category."""
        return section_of(self.category)


_SYNTACTIC = re.compile(r"gram|[^/]*morphology[^/]*/|[ID]\d\d \[", re.IGNORECASE)
"""Matches the syntactic categories.

They are those of Google that begin with ``gram``, and those of BATS by the name of their folder, or
by the name of their file (``I01 [...]`` and ``D01 [...]``) if a single folder of BATS was read.
"""


def section_of(category: str) -> str:
    """Return ``syntactic`` for a category of grammar, in Google's file or BATS, or ``semantic``."""
    return "syntactic" if _SYNTACTIC.match(category) else "semantic"


@dataclass(frozen=True)
class CategoryResult:
    """The result of one category of questions; `AnalogyResult` explains the fields."""

    category: str
    section: str
    accuracy: float | None
    accuracy_5: float | None
    ci95: Interval | None
    correct: int
    correct_5: int
    questions: int
    known: int
    total: int


@dataclass(frozen=True)
class AnalogyResult:
    """How many analogy questions were answered correctly.

    Attributes
    ----------
    method
        ``3CosAdd`` or ``3CosMul``.
    accuracy, semantic, syntactic
        Share of correct answers: to all questions used, and to the semantic and the syntactic
        ones (`section_of`). None if no question was used.
    accuracy_5
        Share of questions whose correct answer is among the five best ones.
    ci95
        Wilson's 95 % interval of `accuracy`. It assumes independent questions, but those of a
        benchmark share words, so that the true uncertainty is larger.
    correct, correct_5, questions, total
        Number of questions answered correctly, answered correctly within five answers, used, and
        given.
    known, coverage
        Number of questions all of whose words are in the vocabulary, and known / total (None
        without questions).
    vocabulary
        Number of words, the most frequent ones, that questions may contain and that can be
        answers.
    oov
        See `w2v.evaluate.Unknown`.
    categories
        In the order of the questions.
    """

    method: Method
    accuracy: float | None
    semantic: float | None
    syntactic: float | None
    accuracy_5: float | None
    ci95: Interval | None
    correct: int
    correct_5: int
    questions: int
    known: int
    total: int
    coverage: float | None
    vocabulary: int
    oov: Unknown
    categories: tuple[CategoryResult, ...]


def load_analogies(path: str | Path) -> list[Question]:
    """Read analogy questions from a file in Google's format, or from the folder of BATS.

    In Google's format, each question is a line of four words, and a line ``: category`` precedes
    the questions of a category. In the folder of BATS, each text file is a category, and each line
    has a word and its correct answers, separated by slashes. Any two lines of a file make two
    questions: a and b are the word and the first answer of one line, c is the word of the other,
    and all answers of the other are correct.

    Raises
    ------
    InputError
        A file cannot be read or has no questions, a line has another form, or a question precedes
        the first category.

    References
    ----------
    Gladkova, Drozd, Matsuoka (2016), Analogy-based detection of morphological and semantic
    relations with word embeddings (BATS).
    """
    path = local_path(path)
    if path.is_dir():
        files = sorted(path.rglob("*.txt"))
        questions = [question for file in files for question in _bats(file, path)]
    else:
        questions = list(_google(path))
    if not questions:
        raise InputError(
            f"{path}: holds no questions; "
            "four words a line under ': category' lines, or a folder of BATS are needed"
        )
    return questions


def _google(path: Path) -> Iterator[Question]:
    """Read questions in Google's format."""
    category = ""
    for number, line in enumerate(read_lines(path), start=1):
        if line.startswith(":"):
            category = line[1:].strip()
        elif line.strip():
            try:
                if not category:
                    raise ValueError
                a, b, c, answer = line.split()
            except ValueError:
                raise InputError(
                    f"{path}: line {number} is {line[:80]!r}; "
                    "four words under a ': category' line are needed"
                ) from None
            yield Question(category, a, b, c, answer)


def _bats(path: Path, root: Path) -> Iterator[Question]:
    """Read the questions of one file of BATS, whose category is its path below `root`."""
    pairs = []
    for number, line in enumerate(read_lines(path), start=1):
        if line.strip():
            word, *rest = line.split()
            answers = tuple(answer for answer in "".join(rest[:1]).split("/") if answer)
            if len(rest) != 1 or not answers:
                raise InputError(
                    f"{path}: line {number} is {line[:80]!r}; a word and its answers are needed"
                )
            pairs.append((word, answers))
    category = path.relative_to(root).with_suffix("").as_posix()
    for a, (b, *_) in pairs:
        for c, (answer, *others) in pairs:
            if a != c:
                yield Question(category, a, b, c, answer, tuple(others))


def analogies(
    vectors: WordVectors,
    questions: Sequence[Question] | str | Path,
    vocabulary: int = 30_000,
    *,
    method: Method = "3CosAdd",
    oov: Unknown = "skip",
) -> AnalogyResult:
    """Answer analogy questions and count the correct answers.

    This is `answer_ranks` followed by `count_answers`, which explain the parameters. A path in
    place of questions is read by `load_analogies`.
    """
    if isinstance(questions, str | Path):
        questions = load_analogies(questions)
    ranks = answer_ranks(vectors, questions, vocabulary, (method,))[method]
    return count_answers(questions, ranks, min(vocabulary, len(vectors)), method, oov)


def answer_ranks(
    vectors: WordVectors,
    questions: Sequence[Question],
    vocabulary: int = 30_000,
    methods: Sequence[Method] = METHODS,
) -> dict[Method, NDArray[np.int64]]:
    """Find the rank of the correct answer to each question among all answers.

    3CosAdd ranks words by cos(x, b) - cos(x, a) + cos(x, c), and 3CosMul by
    cos(x, b) cos(x, c) / (cos(x, a) + 1e-6), with cosines shifted to the range from 0 to 1. The
    words a, b and c cannot be answers. A word of a question stands for the same word of the
    vocabulary, or else for the most frequent one that differs only in case, as `str.lower` ignores
    it. Words that differ only in case are the same answer.

    Parameters
    ----------
    vectors
        To evaluate.
    questions
        n questions.
    vocabulary
        Questions may only contain this many words, the most frequent ones, and only they can be
        answers. Accuracy falls as this number grows, so compare results of equal settings only.
    methods
        Of `METHODS`.

    Returns
    -------
    dict of method to (n,) int64
        The rank of the first correct answer, from 1 to 5; 0 if there is none among the first
        five, and -1 if a word of the question is not in the vocabulary.

    Raises
    ------
    InputError
        `vocabulary` is less than 1.

    References
    ----------
    Mikolov, Yih, Zweig (2013), Linguistic regularities in continuous space word
    representations (3CosAdd). Levy, Goldberg (2014), Linguistic regularities in sparse and
    explicit word representations, equation 4 and footnote 7 (3CosMul).
    """
    if vocabulary < 1:
        raise InputError(f"vocabulary={vocabulary}: at least 1 word is needed")
    rows = vectors.by_frequency[:vocabulary]
    size = len(rows)
    # From here on, a word is its frequency rank, from 0.
    words = [vectors.words[row] for row in rows.tolist()]
    rank_of_word = {word: rank for rank, word in enumerate(words)}
    first: dict[str, int] = {}
    same_word = np.array(
        [first.setdefault(word.lower(), rank) for rank, word in enumerate(words)], np.intp
    )

    @cache  # the same few hundred words are in thousands of questions
    def rank_of(word: str) -> int:
        """Return the frequency rank of a word, or of its most frequent spelling in another case.

        -1 if there is none.
        """
        for spelling in spellings(word):
            rank = rank_of_word.get(spelling, first.get(spelling.lower()))
            if rank is not None:
                return rank
        return -1

    variants = _variants(same_word)

    def all_spellings(words: Iterable[int]) -> list[int]:
        return [rank for word in words for rank in variants.get(word, (word,))]

    asked: list[int] = []
    terms: list[list[int]] = []
    excluded: list[list[int]] = []  # of each question that is asked: what cannot be the answer ...
    correct: list[list[int]] = []  # ... and the right answers
    for index, question in enumerate(questions):
        three = [rank_of(word) for word in question[1:4]]
        if -1 in three:
            continue
        answers = {rank_of(word) for word in (question.answer, *question.others)} - {-1}
        if answers:
            asked.append(index)
            terms.append(three)
            excluded.append(all_spellings(same_word[three].tolist()))
            correct.append(sorted({*all_spellings(same_word[list(answers)].tolist())}))
    ranks = {method: np.full(len(questions), -1, dtype=np.int64) for method in methods}
    unit = vectors.unit_rows(rows)
    rows_at_once = max(1, MAX_SCORES // max(1, size))
    for start, end in _batches(terms, max(3, MAX_COSINES // max(1, size))):
        chosen, where = np.unique(np.array(terms[start:end]), return_inverse=True)
        cosines = unit[chosen] @ unit.T
        for method in methods:
            of_b_and_c, of_a = _factors(cosines, method)
            combine = np.add if method == "3CosAdd" else np.multiply
            for at in range(start, end, rows_at_once):
                some = slice(at, min(at + rows_at_once, end))
                a, b, c = where.reshape(-1, 3)[at - start : some.stop - start].T
                scores = combine(of_b_and_c[b], of_b_and_c[c])
                combine(scores, of_a[a], out=scores)
                ranks[method][asked[some]] = _ranks(scores, excluded[some], correct[some])
    return ranks


def _variants(same_word: NDArray[np.intp]) -> dict[int, list[int]]:
    """Return the ranks of all spellings of each word that has several, which differ in case."""
    rarer = np.flatnonzero(same_word != np.arange(len(same_word)))
    return {
        int(word): [*rarer[same_word[rarer] == word].tolist(), int(word)]
        for word in np.unique(same_word[rarer])
    }


def _batches(terms: Sequence[Sequence[int]], limit: int) -> Iterator[tuple[int, int]]:
    """Cut the questions into ranges (start, end) with at most `limit` different words each."""
    start, words = 0, set[int]()
    for index, three in enumerate(terms):
        words.update(three)
        if len(words) > limit:
            yield start, index
            start, words = index, set(three)
    if terms:
        yield start, len(terms)


def _factors(
    cosines: NDArray[np.float32], method: Method
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return what a word adds to a score (or multiplies it by) as b or c, and what as a."""
    if method == "3CosAdd":
        return cosines, -cosines
    shifted: NDArray[np.float32] = np.maximum((1 + cosines) / 2, 0)
    inverse: NDArray[np.float32] = np.reciprocal(shifted + np.float32(EPSILON))
    return shifted, inverse


def _ranks(
    scores: NDArray[np.float32], excluded: Sequence[list[int]], correct: Sequence[list[int]]
) -> NDArray[np.int64]:
    """Return the rank of the first correct answer to each question; 0 if it is not in the top five.

    Of equal scores, the more frequent word comes first.

    Parameters
    ----------
    scores
        Of the words, by frequency, for n questions, (n, words). It is overwritten.
    excluded, correct
        The columns of each question that cannot be answers, and those of the right answers.
    """
    rows = np.repeat(np.arange(len(scores)), [len(columns) for columns in excluded])
    scores[rows, list(chain(*excluded))] = -np.inf
    lengths = [len(columns) for columns in correct]
    rows, columns = np.repeat(np.arange(len(scores)), lengths), np.array(list(chain(*correct)))
    found = scores[rows, columns]
    starts = np.cumsum([0, *lengths[:-1]])
    best = np.maximum.reduceat(found, starts)[:, np.newaxis]
    place = np.full(len(scores), scores.shape[1])
    np.minimum.at(place, rows, np.where(found == best[rows, 0], columns, scores.shape[1]))
    ranks = 1 + np.count_nonzero(scores > best, axis=1)
    ties = scores == best
    for row in np.flatnonzero(np.count_nonzero(ties, axis=1) > 1).tolist():
        ranks[row] += np.count_nonzero(ties[row, : place[row]])
    return np.where((ranks <= TOP) & np.isfinite(best[:, 0]), ranks, 0)


def count_answers(
    questions: Sequence[Question],
    ranks: NDArray[np.int64],
    vocabulary: int,
    method: Method,
    oov: Unknown = "skip",
) -> AnalogyResult:
    """Count the correct answers of each category.

    Parameters
    ----------
    questions
        n questions.
    ranks
        (n,), what `answer_ranks` returned for `method`.
    vocabulary, method
        Copied into the result.
    oov
        How questions with words outside the vocabulary are treated; see `Unknown`.
    """
    places: dict[str, list[int]] = {}
    for index, question in enumerate(questions):
        places.setdefault(question.category, []).append(index)
    categories = []
    for category, indices in places.items():
        found = ranks[indices]
        known = int((found >= 0).sum())
        used = known if oov == "skip" else len(found)
        correct, correct_5 = int((found == 1).sum()), int((found > 0).sum())
        categories.append(
            CategoryResult(
                category=category,
                section=section_of(category),
                accuracy=ratio(correct, used),
                accuracy_5=ratio(correct_5, used),
                ci95=wilson(correct, used),
                correct=correct,
                correct_5=correct_5,
                questions=used,
                known=known,
                total=len(found),
            )
        )
    semantic = total_of([c for c in categories if c.section == "semantic"], "semantic")
    syntactic = total_of([c for c in categories if c.section == "syntactic"], "syntactic")
    total = total_of(categories, "all")
    return AnalogyResult(
        method=method,
        accuracy=total.accuracy,
        semantic=semantic.accuracy,
        syntactic=syntactic.accuracy,
        accuracy_5=total.accuracy_5,
        ci95=total.ci95,
        correct=total.correct,
        correct_5=total.correct_5,
        questions=total.questions,
        known=total.known,
        total=total.total,
        coverage=ratio(total.known, total.total),
        vocabulary=vocabulary,
        oov=oov,
        categories=tuple(categories),
    )


def total_of(categories: Sequence[CategoryResult], section: str) -> CategoryResult:
    """Add up several categories; the result is a category named ``all`` of the given section."""
    correct = sum(c.correct for c in categories)
    correct_5 = sum(c.correct_5 for c in categories)
    questions = sum(c.questions for c in categories)
    return CategoryResult(
        category="all",
        section=section,
        accuracy=ratio(correct, questions),
        accuracy_5=ratio(correct_5, questions),
        ci95=wilson(correct, questions),
        correct=correct,
        correct_5=correct_5,
        questions=questions,
        known=sum(c.known for c in categories),
        total=sum(c.total for c in categories),
    )
