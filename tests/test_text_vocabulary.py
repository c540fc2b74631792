"""Test the vocabulary: its words and their order, its file, and invalid settings."""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from w2v.errors import InputError
from w2v.files import read_vocabulary, write_vocabulary
from w2v.settings import SettingError
from w2v.text.vocabulary import (
    Vocabulary,
    VocabularySettings,
    build,
    coverage,
    digest_of,
    frequencies,
    read_words,
)

steady = settings(derandomize=True, deadline=None, max_examples=50)

# Characters of tokens, and those at which only Python's splitlines ends a line.
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
def test_words_are_sorted_by_falling_count_then_by_word(
    corpus: dict[str, int], min_count: int, max_size: int | None
) -> None:
    types, counts = list(corpus), np.array(list(corpus.values()), np.int64)
    frequent = [word for word in corpus if corpus[word] >= min_count]
    chosen = sorted(frequent, key=lambda word: (-corpus[word], word))[:max_size]
    if len(chosen) < 2:
        with pytest.raises(InputError, match="leaves at least 2 of"):
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
    ("settings", "line"),
    [
        (
            {"min_count": 3},
            "min_count=3: must be a count that leaves at least 2 of 3 types, not 1; "
            "the most frequent type occurs 3 times",
        ),
        (
            {"min_count": 9},
            "min_count=9: must be a count that leaves at least 2 of 3 types, not 0; "
            "the most frequent type occurs 3 times",
        ),
        (
            {"words": ["a", "d"]},
            "words=(2 words: 'a', 'd'): must be a list that leaves at least 2 of 3 types, not 1; "
            "the most frequent type, 'c', occurs 3 times",
        ),
        (
            {"min_count": 1, "drop": ["a", "b", "x"]},
            "drop=(3 words): must be a list that leaves at least 2 of 3 types, not 1; "
            "the most frequent type occurs 3 times",
        ),
        (
            {"min_count": 1, "max_share": 0.2},
            "max_share=0.2: must be a share that leaves at least 2 of 3 types, not 1; "
            "the most frequent type occurs 3 times",
        ),
        ({"max_size": 1}, "max_size=1: must be at least 2 (0 words are to be kept)"),
        (
            {"max_size": 2, "keep": ["a", "b", "c", "d"]},
            "max_size=2: must be at least 3 (3 words are to be kept)",
        ),
    ],
)
def test_a_vocabulary_that_is_too_small_is_refused(settings: dict[str, Any], line: str) -> None:
    with pytest.raises(SettingError) as refusal:
        build(["a", "b", "c"], np.array([1, 2, 3]), **settings)
    assert str(refusal.value) == line
    assert refusal.value.owner is VocabularySettings


def test_a_corpus_without_types_is_refused() -> None:
    with pytest.raises(SettingError, match=r"at least 2 of 0 types, not 0.*occurs 0 times"):
        build([], np.zeros(0, np.int64))


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"min_count": 0}, "min_count=0: must be at least 1"),
        ({"min_count": 10**310}, f"min_count={10**310}: must be at least 1"),
        ({"max_size": 1}, "max_size=1: must be at least 2 or null"),
        ({"words": " "}, "words=' ': must be a path or null"),
        ({"keep": ["a", "a"]}, "keep=['a', 'a']: must be different words"),
        ({"keep": ["a", ""]}, "keep=['a', '']: must be different words"),
        ({"drop": ["a", ""]}, "drop=['a', '']: must be a file or a list of words"),
        ({"drop": ["a", 3]}, "drop=['a', 3]: must be a file or a list of words"),
        ({"drop": " "}, "drop=' ': must be a file or a list of words"),
        ({"drop": 3}, "drop=3: must be a file or a list of words"),
        ({"max_share": 0.0}, "max_share=0.0: must be above 0 and below 1 or null"),
        ({"max_share": 1.0}, "max_share=1.0: must be above 0 and below 1 or null"),
    ],
)
def test_wrong_settings_are_refused(change: dict[str, Any], line: str) -> None:
    with pytest.raises(SettingError) as refusal:
        VocabularySettings(**change)
    assert str(refusal.value) == line


# Words from a list


