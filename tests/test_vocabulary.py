"""The vocabulary: its choice and order against sorted lists, its file, and what is refused."""

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from w2v.errors import InputError
from w2v.vocabulary import Vocabulary, build

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
