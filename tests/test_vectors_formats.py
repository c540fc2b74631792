"""Test the file formats of vectors: what is written is read back unchanged, also by other tools."""

import csv
import gzip
import math
import struct
import tracemalloc
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from gensim.models import KeyedVectors
from hypothesis import given, settings
from hypothesis import strategies as st
from smart_open.compression import compression_wrapper

from w2v.errors import InputError
from w2v.training.init import given_files
from w2v.vectors import WordVectors, vector_files
from w2v.vectors.formats import FORMATS
from w2v.vectors.formats.file_reader import MAX_WORD

finite = st.floats(width=32, allow_nan=False, allow_infinity=False)
# Any character that a token may contain, often one that has a meaning in some format.
letters = st.one_of(
    st.sampled_from("ab0.-é世\u00a0\u2028\x85\x1c😀"),
    st.characters(exclude_characters=" \t\n\r\v\f", exclude_categories=["Cs"]),
)
tokens = st.text(letters, min_size=1, max_size=12).filter(str.strip)  # blank words are skipped


@st.composite
def word_vectors(draw: st.DrawFn) -> WordVectors:
    words = draw(st.lists(tokens, unique=True, max_size=6))
    n, dimensions = len(words), draw(st.integers(1, 5))
    values = draw(st.lists(finite, min_size=n * dimensions, max_size=n * dimensions))
    counts = draw(st.lists(st.integers(0, 10**18 - 1), min_size=n, max_size=n) | st.none())
    return WordVectors(words, np.array(values, dtype=np.float32).reshape(n, dimensions), counts)


def random_vectors(size: int = 40, dimensions: int = 7, counts: bool = True) -> WordVectors:
    array = np.random.default_rng(0).standard_normal((size, dimensions)).astype(np.float32)
    words = ["the", "naïve", "世界", '"quoted"', "it's", *(f"w{i}" for i in range(size))][:size]
    return WordVectors(words, array, np.arange(size, 0, -1) if counts else None)


def assert_same(a: WordVectors, b: WordVectors) -> None:
    assert a.words == b.words
    assert a.vectors.dtype == b.vectors.dtype == np.float32
    assert a.vectors.shape == b.vectors.shape
    # Bit for bit: -0.0 differs from 0.0.
    assert a.vectors.tobytes() == b.vectors.tobytes()


def written(tmp_path: Path, content: bytes) -> Path:
    (tmp_path / "file").write_bytes(content)
    return tmp_path / "file"


# All formats


