"""The vocabulary: its choice and order against sorted lists, its file, and what is refused."""

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from w2v.errors import InputError
from w2v.text.vocabulary import Vocabulary, build, digest_of, frequencies, read_words

steady = settings(derandomize=True, deadline=None, max_examples=50)

# What a token may hold, and line ends that only Python's splitlines takes for such.
words = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\t\n")
    | st.sampled_from("\x85\u2028\u2029\x1c\r\x0b\ufeff\0"),
    min_size=1,
    max_size=5,
)


@steady
@given(
    st.dictionaries(words, st.integers(1, 6), max_size=15),
    st.integers(1, 6),
    st.none() | st.integers(2, 16),
)
@example({"b": 2, "a": 2, "c": 3}, 1, None)
@example({"b": 2, "a": 2, "c": 3}, 1, 2)
def test_words_by_falling_count_then_word(
    corpus: dict[str, int], min_count: int, max_size: int | None
) -> None:
    types, counts = list(corpus), np.array(list(corpus.values()), np.int64)
    frequent = [word for word in corpus if corpus[word] >= min_count]
    chosen = sorted(frequent, key=lambda word: (-corpus[word], word))[:max_size]
    if len(chosen) < 2:
        with pytest.raises(InputError, match="at least 2 are needed"):
            build(types, counts, min_count, max_size)
        return
    vocabulary, ids = build(types, counts, min_count, max_size)
    assert vocabulary.words == chosen
    assert vocabulary.counts.tolist() == [corpus[word] for word in chosen]
    assert len(vocabulary) == len(chosen)
    assert vocabulary.counts.dtype == np.int64
    assert ids.dtype == np.int32
    places = {word: place for place, word in enumerate(chosen)}
    assert ids.tolist() == [places.get(word, -1) for word in types]


def test_by_default_words_occur_five_times() -> None:
    vocabulary, ids = build(["a", "b", "c"], np.array([4, 5, 6]))
    assert vocabulary.words == ["c", "b"]
    assert ids.tolist() == [-1, 1, 0]


@pytest.mark.parametrize(
    ("limits", "line"),
    [
        (
            (3, None),
            "vocab.min_count=3 leaves 1 of 3 types, and at least 2 are needed; "
            "the most frequent type occurs 3 times",
        ),
        (
            (1, 1),
            "vocab.min_count=1, vocab.max_size=1 leaves 1 of 3 types, and at least 2 are needed; "
            "the most frequent type occurs 3 times",
        ),
        (
            (9, None),
            "vocab.min_count=9 leaves 0 of 3 types, and at least 2 are needed; "
            "the most frequent type occurs 3 times",
        ),
    ],
)
def test_too_small_a_vocabulary_is_refused(limits: tuple[int, int | None], line: str) -> None:
    with pytest.raises(InputError) as refusal:
        build(["a", "b", "c"], np.array([1, 2, 3]), *limits)
    assert str(refusal.value) == line


def test_a_vocabulary_of_nothing_is_refused() -> None:
    with pytest.raises(InputError, match=r"leaves 0 of 0 types.*occurs 0 times"):
        build([], np.zeros(0, np.int64))


# Words of one's own


@steady
@given(
    st.dictionaries(words, st.integers(1, 6), max_size=15),
    st.integers(1, 6),
    st.none() | st.integers(2, 16),
    st.none() | st.lists(words, min_size=1, max_size=4),
    st.lists(words, max_size=3),
    st.data(),
)
def test_given_and_kept_words(
    corpus: dict[str, int],
    min_count: int,
    max_size: int | None,
    given_words: list[str] | None,
    keep: list[str],
    data: st.DataObject,
) -> None:
    some = st.lists(st.sampled_from(sorted(corpus)), max_size=8) if corpus else st.just([])
    keep = keep + data.draw(some)
    if given_words is not None:
        given_words = given_words + data.draw(some)
    types, counts = list(corpus), np.array(list(corpus.values()), np.int64)
    kept = sorted(set(keep) & set(corpus), key=lambda word: (-corpus[word], word))
    others = sorted(
        (
            word
            for word in corpus
            if word not in kept
            and (corpus[word] >= min_count if given_words is None else word in given_words)
        ),
        key=lambda word: (-corpus[word], word),
    )
    if max_size is not None:
        others = others[: max(0, max_size - len(kept))]
    chosen = sorted(kept + others, key=lambda word: (-corpus[word], word))
    if max_size is not None and len(kept) > max_size:
        with pytest.raises(InputError) as refusal:
            build(types, counts, min_count, max_size, given_words, keep)
        assert str(refusal.value) == (
            f"vocab.keep: {len(kept)} words are to be kept, and vocab.max_size={max_size} "
            "has no room for them"
        )
        return
    if len(chosen) < 2:
        with pytest.raises(InputError, match="at least 2 are needed"):
            build(types, counts, min_count, max_size, given_words, keep)
        return
    vocabulary, ids = build(types, counts, min_count, max_size, given_words, keep)
    assert vocabulary.words == chosen
    assert vocabulary.counts.tolist() == [corpus[word] for word in chosen]
    assert [types[i] for i in np.argsort(ids)[(ids < 0).sum() :]] == chosen


