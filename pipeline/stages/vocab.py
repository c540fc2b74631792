"""The stage ``vocab``: selects the vocabulary by the word counts of the corpus."""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.cache.store import Entry
from pipeline.config.settings import Config
from pipeline.stages.base import Context, Make, Stage, numbers
from w2v.tables import write_csv
from w2v.text import vocabulary
from w2v.text.tokens import read_types
from w2v.text.vocabulary import MAX_WORD, digest_of, read_words
from w2v.vectors import VOCABULARY

IDS = "ids.npy"
"""The file with the word id of each type (distinct token); -1 if not in the vocabulary."""

FREQUENCIES = "frequencies.csv"

POINTS = 1000
"""About how many rows ``frequencies.csv`` has."""


class Vocab(Stage):
    """Selects the vocabulary; saves its words and the map from token ids to word ids.

    It also writes ``frequencies.csv``: counts of the corpus's distinct tokens, at log-spaced ranks.
    """

    name = "vocab"
    section = "vocab"
    groups = ("vocab",)
    consumes = ("tokenize",)

    def applies(self, config: Config) -> bool:
        return config.evaluate.vectors is None

    def check(self, config: Config) -> None:
        if config.vocab.words is not None:
            read_words(Path(config.vocab.words))
        config.vocab.words_to_drop()

    def prepare(self, context: Context) -> tuple[dict[str, Any], Make]:
        settings = context.config.vocab
        words = None if settings.words is None else read_words(Path(settings.words))
        drop = settings.words_to_drop()
        files = {"words": words and digest_of(words), "drop": digest_of(drop)}
        corpus = context.entries["tokenize"].path
        key = {"vocab": {**asdict(settings), **files}}

        def make(out: Path) -> dict[str, Any]:
            types, counts = read_types(corpus)
            chosen, ids = vocabulary.choose(types, counts, settings, words, drop)
            chosen.save(out / VOCABULARY)
            np.save(out / IDS, ids)
            ranks, falling = vocabulary.frequencies(counts, POINTS)
            write_csv(out / FREQUENCIES, ("rank", "count"), zip(ranks, falling, strict=True))
            wanted = [*(words or ()), *settings.keep]
            return vocabulary.coverage(types, counts, chosen, wanted, drop)

        return key, make

    def guess(
        self,
        context: Context,
        facts: dict[str, Any],
        ratio: float,  # noqa: ARG002
    ) -> dict[str, Any]:
        tokens = context.entries["tokenize"].facts.get("tokens", 0)
        share = tokens / (facts["tokens_kept"] + facts["tokens_dropped"])
        kept = int(facts["tokens_kept"] * share)
        return {"size": facts["size"], "tokens_kept": kept} if kept else {}

    def describe(self, facts: Mapping[str, Any]) -> str:
        share = facts["tokens_kept"] / (facts["tokens_kept"] + facts["tokens_dropped"])
        missing = facts.get("missing", 0)
        lost = f"; {missing} wanted words are not among them" if missing else ""
        if "too_long" in facts:
            lost += f"; {facts['too_long']:,} left out with more than {MAX_WORD:,} characters"
        if facts.get("words_to_drop_found") == 0:
            lost += "; none of the words to drop occurs"
        return f"{facts['size']:,} words, {share:.1%} of the tokens{lost}"

    def record(self, context: Context, entry: Entry) -> None:
        context.tracker.scores(numbers("vocab", entry.facts), 0)
        context.tracker.files([entry.path / FREQUENCIES], "tables")
