"""Scores against gensim, scipy and loops; the maps and lists of words."""

import dataclasses
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats

from w2v import evaluate
from w2v.errors import InputError
from w2v.evaluate import Pair, Question
from w2v.vectors import WordVectors

PAIRS = evaluate.load_pairs(evaluate.benchmark_path("wordsim353"))
QUESTIONS = evaluate.load_analogies(evaluate.benchmark_path("google"))


def plausible(seed: int, recase: bool = False) -> WordVectors:
    """Vectors for the words of the benchmarks in which some analogies hold, by falling count.

    The answers are built from their questions, with noise; `recase` keeps the case of the
    benchmark and adds upper-case variants, otherwise all is lower case.
    """
    generator = np.random.default_rng(seed)
    questions = [question for question in QUESTIONS if generator.random() < 0.02]
    words = [word for question in questions for word in question[1:]]
    words += [word for pair in PAIRS for word in pair[:2] if generator.random() < 0.8]
    words = list(dict.fromkeys(words if recase else (word.lower() for word in words)))
    if recase:
        words += [w.upper() for w in words if generator.random() < 0.2 and w.upper() not in words]
    order = generator.permutation(len(words))
    words = [words[place] for place in order]
    row_of = {word: row for row, word in enumerate(words)}
    array = generator.standard_normal((len(words), 16))
    for question in questions:
        a, b, c, answer = (row_of[w if recase else w.lower()] for w in question[1:])
        array[answer] = array[b] - array[a] + array[c] + 0.8 * generator.standard_normal(16)
    counts = np.sort(generator.zipf(1.3, len(words)).clip(max=10**9))[::-1]
    return WordVectors(words, array.astype(np.float32), counts)


def subset(vectors: WordVectors, rows: list[int]) -> WordVectors:
    assert vectors.counts is not None
    return WordVectors(
        [vectors.words[row] for row in rows], vectors.vectors[rows], vectors.counts[rows]
    )


# Files


def test_the_benchmarks_are_all_there() -> None:
    assert len(PAIRS) == 353
    assert PAIRS[1] == ("tiger", "cat", 7.35)
    assert len(evaluate.load_pairs(evaluate.benchmark_path("simlex999"))) == 999
    assert len(QUESTIONS) == 19_544
    assert QUESTIONS[0] == ("capital-common-countries", "Athens", "Greece", "Baghdad", "Iraq")
    assert len({question.category for question in QUESTIONS}) == 14


def test_finding_a_benchmark_does_not_import_gensim() -> None:
    code = (
        "import sys; from w2v.evaluate import benchmark_path; benchmark_path('google'); "
        "print([name for name in ('gensim', 'scipy') if name in sys.modules])"
    )
    root = Path(__file__).parent.parent
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_a_missing_benchmark_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no benchmark is named 'men'; there are wordsim353"):
        evaluate.benchmark_path("men")
    monkeypatch.setattr(evaluate, "find_spec", lambda name: None)
    with pytest.raises(InputError, match="install gensim"):
        evaluate.benchmark_path("google")


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a\tb\n", 1),
        ("# note\na\tb\t1\na\tb\tc\n", 3),
        ("a b 1\n", 1),
        ("a\tb\tnan\n", 1),
        ("\tb\t1\n", 1),
    ],
)
def test_other_lines_than_pairs_are_refused(tmp_path: Path, text: str, line: int) -> None:
    (tmp_path / "pairs").write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=rf"line {line} is .*word<TAB>word<TAB>score"):
        evaluate.load_pairs(tmp_path / "pairs")


@pytest.mark.parametrize(
    ("text", "line"), [("a b c d\n", 1), (": x\na b c\n", 2), (":\na b c d", 2)]
)
def test_other_lines_than_analogies_are_refused(tmp_path: Path, text: str, line: int) -> None:
    (tmp_path / "questions").write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=f"line {line} is .*four words"):
        evaluate.load_analogies(tmp_path / "questions")


