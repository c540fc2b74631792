"""From the settings of a corpus to documents."""

import os
from pathlib import Path

import pytest
import smart_open

from pipeline.config import FilesCorpus, PyDocsCorpus, SstCorpus
from pipeline.corpora import make_source
from w2v.errors import InputError
from w2v.sources import PyDocs


def documents(path: str | list[str], unit: str = "line") -> list[str]:
    source = make_source(FilesCorpus(None, None, path, unit), Path("outputs"))
    return [text.strip() for text in source.documents()]


def packed(path: Path, content: bytes) -> None:
    with smart_open.open(str(path), "wb") as file:
        file.write(content)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "b").mkdir()
    (tmp_path / "a.txt").write_text("one\ntwo\n")
    (tmp_path / "b" / "c.txt").write_text("three\n")
    packed(tmp_path / "b" / "d.txt.zst", b"four\nfive\n")
    return tmp_path


def test_a_path_a_folder_a_glob_a_list(folder: Path) -> None:
    assert documents(str(folder / "a.txt")) == ["one", "two"]
    assert documents(str(folder)) == ["one", "two", "three", "four", "five"]
    assert documents(str(folder / "*.txt")) == ["one", "two"]
    assert documents(str(folder / "**" / "*.txt")) == ["one", "two", "three"]
    assert documents([str(folder / "b" / "d.txt.zst"), str(folder / "a.txt")]) == [
        *("four", "five", "one", "two")
    ]
    assert documents(str(folder), "file") == ["one\ntwo", "three", "four\nfive"]


def test_nothing_there(tmp_path: Path) -> None:
    for path in (tmp_path / "no.txt", tmp_path / "*.txt", tmp_path):
        with pytest.raises(InputError) as refusal:
            documents(str(path))
        assert str(refusal.value) == (
            f"corpus.path={path}: no such file; give a path, a folder, a glob or a list"
        )


def test_a_damaged_zst_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "text.zst"
    packed(path, os.urandom(5000))
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(InputError, match=r"text\.zst"):
        documents(str(path))


def test_an_unknown_scheme_is_refused() -> None:
    with pytest.raises(InputError, match=r"corpus.path=foo://x/y: cannot be opened \(Unable to"):
        documents("foo://x/y")


def test_pydocs_uses_every_core() -> None:
    source = make_source(PyDocsCorpus(None, None, ["numpy"]), Path("outputs"))
    assert isinstance(source, PyDocs)
    assert source.packages == ("numpy",)
    assert source.workers >= 1


@pytest.mark.parametrize("header", ["", "sentence_index\tsentence\n"])
def test_the_treebank_as_lines_or_as_its_own_table(tmp_path: Path, header: str) -> None:
    rows = ["1\tA fine film .", "2\tA dull one ."] if header else ["A fine film .", "A dull one ."]
    (tmp_path / "sst.txt").write_text(header + "\n".join(rows) + "\n")
    corpus = SstCorpus(None, None, str(tmp_path / "sst.txt"), "http://127.0.0.1:9/", "0" * 64)
    source = make_source(corpus, tmp_path)
    assert [text.strip() for text in source.documents()] == ["A fine film .", "A dull one ."]


def test_the_treebank_without_a_network_says_what_to_fetch(tmp_path: Path) -> None:
    corpus = SstCorpus(None, None, None, "http://127.0.0.1:9/sst.zip", "0" * 64)
    with pytest.raises(InputError) as refusal:
        make_source(corpus, tmp_path)
    assert str(refusal.value) == (
        "corpus=sst: the download failed (ConnectionError); fetch http://127.0.0.1:9/sst.zip to "
        f"{tmp_path}/corpora/stanfordSentimentTreebank.zip (SHA-256 {'0' * 64}), "
        "or give corpus.path"
    )
