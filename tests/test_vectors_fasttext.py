"""Test fastText's binary format: a file by fastText itself, and files built from its layout.

``fasttext/skipgram.bin`` was made once by the package fasttext-wheel 0.9.2::

    fasttext.train_unsupervised("t.txt", model="skipgram", dim=4, bucket=50, minn=2, maxn=4,
                                minCount=1, epoch=3, thread=1).save_model("skipgram.bin")

The file t.txt had 200 random lines of ten words each, from twelve words. ``fasttext/vectors.json``
has what fastText's ``get_word_vector`` returned, for these words and for unknown ones. The bytes of
the binary file are:

====  =====  ==============================================================================
from  bytes  what
====  =====  ==============================================================================
0     8      magic 0x2f4f16ba, version 12
8     48     dim 4, ws 5, epoch 3, minCount 1, neg 5, wordNgrams 1, loss 2, model 2,
             bucket 50, minn 2, maxn 4, lrUpdateRate 100, each int32
56    8      t 0.0001, float64
64    28     size 13, nwords 13, nlabels 0 (int32); ntokens 2200, pruned -1 (int64)
92    185    13 entries: the word and a NUL, its count (int64), its kind 0 (int8)
277   17     0: not quantized (int8); 63 rows, 4 columns (int64)
294   1008   the input matrix: 13 words, then 50 n-grams, float32
1302  17     0: not quantized (int8); 13 rows, 4 columns (int64)
1319  208    the output matrix
====  =====  ==============================================================================
"""

import bz2
import gzip
import json
import lzma
import struct
import warnings
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
from gensim.models.fasttext import load_facebook_vectors
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tests.test_fuzz import assert_one_line
from w2v import InputError, WordVectors
from w2v.evaluate import Pair, similarity
from w2v.vectors.ngrams import Subwords, ngram_hashes

HERE = Path(__file__).parent / "fasttext"
REAL = (HERE / "skipgram.bin").read_bytes()
EXPECTED: dict[str, list[float]] = json.loads((HERE / "vectors.json").read_text("utf-8"))


# The slow oracle, from the published layout.


def ngrams(word: str, shortest: int, longest: int) -> list[str]:
    whole = f"<{word}>"
    return [
        whole[start : start + size]
        for start in range(len(whole))
        for size in range(shortest, longest + 1)
        if start + size <= len(whole)
        and not (size == 1 and start in (0, len(whole) - 1))  # a lone < or > is no n-gram
    ]


def fnv1a(text: str, encoding: str = "utf-8") -> int:
    value = 2166136261
    for byte in text.encode(encoding):
        value ^= byte if byte < 128 else byte + 0xFFFFFF00  # the byte as a signed number
        value = value * 16777619 % 2**32
    return value


def written(
    path: Path,
    words: Sequence[str],
    *,
    dim: int = 3,
    bucket: int = 7,
    lengths: tuple[int, int] = (2, 3),
    labels: Sequence[str] = (),
    version: int = 12,
    quantized: bool = False,
    seed: int = 0,
    encoding: str = "utf-8",
) -> NDArray[np.float32]:
    """Write a file in fastText's format with random matrices; return the input matrix.

    `lengths` are the lengths of the shortest and the longest n-gram, and `bucket` is the number of
    hash buckets. With `quantized`, the file says, wrongly, that the input matrix is quantized.
    """
    rows = len(words) + bucket
    random = np.random.default_rng(seed)
    matrix = random.standard_normal((rows, dim)).astype(np.float32)
    output = random.standard_normal((len(labels) or len(words), dim)).astype(np.float32)
    kind = 3 if labels else 2
    with path.open("wb") as file:
        file.write(struct.pack("<2i", 0x2F4F16BA, version))
        file.write(struct.pack("<12i", dim, 5, 1, 1, 5, 1, 2, kind, bucket, *lengths, 100))
        file.write(struct.pack("<d", 1e-4))
        size = len(words) + len(labels)
        file.write(struct.pack("<3i2q", size, len(words), len(labels), 100, -1))
        for number, word in enumerate([*words, *labels]):
            kind = int(number >= len(words))
            file.write(word.encode(encoding) + b"\0" + struct.pack("<qb", 50 - number, kind))
        file.write(struct.pack("<b2q", quantized, *matrix.shape) + matrix.tobytes())
        file.write(struct.pack("<b2q", 0, *output.shape) + output.tobytes())
    return matrix


