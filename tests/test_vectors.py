"""Test `WordVectors`: looking up words, nearest neighbors, analogies, saving and loading."""

import math
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from w2v.errors import InputError
from w2v.training.model import TrainedModel
from w2v.vectors import OUTSIDE, WordVectors, nearest

few = settings(max_examples=30)


def random_vectors(size: int = 40, dimensions: int = 7, zero_row: bool = True) -> WordVectors:
    array = np.random.default_rng(0).standard_normal((size, dimensions)).astype(np.float32)
    if zero_row:
        array[3] = 0.0
    return WordVectors([f"word{row}" for row in range(size)], array, np.arange(size, 0, -1))


def cosine(x: NDArray[Any], y: NDArray[Any]) -> float:
    dot = math.fsum(float(a) * float(b) for a, b in zip(x, y, strict=True))
    lengths = math.sqrt(math.fsum(float(a) ** 2 for a in x)) * math.sqrt(
        math.fsum(float(b) ** 2 for b in y)
    )
    return dot / lengths if lengths else 0.0


def ranking(vectors: WordVectors, query: NDArray[Any], excluded: set[str]) -> list[str]:
    others = [word for word in vectors.words if word not in excluded]
    return sorted(others, key=lambda word: -cosine(query, vectors[word]))


# Words and their vectors


def test_it_is_a_container_of_words() -> None:
    vectors = random_vectors()
    assert len(vectors) == 40
    assert "word7" in vectors
    assert "nowhere" not in vectors
    assert 7 not in vectors
    assert list(vectors) == list(vectors.words)
    np.testing.assert_array_equal(vectors["word7"], vectors.vectors[7])
    assert "40 words" in repr(vectors)


def test_the_array_is_neither_copied_nor_writable() -> None:
    array = np.ones((2, 3), np.float32)
    vectors = WordVectors(["a", "b"], array)
    assert np.shares_memory(vectors.vectors, array)
    with pytest.raises(ValueError, match="read-only"):
        vectors.vectors[0, 0] = 2.0
    array[0, 0] = 2.0  # the caller can still write to it


