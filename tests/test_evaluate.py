"""Test `w2v.evaluate`: its scores equal those of gensim and plain loops."""

import dataclasses
import importlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats

from tests import naive
from w2v import evaluate
from w2v.errors import InputError
from w2v.evaluate import Pair, Question, statistics
from w2v.evaluate.change import change
from w2v.training.model import TrainedModel
from w2v.vectors import WordVectors
from w2v.vectors.ngrams import Subwords

PAIRS = evaluate.load_pairs(evaluate.benchmark_path("wordsim353"))
QUESTIONS = evaluate.load_analogies(evaluate.benchmark_path("google"))

few = settings(max_examples=30)


def plausible(seed: int, recase: bool = False) -> WordVectors:
    """Return random vectors that answer some of Google's analogy questions correctly.

    With `recase`, words are spelled as in the questions, and some occur in upper case as well.
    Otherwise, all words are in lower case.
    """
    generator = np.random.default_rng(seed)
    true = [question for question in QUESTIONS if generator.random() < 0.02]
    words = [word for question in true for word in question[1:5]]
    words += [word for pair in PAIRS for word in pair[:2] if generator.random() < 0.8]
    words = list(dict.fromkeys(words if recase else (word.lower() for word in words)))
    if recase:
        words += [w.upper() for w in words if generator.random() < 0.2 and w.upper() not in words]
    order = generator.permutation(len(words))
    words = [words[place] for place in order]
    row_of = {word: row for row, word in enumerate(words)}
    array = generator.standard_normal((len(words), 16))
    for question in true:
        a, b, c, answer = (row_of[w if recase else w.lower()] for w in question[1:5])
        array[answer] = array[b] - array[a] + array[c] + 0.8 * generator.standard_normal(16)
    counts = np.sort(generator.zipf(1.3, len(words)).clip(max=10**9))[::-1]
    return WordVectors(words, array.astype(np.float32), counts)


def frequent_as_asked(vectors: WordVectors) -> WordVectors:
    """Return vectors in which each word is at least as frequent as the same word in upper case.

    Where the upper-case spelling of a word is more frequent, the two spellings trade places: each
    gets the vector and the count of the other. `w2v.evaluate` looks up a word of a question as it
    is spelled; gensim ignores case and takes the most frequent spelling. After the swaps, both find
    the same word.
    """
    words = list(vectors.words)
    row_of = {word: row for row, word in enumerate(words)}
    for word, row in row_of.items():
        other = row_of.get(word.upper(), row)
        if other < row:
            words[row], words[other] = words[other], words[row]
    return WordVectors(words, vectors.vectors, vectors.counts)


def subset(vectors: WordVectors, rows: list[int]) -> WordVectors:
    assert vectors.counts is not None
    return WordVectors(
        [vectors.words[row] for row in rows], vectors.vectors[rows], vectors.counts[rows]
    )


# Similarity


@pytest.mark.parametrize("recase", [False, True])
@pytest.mark.parametrize("name", ["wordsim353", "simlex999"])
def test_similarity_equals_gensim(name: str, recase: bool) -> None:
    path = evaluate.benchmark_path(name)
    vectors = frequent_as_asked(plausible(1, recase))
    result = evaluate.similarity(vectors, evaluate.load_pairs(path))
    pearson, spearman, unknown = vectors.to_gensim().evaluate_word_pairs(str(path))
    assert result.pearson == pytest.approx(float(pearson[0]), abs=1e-6)
    assert result.spearman == pytest.approx(float(spearman[0]), abs=1e-6)
    assert result.coverage is not None
    assert 0 < result.coverage < 1
    assert 100 * (1 - result.coverage) == pytest.approx(unknown)
    assert result.pairs == round(result.coverage * result.total)


