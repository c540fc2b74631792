"""Test `w2v.files` (atomic writes, JSON, hard links to equal files), and paths with ``~``."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from w2v.evaluate import load_analogies, load_pairs
from w2v.files import json_page, link_if_equal, written_aside
from w2v.text.sources import Files
from w2v.text.vocabulary import read_words
from w2v.training.init import given_vectors
from w2v.vectors import WordVectors, find_vectors


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


def test_the_library_finds_files_in_the_home_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    vectors = WordVectors(["a", "b"], np.eye(2, dtype=np.float32))
    vectors.save("~/run")
    vectors.save_word2vec("~/a.vec")
    assert (tmp_path / "run").is_dir()
    for path in ("~/run", "~/a.vec"):
        assert list(WordVectors.load(path).words) == ["a", "b"]
        assert list(given_vectors(path).words) == ["a", "b"]
    assert list(WordVectors.load_word2vec("~/a.vec").words) == ["a", "b"]
    assert find_vectors("~/run") == tmp_path / "run"
    (tmp_path / "a.txt").write_text(": family\nking queen man woman\n")
    assert len(load_analogies("~/a.txt")) == 1
    assert read_words("~/a.txt") == [": family", "king queen man woman"]
    files = Files(["~/a.txt"], "line")
    assert len(list(files.documents())) == 2
    assert (len(files.stamps()), len(files.fingerprint())) == (1, 2)
    (tmp_path / "p.tsv").write_text("king\tqueen\t7\n")
    assert len(load_pairs("~/p.tsv")) == 1


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.sampled_from('a[]{}\n ",:'), max_size=6),
    lambda inner: (
        st.lists(inner, max_size=12)
        | st.dictionaries(st.text(st.sampled_from('a[]{}\n "'), max_size=4), inner, max_size=12)
    ),
    max_leaves=30,
)


@given(JSON)
def test_a_page_of_json_holds_the_value(value: Any) -> None:
    assert json.loads(json_page(value)) == value


def test_short_lists_are_on_one_line() -> None:
    long = [0.123456789] * 10
    page = json_page({"a": [1, "b c", None], "d": {"e": 1}, "f": [[2, 3], []], "long": long})
    assert page.split("\n")[:7] == [
        *("{", ' "a": [1, "b c", null],', ' "d": {"e": 1},', ' "f": [', "  [2, 3],", "  []", " ],")
    ]
    assert page.count("0.123456789\n") == 1  # longer than a line, so an entry per line


def test_equal_files_become_one_and_others_stay(tmp_path: Path) -> None:
    ours, other = tmp_path / "ours", tmp_path / "other"
    other.write_text("a")
    assert not link_if_equal(ours, other)
    ours.write_text("a")
    assert link_if_equal(ours, other)
    assert other.samefile(ours)
    other.unlink()
    other.write_text("b")
    assert not link_if_equal(ours, other)
    assert (ours.read_text(), other.read_text()) == ("a", "b")
