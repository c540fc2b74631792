"""The corpora that users choose by name, such as ``corpus=text8``.

Each corpus is a class of settings; its method `source` returns an object that yields its documents.
"""

from w2v.text.corpora.archive import ArchiveCorpus
from w2v.text.corpora.base import Corpus
from w2v.text.corpora.files import FilesCorpus
from w2v.text.corpora.imdb import ImdbCorpus
from w2v.text.corpora.pydocs import PyDocsCorpus
from w2v.text.corpora.sst import SstCorpus
from w2v.text.corpora.text8 import Text8Corpus

CORPORA: dict[str, type[Corpus]] = {
    corpus.name: corpus
    for corpus in (PyDocsCorpus, Text8Corpus, SstCorpus, ImdbCorpus, FilesCorpus)
}
"""The corpora by name."""

__all__ = [
    "CORPORA",
    "ArchiveCorpus",
    "Corpus",
    "FilesCorpus",
    "ImdbCorpus",
    "PyDocsCorpus",
    "SstCorpus",
    "Text8Corpus",
]