def line_of_words(size: int) -> tuple[WordVectors, list[Pair]]:
    """Return vectors of "hub" and of other words, and the pairs of "hub" with each other word.

    Each of the other words is less similar to "hub" than the one before.
    """
    angles = np.linspace(0.0, 1.5, size)
    array = np.stack((np.cos(angles), np.sin(angles)), axis=1)
    words = ["hub", *(f"w{index}" for index in range(1, size))]
    return WordVectors(words, array), [Pair("hub", word, 0.0) for word in words[1:]]


def test_the_same_order_has_correlation_one() -> None:
    vectors, pairs = line_of_words(21)
    scored = [pair._replace(score=-(index**3)) for index, pair in enumerate(pairs)]
    result = evaluate.similarity(vectors, scored, generator=np.random.default_rng(0))
    assert result.spearman == pytest.approx(1.0, abs=1e-12)
    assert result.ci95 == pytest.approx((1.0, 1.0), abs=1e-12)
    assert result.resamples == 2000
    assert result.pearson is not None
    assert 0.8 < result.pearson < 1.0


def test_the_interval_of_spearman_is_a_bootstrap_interval() -> None:
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


def test_unknown_words_are_answered_by_their_ngrams() -> None:
    random = np.random.default_rng(0)
    rows = random.normal(size=(40, 5)).astype(np.float32)
    known = random.normal(size=(2, 5))
    vectors = WordVectors(["cat", "dog"], known, subwords=Subwords(rows, 3, 3))
    pairs = [
        Pair("cat", "dog", 3),
        Pair("Cats", "dog", 2),
        Pair("cat", "é", 1),
        Pair("ab", "cd", 0),
    ]
    found = evaluate.similarity(vectors, pairs)
    assert (found.pairs, found.known, found.ngrams, found.coverage) == (4, 4, 3, 1)
    assert found.unknown == ()
    cats = np.mean([rows[row] for row in naive.fasttext_rows("cats", 3, 3, 40)], axis=0)
    wanted = cats @ known[1] / np.linalg.norm(cats) / np.linalg.norm(known[1])
    assert evaluate.pair_cosines(vectors, pairs)[1] == pytest.approx(wanted, abs=1e-6)
    # <é> has no n-gram of four characters.
    found = evaluate.similarity(
        WordVectors(["cat", "dog"], known, subwords=Subwords(rows, 4, 4)), pairs[:3]
    )
    assert (found.pairs, found.ngrams, found.unknown) == (2, 1, ("é",))


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
    vectors, pairs = line_of_words(statistics.MIN_PAIRS_FOR_INTERVAL + 1)
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
    vectors = frequent_as_asked(plausible(3, recase))
    sample = QUESTIONS[::7]
    lines: list[str] = []
    category = ""
    for question in sample:
        if question.category != category:
            category = question.category
            lines.append(f": {category}")
        lines.append(" ".join(question[1:5]))
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


def test_accuracies_count_the_questions_of_their_section() -> None:
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


def by_loops(vectors: WordVectors, asked: list[Question], vocabulary: int) -> list[bool]:
    assert vectors.counts is not None
    rows = sorted(range(len(vectors)), key=lambda row: -vectors.counts[row])[:vocabulary]  # type: ignore[index]
    first: dict[str, int] = {}
    for row in rows:
        first.setdefault(vectors.words[row].lower(), row)
    exact = {vectors.words[row]: row for row in rows}

    def unit(row: int) -> NDArray[np.float64]:
        vector = vectors.vectors[row].astype(np.float64)
        unit: NDArray[np.float64] = vector / np.linalg.norm(vector)
        return unit

    right = []
    for question in asked:
        lower = [word.lower() for word in question[1:5]]
        if not set(lower) <= set(first):
            continue
        a, b, c = (exact.get(word, first[word.lower()]) for word in question[1:4])
        query = unit(b) - unit(a) + unit(c)
        allowed = [row for row in rows if vectors.words[row].lower() not in lower[:3]]
        best = max(allowed, key=lambda row: float(unit(row) @ query))
        right.append(vectors.words[best].lower() == lower[3])
    return right


