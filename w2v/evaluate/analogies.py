"""Analogy questions ("a is to b as c is to what?"): load, answer and score them."""

import os
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
from w2v.evaluate.ensemble import HasVectors, vectors_of
from w2v.evaluate.similarity import UNKNOWN, Unknown
from w2v.evaluate.statistics import Interval, ratio, wilson
from w2v.files import local_path
from w2v.memoize import remember_last
from w2v.settings import check_choice, check_whole
from w2v.vectors import WordVectors
from w2v.vectors.lookup import spellings

Method = Literal["3CosAdd", "3CosMul"]

METHODS: tuple[Method, ...] = ("3CosAdd", "3CosMul")

TOP = 5
"""`accuracy_5` is the share of questions with a correct answer among this many best candidates."""

MAX_COSINES = 1 << 24
"""The most cosines of question words and vocabulary words computed at once: 64 MiB of float32.

A single question may need more: the cosines of its three words with all words of the vocabulary.
"""

MAX_SCORES = 1 << 18
"""The most scores of candidate answers computed at once: 1 MiB of float32, to fit in CPU caches.

A single question may need more: a score for each word of the vocabulary.
"""

EPSILON = 1e-6
"""Added to the divisor of 3CosMul to keep it above 0. gensim uses the same value."""


class Question(NamedTuple):
    """A question "a is to b as c is to what?" with its correct answers.

    Attributes
    ----------
    category
        The benchmark's name of the relation between a and b, such as ``capital-common-countries``.
    a, b, c
        The words of the question.
    answer
        The correct answer.
    others
        Further correct answers.
    """

    category: str
    a: str
    b: str
    c: str
    answer: str
    others: tuple[str, ...] = ()

    @property
    def section(self) -> str:
        """``syntactic`` or ``semantic``, the kind of relation that the question asks for."""
        return section_of(self.category)


_SYNTACTIC = re.compile(r"gram|[^/]*morphology[^/]*/|[ID]\d\d \[", re.IGNORECASE)
"""Matches the names of syntactic categories.

In Google's file, such a name begins with ``gram``. In BATS, the name is a path that begins with a
folder with ``morphology`` in its name; if this folder itself was loaded, the path begins like
``I01 [`` or ``D01 [``.
"""


def section_of(category: str) -> str:
    """Return the kind of an analogy category by its name: ``syntactic`` or ``semantic``.

    The syntactic categories of Google's file and of BATS are known by their names. Every other
    category counts as semantic.
    """
    return "syntactic" if _SYNTACTIC.match(category) else "semantic"


@dataclass(frozen=True)
class CategoryResult:
    """The accuracy on one category of analogy questions, or on several together (`total_of`).

    Attributes
    ----------
    category, section
        The name of the category, and ``semantic`` or ``syntactic``. For several categories:
        ``all``, and the name of the group.
    accuracy, accuracy_5
        `correct` / `questions` and `correct_5` / `questions`; None if `questions` is 0.
    ci95
        Wilson's 95 % confidence interval of `accuracy`; None if `questions` is 0.
    correct, correct_5
        How many questions have a correct answer as the best candidate, or among the five best.
    questions
        The number of questions used: `known`, or `total` if the other questions count as wrong
        (``oov="zero"``).
    known, total
        The number of questions whose words a, b, c and at least one correct answer are in the
        vocabulary, and of all questions.
    """

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
    """The accuracy on a benchmark of analogy questions "a is to b as c is to what?"."""

    method: Method
    """How answers are computed: ``3CosAdd`` or ``3CosMul``."""
    accuracy: float | None
    """The share of correct answers among the questions used; None if there are none."""
    semantic: float | None
    """The accuracy on the semantic questions used; None if there are none."""
    syntactic: float | None
    """The accuracy on the syntactic questions used; None if there are none."""
    accuracy_5: float | None
    """The share of questions used with a correct answer among the five best candidates; None if no
    question was used."""
    ci95: Interval | None
    """Wilson's 95 % confidence interval of `accuracy`; None if no question was used. The true
    uncertainty is larger, because the questions of a benchmark share words."""
    correct: int
    """The number of questions answered correctly."""
    correct_5: int
    """The number of questions with a correct answer among the five best candidates."""
    questions: int
    """The number of questions used for the accuracy: `known`, or `total` if `oov` is ``zero``."""
    known: int
    """The number of questions whose words a, b, c and at least one correct answer are in the
    vocabulary."""
    total: int
    """The number of questions in the benchmark."""
    coverage: float | None
    """`known` / `total`; None without questions."""
    vocabulary: int
    """Only this many most frequent words may occur in questions and answers."""
    oov: Unknown
    """How questions that do not count as `known` are treated: ``skip`` leaves them out, ``zero``
    counts them as wrong."""
    categories: tuple[CategoryResult, ...]
    """The result for each category, in the order in which they first occur among the questions."""


