"""Tokenize documents into a corpus folder, and join phrases if requested."""

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from w2v.text.corpus import write_corpus
from w2v.text.phrases import PHRASES, Phrases, join_phrases, write_phrases
from w2v.text.sources import Source
from w2v.text.token_lists import SplitTexts, TokenLists
from w2v.text.tokenizer import Tokenizer


def tokenize(
    folder: Path,
    source: Source | TokenLists | SplitTexts,
    tokenizer: Tokenizer,
    phrases: Phrases,
    *,
    limit: int | None = None,
    workers: int = 1,
    on_read: Callable[[int, int, float | None], None] = lambda *_: None,
    on_join: Callable[[int, float], None] = lambda *_: None,
) -> dict[str, Any]:
    """Tokenize documents into a corpus folder, and join phrases if requested.

    Parameters
    ----------
    folder
        An existing folder; `w2v.text.tokens` describes the files that are written into it.
    tokenizer
        How documents are split into tokens; not applied to `TokenLists` and `SplitTexts`.
    phrases
        The settings of phrase detection. If they request phrases, the words of each phrase are
        joined into one token, and the phrases are written to ``phrases.csv`` in `folder`.
    limit
        Stop after this many documents that are not blank; None: read all.
    workers
        The number of threads, or of processes for a custom tokenizer (`Tokenizer.custom`). A short
        text is tokenized without them.
    on_read
        Called while tokenizing, with the number of documents and bytes so far, and the fraction of
        `source` that has been read, or None if unknown.
    on_join
        Called while joining phrases, with the number of the pass over the text and the fraction of
        the pass that is done.

    Returns
    -------
    dict
        The fields of `w2v.text.corpus.CorpusSize`. ``tokens`` and ``types`` are counted after
        joining. If phrases are requested, there are also ``phrases``, the number of different
        tokens that joining made, and ``tokens_joined``, by how many tokens joining made the text
        shorter.

    Raises
    ------
    InputError
        There are no documents or no tokens, a document cannot be read, a custom tokenizer fails, or
        `source` or a custom tokenizer gives something that is not a token.
    SettingError
        A table of phrases named in `phrases` cannot be read, or the corpus has too many different
        sequences of connectors, words such as "of" inside a phrase (see `join_phrases`).
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
