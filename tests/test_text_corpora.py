"""Test the settings of corpora: which files are read, and which settings are refused."""

import io
import os
import tarfile
from pathlib import Path
from typing import Any

import pytest
import smart_open

from pipeline.stages.tokenize import Tokenize
from w2v.errors import InputError
from w2v.text.corpora import (
    ArchiveCorpus,
    FilesCorpus,
    ImdbCorpus,
    PyDocsCorpus,
    SstCorpus,
    Text8Corpus,
)
from w2v.text.docstrings import PyDocs
from w2v.text.sources import Files


def documents(path: str | list[str], unit: str = "line") -> list[str]:
    source = FilesCorpus(path=path, unit=unit).source(Path("outputs"))
    return [text.strip() for text in source.documents()]


def write_compressed(path: Path, content: bytes) -> None:
    with smart_open.open(str(path), "wb") as file:
        file.write(content)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "b").mkdir()
    (tmp_path / "a.txt").write_text("one\ntwo\n")
    (tmp_path / "b" / "c.txt").write_text("three\n")
    write_compressed(tmp_path / "b" / "d.txt.zst", b"four\nfive\n")
    return tmp_path


def test_a_path_a_folder_a_glob_and_a_list_are_read(folder: Path) -> None:
    assert documents(str(folder / "a.txt")) == ["one", "two"]
    assert documents(str(folder)) == ["one", "two", "three", "four", "five"]
    assert documents(str(folder / "*.txt")) == ["one", "two"]
    assert documents(str(folder / "**" / "*.txt")) == ["one", "two", "three"]
    assert documents([str(folder / "b" / "d.txt.zst"), str(folder / "a.txt")]) == [
        *("four", "five", "one", "two")
    ]
    assert documents(str(folder), "file") == ["one\ntwo", "three", "four\nfive"]


@pytest.mark.parametrize("name", ["up.ZST", "C#.zst", "what?.zst"])
def test_the_suffix_of_a_local_file_says_that_it_is_compressed(folder: Path, name: str) -> None:
    (folder / "b" / "d.txt.zst").rename(folder / name)
    assert documents(str(folder / name)) == ["four", "five"]


def test_a_path_without_files_is_refused(tmp_path: Path) -> None:
    for path in (tmp_path / "no.txt", tmp_path / "*.txt", tmp_path):
        with pytest.raises(InputError) as refusal:
            documents(str(path))
        assert str(refusal.value) == (
            f"path={path}: no such file; give a path, a folder, a glob or a list"
        )
    with pytest.raises(InputError) as refusal:
        documents("x" * 300)
    assert str(refusal.value) == f"path={'x' * 300}: cannot be read (File name too long)"


def test_the_results_of_earlier_runs_are_not_read(folder: Path) -> None:
    (folder / "outputs" / "runs").mkdir(parents=True)
    (folder / "outputs" / "runs" / "run.log").write_text("log\n")
    (folder / "old" / "cache" / "tokenize").mkdir(parents=True)
    (folder / "old" / "summary.json").write_text("{}")
    (folder / ".DS_Store").write_bytes(b"\0" * 100)
    source = FilesCorpus(path=str(folder)).source(folder / "outputs")
    assert isinstance(source, Files)
    assert [text.strip() for text in source.documents()] == ["one", "two", "three", "four", "five"]
    assert Tokenize().describe(
        {"tokens": 5, "documents": 5, **source.found.skipped(), "no_files": 2}
    ) == (
        "5 tokens in 5 documents; hidden files skipped: 1; broken links, pipes and devices "
        f"skipped: 2; {folder}/old, {folder}/outputs left out"
    )


def test_a_damaged_zst_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "text.zst"
    write_compressed(path, os.urandom(5000))
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(InputError, match=r"text\.zst"):
        documents(str(path))


def test_an_unknown_scheme_is_refused() -> None:
    with pytest.raises(InputError, match=r"^foo://x/y: cannot be opened \(Unable to"):
        documents("foo://x/y")


def test_pydocs_uses_every_core() -> None:
    source = PyDocsCorpus(packages=["numpy"]).source(Path("outputs"))
    assert isinstance(source, PyDocs)
    assert source.packages == ("numpy",)
    assert source.workers >= 1


DIGEST = "0" * 64
NOWHERE = "http://127.0.0.1:9/archive.zip"


def test_each_downloadable_corpus_reads_a_copy_of_its_archive(tmp_path: Path) -> None:
    (tmp_path / "text8").write_text(" a b c d e")
    (tmp_path / "sst.txt").write_text("sentence_index\tsentence\n1\tA fine film .\n")
    with tarfile.open(tmp_path / "imdb.tar.gz", "w:gz") as archive:
        for name in ("train/pos/0_9", "train/unsup/0_0", "test/neg/0_1"):
            member = tarfile.TarInfo(f"aclImdb/{name}.txt")
            member.size = len(name)
            archive.addfile(member, io.BytesIO(name.encode()))

    def corpora(words: int, splits: list[str]) -> list[ArchiveCorpus]:
        archive: Any = {"url": NOWHERE, "sha256": DIGEST}
        return [
            Text8Corpus(path=str(tmp_path / "text8"), document_words=words, **archive),
            SstCorpus(path=str(tmp_path / "sst.txt"), **archive),
            ImdbCorpus(path=str(tmp_path / "imdb.tar.gz"), splits=splits, **archive),
        ]

    sources = [corpus.source(tmp_path) for corpus in corpora(2, ["unsup", "train"])]
    assert [list(source.documents()) for source in sources] == [
        ["a b", "c d", "e"],
        ["A fine film ."],
        ["train/pos/0_9", "train/unsup/0_0"],
    ]
    others = [corpus.source(tmp_path) for corpus in corpora(3, ["train", "unsup", "test"])]
    same = [a.fingerprint() == b.fingerprint() for a, b in zip(sources, others, strict=True)]
    assert same == [False, True, False]
    reordered = corpora(2, ["train", "unsup"])[2].source(tmp_path)
    assert reordered.fingerprint() == sources[2].fingerprint()


def test_a_download_without_a_network_says_what_to_do(tmp_path: Path) -> None:
    source = Text8Corpus(url=NOWHERE, sha256=DIGEST).source(tmp_path)
    with pytest.raises(InputError) as refusal:
        next(source.documents())
    assert str(refusal.value) == (
        f"{NOWHERE}: the download failed (ConnectionError); try again, or save the file as "
        f"{tmp_path}/corpora/archive.zip (SHA-256 {DIGEST})"
    )
    with pytest.raises(InputError) as refusal:
        Text8Corpus(url=NOWHERE, sha256=DIGEST, path="no.zip").source(tmp_path)
    assert str(refusal.value) == f"path=no.zip: no such file; it must be a copy of {NOWHERE}"