@pytest.mark.parametrize("batch", [1, 1000, 1 << 24])
def test_analogies_equal_loops_for_any_batch_size_and_word_order(
    monkeypatch: pytest.MonkeyPatch, batch: int
) -> None:
    # The package has a function of the same name as this module.
    module = importlib.import_module("w2v.evaluate.analogies")
    monkeypatch.setattr(module, "MAX_COSINES", batch)
    vectors = plausible(5, recase=True)
    shuffled = subset(vectors, list(np.random.default_rng(0).permutation(len(vectors))))
    asked = QUESTIONS[::23]
    expected = by_loops(shuffled, asked, 400)
    assert 0 < sum(expected) < len(expected)
    result = evaluate.analogies(shuffled, asked, 400)
    assert (result.correct, result.questions) == (sum(expected), len(expected))


def test_the_words_of_a_question_are_never_its_answer() -> None:
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
    for wrong in (0, 1e3, None):
        with pytest.raises(InputError) as refused:
            evaluate.analogies(vectors, question, wrong)  # type: ignore[arg-type]
        assert str(refused.value) == f"vocabulary={wrong}: must be a whole number of at least 1"


@pytest.mark.parametrize(
    ("function", "options", "problem"),
    [
        ("analogies", {"method": "3cosadd"}, "method='3cosadd': must be 3CosAdd or 3CosMul"),
        ("analogies", {"oov": "ignore"}, "oov='ignore': must be skip or zero"),
        ("similarity", {"oov": "ignore"}, "oov='ignore': must be skip or zero"),
        (
            "similarity",
            {"generator": np.random.default_rng(0), "resamples": 0},
            "resamples=0: must be a whole number of at least 1",
        ),
        ("project", {"method": "t-SNE"}, "method='t-SNE': must be pca, tsne or umap"),
    ],
)
def test_unknown_words_for_options_are_refused(
    function: str, options: dict[str, Any], problem: str
) -> None:
    vectors, _ = line_of_words(8)
    asked: dict[str, Any] = {
        "analogies": [Question("x", "w1", "w2", "w3", "w4")],
        "similarity": [Pair("w1", "w2", 1.0)],
        "project": list(vectors.words),
    }
    with pytest.raises(InputError) as error:
        getattr(evaluate, function)(vectors, asked[function], **options)
    assert str(error.value) == problem


def test_no_questions_have_no_accuracy() -> None:
    result = evaluate.analogies(line_of_words(4)[0], [])
    assert (result.accuracy, result.semantic, result.syntactic, result.coverage) == (None,) * 4
    assert result.categories == ()


# Neighbours, probe words, and the projection


def test_neighbours_have_one_row_per_word_and_rank() -> None:
    vectors = plausible(6)
    words = list(vectors.words[:3])
    rows = evaluate.neighbours(vectors, words, 4)
    assert [(row.word, row.rank) for row in rows] == [(w, r) for w in words for r in (1, 2, 3, 4)]
    assert [(row.neighbour, row.cosine) for row in rows[4:8]] == vectors.nearest(words[1], 4)


def vocabulary(size: int) -> WordVectors:
    """Return vectors of `size` ordinary words, and of six that are unfit as examples for people.

    The six are function words such as "the", or have digits or an apostrophe; `probe_words`, which
    chooses words whose neighbors are shown, must not choose them.
    """
    names = ["".join(chr(97 + int(digit)) for digit in f"{i:04}") for i in range(size)]
    words = ["which", "the", "1999", "would", "b2bb", "it's", *names]
    generator = np.random.default_rng(0)
    order = generator.permutation(len(words))
    counts = np.arange(len(words), 0, -1)
    return WordVectors([words[i] for i in order], np.ones((len(words), 2)), counts[order])


