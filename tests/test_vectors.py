"""Word vectors: look-ups against plain loops, and files that come back as they were."""

import gzip
import math
import struct
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from w2v.errors import InputError
from w2v.files import written_aside
from w2v.vectors import WordVectors
from w2v.vectors.formats import MAX_WORD

gensim_models = pytest.importorskip("gensim.models")

finite = st.floats(width=32, allow_nan=False, allow_infinity=False)
# Any character a token may hold, with those that look like the format's own.
letters = st.one_of(
    st.sampled_from("ab0.-é世\u00a0\u2028\x85\x1c😀"),
    st.characters(exclude_characters=" \t\n\r\v\f", exclude_categories=["Cs"]),
)
tokens = st.text(letters, min_size=1, max_size=12)


@st.composite
def word_vectors(draw: st.DrawFn, with_counts: bool = False) -> WordVectors:
    words = draw(st.lists(tokens, unique=True, max_size=6))
    dimensions = draw(st.integers(1, 5))
    values = draw(
        st.lists(finite, min_size=len(words) * dimensions, max_size=len(words) * dimensions)
    )
    counts = None
    if with_counts:
        counts = draw(
            st.lists(st.integers(0, 10**18 - 1), min_size=len(words), max_size=len(words))
            | st.none()
        )
    array = np.array(values, dtype=np.float32).reshape(len(words), dimensions)
    return WordVectors(words, array, counts)


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


def ranking(vectors: WordVectors, query: NDArray[Any], left_out: set[str]) -> list[str]:
    others = [word for word in vectors.words if word not in left_out]
    return sorted(others, key=lambda word: -cosine(query, vectors[word]))


def assert_same(a: WordVectors, b: WordVectors) -> None:
    assert a.words == b.words
    assert a.vectors.dtype == b.vectors.dtype == np.float32
    assert a.vectors.shape == b.vectors.shape
    # Bit for bit: -0.0 is not 0.0 here.
    assert a.vectors.tobytes() == b.vectors.tobytes()


# Looking up


def test_it_is_a_container_of_words() -> None:
    vectors = random_vectors()
    assert len(vectors) == 40
    assert "word7" in vectors
    assert "nowhere" not in vectors
    assert 7 not in vectors
    assert list(vectors) == list(vectors.words)
    np.testing.assert_array_equal(vectors["word7"], vectors.vectors[7])
    assert "40 words" in repr(vectors)


def test_the_vectors_are_neither_copied_nor_writable() -> None:
    array = np.ones((2, 3), np.float32)
    vectors = WordVectors(["a", "b"], array)
    assert np.shares_memory(vectors.vectors, array)
    with pytest.raises(ValueError, match="read-only"):
        vectors.vectors[0, 0] = 2.0
    array[0, 0] = 2.0  # the caller's own array stays as it was


