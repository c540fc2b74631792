"""Text to token ids."""

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from w2v.sources import Source
from w2v.tokenizer import Tokenizer
from w2v.tokens import write_corpus


def tokenize(
    out: Path,
    source: Source,
    tokenizer: Tokenizer,
    limit: int | None,
    progress: Callable[[int, int], None],
) -> dict[str, Any]:
    """Write a corpus folder (see `w2v.tokens`); the facts are its `w2v.tokens.CorpusSize`."""
    size = write_corpus(out, source.documents(), tokenizer.function(), limit, progress)
    return asdict(size)