@pytest.mark.parametrize("size", [0, 1, 7, 100, 3000])
@pytest.mark.parametrize("n", [0, 1, 10, 60])
def test_probe_words_are_real_words_from_frequent_to_moderately_frequent(size: int, n: int) -> None:
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


@few
@given(st.integers(3, 9), st.integers(2, 6), st.integers(0, 100))
def test_project_2d_finds_the_principal_components(n: int, dimensions: int, seed: int) -> None:
    array = np.random.default_rng(seed).standard_normal((n, dimensions)).astype(np.float32)
    words = [f"w{row}" for row in range(n)]
    xy = evaluate.project_2d(WordVectors(words, array), words)
    assert xy.shape == (n, 2)
    np.testing.assert_allclose(xy.sum(axis=0), 0, atol=1e-6)
    variances = np.sort(np.linalg.eigvalsh(np.cov(array.T.astype(np.float64), bias=True)))[::-1]
    np.testing.assert_allclose((xy**2).mean(axis=0), variances[:2], atol=1e-6)
    assert abs(float(xy[:, 0] @ xy[:, 1])) < 1e-6
    assert (xy.max(axis=0) >= -xy.min(axis=0) - 1e-9).all()  # the sign rule


def test_project_2d_keeps_distances_of_words_in_a_plane() -> None:
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
def test_missing_components_are_zero(n: int, dimensions: int) -> None:
    vectors = WordVectors(["a", "b"], np.array([[1.0, 0.0], [3.0, 0.0]])[:, :dimensions])
    xy = evaluate.project_2d(vectors, ["a", "b"][:n])
    np.testing.assert_allclose(np.abs(xy), [[1, 0], [1, 0]] if n == 2 else np.zeros((n, 2)))


def test_project_2d_refuses_unknown_words() -> None:
    with pytest.raises(InputError, match="'zebra'"):
        evaluate.project_2d(vocabulary(3), ["zebra"])


# Special cases


def test_pairs_ignore_case_and_match_underscores_for_spaces() -> None:
    vectors = WordVectors(["Cat", "CAT", "ice_cream", "dog"], np.eye(4), [1, 5, 2, 2])
    cosines = evaluate.pair_cosines(vectors, [Pair("cAt", "CAT", 1), Pair("Ice Cream", "dog", 1)])
    assert cosines.tolist() == [1.0, 0.0]
    assert evaluate.pair_cosines(vectors, [Pair("new york", "dog", 1)]).tolist() != [0.0]


MASS = WordVectors(["masse", "maße", "ilik", "ılık", "Cat", "CAT"], np.eye(6), [9, 8, 7, 6, 1, 5])


def test_a_word_is_looked_up_as_it_is_written_before_case_is_ignored() -> None:
    found = [MASS.find(word) for word in ("maße", "masse", "Maße", "ılık", "ilik", "Cat", "cat")]
    assert found == [1, 0, 1, 3, 2, 4, 5]
    assert evaluate.pair_cosines(MASS, [Pair("maße", "masse", 1)]).tolist() == [0.0]


def test_analogies_take_typographic_apostrophes_for_plain_ones() -> None:
    vectors = WordVectors(["don't", "stop", "we", "they"], np.eye(4))
    result = evaluate.analogies(vectors, [Question("x", "Don’t", "stop", "we", "they")])
    assert (result.known, result.correct) == (1, 1)


