"""Analogies: a is to b as c is to what? Questions, and how many come out right."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from w2v.errors import InputError
from w2v.evaluate.datasets import lines_of
from w2v.evaluate.similarity import Unknown
from w2v.evaluate.statistics import Interval, ratio, wilson
from w2v.vectors import WordVectors

Method = Literal["3CosAdd", "3CosMul"]

METHODS: tuple[Method, ...] = ("3CosAdd", "3CosMul")

DEPTH = 5
"""Answers that are looked at."""

_COSINES = 1 << 24
"""Cosines held at a time: 64 MiB of float32."""

_EPSILON = 1e-6
"""Keeps 3CosMul's quotient finite; as gensim has it, so that figures agree."""


class Question(NamedTuple):
    """a is to b as c is to the answer, or to one of the others, which are as right."""

    category: str
    a: str
    b: str
    c: str
    answer: str
    others: tuple[str, ...] = ()

    @property
    def section(self) -> str:
        """``syntactic`` or ``semantic``."""
        return section_of(self.category)


_SYNTACTIC = re.compile(r"gram|[^/]*morphology[^/]*/|[ID]\d\d \[", re.IGNORECASE)
"""How the categories of form begin: Google's; BATS's, by folder, or by file within one folder."""


def section_of(category: str) -> str:
    """``syntactic`` for Google's ``gram...`` and the morphology of BATS, else ``semantic``."""
    return "syntactic" if _SYNTACTIC.match(category) else "semantic"