@pytest.mark.parametrize(
    ("words", "shape", "counts", "message"),
    [
        (["a", "b"], (3, 2), None, r"shape \(3, 2\); 2 words"),
        (["a", "b"], (2,), None, r"shape \(2,\)"),
        (["a", "b"], (2, 2), [1], r"counts have the shape \(1,\)"),
        (["a", "b"], (2, 2), [1, -1], "a count is -1"),
        (["a", "b", "a"], (3, 2), None, "'a' comes twice"),
    ],
)
def test_parts_that_do_not_agree_are_refused(
    words: list[str], shape: tuple[int, ...], counts: list[int] | None, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        WordVectors(words, np.zeros(shape, np.float32), counts)


def test_an_unknown_word_is_named_with_words_like_it() -> None:
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


# Cosines


def test_similarity_is_the_cosine() -> None:
    vectors = random_vectors()
    for a in vectors.words[:8]:
        for b in vectors.words[:8]:
            expected = cosine(vectors[a], vectors[b])
            assert vectors.similarity(a, b) == pytest.approx(expected, abs=1e-6)
    assert vectors.similarity("word3", "word3") == 0.0  # the zero vector


@given(word_vectors())
def test_unit_vectors_have_length_one_or_zero(vectors: WordVectors) -> None:
    lengths = np.linalg.norm(vectors.unit.astype(np.float64), axis=1)
    zero = (vectors.vectors == 0).all(axis=1)
    np.testing.assert_allclose(lengths, np.where(zero, 0.0, 1.0), atol=1e-6)


def test_nearest_ranks_by_cosine_and_leaves_the_word_out() -> None:
    vectors = random_vectors()
    for word in ("word0", "word39"):
        found = vectors.nearest(word, 12)
        assert [name for name, _ in found] == ranking(vectors, vectors[word], {word})[:12]
        for name, value in found:
            assert value == pytest.approx(cosine(vectors[word], vectors[name]), abs=1e-6)


def test_nearest_takes_a_vector_of_any_length() -> None:
    vectors = random_vectors()
    for scale in (1e-300, 1.0, 1e300):
        query = vectors["word5"].astype(np.float64) * scale
        assert [word for word, _ in vectors.nearest(query, 40)] == ranking(
            vectors, vectors["word5"], set()
        )
    assert [word for word, _ in vectors.nearest(list(vectors["word5"]), 1)] == ["word5"]


def test_nearest_to_nothing_is_zero_in_the_order_of_the_words() -> None:
    vectors = random_vectors()
    assert vectors.nearest("word3", 3) == [("word0", 0.0), ("word1", 0.0), ("word2", 0.0)]


def test_ties_go_by_the_order_of_the_words() -> None:
    # Two heights of ties, and enough words that an unstable sort would show.
    array = np.tile(np.array([[1, 0], [1, 1]], np.float32), (300, 1))
    vectors = WordVectors([str(row) for row in range(600)], array)
    found = [int(word) for word, _ in vectors.nearest("4", 450)]
    assert found == [row for row in range(0, 600, 2) if row != 4] + list(range(1, 303, 2))


@pytest.mark.parametrize("k", [39, 40, 1000])
def test_nearest_gives_what_there_is(k: int) -> None:
    vectors = random_vectors()
    assert len(vectors.nearest("word0", k)) == 39


def test_one_word_has_no_neighbours() -> None:
    assert WordVectors(["a"], np.ones((1, 2), np.float32)).nearest("a") == []


@pytest.mark.parametrize(
    ("query", "k", "message"),
    [
        ("word0", 0, "k=0"),
        (np.ones(3), 5, r"shape \(3,\)"),
        (np.full(7, np.nan), 5, "NaN"),
    ],
)
def test_nearest_refuses(query: Any, k: int, message: str) -> None:
    with pytest.raises(InputError, match=message):
        random_vectors().nearest(query, k)


def test_analogy_is_3cosadd_over_vectors_of_length_one() -> None:
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


def test_a_vector_that_is_not_finite_is_named() -> None:
    array = np.ones((3, 2), np.float32)
    array[1, 1] = np.nan
    with pytest.raises(InputError, match="'b' holds NaN"):
        WordVectors(["a", "b", "c"], array).nearest("a")


# The project's own files


@given(vectors=word_vectors(with_counts=True))
def test_saved_vectors_come_back(
    vectors: WordVectors, tmp_path_factory: pytest.TempPathFactory
) -> None:
    directory = tmp_path_factory.mktemp("vectors") / "deep" / "folder"
    vectors.save(directory)
    loaded = WordVectors.load(directory)
    assert_same(loaded, vectors)
    if vectors.counts is None:
        assert loaded.counts is None
    else:
        np.testing.assert_array_equal(loaded.counts, vectors.counts)
    assert sorted(path.name for path in directory.iterdir()) == ["vectors.npy", "vocabulary.tsv"]


def test_loaded_vectors_are_mapped_into_memory(tmp_path: Path) -> None:
    random_vectors().save(tmp_path)
    base: Any = WordVectors.load(tmp_path).vectors
    while base is not None and not isinstance(base, np.memmap):
        base = base.base
    assert isinstance(base, np.memmap)


def test_the_vocabulary_is_a_plain_table(tmp_path: Path) -> None:
    WordVectors(["é", "b"], np.ones((2, 1), np.float32), [5, 2]).save(tmp_path)
    assert (tmp_path / "vocabulary.tsv").read_bytes() == "word\tcount\né\t5\nb\t2\n".encode()


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
        ("vocabulary.tsv", b"word\tcount\na\t1\nb\n", "line 3"),
        ("vocabulary.tsv", b"word\tcount\na\t1\nb\t99999999999999999999\n", "line 3"),
        ("vocabulary.tsv", b"word\tcount\na\t1\n\xff\t2\n", "byte 15"),
        ("vocabulary.tsv", b"word\tcount\na\t1\n", "1 words need"),
        ("vocabulary.tsv", b"word\tcount\na\t1\na\t1\n", "'a' comes twice"),
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
        WordVectors.load(tmp_path)
    assert "\n" not in str(caught.value)


def test_a_cut_array_is_refused(tmp_path: Path) -> None:
    random_vectors().save(tmp_path)
    whole = (tmp_path / "vectors.npy").read_bytes()
    for length in (4, 9, 60, 127, 128, len(whole) - 1):
        (tmp_path / "vectors.npy").write_bytes(whole[:length])
        with pytest.raises(InputError):
            WordVectors.load(tmp_path)


def test_other_numbers_are_refused_and_nothing_is_unpickled(tmp_path: Path) -> None:
    WordVectors(["a"], np.ones((1, 2), np.float32)).save(tmp_path)
    np.save(tmp_path / "vectors.npy", np.ones((1, 2)))
    with pytest.raises(InputError, match="float64; float32 is needed"):
        WordVectors.load(tmp_path)
    np.save(tmp_path / "vectors.npy", np.array([[{}, 1]], dtype=object), allow_pickle=True)
    with pytest.raises(InputError, match="cannot be read"):
        WordVectors.load(tmp_path)


def test_a_failed_write_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("old")

    def write() -> None:
        with written_aside(path) as aside:
            aside.write_text("half of the n")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


# The word2vec format


@pytest.mark.parametrize("binary", [False, True])
@pytest.mark.parametrize("told", [False, True])
@given(vectors=word_vectors())
def test_word2vec_files_come_back(
    binary: bool, told: bool, vectors: WordVectors, tmp_path_factory: pytest.TempPathFactory
) -> None:
    # Bytes of a float32 that are all digits or points, say, read as text: see `looks_binary`.
    path = tmp_path_factory.mktemp("word2vec") / "vectors"
    vectors.save_word2vec(path, binary=binary)
    numerals = set(b"0123456789+-.eEnaifNAIF \t\r\n")
    head = vectors.vectors[0].tobytes().partition(b"\n")[0] if len(vectors) else b""
    ambiguous = binary and head.strip() and numerals.issuperset(head)
    assert_same(
        WordVectors.load_word2vec(path, binary=binary if told or ambiguous else None), vectors
    )


@pytest.mark.parametrize("binary", [False, True])
def test_gensim_reads_what_we_write(tmp_path: Path, binary: bool) -> None:
    vectors = random_vectors()
    vectors.save_word2vec(tmp_path / "ours", binary=binary)
    keyed = gensim_models.KeyedVectors.load_word2vec_format(tmp_path / "ours", binary=binary)
    assert tuple(keyed.index_to_key) == vectors.words
    np.testing.assert_array_equal(keyed.vectors, vectors.vectors)


@pytest.mark.parametrize("binary", [False, True])
def test_we_read_what_gensim_writes(tmp_path: Path, binary: bool) -> None:
    vectors = random_vectors()
    vectors.to_gensim().save_word2vec_format(str(tmp_path / "theirs"), binary=binary)
    assert_same(WordVectors.load_word2vec(tmp_path / "theirs"), vectors)


def test_we_read_what_the_c_tool_writes(tmp_path: Path) -> None:
    array = np.array([[0.25, -1.5], [3.0, 0.0]], np.float32)
    # Its text has a space after each number; its binary a line break after each vector.
    (tmp_path / "text").write_bytes(b"2 2\n</s> 0.250000 -1.500000 \nthe 3.000000 0.000000 \n")
    (tmp_path / "binary").write_bytes(
        b"2 2\n</s> " + struct.pack("<2f", *array[0]) + b"\nthe " + struct.pack("<2f", 3, 0) + b"\n"
    )
    for name in ("text", "binary"):
        assert_same(WordVectors.load_word2vec(tmp_path / name), WordVectors(["</s>", "the"], array))


def test_packed_files_are_read_and_written(tmp_path: Path) -> None:
    vectors = random_vectors()
    vectors.save_word2vec(tmp_path / "vectors.bin.gz", binary=True)
    assert gzip.decompress((tmp_path / "vectors.bin.gz").read_bytes()).startswith(b"40 7\nword0 ")
    assert_same(WordVectors.load_word2vec(tmp_path / "vectors.bin.gz"), vectors)
    whole = (tmp_path / "vectors.bin.gz").read_bytes()
    for damaged in (whole[:-9], whole[: len(whole) // 2], b"\x1f\x8b" + b"\0" * 40, b"no gzip"):
        (tmp_path / "cut.gz").write_bytes(damaged)
        with pytest.raises(InputError):
            WordVectors.load_word2vec(tmp_path / "cut.gz")


def test_bytes_that_are_not_utf8_become_escapes(tmp_path: Path) -> None:
    (tmp_path / "odd").write_bytes(b"2 1\nw\xe2\x82 1\nw\xe2 2\n")
    vectors = WordVectors.load_word2vec(tmp_path / "odd")
    assert vectors.words == (r"w\xe2\x82", r"w\xe2")
    vectors.save(tmp_path / "again")
    assert WordVectors.load(tmp_path / "again").words == vectors.words


def test_of_a_repeated_word_the_first_is_kept(tmp_path: Path) -> None:
    (tmp_path / "twice").write_bytes(b"3 1\na 1\nb 2\na 3\n")
    with pytest.warns(UserWarning, match="1 repeated words"):
        vectors = WordVectors.load_word2vec(tmp_path / "twice")
    assert vectors.words == ("a", "b")
    assert vectors.vectors.tolist() == [[1.0], [2.0]]


@pytest.mark.parametrize(
    "word", ["", "two words", "a\tb", "line\n", "\ud800", "x" * (MAX_WORD + 1)]
)
@pytest.mark.parametrize("binary", [False, True])
def test_a_word_the_format_cannot_hold_is_refused(tmp_path: Path, word: str, binary: bool) -> None:
    with pytest.raises(InputError, match="cannot be written"):
        WordVectors([word], np.ones((1, 1), np.float32)).save_word2vec(tmp_path / "x", binary)
    assert not list(tmp_path.iterdir())


def test_the_longest_word_comes_back(tmp_path: Path) -> None:
    vectors = WordVectors(["x" * MAX_WORD, "y"], np.ones((2, 3), np.float32))
    for binary in (False, True):
        vectors.save_word2vec(tmp_path / "long", binary=binary)
        assert_same(WordVectors.load_word2vec(tmp_path / "long"), vectors)


LIES = [
    (b"", 0, "the header is b''"),
    (b"\n", 0, "the header"),
    (b"the 0.1 0.2\n", 0, "the header"),
    (b"2\n", 0, "the header"),
    (b"-2 3\na 1 2 3\n", 0, "the header"),
    (b"2 -3\na 1 2 3\n", 0, "the header"),
    (b"2 3", 0, "the header"),
    (b"9" * 70 + b" 3\n", 0, "the header"),
    (b"1 0\na\n", 0, "0 dimensions"),
    (b"1 999999999999\na 1\n", 0, "999999999999 dimensions"),
    (b"3 1\na 1\nb 2\n", 12, "the file ends in row 3"),
    (b"999999999999999999 1\na 1\n", 25, "ends in row 2"),
    (b"999999999999999999 2\na \0\0\0\0\0\0\0\0b \0\0", 35, "ends in row 2"),
    (b"1 1\na 1\nb 2\n", 8, "more follows after the 1 words"),
    (b"1 1\na \0\0\0\0\nb \0\0\0\0", 11, "more follows after the 1 words"),
    (b"2 2\na 1 2\nb 1\n", 10, "row 2 is b'b 1\\n' with 1 values"),
    (b"2 2\na 1 2\nb 1 2 3\n", 10, "with 3 values"),
    (b"2 2\na 1 2\nb 1 x\n", 10, "row 2"),
    (b"2 2\na 1 2\n 1 2\n", 10, "row 2"),
    (b"2 2\na 1 2\n\nb 1 2\n", 10, "row 2"),
    (b"2 1\na \0\0\0\1 \0\0\0\0", 10, "word 2 is empty"),
    (b"1 1\n" + b"w" * (MAX_WORD + 1) + b" \0\0\0\0", 4, "more than"),
]


@pytest.mark.parametrize(("content", "offset", "message"), LIES)
def test_lying_files_are_refused_with_the_offset(
    tmp_path: Path, content: bytes, offset: int, message: str
) -> None:
    path = tmp_path / "lie"
    path.write_bytes(content)
    binary = b"\0" in content
    with pytest.raises(InputError) as caught:
        WordVectors.load_word2vec(path, binary=binary)
    assert str(caught.value).startswith(f"{path}: byte {offset}: ")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "content",
    [
        b"999999999999999999 65536\na 1\n",
        b"999999999999999999 65536\na \0\0\0\0",
        b"1 65536\n" + b"w" * 100_000,
    ],
)
@pytest.mark.parametrize("binary", [None, False, True])
def test_no_header_makes_us_allocate(tmp_path: Path, content: bytes, binary: bool | None) -> None:
    (tmp_path / "lie").write_bytes(content)
    tracemalloc.start()
    try:
        with pytest.raises(InputError):
            WordVectors.load_word2vec(tmp_path / "lie", binary=binary)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 20 << 20


@pytest.mark.parametrize("value", [b"nan", b"inf", b"-inf", b"1e39"])
def test_values_that_are_no_finite_float32_are_refused(tmp_path: Path, value: bytes) -> None:
    (tmp_path / "x").write_bytes(b"2 2\nfine 1 2\nodd 1 " + value + b"\n")
    with pytest.raises(InputError, match="'odd' holds NaN or an infinity"):
        WordVectors.load_word2vec(tmp_path / "x")


@pytest.mark.parametrize("binary", [False, True])
def test_every_cut_file_is_refused(tmp_path: Path, binary: bool) -> None:
    vectors = WordVectors(["a", "bé", "c"], np.array([[1, 2], [-3.25, 4e-9], [5, 678.5]]))
    vectors.save_word2vec(tmp_path / "whole", binary=binary)
    whole = (tmp_path / "whole").read_bytes()
    # The last number of a text cannot be told from a shorter one; a binary ends in a line break.
    needed = len(whole) - (1 if binary else len("678.5\n") - 1)
    for length in range(needed):
        (tmp_path / "cut").write_bytes(whole[:length])
        for told in (None, binary):
            with pytest.raises(InputError, match=r"byte \d+: "):
                WordVectors.load_word2vec(tmp_path / "cut", binary=told)


@settings(max_examples=300)
@given(content=st.binary(max_size=60), header=st.booleans(), binary=st.none() | st.booleans())
def test_any_bytes_give_vectors_or_an_input_error(
    content: bytes, header: bool, binary: bool | None, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("fuzz") / "bytes"
    path.write_bytes((b"2 2\n" if header else b"") + content)
    try:
        vectors = WordVectors.load_word2vec(path, binary=binary)
    except InputError:
        return
    assert np.isfinite(vectors.vectors).all()
    assert len(vectors) <= len(content)


def test_a_binary_whose_first_number_starts_with_a_line_break_is_told(tmp_path: Path) -> None:
    vectors = WordVectors(["a"], np.frombuffer(b"\n\0\0\0", "<f4")[None])
    vectors.save_word2vec(tmp_path / "x", binary=True)
    assert_same(WordVectors.load_word2vec(tmp_path / "x"), vectors)


@pytest.mark.parametrize("path", ["missing", "."])
def test_a_file_that_is_not_there_is_refused(tmp_path: Path, path: str) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        WordVectors.load_word2vec(tmp_path / path)
    with pytest.raises(InputError, match="cannot be read"):
        WordVectors.load(tmp_path / path)


def test_to_gensim_keeps_words_vectors_and_counts() -> None:
    vectors = random_vectors(zero_row=False)
    keyed = vectors.to_gensim()
    assert tuple(keyed.index_to_key) == vectors.words
    np.testing.assert_array_equal(keyed.vectors, vectors.vectors)
    assert [keyed.get_vecattr(word, "count") for word in vectors.words] == list(range(40, 0, -1))
    assert keyed.most_similar("word0", topn=1)[0][0] == vectors.nearest("word0", 1)[0][0]
