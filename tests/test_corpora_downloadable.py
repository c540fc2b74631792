"""Test corpora that are downloaded when their text is first read, or read from a local copy."""

import hashlib
import zipfile
from pathlib import Path

import pytest

from pipeline.config.settings import SstCorpus
from pipeline.corpora.downloadable import ArchiveSource
from tests.webserver import Site, serving
from w2v.errors import InputError
from w2v.hashes import FileHashes
from w2v.text.archives.sst import read_sst


def source_of(site: Site, folder: Path, path: str | None = None) -> ArchiveSource:
    sha256 = hashlib.sha256(site.content).hexdigest()
    corpus = SstCorpus(path=path, url=site.url, sha256=sha256)
    return ArchiveSource(corpus, folder, read_sst, {"kind": "a"}, lambda *_: None, FileHashes())


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
        copy = source_of(site, folder, str(tmp_path / "a.zip"))
        assert copy.fingerprint() == source.fingerprint()
        assert site.requests == 1
    assert (folder / "archive.bin").read_bytes() == content


def test_a_failed_download_and_a_missing_copy_are_one_line_each(tmp_path: Path) -> None:
    with serving(Site(b"", status=503)) as site:
        source = source_of(site, tmp_path)
        with pytest.raises(InputError) as refused:
            list(source.documents())
        assert str(refused.value) == (
            f"corpus=sst: the download failed (HTTP status 503); try again, or fetch "
            f"{site.url} to {tmp_path}/archive.bin (SHA-256 {source.corpus.sha256}), "
            "or give corpus.path"
        )
        with pytest.raises(InputError) as refused:
            source_of(site, tmp_path, "no.zip").fingerprint()
    assert str(refused.value) == "corpus.path=no.zip: no such file; see conf/corpus/sst.yaml"