@pytest.mark.parametrize(
    ("words", "shape", "counts", "message"),
    [
        (["a", "b"], (3, 2), None, r"shape \(3, 2\); 2 words"),
        (["a", "b"], (2,), None, r"shape \(2,\)"),
        (["a", "b"], (2, 2), [1], r"counts have the shape \(1,\)"),
        (["a", "b"], (2, 2), [1, -1], "a count is -1"),
        (["a", "b"], (2, 2), [0.06, 0.9], "counts: must be whole numbers"),
        (["a", "b"], (2, 2), [1, np.nan], "counts: must be whole numbers"),
        (["a", "b"], (2, 2), ["1", "x"], "counts: must be whole numbers"),
        (["a", "b", "a"], (3, 2), None, "'a' comes twice"),
        (["a", 7], (2, 2), None, r"words\[1\] is 7; words are strings"),
        ([["a"], "b"], (2, 2), None, r"words\[0\] is \['a'\]; words are strings"),
    ],
)
def test_arguments_that_do_not_agree_are_refused(
    words: list[Any], shape: tuple[int, ...], counts: list[Any] | None, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        WordVectors(words, np.zeros(shape, np.float32), counts)


@pytest.mark.parametrize("rows", [[[1, 2], [3]], [[1, 2], [3, "x"]], ["a", 1], [[1j], [2]]])
def test_vectors_that_are_no_array_of_numbers_are_refused(rows: Any) -> None:
    line = "must be numbers, in rows of the same length$"
    with pytest.raises(InputError, match=f"^vectors: {line}"):
        WordVectors(["a", "b"], rows)
    with pytest.raises(InputError, match=f"^outside: {line}"):
        WordVectors(["a", "b"], np.ones((2, 2)), outside=rows)


def test_similar_words_are_suggested_for_an_unknown_one() -> None:
    vectors = WordVectors(["queen", "King", "quiet"], np.eye(3, dtype=np.float32))
    with pytest.raises(InputError, match=r"'queeen'.*close to it: 'queen'"):
        vectors["queeen"]
    with pytest.raises(InputError, match=r"'king'.*close to it: 'King'$"):
        vectors.nearest("king")
    with pytest.raises(InputError, match=r"'zebra' is not among the 3 words$"):
        vectors.similarity("queen", "zebra")
    with pytest.raises(InputError, match="a word is a string"):
        vectors[0]  # type: ignore[index]
    with pytest.raises(InputError, match="a word is a string"):
        vectors[["queen"]]  # type: ignore[index]


def test_find_ignores_case_and_prefers_the_most_frequent_word() -> None:
    vectors = WordVectors(["Cat", "CAT", "ice_cream", "dog"], np.eye(4), [1, 5, 2, 2])
    words = ["cat", "CAT", "DOG", "ice cream", "icecream", ""]
    assert [vectors.find(word) for word in words] == [1, 1, 3, 2, None, None]


def test_find_takes_typographic_apostrophes_and_hyphens_for_plain_ones() -> None:
    vectors = WordVectors(["don't", "can’t", "can't", "well-known"], np.eye(4))
    words = ["don’t", "Don’t", "can’t", "can't", "well\u2011known", "won’t"]
    assert [vectors.find(word) for word in words] == [0, 0, 1, 2, 3, None]
    assert ["don't"] not in vectors  # cannot be hashed


# Cosines


def test_similarity_is_the_cosine() -> None:
    vectors = random_vectors()
    for a in vectors.words[:8]:
        for b in vectors.words[:8]:
            expected = cosine(vectors[a], vectors[b])
            assert vectors.similarity(a, b) == pytest.approx(expected, abs=1e-6)
    assert vectors.similarity("word3", "word3") == 0.0  # the zero vector


@few
@given(
    st.lists(
        st.lists(
            st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=3, max_size=3
        ),
        max_size=6,
    )
)
def test_unit_vectors_have_length_one_or_zero(rows: list[list[float]]) -> None:
    array = np.array(rows, np.float32).reshape(len(rows), 3)
    vectors = WordVectors([f"w{row}" for row in range(len(rows))], array)
    lengths = np.linalg.norm(vectors.unit.astype(np.float64), axis=1)
    zero = (array == 0).all(axis=1)
    np.testing.assert_allclose(lengths, np.where(zero, 0.0, 1.0), atol=1e-6)


def test_nearest_sorts_by_cosine_and_excludes_the_word() -> None:
    vectors = random_vectors()
    for word in ("word0", "word39"):
        found = vectors.nearest(word, 12)
        assert [name for name, _ in found] == ranking(vectors, vectors[word], {word})[:12]
        for name, value in found:
            assert value == pytest.approx(cosine(vectors[word], vectors[name]), abs=1e-6)


def test_nearest_accepts_a_vector_of_any_length() -> None:
    vectors = random_vectors()
    for scale in (1e-300, 1.0, 1e300):
        query = vectors["word5"].astype(np.float64) * scale
        assert [word for word, _ in vectors.nearest(query, 40)] == ranking(
            vectors, vectors["word5"], set()
        )
    assert [word for word, _ in vectors.nearest(list(vectors["word5"]), 1)] == ["word5"]


def test_nearest_accepts_several_words_which_are_not_answers() -> None:
    vectors = random_vectors()
    words = ["word5", "word7"]
    mean = sum(vectors.unit[vectors.row(word)].astype(np.float64) for word in words)
    for given_words in (words, tuple(words), np.array(words)):
        found = vectors.nearest(given_words, 12)
        assert [word for word, _ in found] == ranking(vectors, mean, set(words))[:12]
    assert found[0][1] == pytest.approx(cosine(mean, vectors[found[0][0]]), abs=1e-6)
    assert vectors.nearest(["word5"], 3) == vectors.nearest("word5", 3)
    assert len(vectors.nearest(["word5", "word5"], 100)) == 39


@pytest.mark.parametrize("scale", [1e-30, 1e30])
def test_nearest_is_accurate_for_very_short_and_very_long_vectors(scale: float) -> None:
    vectors = random_vectors()
    scaled = WordVectors(vectors.words, vectors.vectors * np.float32(scale))
    expected, found = vectors.nearest("word5", 12), scaled.nearest("word5", 12)
    assert [word for word, _ in found] == [word for word, _ in expected]
    np.testing.assert_allclose([c for _, c in found], [c for _, c in expected], atol=1e-6)


def test_a_zero_vector_has_cosine_zero_with_all_words_in_order() -> None:
    vectors = random_vectors()
    assert vectors.nearest("word3", 3) == [("word0", 0.0), ("word1", 0.0), ("word2", 0.0)]


def test_equal_cosines_are_sorted_by_the_order_of_the_words() -> None:
    # Two groups of equal cosines, large enough that an unstable sort would mix them up.
    array = np.tile(np.array([[1, 0], [1, 1]], np.float32), (300, 1))
    vectors = WordVectors([str(row) for row in range(600)], array)
    found = [int(word) for word, _ in vectors.nearest("4", 450)]
    assert found == [row for row in range(0, 600, 2) if row != 4] + list(range(1, 303, 2))


@pytest.mark.parametrize("k", [39, 40, 1000])
def test_nearest_returns_all_words_if_there_are_fewer_than_k(k: int) -> None:
    assert len(random_vectors().nearest("word0", k)) == 39


def test_a_single_word_has_no_neighbours() -> None:
    assert WordVectors(["a"], np.ones((1, 2), np.float32)).nearest("a") == []


@pytest.mark.parametrize(
    ("query", "k", "message"),
    [
        ("word0", 0, "k=0"),
        (np.ones(3), 5, r"shape \(3,\)"),
        (np.full(7, np.nan), 5, "NaN"),
        ("word0", "5", "k=5"),
        (["word0", "word"], 5, "'word' is not among the 40 words; close to it"),
        (["word0", 1.0], 5, "a word, a list of words, or a vector of 7 numbers is needed"),
        ([[1.0], [2.0, 3.0]], 5, "the query is"),
        ({"word0"}, 5, "the query is {'word0'}"),
        ([], 5, r"shape \(0,\)"),
        (None, 5, "the query is None"),
        (3, 5, "the query is 3"),
    ],
)
def test_nearest_refuses_bad_arguments(query: Any, k: int, message: str) -> None:
    with pytest.raises(InputError, match=message):
        random_vectors().nearest(query, k)


def test_analogy_is_3cosadd_of_unit_vectors() -> None:
    vectors = random_vectors()

    def unit(word: str) -> NDArray[np.float64]:
        vector = vectors[word].astype(np.float64)
        length = np.linalg.norm(vector)
        return vector / length if length else vector

    for a, b, c in (("word0", "word1", "word2"), ("word3", "word8", "word9")):
        query = unit(b) - unit(a) + unit(c)
        found = vectors.analogy(a, b, c, 6)
        assert [word for word, _ in found] == ranking(vectors, query, {a, b, c})[:6]
        assert found[0][1] == pytest.approx(cosine(query, vectors[found[0][0]]), abs=1e-6)


def test_analogy_answers_as_gensim_does() -> None:
    vectors = random_vectors(300, 20, zero_row=False)
    keyed = vectors.to_gensim()
    expected = keyed.most_similar(positive=["word11", "word12"], negative=["word10"], topn=10)
    found = vectors.analogy("word10", "word11", "word12", 10)
    assert [word for word, _ in found] == [word for word, _ in expected]
    np.testing.assert_allclose([c for _, c in found], [c for _, c in expected], atol=1e-6)


def test_to_gensim_keeps_words_vectors_and_counts() -> None:
    vectors = random_vectors(zero_row=False)
    keyed = vectors.to_gensim()
    assert tuple(keyed.index_to_key) == vectors.words
    np.testing.assert_array_equal(keyed.vectors, vectors.vectors)
    assert [keyed.get_vecattr(word, "count") for word in vectors.words] == list(range(40, 0, -1))
    assert keyed.most_similar("word0", topn=1)[0][0] == vectors.nearest("word0", 1)[0][0]


def test_the_word_of_a_vector_that_is_not_finite_is_named() -> None:
    array = np.ones((3, 2), np.float32)
    array[1, 1] = np.nan
    with pytest.raises(InputError, match="'b' holds NaN"):
        WordVectors(["a", "b", "c"], array).nearest("a")


# Neighbours of many words at a time


@few
@given(st.integers(0, 99), st.integers(1, 5), st.integers(1, 20), st.sampled_from([2, 1000]))
def test_top_k_equals_sorting(seed: int, n: int, m: int, levels: int) -> None:
    random = np.random.default_rng(seed)
    scores = random.integers(levels, size=(n, m)).astype(np.float32)
    k = int(random.integers(1, m + 1))
    expected = [sorted(range(m), key=lambda j: (-row[j], j))[:k] for row in scores.tolist()]
    assert nearest.top_k(scores, k).tolist() == expected


@pytest.mark.parametrize("max_cosines", [1, 120, 1 << 22])
def test_nearest_rows_equal_those_found_one_by_one(
    monkeypatch: pytest.MonkeyPatch, max_cosines: int
) -> None:
    monkeypatch.setattr(nearest, "MAX_COSINES", max_cosines)
    vectors = random_vectors()
    excluded = np.array([0, 39, -1, 7])
    rows, cosines = nearest.nearest_rows(vectors.unit[[0, 39, 3, 7]], vectors.unit, 12, excluded)
    for word, found, values in zip((0, 39, 3, 7), rows, cosines, strict=True):
        expected = ranking(vectors, vectors.vectors[word], {f"word{word}"} if word != 3 else set())
        assert [vectors.words[row] for row in found] == expected[:12]
        assert values.tolist() == pytest.approx(
            [cosine(vectors.vectors[word], vectors.vectors[row]) for row in found], abs=1e-6
        )


# The order of words without counts


def shuffled(words: list[str]) -> list[str]:
    return [words[place] for place in np.random.default_rng(0).permutation(len(words))]


def order_of(words: list[str]) -> NDArray[np.intp]:
    return WordVectors(words, np.ones((len(words), 1), np.float32)).by_frequency


def test_an_alphabetical_order_without_counts_gives_a_warning() -> None:
    words = [f"{a}{b}{c}" for a in "abcdefghij" for b in "abcdefghij" for c in "ab"]
    capitals = [word.upper() if row % 3 else word for row, word in enumerate(words)]
    for order in (words, words[::-1], ["</s>", "the", *words], sorted(capitals), capitals):
        with pytest.warns(UserWarning, match=r"the 20. words are in alphabetical.*counts, too"):
            assert order_of(order).tolist() == list(range(len(order)))
    # Words of equal count may be in alphabetical order.
    blocks = shuffled(words)[:50] + [word for start in range(5) for word in words[start::5]]
    for order in (shuffled(words), words[:50], list(dict.fromkeys(blocks))):
        assert order_of(order).tolist() == list(range(len(order)))


def test_counts_can_be_given_to_vectors_without_counts(tmp_path: Path) -> None:
    vectors = WordVectors(["a", "b", "ice cream", ","], np.eye(4, dtype=np.float32))
    vectors.save(tmp_path / "folder")
    counts = tmp_path / "counts"
    for text in (
        "a 3\nb 5\nice cream 7\n, 9\n",
        "a\t3\r\nb\t5\r\nice cream\t7\r\n,\t9\r\n",
        'word,count\nb,5\na,3\nice cream,7\n",",9\n',
        "      9 ,\n      7 ice cream\n      5 b\n      3 a\n",
    ):
        counts.write_text(text)
        loaded = WordVectors.load(tmp_path / "folder", counts=counts)
        assert loaded.counts is not None
        assert loaded.counts.tolist() == [3, 5, 7, 9]
        assert loaded.by_frequency.tolist() == [3, 2, 1, 0]
    years = WordVectors(["30", "20", "10"], np.eye(3))
    years.save(tmp_path / "years")
    for text in ("30\t20\n20\t10\n10\t30\n", "30\t20\r\n20\t10\r\n10\t30\r\n"):
        counts.write_bytes(text.encode())
        loaded = WordVectors.load(tmp_path / "years", counts=counts)
        assert loaded.counts is not None
        assert loaded.counts.tolist() == [20, 10, 30]
    counts.write_text("b\t5\n")
    with pytest.warns(UserWarning, match="3 of 4 words have no count, such as 'a'; they count 0"):
        assert WordVectors.load(tmp_path / "folder", counts=counts).by_frequency[0] == 1


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "cannot be read"),
        (b"a\t1\nb\n", "line 2 is 'b'; a word"),
        (b"a\t1\nb\t-1\n", "line 2"),
        (b"x 1\n", "has no count of any of the 1 words"),
        (b"\xff 1\n", "byte 0 is not UTF-8"),
    ],
)
def test_a_file_that_holds_no_counts_is_refused(
    tmp_path: Path, content: bytes | None, message: str
) -> None:
    WordVectors(["a"], np.ones((1, 1))).save(tmp_path)
    if content is not None:
        (tmp_path / "counts").write_bytes(content)
    with pytest.raises(InputError, match=message):
        WordVectors.load(tmp_path, counts=tmp_path / "counts")