def test_files_may_have_comments_blank_lines_and_windows_line_breaks(tmp_path: Path) -> None:
    (tmp_path / "pairs").write_bytes(b"\xef\xbb\xbf# note\r\n\r\na\tb\t1.5\r\n")
    assert evaluate.load_pairs(tmp_path / "pairs") == [("a", "b", 1.5)]
    (tmp_path / "questions").write_bytes(b": gram x\r\n\r\na b c d\r\n")
    assert evaluate.load_analogies(tmp_path / "questions") == [("gram x", "a", "b", "c", "d")]


@pytest.mark.parametrize("load", [evaluate.load_pairs, evaluate.load_analogies])
def test_unreadable_files_are_refused(tmp_path: Path, load: Any) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        load(tmp_path / "missing")
    (tmp_path / "latin").write_bytes(b"caf\xe9")
    with pytest.raises(InputError, match="byte 3 is not UTF-8"):
        load(tmp_path / "latin")


# Similarity


@pytest.mark.parametrize("recase", [False, True])
@pytest.mark.parametrize("name", ["wordsim353", "simlex999"])
def test_similarity_equals_gensim(name: str, recase: bool) -> None:
    path = evaluate.benchmark_path(name)
    vectors = plausible(1, recase)
    result = evaluate.similarity(vectors, evaluate.load_pairs(path))
    pearson, spearman, unknown = vectors.to_gensim().evaluate_word_pairs(str(path))
    assert result.pearson == pytest.approx(float(pearson[0]), abs=1e-6)
    assert result.spearman == pytest.approx(float(spearman[0]), abs=1e-6)
    assert result.coverage is not None
    assert 0 < result.coverage < 1
    assert 100 * (1 - result.coverage) == pytest.approx(unknown)
    assert result.pairs == round(result.coverage * result.total)


values = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=2, max_size=30)


@given(values)
def test_ranks_and_correlations_equal_scipys(pairs: list[tuple[int, int]]) -> None:
    x, y = np.array(pairs, dtype=np.float64).T
    np.testing.assert_array_equal(evaluate._ranks(x), stats.rankdata(x))
    if np.ptp(x) == 0 or np.ptp(y) == 0:
        assert evaluate._spearman(x, y) is None
    else:
        assert evaluate._spearman(x, y) == pytest.approx(float(stats.spearmanr(x, y)[0]))
        assert evaluate._pearson(x, y) == pytest.approx(float(stats.pearsonr(x, y)[0]))


def line_of_words(size: int) -> tuple[WordVectors, list[Pair]]:
    """Pairs ("hub", w_i) whose cosines fall with i."""
    angles = np.linspace(0.0, 1.5, size)
    array = np.stack((np.cos(angles), np.sin(angles)), axis=1)
    words = ["hub", *(f"w{index}" for index in range(1, size))]
    return WordVectors(words, array), [Pair("hub", word, 0.0) for word in words[1:]]


def test_a_perfect_order_correlates_to_one() -> None:
    vectors, pairs = line_of_words(21)
    scored = [pair._replace(score=-(index**3)) for index, pair in enumerate(pairs)]
    result = evaluate.similarity(vectors, scored, generator=np.random.default_rng(0))
    assert result.spearman == pytest.approx(1.0, abs=1e-12)
    assert result.ci95 == pytest.approx((1.0, 1.0), abs=1e-12)
    assert result.resamples == 1000
    assert result.pearson is not None
    assert 0.8 < result.pearson < 1.0


def test_the_interval_is_the_bootstraps() -> None:
    vectors = plausible(2)
    result = evaluate.similarity(vectors, PAIRS, generator=np.random.default_rng(7), resamples=400)
    again = evaluate.similarity(vectors, PAIRS, generator=np.random.default_rng(7), resamples=400)
    other = evaluate.similarity(vectors, PAIRS, generator=np.random.default_rng(8), resamples=400)
    assert result == again
    assert result.ci95 != other.ci95
    assert result.ci95 is not None
    used = [pair for pair in PAIRS if pair.a.lower() in vectors and pair.b.lower() in vectors]
    people = [pair.score for pair in used]
    cosines = [vectors.similarity(pair.a.lower(), pair.b.lower()) for pair in used]
    draws = np.random.default_rng(0).integers(len(used), size=(400, len(used)))
    figures = [
        stats.spearmanr(np.array(people)[draw], np.array(cosines)[draw]).statistic for draw in draws
    ]
    expected = np.percentile(figures, (2.5, 97.5))
    # Two bootstraps of 400 samples agree to about a tenth of the interval's width.
    assert result.ci95 == pytest.approx(tuple(expected), abs=0.04)
    assert 0.15 < result.ci95[1] - result.ci95[0] < 0.35


