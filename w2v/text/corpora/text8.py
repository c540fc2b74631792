"""Read text8, the first 100 MB of the English Wikipedia's text, from its archive."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from w2v.compression import open_binary
from w2v.errors import InputError
from w2v.limits import at_least
from w2v.settings import setting
from w2v.text.corpora.archive import ArchiveCorpus, Open, blocks, decode, open_member
from w2v.text.remote import open_decompressed

MAX_WORD_BYTES = 1 << 20
"""A file with a word of more bytes than this cannot be text8."""


def read_text8(path: Path, words: int, open: Open = open_binary) -> Iterator[str]:
    """Yield the text of text8, which is one long line, in documents of `words` words.

    The last document may have fewer words.

    Parameters
    ----------
    path
        ``text8.zip``, or the file ``text8`` from it, compressed or not.
    open
        A function that takes a path and returns an open file of the decompressed bytes. It is not
        used for a zip archive.

    Raises
    ------
    InputError
        The text is not UTF-8; the zip archive does not hold one readable ``text8``; or a word has
        more than `MAX_WORD_BYTES` bytes. (A word of less than twice this size may be accepted.)
    """
    document: list[str] = []
    rest, offset = b"", 0
    with open_member(path, "text8", open) as file:
        for block in chain(blocks(file), [b" "]):
            text, space, rest = (rest + block).rpartition(b" ")
            if len(rest) > MAX_WORD_BYTES:
                raise InputError(
                    f"{path}: no space in {MAX_WORD_BYTES} bytes; it must be the text of text8"
                )
            document += decode(text, str(path), offset).split()
            offset += len(text + space)
            full = len(document) - len(document) % words
            for first in range(0, full, words):
                yield " ".join(document[first : first + words])
            del document[:full]
    if document:
        yield " ".join(document)


@dataclass(frozen=True, kw_only=True)
class Text8Corpus(ArchiveCorpus):
    """Settings of the corpus text8: Wikipedia in lower case, 17 million words."""

    name = "text8"

    document_words: int = setting("words of a document", at_least(1), 1000)

    def read(self, path: Path) -> Iterator[str]:
        """Yield the text of the archive at `path` in documents; see `read_text8`."""
        return read_text8(path, self.document_words, open_decompressed)

    def read_settings(self) -> dict[str, object]:
        """Return the setting ``document_words``, the number of words of a document, in a dict.

        It is part of the fingerprint by which the pipeline recognizes a text that it has cached.
        """
        return {"document_words": self.document_words}