# The folder of this project


def test_loaded_vectors_are_mapped_into_memory(tmp_path: Path) -> None:
    random_vectors().save(tmp_path)
    base: Any = WordVectors.load(tmp_path).vectors
    while base is not None and not isinstance(base, np.memmap):
        base = base.base
    assert isinstance(base, np.memmap)


def test_the_vocabulary_is_a_plain_table(tmp_path: Path) -> None:
    WordVectors(["é", "b"], np.ones((2, 1), np.float32), [5, 2]).save(tmp_path)
    assert (tmp_path / "vocabulary.tsv").read_bytes() == "word\tcount\né\t5\nb\t2\n".encode()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["vectors.npy", "vocabulary.tsv"]


@pytest.mark.parametrize("word", ["", "a\tb", "a\nb", "\ud800"])
def test_a_word_that_would_break_the_table_is_refused(tmp_path: Path, word: str) -> None:
    with pytest.raises(InputError, match="cannot be written"):
        WordVectors([word], np.ones((1, 1), np.float32)).save(tmp_path / "new")
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("vocabulary.tsv", None, "vocabulary.tsv"),
        ("vectors.npy", None, "vectors.npy"),
        ("vectors.npy", b"", "cannot be read"),
        ("vectors.npy", b"no array at all", "cannot be read"),
        ("vocabulary.tsv", b"", "first line"),
        ("vocabulary.tsv", b"word\tcount\na\t1\nb\t", "line break"),
        ("vocabulary.tsv", b"word\tcount\na\t1\nb\t-2\n", "line 3"),
        ("vocabulary.tsv", b"word\tcount\na\t1\n\xff\t2\n", "byte 15"),
        ("vocabulary.tsv", b"word\tcount\na\t1\n", "1 words need"),
        ("vocabulary.tsv", b"word\tcount\na\t1\na\t1\n", "'a' comes twice"),
        (OUTSIDE, b"\x93NUMPY", "outside_vectors.npy: cannot be read"),
    ],
)
def test_damaged_files_are_refused(
    tmp_path: Path, name: str, content: bytes | None, message: str
) -> None:
    WordVectors(["a", "b"], np.ones((2, 3), np.float32), [2, 1]).save(tmp_path)
    if content is None:
        (tmp_path / name).unlink()
    else:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=message) as caught:
        WordVectors.load(tmp_path, "v+u" if name == OUTSIDE else "v")
    assert "\n" not in str(caught.value)