@steady
@given(
    st.dictionaries(words, st.integers(1, 6), max_size=15),
    st.integers(1, 6),
    st.none() | st.integers(2, 16),
    st.none() | st.lists(words, min_size=1, max_size=4),
    st.lists(words, max_size=3),
    st.data(),
)
def test_words_from_a_list_and_words_to_keep(
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
        with pytest.raises(InputError, match=rf"at least {len(kept)} \({len(kept)} words are"):
            build(types, counts, min_count, max_size, given_words, keep)
        return
    if len(chosen) < 2:
        with pytest.raises(InputError, match="leaves at least 2 of"):
            build(types, counts, min_count, max_size, given_words, keep)
        return
    vocabulary, ids = build(types, counts, min_count, max_size, given_words, keep)
    assert vocabulary.words == chosen
    assert vocabulary.counts.tolist() == [corpus[word] for word in chosen]
    assert [types[i] for i in np.argsort(ids)[(ids < 0).sum() :]] == chosen


def test_a_list_of_words_is_read(tmp_path: Path) -> None:
    path = tmp_path / "words.txt"
    path.write_bytes("\ufeffthe\r\nné\r\n\r\nthe\r\na b\nlast".encode())
    assert read_words(path) == ["the", "né", "a b", "last"]
    Vocabulary(["word", "the"], np.array([12, 5])).save(path)
    assert read_words(path) == ["word", "the"]
    write_vocabulary(tmp_path / "vocabulary.tsv", ["a", "word", "b"])
    assert read_words(tmp_path / "vocabulary.tsv") == ["a", "word", "b"]
    assert digest_of(["a", "b"]) != digest_of(["b", "a"])


@pytest.mark.parametrize(
    "content",
    [
        "the 100\n2000 7\n3D\n",
        "the\t100\t0.5\n2000\t7\t1e-3\n3D\t1\t1\n",
        "word count\nthe  100\n2000 7\n3D 1\n",
        "the,100\n2000, 7\n3D,1\n",
        'word,count\r\n"the",100\r\n2000,7\r\n"3D",1\r\n',
        "    100 the\n      7 2000\n      1 3D\n",
        "100\tthe\n7\t2000\n1\t3D\n",
    ],
)
def test_counts_in_a_list_of_words_are_skipped(tmp_path: Path, content: str) -> None:
    path = tmp_path / "words.txt"
    path.write_text(content)
    assert read_words(path) == ["the", "2000", "3D"]


def test_a_comma_may_be_part_of_a_word(tmp_path: Path) -> None:
    path = tmp_path / "words.txt"
    path.write_text("1,000\nthe\nword 12\n")
    assert read_words(path) == ["1,000", "the", "word"]
    path.write_text("word 500\nthe 12\n")
    assert read_words(path) == ["word", "the"]


TYPES, COUNTS = ["the", "cat", "of", "x" * 1001, "rare"], np.array([50, 30, 10, 6, 4])


@pytest.mark.parametrize(
    ("choice", "words"),
    [
        ({}, ["the", "cat", "of"]),
        ({"drop": ["of", "dog"]}, ["the", "cat"]),
        ({"max_share": 0.4}, ["cat", "of"]),
        ({"max_share": 0.5}, ["the", "cat", "of"]),
        ({"max_share": 0.2, "keep": ["cat"]}, ["cat", "of"]),
        ({"drop": ["the"], "max_size": 2}, ["cat", "of"]),
        ({"words": ["the", "of", "rare"], "drop": ["the"]}, ["of", "rare"]),
        ({"words": ["the", "of", "x" * 1001], "keep": ["x" * 1001]}, ["the", "of"]),
    ],
)
def test_words_are_dropped(choice: dict[str, Any], words: list[str]) -> None:
    assert build(TYPES, COUNTS, **choice)[0].words == words


def test_lists_of_words_may_have_typographic_apostrophes() -> None:
    types, counts = ["don't", "can’t", "can't", "cat", "dog"], np.array([9, 8, 7, 6, 5])
    words = ["don’t", "can’t", "won’t"]
    assert build(types, counts, drop=words)[0].words == ["cat", "dog"]
    chosen = build(types, counts, words=words)[0]
    assert chosen.words == ["don't", "can’t", "can't"]
    facts = coverage(types, counts, chosen, wanted=words)
    assert facts["missing_words"] == ["won’t"]


def test_words_to_drop_come_from_a_list_or_a_file(tmp_path: Path) -> None:
    path = tmp_path / "stop words.txt"
    path.write_text("the 100\nof 50\n")
    assert VocabularySettings(drop=["a", "a"]).words_to_drop() == ["a", "a"]
    assert VocabularySettings(drop=str(path)).words_to_drop() == ["the", "of"]
    with pytest.raises(SettingError, match=r"drop=.*: must be a file that can be read"):
        VocabularySettings(drop="nowhere").words_to_drop()
    with pytest.raises(SettingError, match=r"must be a file that can be read \(File name too long"):
        VocabularySettings(drop="the,of,and," * 30).words_to_drop()
    with pytest.raises(SettingError, match="must be words other than those of keep; 'of' is in"):
        VocabularySettings(drop=str(path), keep=["of"]).words_to_drop()


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "a file that can be read (No such file or directory)"),
        (b"a\n\xff", "a file in UTF-8; byte 2 is not"),
        (b"\n \n", "a file with at least one word, one a line"),
    ],
)
def test_an_unusable_list_of_words_is_refused(
    tmp_path: Path, content: bytes | None, reason: str
) -> None:
    path = tmp_path / "words.txt"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(SettingError) as refusal:
        read_words(path)
    assert str(refusal.value) == f"words={path}: must be {reason}"


