"""Test that damaged files and random settings cause no crash.

A damaged file or a random setting is accepted, or refused with an error message of one line.
Damaged checkpoints are ignored instead.
"""

import io
import warnings
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pipeline.config import schema
from pipeline.run import line_of
from tests.test_config import composed
from w2v.errors import InputError
from w2v.text.tokenizer import Words
from w2v.text.vocabulary import Vocabulary
from w2v.training.checkpoint import Checkpoints
from w2v.training.init import given_vectors
from w2v.vectors import WordVectors


def npy(array: object) -> bytes:
    file = io.BytesIO()
    np.save(file, np.asarray(array), allow_pickle=False)
    return file.getvalue()


VALID = {
    "vectors.npy": npy(np.arange(6, dtype=np.float32).reshape(2, 3)),
    "vocabulary.tsv": b"word\tcount\nthe\t5\ncat\t3\n",
    "outside_vectors.npy": npy(np.ones((2, 3), np.float32)),
    "text.vec": b"2 3\nthe 1 2 3\ncat 4 5 6\n",
    "binary.vec": b"2 3\nthe " + bytes(range(12)) + b"\ncat " + bytes(12) + b"\n",
}


def assert_one_line(error: InputError) -> None:
    assert "\n" not in str(error)


@st.composite
def damaged(draw: st.DrawFn, name: str) -> bytes:
    """Draw a damaged version of the valid file `name`, with bytes changed, removed or added."""
    data = bytearray(VALID[name])
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, max(0, len(data) - 1)))
        match draw(st.integers(0, 4)):
            case 0:
                data[at : at + 1] = draw(st.binary(min_size=1, max_size=3))
            case 1:
                del data[at:]
            case 2:
                data[at:at] = data[:at]
            case 3:
                data[at:at] = draw(st.sampled_from([b"-1", b"9" * 30, b"1e999", b"\x00" * 9]))
            case _:
                data[at:at] = b"x" * draw(st.sampled_from([100, 70_000]))
    return bytes(data)


@settings(max_examples=100)
@given(
    st.one_of(st.binary(max_size=200), damaged("text.vec"), damaged("binary.vec")),
    st.sampled_from([None, True, False]),
)
def test_a_damaged_word2vec_file_is_read_or_refused(data: bytes, binary: bool | None) -> None:
    with TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # repeated words
        path = Path(folder) / "file.vec"
        path.write_bytes(data)
        try:
            vectors = WordVectors.load_word2vec(path, binary)
        except InputError as error:
            assert_one_line(error)
        else:
            assert vectors.vectors.shape == (len(vectors.words), vectors.dimensions)
            assert np.isfinite(vectors.vectors).all()


@settings(max_examples=100)
@given(st.data())
def test_a_damaged_folder_of_vectors_is_read_or_refused(data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(["vectors.npy", "vocabulary.tsv", "outside_vectors.npy"]))
    with TemporaryDirectory() as place:
        folder = Path(place)
        for file in ("vectors.npy", "vocabulary.tsv", "outside_vectors.npy"):
            (folder / file).write_bytes(VALID[file])
        (folder / name).write_bytes(data.draw(damaged(name)))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                vectors = given_vectors(folder)
            except InputError as error:
                assert_one_line(error)
            else:
                assert vectors.outside is not None
                assert (
                    vectors.outside.shape
                    == vectors.vectors.shape
                    == (len(vectors), vectors.dimensions)
                )
        if name == "vocabulary.tsv":
            try:
                words = Vocabulary.load(folder / name)
            except InputError as error:
                assert_one_line(error)
            else:
                assert len(words.words) == len(words.counts)


@settings(max_examples=50)
@given(st.binary(max_size=300))
def test_a_damaged_checkpoint_is_ignored(data: bytes) -> None:
    with TemporaryDirectory() as place:
        folder = Path(place) / "00000001"
        folder.mkdir()
        (folder / "state.json").write_bytes(data)
        assert Checkpoints(Path(place)).load("x") is None


@settings(max_examples=100)
@given(
    st.one_of(st.text(max_size=20), st.from_regex(r"[\[\](){}|*+?.\\^$a-c0-9-]{0,12}")),
    st.booleans(),
    st.text(max_size=60),
)
def test_any_pattern_makes_tokens_or_is_refused(pattern: str, lower: bool, text: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # FutureWarning: possible nested set
        try:
            tokenizer = Words(pattern=pattern, lowercase=lower)
        except InputError as error:
            assert_one_line(error)
            return
        tokens = tokenizer.tokens(text)
    assert all(token and token in tokenizer.fold(text) for token in tokens)


KEYS = sorted({*schema.known_keys()} | {"hydra", "hydra.run.dir", "corpus", "loss", "x", ""})


@settings(max_examples=12)
@given(
    st.lists(
        st.builds(
            "{}{}={}".format,
            st.sampled_from(["", "+", "++", "~"]),
            st.sampled_from(KEYS),
            st.one_of(
                st.text(max_size=8),
                st.integers().map(str),
                st.floats().map(str),
                st.sampled_from(["null", "???", "${x}", "${oc.env:HOME}", "[]", "{a:1}", "a,b"]),
            ),
        ),
        min_size=1,
        max_size=2,
    )
)
@example(["+="])
def test_any_setting_is_accepted_or_refused_in_one_line(overrides: list[str]) -> None:
    try:
        schema.resolve(composed(*overrides))
    except Exception as error:
        line = line_of(error, starting=False)
        assert line is not None
        assert line.strip()


@pytest.mark.parametrize("name", VALID)
def test_the_files_are_valid_before_they_are_damaged(name: str, tmp_path: Path) -> None:
    for file, data in VALID.items():
        (tmp_path / file).write_bytes(data)
    path = tmp_path / name if name.endswith(".vec") else tmp_path
    vectors = given_vectors(path)
    assert vectors.words == ("the", "cat")
