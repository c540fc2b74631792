"""Text to token ids."""

import csv
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from w2v.text.corpus import write_corpus
from w2v.text.phrases import Joined, Phrase, Phrases, join_phrases
from w2v.text.sources import Source
from w2v.text.tokenizer import Tokenizer

PHRASES = "phrases.csv"


def tokenize(
    out: Path,
    source: Source,
    tokenizer: Tokenizer,
    limit: int | None,
    workers: int,
    progress: Callable[[int, int, float | None], None],
    phrases: Phrases,
    joining: Callable[[int, float], None],
) -> dict[str, Any]:
    """Write a corpus folder (see `w2v.text.tokens`); returns its size as facts.

    Where phrases are wanted, their words are joined and ``phrases.csv`` lists them.
    """
    size = write_corpus(out, source, tokenizer, limit, workers, progress)
    facts = asdict(size)
    if phrases.passes:
        joined = join_phrases(out, phrases, joining)
        write_phrases(out / PHRASES, joined)
        facts |= {
            "tokens": joined.tokens,
            "types": joined.types,
            "phrases": len({phrase.phrase for phrase in joined.phrases if phrase.joined}),
            "tokens_joined": size.tokens - joined.tokens,
        }
    return facts


def write_phrases(path: Path, joined: Joined) -> None:
    """Write the table of phrases: by pass, the highest scores first."""
    with path.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(["pass", *Phrase._fields[1:]])
        table.writerows(joined.phrases)