@settings(max_examples=30)
@given(vectors=word_vectors())
def test_a_saved_folder_comes_back(
    vectors: WordVectors, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("vectors") / "deep" / "folder"
    vectors.save(folder)
    loaded = WordVectors.load(folder)
    assert_same(loaded, vectors)
    np.testing.assert_array_equal(loaded.counts, vectors.counts)


@pytest.mark.parametrize("binary", [False, True])
@pytest.mark.parametrize("recognize", [False, True])
@settings(max_examples=30)
@given(vectors=word_vectors())
def test_word2vec_files_come_back(
    binary: bool, recognize: bool, vectors: WordVectors, tmp_path_factory: pytest.TempPathFactory
) -> None:
    # A float32 whose bytes are all digits or points reads as text, so it cannot be recognized.
    path = tmp_path_factory.mktemp("word2vec") / "vectors"
    vectors.save_word2vec(path, binary=binary)
    numerals = set(b"0123456789+-.eEnaifNAIF \t\r\n")
    head = vectors.vectors[0].tobytes().partition(b"\n")[0] if len(vectors) else b""
    ambiguous = binary and head.strip() and numerals.issuperset(head)
    loaded = WordVectors.load_word2vec(path, binary=None if recognize and not ambiguous else binary)
    assert_same(loaded, vectors)


@pytest.mark.parametrize("counts", [False, True])
def test_every_exported_format_is_recognized_when_it_is_loaded(
    tmp_path: Path, counts: bool
) -> None:
    vectors = random_vectors(5, 3, counts)
    vectors.export(tmp_path / "exports", list(FORMATS))
    for name in FORMATS.keys() - {"tensorboard"}:
        assert_same(WordVectors.load(tmp_path / "exports" / FORMATS[name].name), vectors)
    loaded = WordVectors.load(tmp_path / "exports" / "vectors.parquet")
    np.testing.assert_array_equal(loaded.counts, vectors.counts)


def test_exporting_to_no_format_writes_nothing(tmp_path: Path) -> None:
    random_vectors().export(tmp_path / "exports", [])
    assert not (tmp_path / "exports").exists()


def test_only_folders_have_outside_vectors(tmp_path: Path) -> None:
    random_vectors().save_word2vec(tmp_path / "vectors.txt")
    with pytest.raises(InputError, match="has no outside vectors"):
        WordVectors.load(tmp_path / "vectors.txt", "v+u")


@pytest.mark.parametrize("path", ["missing", "."])
def test_a_missing_file_is_refused(tmp_path: Path, path: str) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        WordVectors.load_word2vec(tmp_path / path)
    with pytest.raises(InputError, match=r"no such file or folder|holds no vectors"):
        WordVectors.load(tmp_path / path)


# TensorBoard's projector


@pytest.mark.parametrize("counts", [False, True])
def test_the_files_of_the_projector_have_one_line_per_word(tmp_path: Path, counts: bool) -> None:
    vectors = random_vectors(5, 3, counts)
    vectors.save_projector(tmp_path)
    rows = [line.split("\t") for line in (tmp_path / "vectors.tsv").read_text().splitlines()]
    np.testing.assert_array_equal(np.array(rows, np.float32), vectors.vectors)
    with (tmp_path / "metadata.tsv").open(encoding="utf-8", newline="") as file:
        table = list(csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
    if counts:
        assert table[:2] == [["word", "count"], ["the", "5"]]
    assert [row[0] for row in table[counts:]] == list(vectors.words)


# Parquet


def test_pandas_reads_an_exported_parquet_file(tmp_path: Path) -> None:
    vectors = random_vectors()
    vectors.export(tmp_path, ["parquet"])
    table = pd.read_parquet(tmp_path / "vectors.parquet")
    assert table["word"].tolist() == list(vectors.words)
    np.testing.assert_array_equal(np.stack(table["vector"].tolist()), vectors.vectors)


def test_a_parquet_file_may_contain_plain_lists_and_float64(tmp_path: Path) -> None:
    table = pd.DataFrame({"word": ["a", "b"], "vector": [[1.0, 2.0], [3.0, 4.5]]})
    table.to_parquet(tmp_path / "x.parquet")
    assert WordVectors.load(tmp_path / "x.parquet")["b"].tolist() == [3.0, 4.5]


def test_blank_words_of_a_parquet_file_are_skipped(tmp_path: Path) -> None:
    table = pd.DataFrame({"word": ["a", "", "b", " "], "vector": [[1.0], [2.0], [3.0], [4.0]]})
    table.to_parquet(tmp_path / "x.parquet")
    with pytest.warns(UserWarning, match="x.parquet: 2 blank words are skipped"):
        vectors = WordVectors.load(tmp_path / "x.parquet")
    assert (vectors.words, vectors.vectors.tolist()) == (("a", "b"), [[1.0], [3.0]])


def test_a_format_to_export_is_named_or_refused(tmp_path: Path) -> None:
    random_vectors().export(tmp_path, "parquet")
    assert (tmp_path / "vectors.parquet").exists()
    with pytest.raises(InputError, match="names='glove': must be "):
        random_vectors().export(tmp_path, ["parquet", "glove"])


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"word": ["a", "b"]}, "the columns word and vector are needed"),
        ({"word": ["a", "b"], "vector": [[1.0, 2.0], [3.0]]}, "different lengths"),
        ({"word": ["a", "b", "c"], "vector": [[1.0], [2.0, 3.0], [4.0, 5.0, 6.0]]}, "different"),
        ({"word": ["a", None], "vector": [[1.0], [3.0]]}, "is missing"),
        ({"word": ["a", "b"], "vector": [[1.0], None]}, "is missing"),
        ({"word": ["a", "b"], "vector": [[1.0], [None]]}, "is missing"),
        ({"word": ["a", "b"], "vector": ["x", "y"]}, "cannot be read"),
        (
            {"word": ["a"], "count": pd.array([None], "Int64"), "vector": [[1.0]]},
            "count is missing",
        ),
        (
            {"word": ["a", "b"], "vector": [[1.0], [math.inf]]},
            "the vector of 'b' holds NaN or an inf",
        ),
    ],
)
def test_other_parquet_files_are_refused(
    tmp_path: Path, columns: dict[str, list[object]], message: str
) -> None:
    pd.DataFrame(columns).to_parquet(tmp_path / "x.parquet")
    with pytest.raises(InputError, match=message) as caught:
        WordVectors.load(tmp_path / "x.parquet")
    assert "\n" not in str(caught.value)


def test_a_damaged_parquet_file_is_refused(tmp_path: Path) -> None:
    random_vectors().export(tmp_path, ["parquet"])
    whole = (tmp_path / "vectors.parquet").read_bytes()
    for content in (b"", b"PAR1", whole[:-5], whole[20:]):
        (tmp_path / "vectors.parquet").write_bytes(content)
        with pytest.raises(InputError, match="cannot be read"):
            WordVectors.load(tmp_path / "vectors.parquet")


# word2vec, gensim and fastText