def test_a_folder_is_not_a_list_of_words(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="must be a file of one word a line"):
        read_words(tmp_path)


@steady
@given(st.lists(st.integers(1, 1000), min_size=1, max_size=200), st.integers(2, 50))
def test_the_frequency_curve_holds_counts_by_rank(counts: list[int], points: int) -> None:
    ranks, falling = frequencies(np.array(counts, np.int64), points)
    ordered = sorted(counts, reverse=True)
    assert falling.tolist() == [ordered[rank - 1] for rank in ranks.tolist()]
    assert (ranks[0], ranks[-1]) == (1, len(counts))
    assert len(ranks) <= points
    assert (np.diff(ranks) > 0).all()


def test_the_ranks_are_evenly_spaced_on_a_logarithmic_axis() -> None:
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


def test_the_file_has_a_header_and_tabs(tmp_path: Path) -> None:
    Vocabulary(["the", "né"], np.array([12, 5])).save(tmp_path / "vocabulary.tsv")
    content = (tmp_path / "vocabulary.tsv").read_bytes()
    assert content == "word\tcount\nthe\t12\nné\t5\n".encode()


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "cannot be read (No such file or directory)"),
        (b"", "the first line must be"),
        (b"the\t12\na\t3\n", "the first line must be"),
        (b"word\tcount\nthe\t12\na\t3", "every line must end"),  # the count may have been 31
        (b"word\tcount\n\xff\t3\n", "byte 11 is not UTF-8"),
        (b"word\tcount\nthe 12\n", "line 2 is 'the 12'"),
        (b"word\tcount\nthe\ttwelve\n", "line 2"),
        (b"word\tcount\nthe\t1.5\n", "line 2"),
        (b"word\tcount\nthe\t-1\n", "line 2"),
        (b"word\tcount\nthe\t9999999999999999999\n", "line 2"),
        (b"word\tcount\nthe\t12\tmore\n", "line 2"),
        (b"word\tcount\nthe\t12\n\n", "line 3 is ''"),
        (b"word\tcount\n\t12\n", "line 2"),
        (b"word\tcount\n", "no words with counts"),
        (b"word\nthe\n", "no words with counts"),
    ],
)
def test_a_damaged_vocabulary_file_is_refused(
    tmp_path: Path, content: bytes | None, reason: str
) -> None:
    path = tmp_path / "vocabulary.tsv"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError) as refusal:
        Vocabulary.load(path)
    assert str(refusal.value).startswith(f"{path}: ")
    assert reason in str(refusal.value)


def test_a_vocabulary_file_may_lack_counts(tmp_path: Path) -> None:
    path = tmp_path / "vocabulary.tsv"
    write_vocabulary(path, ["the", "né"])
    assert path.read_bytes() == "word\nthe\nné\n".encode()
    assert read_vocabulary(path) == (["the", "né"], None)