@pytest.mark.parametrize("count", [0, 1])
def test_too_few_pairs_have_no_correlation(count: int) -> None:
    vectors, pairs = line_of_words(4)
    asked = [*pairs[:count], Pair("hub", "Nowhere", 3.0), Pair("Nobody", "Nowhere", 3.0)]
    result = evaluate.similarity(vectors, asked, generator=np.random.default_rng(0))
    assert (result.spearman, result.pearson, result.ci95, result.resamples) == (None, None, None, 0)
    assert (result.pairs, result.total) == (count, count + 2)
    assert result.coverage == count / (count + 2)
    assert result.unknown == ("Nobody", "Nowhere")


def test_no_pairs_at_all_have_no_coverage() -> None:
    result = evaluate.similarity(line_of_words(4)[0], [])
    assert (result.spearman, result.coverage, result.unknown) == (None, None, ())


def test_constant_scores_have_no_correlation() -> None:
    vectors, pairs = line_of_words(21)
    result = evaluate.similarity(vectors, pairs, generator=np.random.default_rng(0))
    assert (result.spearman, result.pearson, result.ci95) == (None, None, None)
    zero = WordVectors(vectors.words, np.zeros((21, 2)))
    scored = [pair._replace(score=index) for index, pair in enumerate(pairs)]
    assert evaluate.similarity(zero, scored).spearman is None


def test_few_pairs_have_no_interval() -> None:
    vectors, pairs = line_of_words(evaluate.FEWEST_FOR_INTERVAL + 1)
    scored = [pair._replace(score=index) for index, pair in enumerate(pairs)]
    generator = np.random.default_rng(0)
    assert evaluate.similarity(vectors, scored, generator=generator).ci95 is not None
    assert evaluate.similarity(vectors, scored[1:], generator=generator).ci95 is None
    assert evaluate.similarity(vectors, scored).ci95 is None


def test_results_are_valid_json() -> None:
    empty = WordVectors(["x"], np.zeros((1, 2)))
    for result in (evaluate.similarity(empty, PAIRS), evaluate.analogies(empty, QUESTIONS)):
        json.dumps(dataclasses.asdict(result), allow_nan=False)


# Analogies


@pytest.mark.parametrize("recase", [False, True])
@pytest.mark.parametrize("vocabulary", [700, 30_000])
def test_analogies_equal_gensim(tmp_path: Path, recase: bool, vocabulary: int) -> None:
    vectors = plausible(3, recase)
    sample = QUESTIONS[::7]
    lines: list[str] = []
    category = ""
    for question in sample:
        if question.category != category:
            category = question.category
            lines.append(f": {category}")
        lines.append(" ".join(question[1:]))
    path = tmp_path / "questions.txt"
    path.write_text("\n".join(lines), encoding="utf-8")
    result = evaluate.analogies(vectors, evaluate.load_analogies(path), vocabulary)
    accuracy, sections = vectors.to_gensim().evaluate_word_analogies(
        str(path), restrict_vocab=vocabulary
    )
    assert 0.02 < accuracy < 0.98
    assert result.accuracy == pytest.approx(accuracy, abs=1e-9)
    assert result.vocabulary == min(vocabulary, len(vectors))
    for section, ours in zip(sections[:-1], result.categories, strict=True):
        assert section["section"] == ours.category
        assert len(section["correct"]) == ours.correct
        assert len(section["correct"]) + len(section["incorrect"]) == ours.questions