@pytest.mark.parametrize("binary", [False, True])
def test_gensim_reads_what_we_write(tmp_path: Path, binary: bool) -> None:
    vectors = random_vectors()
    vectors.save_word2vec(tmp_path / "ours", binary=binary)
    keyed = KeyedVectors.load_word2vec_format(tmp_path / "ours", binary=binary)
    assert tuple(keyed.index_to_key) == vectors.words
    np.testing.assert_array_equal(keyed.vectors, vectors.vectors)


@pytest.mark.parametrize("binary", [False, True])
@pytest.mark.parametrize("header", [None, True])
def test_we_read_what_gensim_writes(tmp_path: Path, binary: bool, header: bool | None) -> None:
    vectors = random_vectors()
    vectors.to_gensim().save_word2vec_format(str(tmp_path / "theirs"), binary=binary)
    assert_same(WordVectors.load_word2vec(tmp_path / "theirs", header=header), vectors)


def test_we_read_what_gensim_writes_without_a_header(tmp_path: Path) -> None:
    vectors = random_vectors()
    vectors.to_gensim().save_word2vec_format(str(tmp_path / "theirs"), write_header=False)
    assert_same(WordVectors.load(tmp_path / "theirs"), vectors)


def test_we_read_what_the_word2vec_tool_writes(tmp_path: Path) -> None:
    array = np.array([[0.25, -1.5], [3.0, 0.0]], np.float32)
    # The tool writes a space after each number of a text file, and a line break after each vector
    # of a binary file.
    (tmp_path / "text").write_bytes(b"2 2\n</s> 0.250000 -1.500000 \nthe 3.000000 0.000000 \n")
    (tmp_path / "binary").write_bytes(
        b"2 2\n</s> " + struct.pack("<2f", *array[0]) + b"\nthe " + struct.pack("<2f", 3, 0) + b"\n"
    )
    for name in ("text", "binary"):
        assert_same(WordVectors.load_word2vec(tmp_path / name), WordVectors(["</s>", "the"], array))


def test_we_read_what_fasttext_writes(tmp_path: Path) -> None:
    path = written(tmp_path, b"2 3\n</s> 0.1 0.2 0.3 \nna\xc3\xafve 1 2 3 \n")
    for header in (None, True):
        assert WordVectors.load_word2vec(path, header=header).words == ("</s>", "naïve")