def as_questions(name: str, given: Iterable[object]) -> list[Question]:
    """Return questions as `Question`; they may be given as tuples of a category and four words.

    `name` is the name of the user's argument that holds the questions, for the error message.

    Raises
    ------
    InputError
        An item is something else than a question.
    """
    return [item if isinstance(item, Question) else _as_question(name, item) for item in given]


def _as_question(name: str, item: object) -> Question:
    if (
        isinstance(item, tuple | list)
        and len(item) == 5
        and all(isinstance(text, str) for text in item)
    ):
        return Question(*item)
    raise InputError(
        f"{name}: holds {item!r:.60}; a category and four words are needed, as in "
        "('capitals', 'Rome', 'Italy', 'Oslo', 'Norway')"
    )


def load_analogies(path: str | Path) -> list[Question]:
    """Load analogy questions from a file in Google's format, or from the folder of BATS.

    In Google's format, each question is a line of four words, and a line ``: category`` precedes
    the questions of a category. In BATS, each text file (``.txt``) in the folder and its subfolders
    is a category. Each line has a word, white space, and the words related to it, separated by
    slashes. Any two lines of a file that begin with different words make two questions "a is to b
    as c is to what?", one for each order: the lines begin with a and c, b is the first word related
    to a, and all words related to c are correct.

    Raises
    ------
    InputError
        A file cannot be read, a line has another format, a question has no category, a category is
        called ``all``, or there are no questions.

    References
    ----------
    Gladkova, Drozd, Matsuoka (2016), Analogy-based detection of morphological and semantic
    relations with word embeddings (BATS).
    """
    path = local_path(path)
    if os.path.isdir(path):  # noqa: PTH112 (Path.is_dir raises an error for long names)
        files = sorted(path.rglob("*.txt"))
        questions = [question for file in files for question in _bats(file, path)]
    else:
        questions = list(_google(path))
    if any(question.category == "all" for question in questions):
        raise InputError(f"{path}: a category is called all, as totals are; give it another name")
    if not questions:
        raise InputError(
            f"{path}: holds no questions; "
            "four words a line under ': category' lines, or a folder of BATS are needed"
        )
    return questions


def _google(path: Path) -> Iterator[Question]:
    """Yield the analogy questions of a file in the format of Google's benchmark.

    Each question is a line of four words. A line ``: category`` precedes those of a category.
    """
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
    """Yield the analogy questions of one file of the benchmark BATS.

    The category of all of them is the file's path relative to `root`, without the extension.
    """
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
    vectors: WordVectors | HasVectors,
    questions: Sequence[Question | tuple[str, str, str, str, str]] | str | Path,
    vocabulary: int = 30_000,
    *,
    method: Method = "3CosAdd",
    oov: Unknown = "skip",
) -> AnalogyResult:
    """Answer analogy questions ("a is to b as c is to what?") and compute the accuracy.

    Parameters
    ----------
    vectors
        The word vectors, or a trained model.
    questions
        The questions, or the path of a file or folder (`load_analogies`). A tuple has a category
        and four words.
    vocabulary
        Only this many most frequent words may occur in questions and answers.
    method
        ``3CosAdd`` or ``3CosMul``; see `answer_ranks`.
    oov
        How to treat a question if a, b, c or every correct answer is not in this vocabulary:
        ``skip`` leaves the question out, ``zero`` counts it as wrong.

    Raises
    ------
    InputError
        The questions cannot be loaded, another argument is not allowed, or a vector that is used is
        not finite.
    """
    if isinstance(questions, str | Path):
        asked = load_analogies(questions)
    else:
        asked = as_questions("questions", questions)
    vectors = vectors_of("vectors", vectors)
    ranks = answer_ranks(vectors, asked, vocabulary, (method,))[method]
    return count_answers(asked, ranks, min(vocabulary, len(vectors)), method, oov)


