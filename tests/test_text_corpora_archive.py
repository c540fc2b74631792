"""Test archives that are downloaded when their text is first read, or read from a local copy."""

import hashlib
import zipfile
from pathlib import Path

import numpy as np
import pytest
import smart_open

from tests.webserver import Site, serving
from w2v.errors import InputError
from w2v.hashes import FileHashes
from w2v.text.corpora.archive import ArchiveSource
from w2v.text.corpora.sst import SstCorpus, read_sst
from w2v.text.corpora.text8 import Text8Corpus

URL = "https://example.org/archive.zip"


def source_of(site: Site, folder: Path) -> ArchiveSource:
    sha256 = hashlib.sha256(site.content).hexdigest()
    path = folder / "archive.bin"
    return ArchiveSource(path, read_sst, {"kind": "a"}, FileHashes(), site.url, sha256)


def test_an_archive_is_downloaded_when_its_documents_are_read(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("x/datasetSentences.txt", "A fine film .\nEffective\n")
    content = (tmp_path / "a.zip").read_bytes()
    folder = tmp_path / "corpora"
    with serving(Site(content)) as site:
        source = source_of(site, folder)
        assert source.fingerprint() == {"sha256": hashlib.sha256(content).hexdigest(), "kind": "a"}
        assert site.requests == 0
        assert list(source.documents()) == ["A fine film .", "Effective"]
        assert site.requests == 1
    copy = ArchiveSource(tmp_path / "a.zip", read_sst, {"kind": "a"}, FileHashes())
    assert copy.fingerprint() == source.fingerprint()
    assert (folder / "archive.bin").read_bytes() == content


def test_a_failed_download_is_one_line(tmp_path: Path) -> None:
    with serving(Site(b"", status=503)) as site:
        source = source_of(site, tmp_path)
        with pytest.raises(InputError) as refused:
            list(source.documents())
    assert str(refused.value) == (
        f"{site.url}: the download failed (HTTP status 503); try again, or save the file as "
        f"{tmp_path}/archive.bin (SHA-256 {source.sha256})"
    )


def test_an_archive_that_cannot_be_read_is_one_line(tmp_path: Path) -> None:
    copy = ArchiveSource(tmp_path, read_sst, {}, FileHashes())  # a folder
    for read in (copy.fingerprint, lambda: list(copy.documents())):
        with pytest.raises(InputError, match=f"^{tmp_path}: cannot be read ") as refused:
            read()
        assert "\n" not in str(refused.value)


def test_a_damaged_copy_packed_by_zstandard_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "text8.zst"
    with smart_open.open(str(path), "wb") as file:
        file.write(np.random.default_rng(0).bytes(1 << 19).hex().encode())
    content = bytearray(path.read_bytes())
    content[1000:] = b"\xff" * (len(content) - 1000)
    path.write_bytes(content)
    with pytest.raises(InputError, match=f"^{path}: cannot be read ") as refused:
        list(Text8Corpus(path=str(path), url=URL, sha256="0" * 64).source(tmp_path).documents())
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("name", ["none.zip", "x" * 300])
def test_a_copy_that_does_not_exist_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError) as refused:
        SstCorpus(path=name, url=URL, sha256="0" * 64).source(tmp_path)
    assert str(refused.value) == f"path={name}: no such file; it must be a copy of {URL}"


def test_a_copy_may_be_in_the_home_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "copy.txt").write_text("A fine film .\nEffective\n")
    source = SstCorpus(path="~/copy.txt", url=URL, sha256="0" * 64).source(tmp_path)
    assert list(source.documents()) == ["A fine film .", "Effective"]