def test_accuracies_are_over_their_questions() -> None:
    result = evaluate.analogies(plausible(4), QUESTIONS[::5])
    kinds = {True: [0, 0], False: [0, 0]}
    for category in result.categories:
        kind = kinds[category.category.startswith("gram")]
        kind[0] += category.correct
        kind[1] += category.questions
        expected = category.correct / category.questions if category.questions else None
        assert category.accuracy == expected
    assert result.syntactic == kinds[True][0] / kinds[True][1]
    assert result.semantic == kinds[False][0] / kinds[False][1]
    assert result.correct == kinds[True][0] + kinds[False][0]
    assert result.questions == kinds[True][1] + kinds[False][1]
    assert result.accuracy == result.correct / result.questions
    assert result.total == len(QUESTIONS[::5])
    assert result.coverage == result.questions / result.total


def by_loops(vectors: WordVectors, questions: list[Question], vocabulary: int) -> list[bool]:
    assert vectors.counts is not None
    rows = sorted(range(len(vectors)), key=lambda row: -vectors.counts[row])[:vocabulary]  # type: ignore[index]
    first: dict[str, int] = {}
    for row in rows:
        first.setdefault(vectors.words[row].upper(), row)

    def unit(row: int) -> NDArray[np.float64]:
        vector = vectors.vectors[row].astype(np.float64)
        unit: NDArray[np.float64] = vector / np.linalg.norm(vector)
        return unit

    right = []
    for question in questions:
        a, b, c, answer = (word.upper() for word in question[1:])
        if not {a, b, c, answer} <= set(first):
            continue
        query = unit(first[b]) - unit(first[a]) + unit(first[c])
        allowed = [row for row in rows if vectors.words[row].upper() not in (a, b, c)]
        best = max(allowed, key=lambda row: float(unit(row) @ query))
        right.append(vectors.words[best].upper() == answer)
    return right


@pytest.mark.parametrize("batch", [1, 1000, 1 << 24])
def test_analogies_equal_loops_in_any_batches_and_order_of_words(
    monkeypatch: pytest.MonkeyPatch, batch: int
) -> None:
    monkeypatch.setattr(evaluate, "_SCORES", batch)
    vectors = plausible(5, recase=True)
    shuffled = subset(vectors, list(np.random.default_rng(0).permutation(len(vectors))))
    questions = QUESTIONS[::23]
    expected = by_loops(shuffled, questions, 400)
    assert 0 < sum(expected) < len(expected)
    result = evaluate.analogies(shuffled, questions, 400)
    assert (result.correct, result.questions) == (sum(expected), len(expected))


def test_the_three_words_never_answer() -> None:
    # All at one place: every word ties, and only the fourth may be named.
    vectors = WordVectors(["a", "A", "b", "B", "c", "C", "d"], np.ones((7, 2)))
    assert evaluate.analogies(vectors, [Question("x", "a", "b", "c", "d")]).accuracy == 1.0
    three = subset(WordVectors(vectors.words, vectors.vectors, np.ones(7)), [0, 2, 4])
    assert evaluate.analogies(three, [Question("x", "a", "b", "c", "a")]).accuracy == 0.0


def test_the_vocabulary_limits_questions_and_answers() -> None:
    array = np.array([[1, 0, 0], [0, 1, 0], [0, 0, 1], [-1, 0.9, 1], [-1, 1, 1]], np.float32)
    counts = np.array([1, 2, 3, 4, 0]) + 1
    vectors = WordVectors(["a", "b", "c", "near", "best"], array, counts)
    question = [Question("x", "a", "b", "c", "near")]
    assert evaluate.analogies(vectors, question, 5).accuracy == 0.0
    assert evaluate.analogies(vectors, question, 4).accuracy == 1.0
    result = evaluate.analogies(vectors, question, 3)
    assert (result.accuracy, result.questions, result.coverage, result.vocabulary) == (
        None,
        0,
        0.0,
        3,
    )
    with pytest.raises(InputError, match="vocabulary=0"):
        evaluate.analogies(vectors, question, 0)