def oracle(
    matrix: NDArray[np.float32],
    words: Sequence[str],
    word: str,
    lengths: tuple[int, int],
    encoding: str = "utf-8",
) -> NDArray[np.float64]:
    buckets = len(matrix) - len(words)
    rows = [words.index(word)] if word in words else []
    if word != "</s>" and buckets:
        rows += [len(words) + fnv1a(one, encoding) % buckets for one in ngrams(word, *lengths)]
    mean: NDArray[np.float64] = matrix[rows].astype(np.float64).mean(axis=0)
    return mean


# Reading


def test_a_file_of_fasttext_has_the_vectors_of_fasttext() -> None:
    vectors = WordVectors.load(HERE / "skipgram.bin")
    assert len(vectors) == 13
    assert vectors.words[:3] == ("</s>", "the", "cat")
    assert vectors.counts is not None
    assert vectors.counts[:3].tolist() == [200, 194, 189]
    known = [word for word in EXPECTED if word in vectors]
    assert len(known) == 13 < len(EXPECTED)
    for word, vector in EXPECTED.items():
        np.testing.assert_allclose(vectors[word], vector, rtol=0, atol=1e-6)


@pytest.mark.parametrize("lengths", [(2, 3), (1, 2), (3, 6), (4, 4), (1, 50)])
def test_vectors_equal_the_oracle_and_gensim(tmp_path: Path, lengths: tuple[int, int]) -> None:
    words = ["</s>", "the", "naïve", "日本", "a", "𝒳𝒴𝒵𝒳", "<a>", "aaaaaa"]
    matrix = written(tmp_path / "m.bin", words, lengths=lengths)
    vectors = WordVectors.load(tmp_path / "m.bin")
    gensim = load_facebook_vectors(str(tmp_path / "m.bin"))
    assert vectors.words == tuple(words)
    for word in [*words, "unseen", "日本語", "é", "b"]:
        if word in words or ngrams(word, *lengths):
            wanted = oracle(matrix, words, word, lengths)
            np.testing.assert_allclose(vectors[word], wanted, rtol=0, atol=1e-6)
        if word != "</s>" and (word in words or ngrams(word, *lengths)):  # it has n-grams there
            np.testing.assert_allclose(vectors[word], gensim[word], rtol=0, atol=1e-6)


@pytest.mark.parametrize("encoding", ["latin-1", "utf-8-sig"])
def test_ngrams_are_those_of_the_bytes_in_the_file(tmp_path: Path, encoding: str) -> None:
    words, lengths, bytes_in = ["café", "tea"], (2, 3), encoding.removesuffix("-sig")
    matrix = written(tmp_path / "m.bin", words, lengths=lengths, encoding=bytes_in)
    vectors = WordVectors.load(tmp_path / "m.bin", encoding=encoding)
    vectors.save(tmp_path / "folder")
    vectors.export(tmp_path / "new", ["fasttext"])
    folder = WordVectors.load(tmp_path / "folder")
    new = WordVectors.load(tmp_path / "new", encoding=encoding)
    for word in (*words, "cafés", "日本"):
        known = word.encode(bytes_in, "replace").decode(bytes_in)
        wanted = oracle(matrix, words, known, lengths, bytes_in)
        for found in (vectors, folder, new):
            np.testing.assert_allclose(found[word], wanted, rtol=0, atol=1e-6)


@settings(max_examples=200)
@given(st.lists(st.text(max_size=8), max_size=5), st.integers(1, 5), st.integers(0, 6))
@example(["", "é", "ab"], 1, 2)
def test_hashes_of_ngrams(words: list[str], shortest: int, longest: int) -> None:
    words = [word.encode("utf-8", "ignore").decode() for word in words]
    hashes, owners = ngram_hashes([word.encode() for word in words], shortest, longest)
    for number, word in enumerate(words):
        wanted = sorted(fnv1a(one) for one in ngrams(word, shortest, longest))
        assert sorted(hashes[owners == number].tolist()) == wanted
    assert (np.diff(owners) >= 0).all()


