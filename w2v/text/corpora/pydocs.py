"""The corpus of the docstrings of installed Python packages."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from w2v.limits import Limit
from w2v.settings import setting
from w2v.text.corpora.base import Corpus
from w2v.text.docstrings import PyDocs


@dataclass(frozen=True, kw_only=True)
class PyDocsCorpus(Corpus):
    """Settings of a corpus made of the docstrings of installed Python packages."""

    name = "pydocs"

    packages: list[str] = setting(
        "their names", Limit("a list of packages", lambda v: bool(v) and all(v))
    )

    def source(self, outputs: Path, *_: Any, **__: Any) -> PyDocs:  # noqa: ARG002
        """Return an object that yields the docstrings of Python packages, one per document.

        The setting `packages` names the packages, which must be installed. The arguments, which are
        those of `Corpus.source`, are not used.
        """
        return PyDocs(tuple(self.packages), workers=os.cpu_count() or 1)