def test_analogies_tell_words_apart_that_only_look_alike_in_upper_case() -> None:
    # maße is to masse as ılık is to ilik; masse is no answer where maße is asked for.
    array = np.array([[0, 1, 0], [1, 1, 0], [0, 0, 1], [1, 0, 1]], np.float32)
    vectors = WordVectors(MASS.words[:4], array, [9, 8, 7, 6])
    asked = [
        Question("x", "maße", "masse", "ılık", "ilik"),
        Question("x", "ilik", "ılık", "masse", "maße"),
    ]
    assert evaluate.analogies(vectors, asked, 4).correct == 2
    other = [Question("x", "ilik", "ılık", "maße", "masse")]
    assert evaluate.answer_ranks(vectors, other, 4)["3CosAdd"].tolist() == [1]
    # Of two forms of a word, the one asked for is used while it is in the vocabulary.
    forms = WordVectors(["CAT", "Cat", "b", "c"], np.eye(4)[[0, 1, 1, 2]], [5, 4, 3, 2])
    for vocabulary, expected in ((4, 1.0), (2, None)):
        question = [Question("x", "c", "Cat", "c", "b")]
        assert evaluate.analogies(forms, question, vocabulary).accuracy == expected


def test_a_repeated_pair_counts_each_time() -> None:
    vectors = plausible(8)
    once = evaluate.similarity(vectors, PAIRS)
    twice = evaluate.similarity(vectors, [*PAIRS, *PAIRS])
    assert (twice.pairs, twice.coverage) == (2 * once.pairs, once.coverage)
    assert twice.spearman == pytest.approx(once.spearman)
    skewed = evaluate.similarity(vectors, [*PAIRS, *PAIRS[:100]])
    assert skewed.spearman != pytest.approx(once.spearman)


def test_several_ratings_of_a_pair_are_one_pair_in_the_interval() -> None:
    vectors = plausible(8)
    reversed_pairs = [Pair(b.upper(), a, score) for a, b, score in PAIRS]
    once, *others = (
        evaluate.similarity(vectors, pairs, generator=np.random.default_rng(0), resamples=200).ci95
        for pairs in (PAIRS, [*PAIRS, *PAIRS], [*PAIRS, *reversed_pairs, *PAIRS])
    )
    assert once is not None
    assert others == [pytest.approx(once)] * 2
    few = evaluate.similarity(vectors, PAIRS[:9] * 3, generator=np.random.default_rng(0))
    assert few.ci95 is None


def test_a_vocabulary_of_one_word() -> None:
    vectors = WordVectors(["love"], np.ones((1, 3)))
    assert evaluate.similarity(vectors, [*PAIRS, Pair("love", "love", 9)]).pairs == 1
    same = [Question("x", "love", "love", "love", "love")]
    assert evaluate.analogies(vectors, same).accuracy == 0.0
    assert evaluate.neighbours(vectors, ["love"], 3) == []
    assert evaluate.probe_words(vectors, 5) == ["love"]
    with pytest.raises(InputError, match="1 of 1 words have vectors in both sets"):
        evaluate.neighbour_overlap(vectors, vectors)


def test_zero_vectors() -> None:
    words = plausible(9).words
    zero = WordVectors(words, np.zeros((len(words), 4)))
    found = evaluate.similarity(zero, PAIRS, generator=np.random.default_rng(0))
    assert (found.spearman, found.pearson, found.ci95) == (None, None, None)
    assert found.pairs > 100
    ranks = evaluate.answer_ranks(zero, QUESTIONS)
    for method in evaluate.METHODS:
        # Every word ties: the most frequent ones that are not asked about answer.
        assert (ranks[method] >= 0).any()
        assert set(ranks[method].tolist()) <= {-1, 0, 1, 2, 3, 4, 5}


def test_pairs_and_questions_may_be_plain_tuples() -> None:
    vectors = plausible(1)
    pairs = [(a, b, score) for a, b, score in PAIRS]
    questions = [(q.category, q.a, q.b, q.c, q.answer) for q in QUESTIONS[:300]]
    assert evaluate.similarity(vectors, pairs) == evaluate.similarity(vectors, PAIRS)
    assert evaluate.analogies(vectors, questions) == evaluate.analogies(vectors, QUESTIONS[:300])
    runs = {"one": [vectors], "other": [plausible(2)]}
    for plain, named in ((pairs, PAIRS), (questions, QUESTIONS[:300])):
        found, wanted = (evaluate.compare(runs, asked).rows() for asked in (plain, named))
        assert found == wanted
    np.testing.assert_array_equal(
        evaluate.pair_cosines(vectors, pairs), evaluate.pair_cosines(vectors, PAIRS)
    )