def test_outside_vectors_of_another_shape_are_refused(tmp_path: Path) -> None:
    WordVectors(["a", "b"], np.ones((2, 3), np.float32)).save(tmp_path)
    np.save(tmp_path / OUTSIDE, np.ones((1, 3), np.float32))
    with pytest.raises(InputError, match=r"has the shape \(1, 3\); the vectors have \(2, 3\)"):
        WordVectors.load(tmp_path, "v+u")


def test_a_truncated_array_is_refused(tmp_path: Path) -> None:
    random_vectors().save(tmp_path)
    whole = (tmp_path / "vectors.npy").read_bytes()
    for length in (4, 9, 60, 127, 128, len(whole) - 1):
        (tmp_path / "vectors.npy").write_bytes(whole[:length])
        with pytest.raises(InputError):
            WordVectors.load(tmp_path)


def test_vectors_that_cannot_be_saved_leave_the_older_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    older = WordVectors(["a", "b"], np.eye(2), [2, 1], outside=np.eye(2))
    newer = WordVectors(["b", "a"], np.ones((2, 2)), [2, 1], outside=np.zeros((2, 2)))
    older.save(tmp_path)
    monkeypatch.setattr(np, "save", Mock(side_effect=[None, OSError(28, "No space left")]))
    with pytest.raises(InputError) as refused:
        newer.save(tmp_path)
    assert str(refused.value) == f"directory={tmp_path}: cannot be written (No space left)"
    monkeypatch.undo()
    found = WordVectors.load(tmp_path)
    assert found.words == older.words
    np.testing.assert_array_equal(found.vectors, older.vectors)
    # If the process is killed while it replaces one file after another, nothing is read.
    monkeypatch.setattr(Path, "replace", Mock(side_effect=[None, KeyboardInterrupt]))
    with pytest.raises(KeyboardInterrupt):
        newer.save(tmp_path)
    monkeypatch.undo()
    with pytest.raises(InputError, match=r"vocabulary\.tsv"):
        WordVectors.load(tmp_path)