def answer_ranks(
    vectors: WordVectors,
    questions: Sequence[Question],
    vocabulary: int = 30_000,
    methods: Sequence[Method] = METHODS,
) -> dict[Method, NDArray[np.int64]]:
    """Answer analogy questions, and return where the best correct answer to each one is ranked.

    For a question "a is to b as c is to x", 3CosAdd ranks the words x by cos(x, b) - cos(x, a) +
    cos(x, c). 3CosMul ranks them by cos(x, b) cos(x, c) / (cos(x, a) + 1e-6), with cosines shifted
    to the range from 0 to 1. The words a, b and c cannot be answers. Words that differ only in case
    count as the same answer. Words outside the vocabulary are also looked up in another case and in
    other spellings (`w2v.vectors.lookup.spellings`). The vocabulary has the `vocabulary` most
    frequent words; accuracy usually falls as this number grows.

    Returns
    -------
    dict of method to int64 (questions,)
        The rank of the best correct answer, from 1 to 5; 0 if it is beyond 5; -1 if a, b or c, or
        all correct answers, are not in the vocabulary.

    Raises
    ------
    InputError
        `vocabulary` or a method is not allowed, or a vector that is used is not finite.

    References
    ----------
    Mikolov, Yih, Zweig (2013), Linguistic regularities in continuous space word representations
    (3CosAdd). Levy, Goldberg (2014), Linguistic regularities in sparse and explicit word
    representations, equation 4 and footnote 7 (3CosMul).
    """
    check_whole("vocabulary", vocabulary)
    for method in methods:
        check_choice("method", method, METHODS)
    rows = vectors.by_frequency[:vocabulary]
    size = len(rows)
    # From here on, words are represented by their frequency ranks, from 0.
    asked = _asked(tuple(vectors.words[row] for row in rows.tolist()), tuple(questions))
    ranks = {method: np.full(len(questions), -1, dtype=np.int64) for method in methods}
    unit = vectors.unit_rows(rows)
    rows_at_once = max(1, MAX_SCORES // max(1, size))
    # Reused, since the system clears the pages of every new array.
    scores, terms = np.empty((2, rows_at_once, size), np.float32)
    for start, end in _batches(asked.terms, max(3, MAX_COSINES // max(1, size))):
        chosen, where = np.unique(asked.terms[start:end], return_inverse=True)
        cosines = unit[chosen] @ unit.T
        for method in methods:
            of_b_and_c, of_a = _factors(cosines, method)
            combine = np.add if method == "3CosAdd" else np.multiply
            for at in range(start, end, rows_at_once):
                some = slice(at, min(at + rows_at_once, end))
                a, b, c = where.reshape(-1, 3)[at - start : some.stop - start].T
                sums, term = scores[: len(a)], terms[: len(a)]
                # By default, take() copies its result into `out`.
                np.take(of_b_and_c, b, axis=0, out=sums, mode="clip")
                for factor, words in ((of_b_and_c, c), (of_a, a)):
                    combine(sums, np.take(factor, words, axis=0, out=term, mode="clip"), out=sums)
                found = _ranks(sums, asked.excluded.of(some), asked.correct.of(some))
                ranks[method][asked.places[some]] = found
    return ranks


class _Lists(NamedTuple):
    """Several lists of integers, stored in one array.

    List i is ``numbers[starts[i] : starts[i + 1]]``.
    """

    numbers: NDArray[np.intp]
    starts: NDArray[np.intp]

    @classmethod
    def join(cls, lists: Sequence[Sequence[int]]) -> "_Lists":
        numbers = np.array(list(chain(*lists)), np.intp)
        return cls(numbers, np.cumsum([0, *map(len, lists)], dtype=np.intp))

    def of(self, some: slice) -> "_Lists":
        """Return the lists of integers whose indices are in the slice `some`.

        The result shares memory with this object: the integers are not copied.
        """
        starts = self.starts[some.start : some.stop + 1]
        return _Lists(self.numbers[starts[0] : starts[-1]], starts - starts[0])

    def owners(self) -> NDArray[np.intp]:
        """Return, for each element of `numbers`, the index of the list that it belongs to."""
        return np.repeat(np.arange(len(self.starts) - 1), np.diff(self.starts))


class _Asked(NamedTuple):
    """The m analogy questions whose words a, b, c and at least one answer are in a vocabulary.

    Words are represented by their frequency ranks, from 0.

    Attributes
    ----------
    places : (m,)
        The index of each question among all questions.
    terms : (m, 3)
        The words a, b and c of each question.
    excluded, correct
        Two lists for each question: a, b and c, which cannot be answers; and the correct answers.
        Both lists include all words that differ from these only in case.
    """

    places: NDArray[np.intp]
    terms: NDArray[np.intp]
    excluded: _Lists
    correct: _Lists


@remember_last(8)  # the vectors of a sweep have the same words
def _asked(words: tuple[str, ...], questions: tuple[Question, ...]) -> _Asked:
    """Return the questions whose words a, b, c and at least one correct answer are in `words`.

    `words` is the vocabulary, the most frequent word first.
    """
    rank_of_word = {word: rank for rank, word in enumerate(words)}
    first: dict[str, int] = {}
    same_word = [first.setdefault(word.lower(), rank) for rank, word in enumerate(words)]

    @cache  # the same few hundred words are in thousands of questions
    def rank_of(word: str) -> int:
        """Return the frequency rank of a word, from 0; -1 if it is not in the vocabulary.

        If the exact spelling is not in the vocabulary, the most frequent spelling in another case
        is used. If there is none, other spellings (`spellings`), such as with ``_`` for spaces, are
        tried in the same way.
        """
        for spelling in spellings(word):
            rank = rank_of_word.get(spelling, first.get(spelling.lower()))
            if rank is not None:
                return rank
        return -1

    variants = _variants(np.array(same_word, np.intp))

    def all_spellings(ranks: Iterable[int]) -> list[int]:
        found = (same_word[rank] for rank in ranks)
        return [rank for word in found for rank in variants.get(word, (word,))]

    places: list[int] = []
    terms: list[list[int]] = []
    excluded: list[list[int]] = []
    correct: list[list[int]] = []
    for index, (_, a, b, c, answer, others) in enumerate(questions):
        three = [rank_of(a), rank_of(b), rank_of(c)]
        answers = {rank_of(word) for word in (answer, *others)} - {-1}
        if answers and -1 not in three:
            places.append(index)
            terms.append(three)
            excluded.append(all_spellings(three))
            correct.append(sorted({*all_spellings(answers)}))
    return _Asked(
        np.array(places, np.intp),
        np.array(terms, np.intp).reshape(-1, 3),
        _Lists.join(excluded),
        _Lists.join(correct),
    )


def _variants(same_word: NDArray[np.intp]) -> dict[int, list[int]]:
    """Return the groups of words of the vocabulary that differ only in case.

    Words are represented by their frequency ranks, from 0.

    Parameters
    ----------
    same_word : (words,)
        Element r is the rank of the most frequent word that differs from the word of rank r at most
        in case. It is r if there is no more frequent one.

    Returns
    -------
    dict
        For each group of two or more words, the rank of its most frequent word as the key, and the
        ranks of all its words as the value.
    """
    rarer = np.flatnonzero(same_word != np.arange(len(same_word)))
    return {
        int(word): [*rarer[same_word[rarer] == word].tolist(), int(word)]
        for word in np.unique(same_word[rarer])
    }


def _batches(terms: NDArray[np.intp], limit: int) -> Iterator[tuple[int, int]]:
    """Cut the questions into consecutive batches with at most `limit` distinct words each.

    Parameters
    ----------
    terms : (n, 3)
        The words a, b and c of each question, as numbers.
    limit
        The most words per batch, at least 3.

    Yields
    ------
    start, end
        The indices of the first question of a batch, and of the first one after it.
    """
    start, words = 0, set[int]()
    for index, three in enumerate(terms.tolist() if len(np.unique(terms)) > limit else ()):
        words.update(three)
        if len(words) > limit:
            yield start, index
            start, words = index, set(three)
    if len(terms):
        yield start, len(terms)


def _factors(
    cosines: NDArray[np.float32], method: Method
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return the contribution of each word of a question to the scores of all candidate answers.

    For 3CosAdd, the contributions are the terms of a sum; for 3CosMul, the factors of a product.

    Parameters
    ----------
    cosines
        The cosines of words with the candidates, one row per word.

    Returns
    -------
    of_b_and_c
        The contributions of the words if they are b or c in "a is to b as c is to ...".
    of_a
        The contributions of the words if they are a.
    """
    if method == "3CosAdd":
        return cosines, -cosines
    shifted = cosines + np.float32(1)
    shifted *= np.float32(0.5)
    np.maximum(shifted, 0, out=shifted)
    inverse = shifted + np.float32(EPSILON)
    return shifted, np.reciprocal(inverse, out=inverse)


def _ranks(scores: NDArray[np.float32], excluded: _Lists, correct: _Lists) -> NDArray[np.int64]:
    """Return the rank of the best correct answer to each question: 1 to 5, or 0 if it is beyond 5.

    If all correct answers are excluded, the rank is 0. Of words with equal scores, the more
    frequent one comes first.

    Parameters
    ----------
    scores
        The score of each word as an answer to n questions, (n, words). The columns are ordered by
        the frequency of the words. The array is overwritten.
    excluded
        For each question, the columns of `scores` of the words that cannot be answers.
    correct
        For each question, the columns of the correct answers.
    """
    scores[excluded.owners(), excluded.numbers] = -np.inf
    rows, columns = correct.owners(), correct.numbers
    found = scores[rows, columns]
    best = np.maximum.reduceat(found, correct.starts[:-1])[:, np.newaxis]
    place = np.full(len(scores), scores.shape[1])
    np.minimum.at(place, rows, np.where(found == best[rows, 0], columns, scores.shape[1]))
    # Counted row by row, which takes a tenth of the time that NumPy needs along an axis.
    ranks = np.array([1 + np.count_nonzero(row) for row in scores > best])
    for row in np.flatnonzero(ranks <= TOP).tolist():
        ranks[row] += np.count_nonzero(scores[row, : place[row]] == best[row])
    return np.where((ranks <= TOP) & np.isfinite(best[:, 0]), ranks, 0)


@remember_last(8)
def _categories(questions: tuple[Question, ...]) -> dict[str, NDArray[np.intp]]:
    """Return the indices of each category's questions; categories in order of first appearance."""
    places: dict[str, list[int]] = {}
    for index, question in enumerate(questions):
        places.setdefault(question.category, []).append(index)
    return {category: np.array(indices, np.intp) for category, indices in places.items()}


def count_answers(
    questions: Sequence[Question],
    ranks: NDArray[np.int64],
    vocabulary: int,
    method: Method,
    oov: Unknown = "skip",
) -> AnalogyResult:
    """Count the correct answers, overall and in each category of questions.

    Parameters
    ----------
    questions
        n questions.
    ranks
        The ranks of the correct answers, (n,), that `answer_ranks` returned for `method`.
    vocabulary, method
        How many words may occur in questions and answers, and how answers were computed; both are
        only copied into the result.
    oov
        How questions of rank -1, which cannot be answered because of unknown words, are treated:
        ``skip`` leaves them out, ``zero`` counts them as wrong.

    Raises
    ------
    InputError
        `method` or `oov` is unknown.
    """
    check_choice("method", method, METHODS)
    check_choice("oov", oov, UNKNOWN)
    categories = []
    for category, indices in _categories(tuple(questions)).items():
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
    """Add up the results of several categories of analogy questions into one result.

    The result has the category ``all`` and the section `section`, which names the group of
    categories, such as ``syntactic``.
    """
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