ODD_PAIR = "two words and a score are needed, as in ('cat', 'dog', 7.5)"
ODD_QUESTION = (
    "a category and four words are needed, as in ('capitals', 'Rome', 'Italy', 'Oslo', 'Norway')"
)


@pytest.mark.parametrize(
    ("name", "asked", "line"),
    [
        ("similarity", [("a", "b")], f"pairs: holds ('a', 'b'); {ODD_PAIR}"),
        ("similarity", ["ab1"], f"pairs: holds 'ab1'; {ODD_PAIR}"),
        ("pair_cosines", [("a", 2, 3.0)], f"pairs: holds ('a', 2, 3.0); {ODD_PAIR}"),
        ("compare", [("a", "b", "c")], f"asked: holds ('a', 'b', 'c'); {ODD_PAIR}"),
        ("analogies", [(*"abcd",)], f"questions: holds ('a', 'b', 'c', 'd'); {ODD_QUESTION}"),
        ("analogies", [(*"abcd", 5)], f"questions: holds ('a', 'b', 'c', 'd', 5); {ODD_QUESTION}"),
        ("compare", [(*"abcde",), "f"], f"asked: holds 'f'; {ODD_QUESTION}"),
        (
            "compare",
            Path("pairs.txt"),
            "asked='pairs.txt': must be pairs or questions; load_pairs and load_analogies read "
            "them from a file",
        ),
    ],
)
def test_what_is_no_pair_or_question_is_refused(name: str, asked: Any, line: str) -> None:
    vectors: Any = plausible(1)
    given = {"x": [vectors], "y": [vectors]} if name == "compare" else vectors
    with pytest.raises(InputError) as refused:
        getattr(evaluate, name)(given, asked)
    assert str(refused.value) == line


def test_the_cosine_of_a_word_with_itself_is_one() -> None:
    random = np.random.default_rng(0)
    words = [f"w{row}" for row in range(200)]
    array = random.normal(size=(200, 7)).astype(np.float32)
    array[0] = 0
    rows = Subwords(random.normal(size=(40, 7)).astype(np.float32), 3, 3)
    vectors = WordVectors(words, array, subwords=rows)
    same = [Pair(word, word.upper(), row) for row, word in enumerate(words) if row]
    same.append(Pair("unseen", "unseen", 0))
    assert (evaluate.pair_cosines(vectors, same) == 1).all()
    assert evaluate.similarity(vectors, same).spearman is None
    assert evaluate.pair_cosines(vectors, [Pair("w0", "w0", 0)]).tolist() == [0]
    equal = WordVectors([*words, *(f"{word}-again" for word in words)], [*array, *array])
    pairs = [Pair(word, f"{word}-again", 0) for word in words]
    assert (np.abs(evaluate.pair_cosines(equal, pairs)) <= 1).all()


def test_the_word_of_a_vector_with_nan_is_named() -> None:
    array = np.ones((4, 2), np.float32)
    array[2, 0] = np.nan
    vectors = WordVectors(["a", "b", "c", "d"], array)
    for judge in (
        lambda: evaluate.similarity(vectors, [Pair("a", "c", 1)]),
        lambda: evaluate.analogies(vectors, [Question("x", *"abcd")]),
    ):
        with pytest.raises(InputError, match="'c' holds NaN"):
            judge()


SOME = plausible(1).words[:3]