def test_a_model_without_ngrams_has_no_vectors_of_unknown_words(tmp_path: Path) -> None:
    matrix = written(tmp_path / "m.bin", ["a", "b"], bucket=0, lengths=(0, 0))
    vectors = WordVectors.load(tmp_path / "m.bin")
    np.testing.assert_array_equal(vectors.vectors, matrix)
    with pytest.raises(InputError, match="the word 'c' is not among the 2 words"):
        vectors["c"]


def test_labels_of_a_classifier_are_no_words(tmp_path: Path) -> None:
    labels = ["__label__x", "__label__y"]
    matrix = written(tmp_path / "m.bin", ["aa", "bb"], labels=labels)
    vectors = WordVectors.load(tmp_path / "m.bin")
    assert vectors.words == ("aa", "bb")
    wanted = oracle(matrix, ["aa", "bb"], "aa", (2, 3))
    np.testing.assert_allclose(vectors["aa"], wanted, rtol=0, atol=1e-6)
    matrix = written(tmp_path / "m.bin", ["aa", "bb"], labels=labels, version=11)
    np.testing.assert_array_equal(WordVectors.load(tmp_path / "m.bin").vectors, matrix[:2])


def test_unknown_words_can_be_asked_about() -> None:
    vectors = WordVectors.load(HERE / "skipgram.bin")
    assert "kings" not in vectors
    assert vectors.find("kings") is None
    assert len(vectors.nearest("kings", 3)) == 3
    assert vectors.similarity("kings", "kings") == pytest.approx(1.0)


def test_an_unknown_word_without_ngrams_has_no_vector() -> None:
    rows = np.random.default_rng(0).normal(size=(20, 4)).astype(np.float32)
    vectors = WordVectors(["film", "xy"], np.eye(2, 4), subwords=Subwords(rows, 5, 5))
    assert vectors["xy"].tolist() == [0, 1, 0, 0]  # a known word needs no n-grams
    line = "^the word 'xq' is not among the 2 words, and none of its n-grams has a vector$"
    asks: list[Callable[[], object]] = [
        lambda: vectors["xq"],
        lambda: vectors.nearest("xq"),
        lambda: vectors.nearest_many(["film", "xq"]),
        lambda: vectors.similarity("film", "xq"),
        lambda: vectors.odd_one_out(["film", "xy", "xq"]),
    ]
    for ask in asks:
        with pytest.raises(InputError, match=line):
            ask()
    texts = vectors.text_vectors([["film"], ["film", "xq"], ["xq"], ["film", "unseen"]])
    unseen = (vectors["film"] + vectors["unseen"]) / 2
    wanted = np.array([vectors["film"], vectors["film"], np.zeros(4), unseen])
    np.testing.assert_allclose(texts.vectors, wanted, rtol=0, atol=1e-6)
    assert texts.unknown == {"xq": 2, "unseen": 1}
    pairs = [Pair("film", "xq", 1), Pair("film", "unseen", 2)]
    assert similarity(vectors, pairs).unknown == ("xq",)
    zero = WordVectors(["film"], np.eye(1, 4), subwords=Subwords(np.zeros_like(rows), 3, 6))
    with pytest.raises(InputError, match="none of its n-grams has a vector"):
        zero.nearest("unseen")
    rows[:] = np.inf
    with pytest.raises(InputError, match=r"^the vector of 'unseen' holds NaN or an infinity$"):
        vectors.text_vectors([["unseen"]])


@pytest.mark.parametrize("opener", [gzip.open, bz2.open, lzma.open])
def test_a_compressed_model_is_read_whatever_its_name(tmp_path: Path, opener: Any) -> None:
    with opener(tmp_path / "model", "wb") as file:
        file.write(REAL)
    vectors = WordVectors.load(tmp_path / "model")
    for word, vector in EXPECTED.items():
        np.testing.assert_allclose(vectors[word], vector, rtol=0, atol=1e-6)


def test_a_zip_archive_of_one_file_is_read(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "m.zip", "w") as archive:
        archive.write(HERE / "skipgram.bin", "model.bin")
    assert len(WordVectors.load(tmp_path / "m.zip")) == 13
    with zipfile.ZipFile(tmp_path / "m.zip", "a") as archive:
        archive.writestr("other", "")
    with pytest.raises(InputError, match=r"holds 2 files \(model.bin, other\); unpack the one"):
        WordVectors.load(tmp_path / "m.zip")