def test_too_few_given_words() -> None:
    with pytest.raises(InputError) as refusal:
        build(["a", "b"], np.array([2, 1]), words=["a", "c"])
    assert str(refusal.value) == (
        "vocab.words leaves 1 of 2 types, and at least 2 are needed; "
        "the most frequent type occurs 2 times"
    )


def test_a_list_of_words_is_read(tmp_path: Path) -> None:
    path = tmp_path / "words.txt"
    path.write_bytes("\ufeffthe\r\nné\r\n\r\nthe\r\na b\nlast".encode())
    assert read_words(path) == ["the", "né", "a b", "last"]
    Vocabulary(["word", "the"], np.array([12, 5])).save(path)
    assert read_words(path) == ["word", "the"]
    assert digest_of(["a", "b"]) != digest_of(["b", "a"])


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "cannot be read (No such file or directory)"),
        (b"a\n\xff", "byte 2 is not UTF-8"),
        (b"\n \n", "holds no word; give one a line"),
    ],
)
def test_a_list_of_no_words(tmp_path: Path, content: bytes | None, reason: str) -> None:
    path = tmp_path / "words.txt"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError) as refusal:
        read_words(path)
    assert str(refusal.value) == f"vocab.words={path}: {reason}"


@steady
@given(st.lists(st.integers(1, 1000), min_size=1, max_size=200), st.integers(2, 50))
def test_the_frequency_curve(counts: list[int], points: int) -> None:
    ranks, falling = frequencies(np.array(counts, np.int64), points)
    ordered = sorted(counts, reverse=True)
    assert falling.tolist() == [ordered[rank - 1] for rank in ranks.tolist()]
    assert (ranks[0], ranks[-1]) == (1, len(counts))
    assert len(ranks) <= points
    assert (np.diff(ranks) > 0).all()


def test_the_frequency_curve_is_thinned_evenly() -> None:
    ranks, _ = frequencies(np.ones(100_000, np.int64), 101)
    np.testing.assert_allclose(np.diff(np.log(ranks[ranks > 1000])), np.log(10) / 20, rtol=0.02)
    assert len(frequencies(np.zeros(0, np.int64), 10)[0]) == 0


# The file


@steady
@given(st.dictionaries(words, st.integers(1, 2**62), min_size=1, max_size=10))
@example({"a\x85b": 3, "\u2028": 2, "c\r": 1, "\ufeff": 1})
def test_a_saved_vocabulary_is_read_back(corpus: dict[str, int]) -> None:
    saved = Vocabulary(list(corpus), np.array(list(corpus.values()), np.int64))
    with TemporaryDirectory() as folder:
        saved.save(Path(folder) / "vocabulary.tsv")
        loaded = Vocabulary.load(Path(folder) / "vocabulary.tsv")
    assert loaded.words == saved.words
    assert loaded.counts.tolist() == saved.counts.tolist()
    assert loaded.counts.dtype == np.int64


def test_the_file_is_a_table(tmp_path: Path) -> None:
    Vocabulary(["the", "né"], np.array([12, 5])).save(tmp_path / "vocabulary.tsv")
    content = (tmp_path / "vocabulary.tsv").read_bytes()
    assert content == "word\tcount\nthe\t12\nné\t5\n".encode()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"word\tcount\n",
        b"word\tcount\nthe 12\n",
        b"word\tcount\nthe\ttwelve\n",
        b"word\tcount\nthe\t1.5\n",
        b"word\tcount\nthe\t12\tmore\n",
        b"word\tcount\nthe\t12\n\n",
        b"word\tcount\nthe\t12\na\t3",  # cut: the count may have been 31
        b"the\t12\na\t3\n",
        b"word\tcount\n\xff\t3\n",
    ],
)
def test_what_is_no_vocabulary_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "vocabulary.tsv"
    path.write_bytes(content)
    with pytest.raises(InputError) as refusal:
        Vocabulary.load(path)
    assert str(refusal.value) == f"{path}: not a vocabulary; a line is a word, a tab, a count"