def test_no_questions_have_no_accuracy() -> None:
    result = evaluate.analogies(line_of_words(4)[0], [])
    assert (result.accuracy, result.semantic, result.syntactic, result.coverage) == (None,) * 4
    assert result.categories == ()


# Words to look at


def test_neighbours_are_rows() -> None:
    vectors = plausible(6)
    words = list(vectors.words[:3])
    rows = evaluate.neighbours(vectors, words, 4)
    assert [(row.word, row.rank) for row in rows] == [(w, r) for w in words for r in (1, 2, 3, 4)]
    assert [(row.neighbour, row.cosine) for row in rows[4:8]] == vectors.nearest(words[1], 4)


def vocabulary(size: int) -> WordVectors:
    """Names by falling count, among numbers, short words and function words."""
    names = ["".join(chr(97 + int(digit)) for digit in f"{i:04}") for i in range(size)]
    words = ["which", "the", "1999", "would", "b2bb", "it's", *names]
    generator = np.random.default_rng(0)
    order = generator.permutation(len(words))
    counts = np.arange(len(words), 0, -1)
    return WordVectors([words[i] for i in order], np.ones((len(words), 2)), counts[order])


@pytest.mark.parametrize("size", [0, 1, 7, 100, 3000])
@pytest.mark.parametrize("n", [0, 1, 10, 60])
def test_probe_words_are_words_from_frequent_to_middling(size: int, n: int) -> None:
    vectors = vocabulary(size)
    probes = evaluate.probe_words(vectors, n)
    assert len(probes) == min(n, size)
    assert len(set(probes)) == len(probes)
    assert all(len(word) == 4 and word.isalpha() for word in probes)
    assert vectors.counts is not None
    counts = [int(vectors.counts[vectors.row(word)]) for word in probes]
    assert counts == sorted(counts, reverse=True)
    assert probes == evaluate.probe_words(vectors, n)
    if size == 3000 and n == 60:
        assert counts[-1] >= 0.75 * size
        assert counts[0] - counts[-1] > 0.1 * size


@given(st.integers(3, 9), st.integers(2, 6), st.integers(0, 100))
def test_the_map_is_the_best_plane(n: int, dimensions: int, seed: int) -> None:
    array = np.random.default_rng(seed).standard_normal((n, dimensions)).astype(np.float32)
    words = [f"w{row}" for row in range(n)]
    xy = evaluate.project_2d(WordVectors(words, array), words)
    assert xy.shape == (n, 2)
    np.testing.assert_allclose(xy.sum(axis=0), 0, atol=1e-6)
    variances = np.sort(np.linalg.eigvalsh(np.cov(array.T.astype(np.float64), bias=True)))[::-1]
    np.testing.assert_allclose((xy**2).mean(axis=0), variances[:2], atol=1e-6)
    assert abs(float(xy[:, 0] @ xy[:, 1])) < 1e-6
    assert (xy.max(axis=0) >= -xy.min(axis=0) - 1e-9).all()  # the sign rule


def test_the_map_of_words_in_a_plane_keeps_their_distances() -> None:
    array = np.random.default_rng(0).standard_normal((6, 2)).astype(np.float32)
    words = list("abcdef")
    xy = evaluate.project_2d(WordVectors(words, array), words[:5])
    original = array[:5].astype(np.float64)
    for i in range(5):
        for j in range(5):
            expected = np.linalg.norm(original[i] - original[j])
            assert np.linalg.norm(xy[i] - xy[j]) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("n", [0, 1, 2])
@pytest.mark.parametrize("dimensions", [1, 2])
def test_small_maps_are_filled_with_zeros(n: int, dimensions: int) -> None:
    vectors = WordVectors(["a", "b"], np.array([[1.0, 0.0], [3.0, 0.0]])[:, :dimensions])
    xy = evaluate.project_2d(vectors, ["a", "b"][:n])
    np.testing.assert_allclose(np.abs(xy), [[1, 0], [1, 0]] if n == 2 else np.zeros((n, 2)))


def test_a_map_of_unknown_words_is_refused() -> None:
    with pytest.raises(InputError, match="'zebra'"):
        evaluate.project_2d(vocabulary(3), ["zebra"])
