"""Read the sentences of the Stanford Sentiment Treebank from its archive."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from w2v.compression import open_binary
from w2v.text.corpora.archive import ArchiveCorpus, Open, decode, open_member
from w2v.text.remote import open_decompressed


def read_sst(path: Path, open: Open = open_binary) -> Iterator[str]:
    """Yield the sentences of the Stanford Sentiment Treebank, except blank ones.

    Parameters
    ----------
    path
        ``stanfordSentimentTreebank.zip``, the ``datasetSentences.txt`` from it, or a text file with
        one sentence per line.
    open
        A function that takes a path and returns an open file of the decompressed bytes. It opens
        `path`; it is not used if `path` is a zip archive.

    Raises
    ------
    InputError
        The text is not UTF-8, or the zip archive does not hold one ``datasetSentences.txt``.
    """
    with open_member(path, "datasetSentences.txt", open) as file:
        lines = (
            decode(line, f"{path}: line {number}").strip("\r\n")
            for number, line in enumerate(file, start=1)
        )
        first = next(lines, "").removeprefix("\ufeff")
        is_table = first == "sentence_index\tsentence"
        for text in lines if is_table else chain([first], lines):
            sentence = text.partition("\t")[2] if is_table else text
            if sentence.strip():
                yield sentence


@dataclass(frozen=True, kw_only=True)
class SstCorpus(ArchiveCorpus):
    """The settings of the corpus SST, the Stanford Sentiment Treebank."""

    name = "sst"

    def read(self, path: Path) -> Iterator[str]:
        """Yield the sentences of the archive at `path`; see `read_sst`."""
        return read_sst(path, open_decompressed)
