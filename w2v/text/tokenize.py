"""From documents to a corpus folder: tokens, and phrases if they are wanted."""

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from w2v.text.corpus import write_corpus
from w2v.text.phrases import PHRASES, Phrases, join_phrases, write_phrases
from w2v.text.sources import Source
from w2v.text.token_lists import TokenLists
from w2v.text.tokenizer import Tokenizer


def tokenize(
    folder: Path,
    source: Source | TokenLists,
    tokenizer: Tokenizer,
    phrases: Phrases,
    *,
    limit: int | None = None,
    workers: int = 1,
    on_read: Callable[[int, int, float | None], None] = lambda *_: None,
    on_join: Callable[[int, float], None] = lambda *_: None,
) -> dict[str, Any]:
    """Tokenize documents into a corpus folder, and join their phrases.

    Parameters
    ----------
    folder
        An existing folder; see `w2v.text.tokens` for its files.
    source, tokenizer, limit, workers, on_read
        See `w2v.text.corpus.write_corpus`, which calls the last one ``progress``.
    phrases
        If they are wanted, their words are joined and ``phrases.csv`` lists them.
    on_join
        See `w2v.text.phrases.join_phrases`.

    Returns
    -------
    dict
        The fields of `w2v.text.corpus.CorpusSize`. With phrases, ``tokens`` and ``types`` are
        those after joining, ``phrases`` is the number of different phrases, and ``tokens_joined``
        how many tokens fewer there are.

    Raises
    ------
    InputError
        See the functions above.
    """
    corpus = write_corpus(folder, source, tokenizer, limit, workers, on_read)
    facts = asdict(corpus)
    if phrases.wanted:
        joined = join_phrases(folder, phrases, on_join)
        write_phrases(folder / PHRASES, joined.phrases)
        facts |= {
            "tokens": joined.tokens,
            "types": joined.types,
            "phrases": len({phrase.phrase for phrase in joined.phrases if phrase.joined}),
            "tokens_joined": corpus.tokens - joined.tokens,
        }
    return facts