@pytest.mark.parametrize(
    ("save", "line"),
    [
        (
            lambda v, path: v.save(path / "file"),
            "directory=PATH/file: cannot be written (File exists)",
        ),
        (
            lambda v, path: v.export(path / "file", ["parquet"]),
            "folder=PATH/file: cannot be written (File exists)",
        ),
        (
            lambda v, path: v.save_projector(path / "file"),
            "directory=PATH/file: cannot be written (File exists)",
        ),
        (
            lambda v, path: v.save_word2vec(path / "folder"),
            "path=PATH/folder: cannot be written (Is a directory)",
        ),
        (
            lambda v, path: v.save_word2vec("."),
            "path=.: cannot be written (PosixPath('.') has an empty name)",
        ),
        (
            lambda v, path: TrainedModel(v, [], [], 0, 0, 0.0).save(path / "file"),
            "folder=PATH/file: cannot be written (File exists)",
        ),
    ],
)
def test_a_path_that_cannot_be_written_is_refused(tmp_path: Path, save: Any, line: str) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    with pytest.raises(InputError) as refused:
        save(WordVectors(["a", "b"], np.eye(2)), tmp_path)
    assert str(refused.value) == line.replace("PATH", str(tmp_path))


@pytest.mark.parametrize("use", ["u", "V", None])
def test_what_represents_a_word_is_checked(tmp_path: Path, use: Any) -> None:
    WordVectors(["a", "b"], np.eye(2)).save(tmp_path)
    with pytest.raises(InputError, match=rf"use={use!r}: must be v or v\+u"):
        WordVectors.load(tmp_path, use)


def test_other_dtypes_are_refused_and_nothing_is_unpickled(tmp_path: Path) -> None:
    WordVectors(["a"], np.ones((1, 2), np.float32)).save(tmp_path)
    np.save(tmp_path / "vectors.npy", np.ones((1, 2)))
    with pytest.raises(InputError, match="float64; float32 or float16 is needed"):
        WordVectors.load(tmp_path)
    np.save(tmp_path / "vectors.npy", np.array([[{}, 1]], dtype=object), allow_pickle=True)
    with pytest.raises(InputError, match="cannot be read"):
        WordVectors.load(tmp_path)