def test_limit_and_words(tmp_path: Path) -> None:
    path = HERE / "skipgram.bin"
    whole = WordVectors.load(path)
    first = WordVectors.load(path, limit=3)
    assert first.words == whole.words[:3]
    np.testing.assert_array_equal(first.vectors, whole.vectors[:3])
    with pytest.warns(UserWarning, match="1 words are not in it, such as 'unseen'"):
        some = WordVectors.load(path, words=["naïve", "cat", "unseen"])
    assert some.words == ("cat", "naïve")
    np.testing.assert_array_equal(some["naïve"], whole["naïve"])
    np.testing.assert_array_equal(some["unseen"], whole["unseen"])


# Damage


@pytest.mark.parametrize("packed", [False, True])
def test_every_truncation_is_refused(tmp_path: Path, packed: bool) -> None:
    path = tmp_path / "m.bin"
    for size in range(4, len(REAL), 1 if not packed else 13):
        path.write_bytes(gzip.compress(REAL[:size], 1) if packed else REAL[:size])
        with pytest.raises(InputError, match=r"m.bin: byte \d+: the file ends early"):
            WordVectors.load(path)
    path.write_bytes(REAL + b"\0")
    with pytest.raises(InputError, match="does not end after the output matrix"):
        WordVectors.load(path)


@settings(max_examples=300)
@given(st.data())
def test_a_changed_file_is_read_or_refused(data: st.DataObject) -> None:
    damaged = bytearray(REAL)
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, 300) | st.integers(0, len(REAL) - 1))
        damaged[place] = data.draw(st.sampled_from([0, 1, 0x7F, 0x80, 0xFF]) | st.integers(0, 255))
    with TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        path = Path(folder) / "m.bin"
        path.write_bytes(damaged)
        try:
            vectors = WordVectors.load(path)
        except InputError as error:
            assert_one_line(error)
        else:
            assert np.isfinite(vectors.vectors).all()
            assert vectors.vectors.shape == (len(vectors), vectors.dimensions)


@pytest.mark.parametrize(
    ("place", "layout", "value", "message"),
    [
        (4, "<i", 13, "byte 8: version 13 of fastText's format; 11 and 12 are read"),
        (8, "<i", 0, "dim=0, bucket=50"),
        (8, "<i", 2**30, "dim=1073741824"),
        (8, "<i", 5, "the input matrix is promised as 63 x 4; 63 x 5 is needed"),
        (40, "<i", -1, "bucket=-1"),
        (40, "<i", 2**31 - 1, "the input matrix is promised as 63 x 4; 2147483660 x 4 is needed"),
        (64, "<i", 2**31 - 1, "2147483647 entries, 13 words and 0 labels are promised"),
        (68, "<i", -1, "13 entries, -1 words"),
        (84, "<q", 3, "is quantized"),
        (97, "<q", -5, "entry 1 has the count -5"),
        (105, "<b", 1, "entry 1 has the count 200 and the kind 1"),
        (277, "<b", 1, "is quantized"),
        (278, "<q", 2**62, "the input matrix is promised as 4611686018427387904 x 4"),
        (1303, "<q", 2**60, "the file ends early"),
        (1303, "<q", -1, "the output matrix is promised as -1 x 4"),
        (294, "<f", float("nan"), "the vector of '</s>' holds NaN"),
    ],
)
def test_what_no_fasttext_writes_is_refused(
    tmp_path: Path, place: int, layout: str, value: float, message: str
) -> None:
    damaged = bytearray(REAL)
    struct.pack_into(layout, damaged, place, value)
    for content in (bytes(damaged), gzip.compress(damaged)):
        (tmp_path / "m.bin").write_bytes(content)
        with pytest.raises(InputError) as refused:
            WordVectors.load(tmp_path / "m.bin")
        assert message in str(refused.value)
        assert "\n" not in str(refused.value)


def test_a_word_without_an_end_is_refused(tmp_path: Path) -> None:
    (tmp_path / "m.bin").write_bytes(REAL[:92] + b"w" * 70_000)
    with pytest.raises(InputError, match="entry 1 has more than 65,536 bytes"):
        WordVectors.load(tmp_path / "m.bin")