@pytest.mark.parametrize(
    ("judge", "name"),
    [
        (lambda v: evaluate.similarity(v, PAIRS), "vectors"),
        (lambda v: evaluate.analogies(v, QUESTIONS[:20]), "vectors"),
        (lambda v: evaluate.neighbours(v, SOME, 3), "vectors"),
        (lambda v: evaluate.neighbour_overlap(v, v), "vectors"),
        (lambda v: evaluate.neighbour_overlap(plausible(2), v), "other"),
        (lambda v: evaluate.mean_neighbour_overlap([v, plausible(1)]), "runs"),
        (lambda v: evaluate.project(v, SOME, "pca").xy.tolist(), "vectors"),
        (lambda v: change(v, plausible(2), False).shifts, "before"),
        (lambda v: change(plausible(2), v, False).shifts, "after"),
    ],
)
def test_a_trained_model_is_taken_like_its_vectors(judge: Any, name: str) -> None:
    vectors = plausible(1)
    assert judge(TrainedModel(vectors, [], [], 0, 0, 0.0)) == judge(vectors)
    with pytest.raises(InputError) as refused:
        judge(None)
    assert str(refused.value) == (
        f"{name}: holds None; word vectors or trained models are needed, and WordVectors.load "
        "reads paths"
    )


@pytest.mark.parametrize("score", [np.nan, np.inf])
def test_a_score_that_is_not_finite_is_refused(score: float) -> None:
    vectors = WordVectors(["a", "b", "c"], np.eye(3))
    pairs = [Pair("a", "b", 1.0), Pair("b", "c", score)]
    for judge in (
        lambda: evaluate.similarity(vectors, pairs),
        lambda: evaluate.compare({"one": [vectors], "other": [vectors]}, pairs),
    ):
        with pytest.raises(InputError) as refused:
            judge()
        assert str(refused.value) == f"the score of 'b' and 'c' is {score}; must be a finite number"


# Unknown words


@pytest.mark.parametrize("name", ["wordsim353", "simlex999"])
def test_oov_zero_scores_pairs_as_gensim_does(name: str) -> None:
    path = evaluate.benchmark_path(name)
    vectors = plausible(1)
    result = evaluate.similarity(vectors, evaluate.load_pairs(path), oov="zero")
    pearson, spearman, _ = vectors.to_gensim().evaluate_word_pairs(str(path), dummy4unknown=True)
    assert result.pearson == pytest.approx(float(pearson[0]), abs=1e-6)
    assert result.spearman == pytest.approx(float(spearman[0]), abs=1e-6)
    assert (result.pairs, result.oov) == (result.total, "zero")
    assert result.known < result.total
    assert result.coverage == result.known / result.total


def test_oov_zero_counts_questions_as_gensim_does(tmp_path: Path) -> None:
    vectors = plausible(3)
    asked = [question for question in QUESTIONS if question.category == "family"]
    path = tmp_path / "questions.txt"
    path.write_text(": family\n" + "\n".join(" ".join(question[1:5]) for question in asked))
    result = evaluate.analogies(vectors, asked, oov="zero")
    accuracy, _ = vectors.to_gensim().evaluate_word_analogies(str(path), dummy4unknown=True)
    assert 0 < accuracy < 1
    assert result.accuracy == pytest.approx(accuracy, abs=1e-9)
    assert result.questions == result.total > result.known


# 3CosMul, and the five best


@pytest.mark.parametrize("batch", [1, 1 << 24])
def test_ranks_equal_loops(monkeypatch: pytest.MonkeyPatch, batch: int) -> None:
    # The package has a function of the same name as this module.
    module = importlib.import_module("w2v.evaluate.analogies")
    monkeypatch.setattr(module, "MAX_COSINES", batch)
    vectors = plausible(11)
    size = 100
    rows = vectors.by_frequency[:size]
    words = [vectors.words[row].upper() for row in rows]
    array = vectors.vectors[rows]
    asked = [q for q in QUESTIONS if all(word.upper() in words for word in q[1:5])]
    generator = np.random.default_rng(0)
    asked = asked[:10]
    # The vocabulary is too small for more of Google's questions; make some of our own.
    for _ in range(25):
        a, b, c = generator.choice(size, 3, replace=False).tolist()
        best = naive.analogy_3cosadd(array, a, b, c, 8)
        answer = best[generator.integers(8)][0]
        asked.append(Question("x", words[a], words[b], words[c], words[answer]))
    found = evaluate.answer_ranks(vectors, asked, size)
    oracles = {"3CosAdd": naive.analogy_3cosadd, "3CosMul": naive.analogy_3cosmul}
    for method in evaluate.METHODS:
        expected = []
        for question in asked:
            a, b, c, answer = (words.index(word.upper()) for word in question[1:5])
            first = [row for row, _ in oracles[method](array, a, b, c, 5)]
            expected.append(first.index(answer) + 1 if answer in first else 0)
        assert found[method].tolist() == expected
        assert len(set(expected)) > 3