@dataclass(frozen=True)
class CategoryResult:
    """One category of analogy questions; see `AnalogyResult` for the fields."""

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
    """How many analogies come out right.

    Parameters
    ----------
    method
        ``3CosAdd`` or ``3CosMul``.
    accuracy, semantic, syntactic
        Correct answers among the questions used: of all categories, and of those of each
        `section_of`. None where no question was used.
    accuracy_5
        Questions among whose five best answers is the right one.
    ci95
        Wilson's interval of `accuracy`. It takes the questions for independent; those of a
        benchmark share words, so it is a lower bound on the doubt.
    correct, correct_5, questions, total
        Questions answered correctly, correctly within five answers, used, and given.
    known, coverage
        Questions all of whose words are in the vocabulary; known / total, None for no questions.
    vocabulary
        How many words, the most frequent ones, were asked about and could answer.
    oov
        ``skip``: questions with an unknown word are left out. ``zero``: they count as wrong.
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
    """Read analogies: Google's format, or the folder of BATS.

    Google's: four words a line, under ``: category`` lines. BATS: text files, in folders, each a
    category; a line is a word and its answers, all right, between slashes. Every two lines of a
    file make two questions; the first answer of a line is the one that questions are made with.

    Raises
    ------
    InputError
        A file that cannot be read or holds no question, another kind of line, or a question
        before any category.

    References
    ----------
    Gladkova, Drozd, Matsuoka (2016), Analogy-based detection of morphological and semantic
    relations with word embeddings (BATS).
    """
    path = Path(path)
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
    category = ""
    for number, line in enumerate(lines_of(path), start=1):
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
    pairs = []
    for number, line in enumerate(lines_of(path), start=1):
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
    questions: Sequence[Question],
    vocabulary: int = 30_000,
    *,
    method: Method = "3CosAdd",
    oov: Unknown = "skip",
) -> AnalogyResult:
    """Answer analogies and count: `answer_ranks` and `count_answers`."""
    ranks = answer_ranks(vectors, questions, vocabulary, (method,))[method]
    return count_answers(questions, ranks, min(vocabulary, len(vectors)), method, oov)


def answer_ranks(
    vectors: WordVectors,
    questions: Sequence[Question],
    vocabulary: int = 30_000,
    methods: Sequence[Method] = METHODS,
) -> dict[Method, NDArray[np.int64]]:
    """Where the right answer of each question stands among the best ones.

    3CosAdd ranks words by cos(x, b) - cos(x, a) + cos(x, c), 3CosMul by
    cos(x, b) cos(x, c) / (cos(x, a) + 1e-6) with cosines shifted to 0 ... 1; a, b and c do not
    answer. Words are compared in upper case, and of several that then agree the most frequent is
    asked about.

    Parameters
    ----------
    vocabulary
        Only the most frequent words are asked about and can answer. Accuracy falls as this
        grows, so figures compare only at equal settings.

    Returns
    -------
    dict of str to int64 (n,)
        1 for the best answer to 5; 0: not among those; -1: a word is not in the vocabulary.

    Raises
    ------
    InputError
        `vocabulary` below 1.

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
    # Words are places from here on: 0 is the most frequent word, and a form stands for its first.
    place_of_row = np.full(len(vectors), size, dtype=np.intp)
    place_of_row[rows] = np.arange(size)
    form_of = np.array([place_of_row[_found(vectors, vectors.words[r])] for r in rows], np.intp)
    variants = _variants(form_of)

    @cache
    def place(word: str) -> int:
        row = vectors.find(word)
        return -1 if row is None or place_of_row[row] == size else int(place_of_row[row])

    asked, terms, right = [], [], []
    for index, question in enumerate(questions):
        three = [place(word) for word in question[1:4]]
        answers = {place(word) for word in (question.answer, *question.others)} - {-1}
        if answers and -1 not in three:
            asked.append(index)
            terms.append(three)
            right.append(answers)
    ranks = {method: np.full(len(questions), -1, dtype=np.int64) for method in methods}
    unit = vectors.unit_rows(rows)
    scores = np.empty(size, np.float32)
    for start, end in _batches(terms, max(3, _COSINES // max(1, size))):
        words, where = np.unique(np.array(terms[start:end]), return_inverse=True)
        cosines = unit[words] @ unit.T
        for method in methods:
            times, per = _factors(cosines, method)
            combine = np.add if method == "3CosAdd" else np.multiply
            for index, (a, b, c) in enumerate(where.reshape(-1, 3).tolist(), start=start):
                combine(times[b], times[c], out=scores)
                combine(scores, per[a], out=scores)
                for term in terms[index]:
                    scores[variants.get(term, term)] = -np.inf
                ranks[method][asked[index]] = _rank(scores, form_of, right[index])
    return ranks


def _found(vectors: WordVectors, word: str) -> int:
    row = vectors.find(word)
    assert row is not None
    return row


def _variants(form_of: NDArray[np.intp]) -> dict[int, NDArray[np.intp]]:
    """The places of a form, for the forms that have several."""
    later = np.flatnonzero(form_of != np.arange(len(form_of)))
    return {
        int(form): np.append(later[form_of[later] == form], form)
        for form in np.unique(form_of[later])
    }


def _batches(terms: Sequence[Sequence[int]], limit: int) -> Iterator[tuple[int, int]]:
    """Runs of questions, first and end, that have at most `limit` different words."""
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
    """What b and c bring to a score, and what a brings."""
    if method == "3CosAdd":
        return cosines, -cosines
    shifted: NDArray[np.float32] = np.maximum((1 + cosines) / 2, 0)
    inverse: NDArray[np.float32] = np.reciprocal(shifted + np.float32(_EPSILON))
    return shifted, inverse


def _rank(scores: NDArray[np.float32], form_of: NDArray[np.intp], right: set[int]) -> int:
    """The rank, to `DEPTH`, of a right answer, 0 further down; ties go to the more frequent."""
    for rank in range(1, DEPTH + 1):
        best = scores.argmax()
        if scores[best] == -np.inf:
            break
        if form_of[best] in right:
            return rank
        scores[best] = -np.inf
    return 0


def count_answers(
    questions: Sequence[Question],
    ranks: NDArray[np.int64],
    vocabulary: int,
    method: Method,
    oov: Unknown = "skip",
) -> AnalogyResult:
    """Count what `answer_ranks` found."""
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
    """Several categories as one, named ``all``."""
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
