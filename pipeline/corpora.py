"""From the settings of a corpus to its source of documents."""

import glob
import io
import os
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import IO

from pipeline.config import Corpus, FilesCorpus, PyDocsCorpus, SstCorpus
from w2v import sources
from w2v.errors import InputError


def make_source(corpus: Corpus, outputs: Path) -> sources.Source:
    """The source that the settings describe; downloads, if any, are kept under ``outputs``.

    Raises
    ------
    InputError
        Nothing is found where the settings point.
    """
    match corpus:
        case PyDocsCorpus():
            return sources.PyDocs(tuple(corpus.packages), workers=os.cpu_count() or 1)
        case FilesCorpus():
            paths = expand(corpus.path if isinstance(corpus.path, list) else [corpus.path])
            return sources.Files(paths, "file" if corpus.unit == "file" else "line", open_any)
        case SstCorpus():
            return sources.Files([str(sst_file(corpus, outputs))], "line", open_sst)
        case _:
            raise TypeError(f"no source for {type(corpus).__name__}")


def expand(paths: Sequence[str]) -> list[str]:
    """The files that paths, folders, globs and addresses stand for, in a fixed order."""
    files: list[str] = []
    for path in paths:
        if "://" in path or Path(path).is_file():
            files.append(path)
        elif Path(path).is_dir():
            files += sorted(str(file) for file in Path(path).rglob("*") if file.is_file())
        else:
            matches = glob.glob(path, recursive=True)  # noqa: PTH207 (it takes absolute patterns)
            files += sorted(name for name in matches if Path(name).is_file())
    if not files:
        raise InputError(
            f"corpus.path={', '.join(paths)}: no such file; give a path, a folder, a glob or a list"
        )
    return files


def open_any(path: str) -> IO[bytes]:
    """Open a file for reading bytes, unpacked: local, or of a kind that smart_open knows."""
    if "://" not in path and not path.endswith(".zst"):
        return sources.open_binary(path)
    from smart_open import open as smart_open

    try:
        file: IO[bytes] = smart_open(path, "rb")
    # A scheme whose library is not installed, that smart_open does not know, or a bad address.
    except (ImportError, NotImplementedError, ValueError) as error:
        raise InputError(f"corpus.path={path}: cannot be opened ({error})") from None
    return file


def sst_file(corpus: SstCorpus, outputs: Path) -> Path:
    """The treebank's file: the given one, or the archive, downloaded once and checked."""
    if corpus.path is not None:
        if not Path(corpus.path).is_file():
            raise InputError(f"corpus.path={corpus.path}: no such file; see conf/corpus/sst.yaml")
        return Path(corpus.path)
    import pooch
    import requests

    pooch.get_logger().setLevel("WARNING")
    folder = outputs / "corpora"
    name = "stanfordSentimentTreebank.zip"
    try:
        return Path(pooch.retrieve(corpus.url, f"sha256:{corpus.sha256}", fname=name, path=folder))
    except (requests.RequestException, OSError, ValueError) as error:
        reason = type(error).__name__
        raise InputError(
            f"corpus=sst: the download failed ({reason}); fetch {corpus.url} to {folder / name} "
            f"(SHA-256 {corpus.sha256}), or give corpus.path"
        ) from None


def open_sst(path: str) -> IO[bytes]:
    """The sentences of the treebank, one a line, whichever form of it the path names."""
    with open_any(path) as file:
        data = file.read()
    if zipfile.is_zipfile(io.BytesIO(data)):
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            names = [n for n in archive.namelist() if n.endswith("/datasetSentences.txt")]
            if len(names) != 1:
                raise InputError(f"{path}: the archive holds no datasetSentences.txt")
            data = archive.read(names[0])
    header, _, rows = data.partition(b"\n")
    if header.strip() == b"sentence_index\tsentence":
        data = b"".join(row.partition(b"\t")[2] for row in rows.splitlines(keepends=True))
    return io.BytesIO(data)