def test_3cosmul_answers_as_gensim_does() -> None:
    vectors = plausible(12)
    keyed = vectors.to_gensim()
    asked = [q for q in QUESTIONS[::3] if all(word.lower() in vectors for word in q[1:5])][:60]
    found = evaluate.answer_ranks(vectors, asked, len(vectors))["3CosMul"]
    for question, rank in zip(asked, found, strict=True):
        a, b, c, answer = (word.lower() for word in question[1:5])
        best = [word for word, _ in keyed.most_similar_cosmul([b, c], [a], topn=5)]
        assert rank == (best.index(answer) + 1 if answer in best else 0)
    assert 0 < (found == 1).sum() < len(found)


def test_accuracy_5_counts_the_five_best_answers() -> None:
    result = evaluate.analogies(plausible(4), QUESTIONS[::5], method="3CosMul")
    assert result.method == "3CosMul"
    assert result.accuracy is not None
    assert result.accuracy_5 is not None
    assert result.accuracy < result.accuracy_5 < 1
    assert result.correct_5 == sum(category.correct_5 for category in result.categories)
    assert result.accuracy_5 == result.correct_5 / result.questions


# Stability


def test_overlap_equals_loops() -> None:
    generator = np.random.default_rng(0)
    one = generator.standard_normal((60, 5)).astype(np.float32)
    other = (one + 0.5 * generator.standard_normal((60, 5))).astype(np.float32)
    words = [f"w{row}" for row in range(60)]
    found = evaluate.neighbour_overlap(WordVectors(words, one), WordVectors(words, other))
    assert [row.word for row in found] == words
    expected = naive.shared_neighbours(one, other, 10)
    assert [row.overlap for row in found] == pytest.approx(expected)
    assert 0.2 < np.mean(expected) < 0.9


@pytest.mark.parametrize(("name", "least"), [("k", 1), ("limit", 2), ("words", 1)])
def test_sizes_without_an_overlap_are_refused(name: str, least: int) -> None:
    vectors = WordVectors(["a", "b", "c"], np.eye(3))
    for wrong in (least - 1, 2.0):
        for call in (
            lambda **sizes: evaluate.neighbour_overlap(vectors, vectors, **sizes),
            lambda **sizes: evaluate.mean_neighbour_overlap([vectors, vectors], **sizes),
        ):
            with pytest.raises(InputError) as refused:
                call(**{name: wrong})
            line = f"{name}={wrong}: must be a whole number of at least {least}"
            assert str(refused.value) == line


def test_equal_vectors_overlap_fully_in_any_order_and_with_other_words() -> None:
    vectors = plausible(13)
    rows = list(np.random.default_rng(0).permutation(len(vectors)))[: len(vectors) // 2]
    found = evaluate.neighbour_overlap(vectors, subset(vectors, rows), limit=100, words=30)
    assert {row.overlap for row in found} == {1.0}
    assert len(found) == 30


def test_neighbours_of_few_words_are_all_other_words() -> None:
    one = WordVectors(["a", "b", "c"], np.eye(3))
    assert [row.overlap for row in evaluate.neighbour_overlap(one, one)] == [1.0] * 3
