"""Test queries to word vectors, such as analogies, against gensim and plain loops."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from gensim.models import KeyedVectors

import w2v
from w2v import InputError, WordVectors
from w2v.evaluate import analogies
from w2v.vectors.texts import TEXTS_AT_A_TIME

WORDS = [f"word{row}" for row in range(60)]


def some_vectors(outside: bool = False, dim: int = 8) -> WordVectors:
    random = np.random.default_rng(0)
    arrays = random.normal(0.1, 1.0, (2, len(WORDS), dim)).astype(np.float32)
    counts = np.arange(len(WORDS), 0, -1) * 10
    return WordVectors(WORDS, arrays[0], counts, arrays[1] if outside else None)


@pytest.fixture(scope="module")
def vectors() -> WordVectors:
    return some_vectors()


@pytest.fixture(scope="module")
def gensim(vectors: WordVectors) -> KeyedVectors:
    return vectors.to_gensim()


def assert_same(found: list[tuple[str, float]], wanted: list[tuple[str, float]]) -> None:
    assert [word for word, _ in found] == [word for word, _ in wanted]
    np.testing.assert_allclose([c for _, c in found], [c for _, c in wanted], rtol=0, atol=1e-5)


QUERIES: list[tuple[list[str], list[str]]] = [
    (["word3"], []),
    (["word3", "word9"], ["word12"]),
    (["word3", "word4", "word5"], ["word6", "word7"]),
    ([], ["word8"]),
    (["word1", "word1"], ["word1"]),
]


@pytest.mark.parametrize(("plus", "minus"), QUERIES)
def test_sums_with_signs_equal_gensim(
    vectors: WordVectors, gensim: KeyedVectors, plus: list[str], minus: list[str]
) -> None:
    wanted = gensim.most_similar(positive=plus, negative=minus, topn=12)
    assert_same(vectors.nearest(plus, 12, minus=minus), wanted)
    if len(minus) == 1:
        assert vectors.nearest(plus, 12, minus=minus[0]) == vectors.nearest(plus, 12, minus=minus)


def test_a_vector_minus_words_equals_gensim(vectors: WordVectors, gensim: KeyedVectors) -> None:
    query = np.random.default_rng(1).normal(size=8).astype(np.float32)
    unit = query / np.linalg.norm(query)
    wanted = gensim.most_similar(positive=[unit], negative=["word2"], topn=9)
    assert_same(vectors.nearest(query, 9, minus=["word2"]), wanted)


def test_answers_among_a_subset(vectors: WordVectors, gensim: KeyedVectors) -> None:
    among = ["word50", "word3", "word7", "word20", "word3"]
    every = gensim.most_similar("word3", topn=len(WORDS))
    found = vectors.nearest("word3", 10, among=among)
    assert_same(found, [pair for pair in every if pair[0] in {"word50", "word7", "word20"}])
    frequent = vectors.nearest("word3", 100, min_count=500)
    assert_same(frequent, [pair for pair in every if int(pair[0][4:]) <= 10])
    both = vectors.nearest("word3", 100, among=among, min_count=500)
    assert [word for word, _ in both] == ["word7"]
    assert vectors.nearest("word3", 5, among=["word3"]) == []
    assert vectors.nearest("word3", 5, min_count=10**6) == []


@pytest.mark.parametrize("subset", [{}, {"among": WORDS[5:30]}, {"min_count": 300}])
def test_many_queries_equal_one_at_a_time(
    vectors: WordVectors, subset: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("w2v.vectors.nearest.MAX_COSINES", 200)
    queries: list[Any] = ["word3", ["word4", "word5"], vectors["word6"], *WORDS]
    found = vectors.nearest_many(queries, 5, **subset)
    assert len(found) == len(queries)
    for query, one in zip(queries, found, strict=True):
        assert_same(one, vectors.nearest(query, 5, **subset))
    rows = vectors.nearest_many(vectors.vectors[:3], 2, **subset)
    for number, one in enumerate(rows):
        assert_same(one, vectors.nearest(vectors.vectors[number], 2, **subset))
    assert vectors.nearest_many([], 3) == []
    assert vectors.nearest_many(["word3"], 3, min_count=10**6) == [[]]
    assert len(vectors.nearest_many(["word3"], 100)[0]) == len(WORDS) - 1


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ("word1", "word2"),
        (["word1"], ["word2"]),
        (["word1", "word2"], ["word3", "word4", "word5"]),
        ("word1", ["word3", "word4"]),
    ],
)
def test_similarity_of_sets_equals_gensim(
    vectors: WordVectors, gensim: KeyedVectors, a: Any, b: Any
) -> None:
    sets = [[one] if isinstance(one, str) else one for one in (a, b)]
    assert vectors.similarity(a, b) == pytest.approx(gensim.n_similarity(*sets), abs=1e-5)


def test_the_odd_one_out_equals_gensim(vectors: WordVectors, gensim: KeyedVectors) -> None:
    random = np.random.default_rng(2)
    for _ in range(100):
        words = random.choice(WORDS, 5, replace=False).tolist()
        assert vectors.odd_one_out(words) == gensim.doesnt_match(words)


def test_means_of_texts_equal_gensim(vectors: WordVectors, gensim: KeyedVectors) -> None:
    texts = ["Word3 word4, word4!", "nothing known", "word5 unknown", ""]
    found = vectors.text_vectors(texts)
    wanted = gensim.get_mean_vector(["word3", "word4", "word4"], pre_normalize=False)
    np.testing.assert_allclose(found.vectors[0], wanted, rtol=0, atol=1e-5)
    np.testing.assert_allclose(found.vectors[2], vectors["word5"], rtol=0, atol=1e-6)
    assert not found.vectors[[1, 3]].any()
    assert found.known.tolist() == [3, 0, 1, 0]
    assert found.unknown == {"nothing": 1, "known": 1, "unknown": 1}
    lists = vectors.text_vectors(w2v.Words().tokens(text) for text in texts)
    np.testing.assert_array_equal(lists.vectors, found.vectors)
    split = vectors.text_vectors(["WORD3"], tokenizer=lambda text: [text.lower()])
    np.testing.assert_allclose(split.vectors[0], vectors["word3"], rtol=0, atol=1e-6)
    assert vectors.text_vectors([]).vectors.shape == (0, 8)
    many = vectors.text_vectors([["word3"]] * (TEXTS_AT_A_TIME + 1)).vectors
    np.testing.assert_allclose(many[-1], vectors["word3"], rtol=0, atol=1e-6)


def test_sif_equals_loops(vectors: WordVectors) -> None:
    texts = [["word1", "word2"], ["word3", "word1", "nowhere"], ["word59", "word4", "word5"]]
    assert vectors.counts is not None
    total = vectors.counts.sum()
    means = []
    for text in texts:
        known = [word for word in text if word in vectors]
        weights = [0.01 / (0.01 + vectors.counts[vectors.row(w)] / total) for w in known]
        pairs = zip(weights, known, strict=True)
        means.append(sum(w * vectors[word].astype(float) for w, word in pairs) / sum(weights))
    plain = vectors.text_vectors(texts, weights="sif", a=0.01, remove_common=False)
    np.testing.assert_allclose(plain.vectors, means, rtol=0, atol=1e-6)
    direction = np.linalg.svd(np.array(means))[2][0]
    wanted = [mean - (mean @ direction) * direction for mean in means]
    found = vectors.text_vectors(texts, weights="sif", a=np.float32(0.01))  # type: ignore[arg-type]
    np.testing.assert_allclose(found.vectors, wanted, rtol=0, atol=1e-6)


@pytest.mark.parametrize("exponent", [0.0, 0.75])
def test_probabilities_equal_loops(exponent: float, monkeypatch: pytest.MonkeyPatch) -> None:
    vectors = some_vectors(outside=True)
    monkeypatch.setattr("w2v.vectors.probability.MAX_COSINES", 100)
    assert vectors.outside is not None
    assert vectors.counts is not None

    def oracle(context: str, word: str) -> float:
        assert vectors.outside is not None
        assert vectors.counts is not None
        v = vectors[word].astype(float)
        terms = [
            math.exp(float(u.astype(float) @ v)) * float(count) ** exponent
            for u, count in zip(vectors.outside, vectors.counts, strict=True)
        ]
        return float(terms[vectors.row(context)] / sum(terms))

    def probability(context: Any, word: Any) -> Any:
        return vectors.probability(context, word, exponent=exponent)

    one = probability("word5", "word9")
    assert isinstance(one, float)
    assert one == pytest.approx(oracle("word5", "word9"), rel=1e-9)
    words, contexts = ["word9", "word1", "word9"], ["word5", "word2"]
    table = probability(contexts, words)
    assert table.shape == (3, 2)
    np.testing.assert_allclose(
        table, [[oracle(context, word) for context in contexts] for word in words], rtol=1e-9
    )
    np.testing.assert_array_equal(probability(contexts, "word9"), table[0])
    number: Any = np.float32(exponent)
    same = vectors.probability(contexts, "word9", exponent=number)
    np.testing.assert_array_equal(same, table[0])
    np.testing.assert_array_equal(probability("word5", words), table[:, 0])
    whole = probability(None, "word9")
    assert whole.shape == (len(WORDS),)
    assert whole.sum() == pytest.approx(1.0, abs=1e-12)


def test_probabilities_of_long_vectors_are_finite() -> None:
    big = np.array([[1e4, 0.0], [0.0, 1e4]], np.float32)
    vectors = WordVectors(["a", "b"], big, outside=big)
    assert vectors.probability("a", "a") == 1.0
    assert vectors.probability("b", "a") == 0.0


@pytest.mark.parametrize("exponent", [0.75, -0.5])
def test_words_that_never_occur_are_no_noise_words(exponent: float) -> None:
    array = np.eye(3, dtype=np.float32)
    vectors = WordVectors(["a", "b", "c"], array, np.array([4, 0, 1]), outside=array)
    found = vectors.probability(None, "b", exponent=exponent)
    np.testing.assert_allclose(found, np.array([4.0**exponent, 0, 1]) / (4.0**exponent + 1))
    none = WordVectors(["a", "b", "c"], array, np.zeros(3, int), outside=array)
    with pytest.raises(InputError, match="needs counts, but no word has one above 0"):
        none.probability("a", "b", exponent=exponent)


def test_a_model_of_the_softmax_gives_its_own_loss() -> None:
    texts = [[*["a", "b", "c", "d"][start:], "a"] for start in range(4)] * 50
    objective = w2v.SkipGram(dim=4, window=2, subsample=0, loss=w2v.Softmax())
    model = w2v.train(texts, objective, min_count=1, epochs=2, progress=False, threads=1)
    table = model.vectors.probability(None, list(model.vectors.words))
    from w2v.reference import naive_softmax

    assert model.vectors.outside is not None
    for row in range(len(model.vectors)):
        for context in range(len(model.vectors)):
            loss, _, _ = naive_softmax(
                model.vectors.vectors[row].astype(float),
                context,
                model.vectors.outside.astype(float),
            )
            assert -math.log(table[row, context]) == pytest.approx(float(loss), rel=1e-9)


def test_shrinking_tells_what_it_costs(tmp_path: Path) -> None:
    vectors = some_vectors(outside=True)
    same, loss = vectors.shrink()
    assert same.words == vectors.words
    assert (loss.mean, loss.largest) == (0.0, 0.0)
    assert loss.spearman == pytest.approx(1.0)
    frequent, loss = vectors.shrink(words=20)
    assert frequent.words == tuple(WORDS[:20])
    assert frequent.outside is not None
    assert loss.largest == pytest.approx(0.0, abs=1e-7)
    half, loss = vectors.shrink(dtype="float16")
    assert half.vectors.dtype == np.float16
    assert 0 < loss.mean < loss.largest < 1e-3
    neighbours = [[word for word, _ in v.nearest("word3", 5)] for v in (half, vectors)]
    assert neighbours[0] == neighbours[1]
    assert half["word3"].dtype == np.float32
    half.save(tmp_path)
    loaded = WordVectors.load(tmp_path)
    assert loaded.vectors.dtype == np.float16
    np.testing.assert_array_equal(loaded.vectors, half.vectors)
    for name in ("word2vec-binary", "word2vec-text", "parquet"):
        half.export(tmp_path / name, [name])
        again = WordVectors.load(tmp_path / name)
        np.testing.assert_array_equal(again.vectors, half.vectors.astype(np.float32))


def test_fewer_dimensions_keep_most_of_the_dot_products() -> None:
    random = np.random.default_rng(0)
    low = random.normal(size=(50, 3)) @ random.normal(size=(3, 10))
    vectors = WordVectors([f"w{row}" for row in range(50)], low + 5.0 * low[:1])
    small, loss = vectors.shrink(dim=3)
    assert small.dimensions == 3
    assert small.outside is None
    assert loss.largest < 1e-5  # the data have only three dimensions
    np.testing.assert_allclose(
        small.vectors @ small.vectors.T, vectors.vectors @ vectors.vectors.T, rtol=1e-3, atol=1e-2
    )
    losses = [some_vectors().shrink(dim=dim)[1] for dim in (7, 4, 2)]
    assert losses[0].mean < losses[1].mean < losses[2].mean
    # The axes are the best: no rotation keeps more.
    wide = some_vectors()
    kept = np.square(wide.shrink(dim=3)[0].vectors).sum()
    values = np.linalg.svd(wide.vectors.astype(float), compute_uv=False)
    assert kept == pytest.approx(np.square(values[:3]).sum(), rel=1e-5)


def test_analogies_take_a_file_of_questions(tmp_path: Path, vectors: WordVectors) -> None:
    file = tmp_path / "questions.txt"
    file.write_text(": one\nword1 word2 word3 word4\nword5 word6 word7 word8\n")
    result = analogies(vectors, file)
    assert result == analogies(vectors, str(file))
    assert result.questions == 2


@pytest.mark.parametrize(
    ("call", "line"),
    [
        (lambda v: v.nearest(), r"a vector of shape \(0,\) was given"),
        (lambda v: v.nearest("word1", minus=["nowhere"]), "'nowhere' is not among"),
        (lambda v: v.nearest("word1", minus=3), "minus=3: must be a list of words"),
        (lambda v: v.nearest("word1", among="word2"), "among='word2': must be a list of words"),
        (lambda v: v.nearest("word1", among=[]), r"among=\[\]: must be a list of words"),
        (lambda v: v.nearest("word1", among=["nowhere"]), "'nowhere' is not among"),
        (lambda v: v.nearest("word1", min_count="x"), "min_count='x': must be a whole number"),
        (lambda v: v.nearest("word1", True), "k=True: at least 1"),
        (lambda v: v.nearest_many("word1"), "queries='word1': must be a list of queries"),
        (lambda v: v.nearest_many(3), "queries=3: must be a list of queries"),
        (lambda v: v.nearest_many([3]), "the query is 3"),
        (lambda v: v.similarity([], "word1"), r"a=\[\]: must be a list of words"),
        (lambda v: v.similarity("word1", 3), "b=3: must be a list of words"),
        (lambda v: v.odd_one_out(["word1", "word2"]), "words=.*: must be at least three words"),
        (lambda v: v.odd_one_out("word1"), "words='word1': must be a list of words"),
        (lambda v: v.text_vectors("a text"), r"texts='a text': must be a list of texts"),
        (lambda v: v.text_vectors({"word1": "a text"}), "texts=.*: must be a list of texts"),
        (lambda v: v.text_vectors(pd.DataFrame({"word1": ["a"]})), "texts=.*: must be a list"),
        (lambda v: v.text_vectors([], remove_common="no"), "remove_common='no': must be True,"),
        (lambda v: v.text_vectors([3]), "texts: text 1 is 3; a string or a list is needed"),
        (lambda v: v.text_vectors([["a"], ["a", 2]]), "texts: text 2 holds 2; tokens are strings"),
        (
            lambda v: v.text_vectors(["A film"], tokenizer=str.lower),
            "^texts: tokenizer: its result for text 1 is 'a film'; a list of tokens is needed$",
        ),
        (
            lambda v: v.text_vectors([[], "A film"], tokenizer=lambda _: None),
            "^texts: tokenizer: its result for text 2 is None; a list of tokens is needed$",
        ),
        (lambda v: v.text_vectors([["a"]], weights="x"), "weights='x': must be mean or sif"),
        (lambda v: v.text_vectors([["a"]], a=0), "a=0: must be a finite number above 0"),
        (
            lambda v: v.text_vectors(["a"], tokenizer=w2v.Words),
            r"^tokenizer=<class 'w2v.text.tokenizer.Words'>: must be w2v.Words\(...\), "
            r"w2v.Whitespace\(...\) or a function from a text to its tokens$",
        ),
        (lambda v: v.probability("word1", "word2"), "there are no outside vectors"),
        (lambda v: v.shrink(words=0), "words=0: must be from 1 to 60, or None"),
        (lambda v: v.shrink(dim=9), "dim=9: must be from 1 to 8, or None"),
        (lambda v: v.shrink(dtype="int8"), "dtype='int8': must be float32 or float16"),
    ],
)
def test_what_cannot_be_asked_is_refused(vectors: WordVectors, call: Any, line: str) -> None:
    with pytest.raises(InputError, match=line) as refused:
        call(vectors)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    "call",
    [
        lambda v: v.text_vectors([["a"], ["c", "a"]]),
        lambda v: v.text_vectors([["a"], ["c"]], weights="sif"),
        lambda v: v.probability("a", ["b", "c"]),
    ],
)
@pytest.mark.parametrize("number", [np.nan, np.inf])
def test_a_vector_that_is_not_finite_is_refused(call: Any, number: float) -> None:
    array = np.array([[1, 2], [3, 4], [5, number]])
    vectors = WordVectors([*"abc"], array, [3, 2, 1], np.ones((3, 2)))
    with pytest.raises(InputError, match=r"^the vector of 'c' holds NaN or an infinity$"):
        call(vectors)


def test_counts_are_needed_where_they_are_used() -> None:
    array = np.random.default_rng(0).normal(size=(60, 8)).astype(np.float32)
    vectors = WordVectors(WORDS, array, outside=array)
    with pytest.raises(InputError, match="min_count=3: needs counts"):
        vectors.nearest("word1", min_count=3)
    with pytest.raises(InputError, match="weights=sif: needs counts"):
        vectors.text_vectors([["word1"]], weights="sif")
    with pytest.raises(InputError, match=r"exponent=0.75: needs counts"):
        vectors.probability("word1", "word2", exponent=0.75)
    big = WordVectors(["a", "b"], np.array([[1e5, 1.0], [1.0, 1.0]]))
    with pytest.raises(InputError, match="a number is larger than 65,504"):
        big.shrink(dtype=np.float16)
    broken = WordVectors(["a", "b"], np.ones((2, 2)), outside=np.array([[1, 2], [3, np.nan]]))
    with pytest.raises(InputError, match="an outside vector holds NaN or an infinity"):
        broken.shrink()
    with pytest.raises(InputError, match="an outside vector holds NaN or an infinity"):
        broken.probability("a", "b")
    assert broken.shrink(dim=1)[0].outside is None  # it would not fit the turned vectors