def test_compressed_files_are_read_and_written(tmp_path: Path) -> None:
    vectors = random_vectors()
    vectors.save_word2vec(tmp_path / "vectors.bin.gz", binary=True)
    whole = (tmp_path / "vectors.bin.gz").read_bytes()
    assert gzip.decompress(whole).startswith(b"40 7\nthe ")
    assert_same(WordVectors.load_word2vec(tmp_path / "vectors.bin.gz"), vectors)
    for damaged in (whole[:-9], whole[: len(whole) // 2], b"\x1f\x8b" + b"\0" * 40, b"no gzip"):
        (tmp_path / "cut.gz").write_bytes(damaged)
        with pytest.raises(InputError):
            WordVectors.load_word2vec(tmp_path / "cut.gz")


def test_bytes_that_are_not_utf8_become_escapes(tmp_path: Path) -> None:
    path = written(tmp_path, b"2 1\nw\xe2\x82 1\nw\xe2 2\n")
    with pytest.warns(
        UserWarning, match=r"2 words are not utf-8, such as b'w\\xe2.*such as latin-1"
    ):
        vectors = WordVectors.load_word2vec(path)
    assert vectors.words == (r"w\xe2\x82", r"w\xe2")
    vectors.save(tmp_path / "again")
    assert WordVectors.load(tmp_path / "again").words == vectors.words


def test_a_file_may_have_another_encoding(tmp_path: Path) -> None:
    path = written(tmp_path, b"2 2\ncaf\xe9 1 2\nb 3 4\n")
    assert WordVectors.load(path, encoding="latin-1").words == ("café", "b")
    with pytest.raises(InputError, match="encoding=latin1000: no such encoding"):
        WordVectors.load(path, encoding="latin1000")
    with pytest.raises(InputError, match="encoding=utf-16: has characters of several bytes only"):
        WordVectors.load(path, encoding="utf-16")


@pytest.mark.parametrize(
    ("content", "words", "message"),
    [
        (b"3 2\na 1 2\n  3 4\nmy name 5 6\n", ("a", "my name"), "1 blank words are skipped"),
        (b"2 2\na 1 2\n\n 3 4\n", ("a",), "1 blank words"),  # the word is a line break
        (b"2 1\na \0\0\0\1 \0\0\0\0", ("a",), "1 blank words"),
        ("3 2\na 1 2\n\u00a0 3 4\n\u3000 3 4\n".encode(), ("a",), "2 words of white space are"),
        (b"3 1\na 1\nb 2\n", ("a", "b"), "has 2 rows, which are read; its header promises 3"),
        (
            b"3 1\na \0\0\0\0\nb \0\0\0\0\n",
            ("a", "b"),
            "has 2 rows, which are read; its header promises 3",
        ),
        (b"1 1\na 1\nb 2\n", ("a", "b"), "has 2 rows, which are read; its header promises 1"),
        (
            b"1 1\na \0\0\0\0b \0\0\0\0",
            ("a", "b"),
            "has 2 rows, which are read; its header promises 1",
        ),
        (b"2 2\na 1 2\nb 1 2 3\n", ("a", "b 1"), "1 words end in a number, such as b'b 1'"),
    ],
)
def test_rows_that_other_tools_write_are_read_with_a_warning(
    tmp_path: Path, content: bytes, words: tuple[str, ...], message: str
) -> None:
    with pytest.warns(UserWarning, match=message):
        vectors = WordVectors.load(written(tmp_path, content))
    assert vectors.words == words


@pytest.mark.parametrize("number", ["1_000", "٣"])
@pytest.mark.parametrize("header", ["2 2\n", ""])
def test_numbers_that_only_python_reads_are_refused(
    tmp_path: Path, header: str, number: str
) -> None:
    path = written(tmp_path, f"{header}a 1 2\nb {number} 4\n".encode())
    with pytest.raises(InputError, match=r"a word and 2 numbers are needed|ends in row 2"):
        WordVectors.load(path)


@pytest.mark.parametrize("row", ["a 0.5 x 1", "a 1 null 2\r", "a 1,5 2,5 3,5", "a ٣ 4 5"])
def test_text_whose_first_row_holds_no_numbers_is_not_taken_for_binary(
    tmp_path: Path, row: str
) -> None:
    path = written(tmp_path, f"2 3\n{row}\nb 1,0 2,0 3,0\n".encode())
    with pytest.raises(InputError, match=r"row 1 is .*; a word and 3 numbers are needed"):
        WordVectors.load(path)


def test_text_may_begin_with_a_mark_and_have_blank_lines(tmp_path: Path) -> None:
    for header in (b"2 2\n", b""):
        path = written(tmp_path, b"\xef\xbb\xbf" + header + b"my name 1 2\r\n\r\nb 3 4\r\n\r\n")
        vectors = WordVectors.load(path)
        assert vectors.words == ("my name", "b")
        assert vectors.vectors.tolist() == [[1, 2], [3, 4]]


def test_the_first_vector_of_a_repeated_word_is_kept(tmp_path: Path) -> None:
    path = written(tmp_path, b"3 1\na 1\nb 2\na 3\n")
    with pytest.warns(UserWarning, match="1 repeated words"):
        vectors = WordVectors.load_word2vec(path)
    assert vectors.words == ("a", "b")
    assert vectors.vectors.tolist() == [[1.0], [2.0]]


def test_a_binary_number_that_starts_with_a_line_break_is_recognized(tmp_path: Path) -> None:
    vectors = WordVectors(["a"], np.frombuffer(b"\n\0\0\0", "<f4")[None])
    vectors.save_word2vec(tmp_path / "x", binary=True)
    assert_same(WordVectors.load_word2vec(tmp_path / "x"), vectors)


def test_the_longest_word_comes_back(tmp_path: Path) -> None:
    vectors = WordVectors(["x" * MAX_WORD, "y"], np.ones((2, 3), np.float32))
    for binary in (False, True):
        vectors.save_word2vec(tmp_path / "long", binary=binary)
        assert_same(WordVectors.load_word2vec(tmp_path / "long"), vectors)


@pytest.mark.parametrize(
    "word", ["", "two words", "a\tb", "line\n", "\ud800", "x" * (MAX_WORD + 1)]
)
@pytest.mark.parametrize("binary", [False, True])
def test_a_word_the_format_cannot_hold_is_refused(tmp_path: Path, word: str, binary: bool) -> None:
    with pytest.raises(InputError, match="cannot be written"):
        WordVectors([word], np.ones((1, 1), np.float32)).save_word2vec(tmp_path / "x", binary)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", FORMATS)
def test_no_format_holds_half_of_a_surrogate_pair(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match=r"the word 'a\\ud800' cannot be written to "):
        WordVectors(["a\ud800", "b"], np.eye(2)).export(tmp_path, [name])
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


# Text without a header, as GloVe writes it


def test_text_without_a_header_is_read(tmp_path: Path) -> None:
    path = written(tmp_path, b"the 0.1 -2e-3\n, 3 4\n")
    for header in (None, False):
        vectors = WordVectors.load_word2vec(path, header=header)
        assert vectors.words == ("the", ",")
        assert vectors.vectors.tolist() == np.array([[0.1, -2e-3], [3, 4]], np.float32).tolist()
    with pytest.raises(InputError, match="byte 0: the header is b'the 0"):
        WordVectors.load_word2vec(path)


def test_words_of_glove_may_contain_spaces(tmp_path: Path) -> None:
    path = written(tmp_path, b"a 1 2\n. . . 3 4\nat name@domain.com 5 6\n1 2 7 8\n")
    with pytest.warns(UserWarning, match="1 words end in a number"):
        vectors = WordVectors.load(path)
    assert vectors.words == ("a", ". . .", "at name@domain.com", "1 2")
    assert vectors.vectors[:, 1].tolist() == [2, 4, 6, 8]


def test_a_header_is_distinguished_from_a_first_row(tmp_path: Path) -> None:
    assert len(WordVectors.load(written(tmp_path, b"1 2\n7 1 2\n"))) == 1
    assert WordVectors.load(written(tmp_path, b"1 2 3\n7 1 2\n")).words == ("1", "7")
    found = WordVectors.load_word2vec(written(tmp_path, b"7 1\n8 2\n"), header=False)
    assert found.vectors.tolist() == [[1], [2]]


def test_text_without_a_header_is_written(tmp_path: Path) -> None:
    vectors = WordVectors(["a", "é"], np.array([[1, -2.5], [1e-9, 3]]))
    vectors.save_word2vec(tmp_path / "glove.txt.gz", header=False)
    assert_same(WordVectors.load(tmp_path / "glove.txt.gz"), vectors)
    with pytest.raises(InputError, match="binary files need the header"):
        vectors.save_word2vec(tmp_path / "x", binary=True, header=False)


# Files that are damaged or of another format

DAMAGED = [
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
    (b"3 1\na 1\nb 2", 11, "the file ends in row 2; the header promises 3 rows"),
    (b"3 1\n", 4, "the file ends in row 1; the header promises 3 rows"),
    (b"1 1\na \0\0\0\0\nb \0\0\0", 16, "ends in row 2"),
    (b"999999999999999999 2\na \0\0\0\0\0\0\0\0b \0\0", 35, "ends in row 2"),
    (b"2 2\na 1 2\nb 1\n", 10, "row 2 is b'b 1\\n' with 1 values"),
    (b"2 2\na 1 2 3\nb 1 2 3\n", 20, "are there more dimensions than 2?"),
    (b"2 2\na 1 2\nb 1 x\n", 10, "row 2"),
    (b"1 1\n" + b"w" * (MAX_WORD + 1) + b" \0\0\0\0", 4, "more than"),
]


@pytest.mark.parametrize(("content", "offset", "message"), DAMAGED)
def test_damaged_files_are_refused_with_the_offset(
    tmp_path: Path, content: bytes, offset: int, message: str
) -> None:
    path = written(tmp_path, content)
    with pytest.raises(InputError) as caught:
        WordVectors.load_word2vec(path, binary=b"\0" in content)
    assert str(caught.value).startswith(f"{path}: byte {offset}: ")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\xba\x16\x4f\x2f\x0c\0\0\0", "byte 8: the file ends early; is it a whole fastText"),
        (b"PK\x03\x04rest", "cannot be read (File is not a zip file)"),
        (b"\x93NUMPY\x01\0", "byte 0: is an array without words"),
        (b"", "byte 0: the first line is b''; the header 'words dimensions'"),
        (b"\n\n", "byte 0: the first line is b''"),
        (b"-2 3\na 1 2 3\n", "byte 0: the first line is b'-2 3'"),
        (b"word\n", "byte 0: the first line is b'word'"),
        (b"a 1 2\nb 3\n", "byte 6: row 2 is b'b 3\\n' with 1 values; a word and 2 numbers"),
        (b"a 1 2\nb 3 x\n", "byte 6: row 2"),
        (b"a x y\n", "byte 0: the first line is b'a x y'"),
        (b"a 1 2\nb 1 nan\n", "the vector of 'b' holds NaN"),
        (b"w" * 70_000 + b" 1 2\n", "byte 0: row 1"),
        (b"\0\1\2\3" * 100, "byte 0: the first line"),
    ],
)
def test_other_formats_are_refused(tmp_path: Path, content: bytes, message: str) -> None:
    path = written(tmp_path, content)
    with pytest.raises(InputError) as caught:
        WordVectors.load(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_pickles_of_gensim_are_refused_and_not_unpickled(tmp_path: Path) -> None:
    random_vectors().to_gensim().save(str(tmp_path / "x.kv"))
    with pytest.raises(InputError, match=r"is a pickle, as gensim's save\(\) writes"):
        WordVectors.load(tmp_path / "x.kv")


@pytest.mark.parametrize("value", [b"nan", b"inf", b"-inf", b"1e39"])
def test_values_that_are_no_finite_float32_are_refused(tmp_path: Path, value: bytes) -> None:
    path = written(tmp_path, b"2 2\nfine 1 2\nodd 1 " + value + b"\n")
    with pytest.raises(InputError, match="'odd' holds NaN or an infinity"):
        WordVectors.load_word2vec(path)


@pytest.mark.parametrize(
    "content",
    [
        b"999999999999999999 65536\na 1\n",
        b"999999999999999999 65536\na \0\0\0\0",
        b"1 65536\n" + b"w" * 100_000,
    ],
)
@pytest.mark.parametrize("binary", [None, False, True])
def test_a_false_header_does_not_make_the_reader_allocate_memory(
    tmp_path: Path, content: bytes, binary: bool | None
) -> None:
    path = written(tmp_path, content)
    tracemalloc.start()
    try:
        with pytest.raises(InputError):
            WordVectors.load_word2vec(path, binary=binary)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 20 << 20


@pytest.mark.parametrize("binary", [False, True])
def test_truncated_files_are_refused(tmp_path: Path, binary: bool) -> None:
    vectors = WordVectors(["a", "bé", "c"], np.array([[1, 2], [-3.25, 4e-9], [5, 678.5]]))
    vectors.save_word2vec(tmp_path / "whole", binary=binary)
    whole = (tmp_path / "whole").read_bytes()
    # A truncated last number is still a number; a binary file ends in a line break.
    needed = len(whole) - (1 if binary else len("678.5\n") - 1)
    sizes = [len(word.encode()) + 10 for word in vectors.words]  # two float32 and a line break
    ends = set(np.cumsum([len("3 2\n"), *sizes])[1:].tolist())
    for length in range(needed):
        if length + 1 in ends or length in ends if binary else whole[4:length].endswith(b"\n"):
            continue  # whole rows are read, with a warning
        path = written(tmp_path, whole[:length])
        for given_binary in (None, binary):
            with pytest.raises(InputError, match=r"byte \d+: "):
                WordVectors.load_word2vec(path, binary=given_binary)


@pytest.mark.parametrize("length", range(1, 12))
def test_truncated_text_without_a_header_is_refused(tmp_path: Path, length: int) -> None:
    path = written(tmp_path, b"a 1 2\nb 3 45\n"[:length])
    # After a whole row, or inside the last number of one, the text looks complete.
    if length in (5, 6, 11):
        assert len(WordVectors.load_word2vec(path, header=False)) == length // 5
    elif length >= 7:
        with pytest.raises(InputError, match="byte 6: row 2"):
            WordVectors.load_word2vec(path, header=False)


@settings(max_examples=100)
@given(
    content=st.binary(max_size=60) | st.text("ab01. -\n", max_size=60).map(str.encode),
    prefix=st.sampled_from([b"", b"2 2\n"]),
    header=st.none() | st.booleans(),
    binary=st.none() | st.booleans(),
)
def test_any_bytes_are_read_or_refused(
    content: bytes,
    prefix: bytes,
    header: bool | None,
    binary: bool | None,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    path = tmp_path_factory.mktemp("fuzz") / "bytes"
    path.write_bytes(prefix + content)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # repeated words
            vectors = WordVectors.load_word2vec(path, binary, header=header)
    except InputError:
        return
    assert np.isfinite(vectors.vectors).all()
    assert len(vectors) <= len(prefix + content)


# Parts of a file, packed files, Spark


def saved_in_every_format(folder: Path, vectors: WordVectors) -> list[Path]:
    vectors.save(folder / "folder")
    names = [name for name in FORMATS if name != "tensorboard"]
    vectors.export(folder / "exports", names)
    return [folder / "folder", *(folder / "exports" / FORMATS[name].name for name in names)]


def test_limit_and_words_read_what_is_wanted(tmp_path: Path) -> None:
    vectors = random_vectors()
    wanted = [vectors.words[4], vectors.words[1]]
    for path in saved_in_every_format(tmp_path, vectors):
        first = WordVectors.load(path, limit=2)
        assert first.words == vectors.words[:2]
        np.testing.assert_array_equal(first.vectors, vectors.vectors[:2])
        some = WordVectors.load(path, words=wanted)
        assert some.words == (vectors.words[1], vectors.words[4])
        np.testing.assert_array_equal(some.vectors, vectors.vectors[[1, 4]])
        assert WordVectors.load(path, words=wanted, limit=1).words == (vectors.words[1],)
        for listed in (np.array(wanted), (word for word in wanted)):
            found = WordVectors.load(path, words=listed)  # type: ignore[arg-type]
            assert found.words == WordVectors.load(path, words=wanted).words
        assert len(WordVectors.load(path, limit=10**9)) == len(vectors)
        with pytest.warns(UserWarning, match="1 words are not in it, such as 'nowhere'"):
            assert len(WordVectors.load(path, words=[*wanted, "nowhere"])) == 2
        with pytest.raises(InputError, match="has none of the 1 words"):
            WordVectors.load(path, words=["nowhere"])


def text_with_repetitions(folder: Path, words: str) -> Path:
    path = folder / "text"
    path.write_text("".join(f"{word} {row} 0\n" for row, word in enumerate(words)))
    return path


def table_with_repetitions(folder: Path, words: str) -> Path:
    path = folder / "x.parquet"
    vectors = [[float(row), 0.0] for row in range(len(words))]
    pd.DataFrame({"word": list(words), "vector": vectors}).to_parquet(path)
    return path


@pytest.mark.parametrize("write", [text_with_repetitions, table_with_repetitions])
@pytest.mark.parametrize("rows", [1, 2, 3, 100])
@pytest.mark.parametrize(
    ("selection", "kept", "repeated"),
    [
        ({}, {"a": 0, "b": 2, "c": 3}, 2),
        ({"words": ["a", "b"]}, {"a": 0, "b": 2}, 1),
        ({"words": ["a", "c"]}, {"a": 0, "c": 3}, 1),
        ({"limit": 2}, {"a": 0, "b": 2}, 1),
        ({"words": ["a", "b", "c"], "limit": 2}, {"a": 0, "b": 2}, 1),
        ({"words": ["c"]}, {"c": 3}, 0),
        ({"words": ["a"]}, {"a": 0}, 0),  # reading stops before the second one
    ],
)
def test_the_first_of_repeated_words_is_kept_and_they_do_not_count_towards_a_selection(
    tmp_path: Path,
    write: Callable[[Path, str], Path],
    rows: int,
    selection: dict[str, Any],
    kept: dict[str, int],
    repeated: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("w2v.vectors.formats.parquet.ROWS", rows)
    path = write(tmp_path, "aabcb")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        vectors = WordVectors.load(path, **selection)
    assert dict(zip(vectors.words, vectors.vectors[:, 0].tolist(), strict=True)) == kept
    note = f"{path}: {repeated} repeated words; the first of each is kept"
    assert [str(one.message) for one in caught] == [note] * (repeated > 0)


def test_words_of_a_parquet_file_that_are_numbers_are_found(tmp_path: Path) -> None:
    pd.DataFrame({"word": [1, 2], "vector": [[1.0], [2.0]]}).to_parquet(tmp_path / "x.parquet")
    assert WordVectors.load(tmp_path / "x.parquet", words=["2"])["2"].tolist() == [2.0]


def test_words_are_selected_as_they_are_read(tmp_path: Path) -> None:
    path = tmp_path / "text"
    path.write_bytes(b"3 1\n? 1\nb 2\nw\xe2 3\n")
    with pytest.warns(UserWarning, match="1 words are not in it"):
        assert WordVectors.load(path, words=["日", "b"], encoding="latin-1").words == ("b",)
    with pytest.warns(UserWarning, match="1 words are not utf-8"):
        assert WordVectors.load(path, words=["w\\xe2"]).words == ("w\\xe2",)


def test_a_limit_reads_no_further(tmp_path: Path) -> None:
    for name, content in (
        ("text", b"9 2\na 1 2\nb 3 4\nc damaged\n"),
        ("binary", b"9 2\na " + b"\0" * 8 + b"\nb " + b"\0" * 8 + b"\nc"),
    ):
        (tmp_path / name).write_bytes(content)
        assert WordVectors.load(tmp_path / name, limit=2).words == ("a", "b")
        assert WordVectors.load(tmp_path / name, words=["b"]).words == ("b",)
        with pytest.raises(InputError, match="row 3"):
            WordVectors.load(tmp_path / name)


def test_a_limit_keeps_a_folder_mapped(tmp_path: Path) -> None:
    vectors = random_vectors()
    vectors.save(tmp_path)
    loaded = WordVectors.load(tmp_path, limit=3).vectors
    while not isinstance(loaded, np.memmap):
        assert loaded.base is not None
        loaded = loaded.base


@pytest.mark.parametrize(
    ("settings", "line"),
    [
        ({"limit": 0}, "limit=0: must be a whole number of at least 1"),
        ({"limit": 1.5}, "limit=1.5: must be a whole number"),
        ({"limit": True}, "limit=True: must be a whole number"),
        ({"words": "cat"}, "words='cat': must be a list of words"),
        ({"words": [1]}, r"words=\[1\]: must be a list of words"),
        ({"words": []}, r"words=\[\]: must be a list of words"),
    ],
)
def test_impossible_selections_are_refused(
    settings: dict[str, Any], line: str, tmp_path: Path
) -> None:
    random_vectors().save(tmp_path)
    with pytest.raises(InputError, match=line):
        WordVectors.load(tmp_path, **settings)
    with pytest.raises(InputError, match="path=3: must be the path"):
        WordVectors.load(3)  # type: ignore[arg-type]


def test_packed_files_are_told_by_their_content(tmp_path: Path) -> None:
    vectors = random_vectors()
    vectors.save_word2vec(tmp_path / "plain.txt", header=False)
    content = (tmp_path / "plain.txt").read_bytes()
    (tmp_path / "packed.txt").write_bytes(gzip.compress(content))
    (tmp_path / "plain.gz").write_bytes(content)
    with zipfile.ZipFile(tmp_path / "glove.zip", "w") as archive:
        archive.writestr("glove.txt", content)
    with (
        (tmp_path / "packed.zst").open("wb") as raw,
        compression_wrapper(raw, "wb", ".zst") as file,
    ):
        file.write(content)
    for name in ("plain.txt", "packed.txt", "plain.gz", "glove.zip", "packed.zst"):
        loaded = WordVectors.load(tmp_path / name)
        np.testing.assert_array_equal(loaded.vectors, vectors.vectors)
    packed = (tmp_path / "packed.zst").read_bytes()
    for name in ("packed.txt", "glove.zip", "packed.zst"):
        (tmp_path / name).write_bytes((tmp_path / name).read_bytes()[:-30])
        with pytest.raises(InputError, match="cannot be read"):
            WordVectors.load(tmp_path / name)
    (tmp_path / "damaged.zst").write_bytes(packed[:30] + bytes(30) + packed[60:])
    with pytest.raises(InputError, match=r"damaged\.zst: cannot be read"):
        WordVectors.load(tmp_path / "damaged.zst")


@pytest.mark.parametrize("kinds", [[0, 0], [1, 0], [1, None]])
def test_sparse_vectors_of_spark_are_refused(tmp_path: Path, kinds: list[int | None]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    names = ["type", "size", "indices", "values"]
    types = [pa.int8(), pa.int32(), pa.list_(pa.int32()), pa.list_(pa.float64())]
    columns = [kinds, [9, 9], [[0, 5], [3, 8]], [[1.0, 2.0], [3.0, 4.0]]]
    arrays = [pa.array(one, of) for one, of in zip(columns, types, strict=True)]
    vectors = pa.StructArray.from_arrays(arrays, names)
    pq.write_table(pa.table({"word": ["a", "b"], "vector": vectors}), tmp_path / "x.parquet")
    with pytest.raises(InputError, match="a vector is sparse; write them as dense vectors"):
        WordVectors.load(tmp_path / "x.parquet")


@pytest.mark.parametrize("kind", ["list", "vector"])
def test_a_model_of_spark_is_read_from_its_parts(tmp_path: Path, kind: str) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    vectors = random_vectors()
    (tmp_path / "metadata").mkdir()
    (tmp_path / "metadata" / "part-00000").write_text('{"class":"Word2VecModel"}')
    (tmp_path / "data").mkdir()
    for part, start in enumerate(range(0, len(vectors), 4)):
        rows = vectors.vectors[start : start + 4].tolist()
        words = pa.array(vectors.words[start : start + 4])
        values = pa.array(rows, pa.list_(pa.float32()))
        if kind == "vector":  # as a data frame of getVectors() is written
            doubles = pa.array(rows, pa.list_(pa.float64()))
            size = pa.array([None] * len(rows), pa.int32())
            dense = pa.array([1] * len(rows), pa.int8())
            indices = pa.array([None] * len(rows), pa.list_(pa.int32()))
            names = ["type", "size", "indices", "values"]
            values = pa.StructArray.from_arrays([dense, size, indices, doubles], names)
        name = f"part-{part:05}-c000.snappy.parquet"
        pq.write_table(pa.table({"word": words, "vector": values}), tmp_path / "data" / name)
    (tmp_path / "data" / "_SUCCESS").touch()
    for path in (tmp_path, tmp_path / "data"):
        loaded = WordVectors.load(path)
        assert loaded.words == vectors.words
        np.testing.assert_array_equal(loaded.vectors, vectors.vectors)
    assert WordVectors.load(tmp_path, words=[vectors.words[5]]).words == (vectors.words[5],)
    assert len(vector_files(tmp_path)) == part + 1
    parts = sorted((tmp_path / "data").glob("*.parquet"))
    assert given_files(tmp_path) == parts  # what training that starts from them depends on
    parts[1].write_bytes(parts[1].read_bytes()[:-10])
    with pytest.raises(InputError, match="cannot be read"):
        WordVectors.load(tmp_path)
