"""Read the film reviews of IMDB (Large Movie Review Dataset) from their archive."""

import gzip
import html
import re
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast

from w2v.errors import InputError
from w2v.limits import some_of
from w2v.settings import setting
from w2v.text.corpora.archive import ArchiveCorpus, blocks, decode

SPLITS = ("train", "test", "unsup")
"""The parts of the Large Movie Review Dataset."""

REVIEW = re.compile(r"(?:\./)?aclImdb/(train|test)/(pos|neg|unsup)/\d+_\d+\.txt")
LINE_BREAK = re.compile(r"<br\s*/?>", re.IGNORECASE)
HTML_ENTITY = re.compile(r"&(?:#\d+|#[xX][\da-fA-F]+|\w+);")


def read_imdb(path: Path, splits: tuple[str, ...]) -> Iterator[str]:
    """Yield the reviews in ``aclImdb_v1.tar.gz`` as plain text, one per document.

    HTML line breaks become spaces, and HTML entities become characters.

    Parameters
    ----------
    path
        The archive.
    splits
        The parts to read: ``train`` and ``test`` have 25,000 labeled reviews each. ``unsup`` has
        50,000 unlabeled reviews, which the archive keeps in the folder ``train``.

    Raises
    ------
    InputError
        The archive holds no review, or a review is not UTF-8.
    """
    found = False
    with cast(IO[bytes], gzip.open(path)) as unpacked:
        # "r|" reads a stream, without seeking.
        with tarfile.open(fileobj=unpacked, mode="r|") as archive:
            while (member := archive.next()) is not None:
                # tarfile keeps every member it has read: 100,000 here. Its stubs lack the list.
                archive.members.clear()  # type: ignore[attr-defined]
                match = REVIEW.fullmatch(member.name)
                if match is None or not member.isreg():
                    continue
                found = True
                split = "unsup" if match[2] == "unsup" else match[1]
                file = archive.extractfile(member) if split in splits else None
                if file is not None:
                    text = decode(file.read(), f"{path}: {member.name}")
                    text = LINE_BREAK.sub(" ", text)
                    yield HTML_ENTITY.sub(lambda entity: html.unescape(entity[0]), text)
        for _ in blocks(unpacked):
            pass  # gzip compares its checksum only at the end of the file
    if not found:
        raise InputError(f"{path}: no review is in it; it must be aclImdb_v1.tar.gz")


@dataclass(frozen=True, kw_only=True)
class ImdbCorpus(ArchiveCorpus):
    """Settings of the corpus IMDB, the Large Movie Review Dataset of 100,000 reviews."""

    name = "imdb"

    splits: list[str] = setting("the parts to read", some_of(SPLITS, least=1), [*SPLITS])

    def read(self, path: Path) -> Iterator[str]:
        """Yield the reviews in the archive at `path`, one per document; see `read_imdb`."""
        return read_imdb(path, tuple(self.splits))

    def read_settings(self) -> dict[str, object]:
        """Return the setting ``splits``, the parts of the data set that are read, in a dict.

        It is part of the fingerprint by which the pipeline recognizes a text that it has cached.
        """
        return {"splits": sorted(self.splits)}
