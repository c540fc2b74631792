"""Test `w2v.files`: files are written completely or not at all, and have checksums."""

from pathlib import Path

import numpy as np
import pytest

from w2v.evaluate import load_analogies, load_pairs
from w2v.files import written_aside
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
