"""Files of other tools: with and without a header, and those that are named and refused."""

import warnings
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from w2v.errors import InputError
from w2v.vectors import WordVectors


def written(tmp_path: Path, content: bytes) -> Path:
    (tmp_path / "file").write_bytes(content)
    return tmp_path / "file"


def test_gloves_text_has_no_header(tmp_path: Path) -> None:
    path = written(tmp_path, b"the 0.1 -2e-3\n, 3 4\n")
    for header in (None, False):
        vectors = WordVectors.load_word2vec(path, header=header)
        assert vectors.words == ("the", ",")
        assert vectors.vectors.tolist() == np.array([[0.1, -2e-3], [3, 4]], np.float32).tolist()
    with pytest.raises(InputError, match="byte 0: the header is b'the 0"):
        WordVectors.load_word2vec(path)


def test_gloves_words_may_hold_spaces(tmp_path: Path) -> None:
    path = written(tmp_path, b"a 1 2\n. . . 3 4\nat name@domain.com 5 6\n1 2 7 8\n")
    vectors = WordVectors.load_word2vec(path, header=None)
    assert vectors.words == ("a", ". . .", "at name@domain.com", "1 2")
    assert vectors.vectors[:, 1].tolist() == [2, 4, 6, 8]


def test_fasttexts_vec_is_word2vecs_text(tmp_path: Path) -> None:
    path = written(tmp_path, b"2 3\n</s> 0.1 0.2 0.3 \nna\xc3\xafve 1 2 3 \n")
    for header in (None, True):
        assert WordVectors.load_word2vec(path, header=header).words == ("</s>", "naïve")


def test_a_header_is_told_from_a_first_word(tmp_path: Path) -> None:
    assert len(WordVectors.load_word2vec(written(tmp_path, b"1 2\n7 1 2\n"), header=None)) == 1
    found = WordVectors.load_word2vec(written(tmp_path, b"1 2 3\n7 1 2\n"), header=None)
    assert found.words == ("1", "7")
    found = WordVectors.load_word2vec(written(tmp_path, b"7 1\n8 2\n"), header=False)
    assert found.vectors.tolist() == [[1], [2]]


@pytest.mark.parametrize("binary", [False, True])
def test_gensims_files_are_told_apart(tmp_path: Path, binary: bool) -> None:
    models = pytest.importorskip("gensim.models")
    keyed = models.KeyedVectors(3)
    array = np.random.default_rng(0).standard_normal((3, 3)).astype(np.float32)
    keyed.add_vectors(["a", "é", "<unk>"], array)
    keyed.save_word2vec_format(str(tmp_path / "x"), binary=binary)
    vectors = WordVectors.load_word2vec(tmp_path / "x", header=None)
    assert vectors.words == ("a", "é", "<unk>")
    np.testing.assert_allclose(vectors.vectors, array, rtol=1e-6)
    if not binary:
        keyed.save_word2vec_format(str(tmp_path / "glove"), write_header=False)
        assert len(WordVectors.load_word2vec(tmp_path / "glove", header=None)) == 3


def test_gensims_own_file_is_refused_and_not_unpickled(tmp_path: Path) -> None:
    models = pytest.importorskip("gensim.models")
    keyed = models.KeyedVectors(3)
    keyed.add_vectors(["a"], np.ones((1, 3), np.float32))
    keyed.save(str(tmp_path / "x.kv"))
    with pytest.raises(InputError, match="is a pickle, as gensim's own save writes"):
        WordVectors.load_word2vec(tmp_path / "x.kv", header=None)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\xba\x16\x4f\x2f\x0c\0\0\0", "byte 0: is a fastText model; its .vec file"),
        (b"PK\x03\x04rest", "byte 0: is a zip archive; unpack it first"),
        (b"\x93NUMPY\x01\0", "byte 0: is an array without words"),
        (b"", "byte 0: the first line is b''; the header 'words dimensions'"),
        (b"\n\n", "byte 0: the first line is b''"),
        (b"-2 3\na 1 2 3\n", "byte 0: the first line is b'-2 3'"),
        (b"word\n", "byte 0: the first line is b'word'"),
        (b"a 1 2\nb 3\n", "byte 6: row 2 is b'b 3\\n' with 1 values; a word and 2 numbers"),
        (b"a 1 2\nb 3 x\n", "byte 6: row 2"),
        (b"a 1 2\n\nb 3 4\n", "byte 6: row 2"),
        (b"a x y\n", "byte 0: row 1"),
        (b"a 1 2\nb 1 nan\n", "the vector of 'b' holds NaN"),
        (b"w" * 70_000 + b" 1 2\n", "byte 0: row 1"),
        (b"\0\1\2\3" * 100, "byte 0: the first line"),
    ],
)
def test_what_is_not_in_these_formats_is_refused(
    tmp_path: Path, content: bytes, message: str
) -> None:
    path = written(tmp_path, content)
    with pytest.raises(InputError) as caught:
        WordVectors.load_word2vec(path, header=None)
    assert str(caught.value).startswith(f"{path}: ")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@settings(max_examples=200)
@given(content=st.binary(max_size=60) | st.text("ab01. -\n", max_size=60).map(str.encode))
def test_any_bytes_without_a_header_give_vectors_or_an_input_error(
    content: bytes, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("fuzz") / "bytes"
    path.write_bytes(content)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of words that come twice
            vectors = WordVectors.load_word2vec(path, header=None)
    except InputError:
        return
    assert np.isfinite(vectors.vectors).all()
    assert len(vectors) <= len(content)


@pytest.mark.parametrize("length", range(1, 12))
def test_cut_text_without_a_header_is_refused(tmp_path: Path, length: int) -> None:
    content = b"a 1 2\nb 3 45\n"
    path = written(tmp_path, content[:length])
    # Cut between rows, or within the last number of one, it cannot be told from a whole file.
    if length in (5, 6, 11):
        assert len(WordVectors.load_word2vec(path, header=False)) == length // 5
    elif length >= 7:
        with pytest.raises(InputError, match="byte 6: row 2"):
            WordVectors.load_word2vec(path, header=False)


def test_text_without_a_header_is_written_as_read(tmp_path: Path) -> None:
    vectors = WordVectors(["a", "é"], np.array([[1, -2.5], [1e-9, 3]]))
    vectors.save_word2vec(tmp_path / "glove.txt.gz", header=False)
    back = WordVectors.load_word2vec(tmp_path / "glove.txt.gz", header=None)
    assert back.words == vectors.words
    assert back.vectors.tobytes() == vectors.vectors.tobytes()
    with pytest.raises(InputError, match="binary files need the header"):
        vectors.save_word2vec(tmp_path / "x", binary=True, header=False)
