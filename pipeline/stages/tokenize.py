"""The stage ``tokenize``: converts the text of the corpus to token ids."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipeline.cache.store import Entry
from pipeline.config.settings import Config
from pipeline.stages.base import Context, Expected, Make, Stage, numbers
from w2v.errors import InputError
from w2v.files import digest, require_disk
from w2v.settings import SettingError
from w2v.text.corpora import Corpus
from w2v.text.phrases import PHRASES, Phrases
from w2v.text.records import files_of
from w2v.text.sources import Files, size_of
from w2v.text.tokenize import tokenize
from w2v.text.tokenizer import Tokenizer

TOKEN_BYTES = 0.6
"""Estimated bytes of token ids per byte of text: 0.15 ids (fewer for long tokens), 4 bytes each."""

MAX_UNSEGMENTED = 0.05
"""If more than this share of a built-in tokenizer's tokens look like several words, show a note."""


class Tokenize(Stage):
    """Tokenizes the corpus, and writes its token ids and the types (distinct tokens) to a folder.

    With phrase detection, each phrase becomes one token, and ``phrases.csv`` lists the phrases.
    """

    name = "tokenize"
    section = "corpus"
    groups = ("tokenizer",)

    def applies(self, config: Config) -> bool:
        return config.evaluate.vectors is None

    def check(self, config: Config) -> None:
        config.tokenizer.phrases.fingerprint()
        config.corpus.source(Path(config.outputs))

    def prepare(self, context: Context) -> tuple[dict[str, Any], Make]:
        config, display = context.config, context.display
        tokenizer, phrases = config.tokenizer, config.tokenizer.phrases
        corpus: Corpus = config.corpus  # the import of `Corpus` puts all readers into `code`
        source = corpus.source(
            context.outputs, context.hashes, display.downloading, display.hashing
        )
        files = files_of(source)
        before = files.stamps() if files else []
        with display.bar("checksum"):
            content = source.fingerprint()
        joined = (phrases if phrases.wanted else Phrases()).fingerprint()
        settings = {
            "corpus": {"name": corpus.name, "limit": corpus.limit, **content},
            "tokenizer": {**tokenizer.fingerprint(), "phrases": joined},
        }

        def make(out: Path) -> dict[str, Any]:
            size = size_of(source.paths) if isinstance(source, Files) else None
            if size is not None and corpus.limit is None:
                need = {"the tokens": int(size * TOKEN_BYTES)}
                require_disk(need, context.outputs, "tokenizing")
            facts = tokenize(
                out,
                source,
                tokenizer,
                phrases,
                limit=corpus.limit,
                workers=tokenizer.workers or context.cores,
                on_read=display.reading,
                on_join=display.joining,
            )
            if files is None:
                return facts
            if changed := sorted({*before} ^ {*files.stamps()}):  # the key is of the content before
                raise InputError(
                    f"{changed[0][0]}: has changed while it was read; give the command again"
                )
            return facts | files.found.skipped()

        return settings, make

    def expect(self, context: Context, past: Mapping[str, Any] | None) -> Expected:
        size = size_of([*context.hashes.seen]) or 0
        found = super().expect(context, past)
        if past is None or not size or not past["input_bytes"]:
            return found._replace(disk=found.disk or int(size * TOKEN_BYTES))
        ratio = size / past["input_bytes"]
        return Expected(past["seconds"] * ratio, disk=int(found.disk * ratio))

    def guess(
        self,
        context: Context,  # noqa: ARG002
        facts: dict[str, Any],
        ratio: float,
    ) -> dict[str, Any]:
        return {key: int(facts[key] * ratio) for key in ("tokens", "documents") if ratio}

    def describe(self, facts: Mapping[str, Any]) -> str:
        line = f"{facts['tokens']:,} tokens in {facts['documents']:,} documents"
        line += f", {facts['phrases']:,} phrases" if "phrases" in facts else ""
        skipped = {"hidden_files": "hidden files", "no_files": "broken links, pipes and devices"}
        for key, meaning in skipped.items():
            line += f"; {meaning} skipped: {facts[key]:,}" if facts.get(key) else ""
        left_out = ", ".join(facts.get("folders_left_out", []))
        return line + (f"; {left_out} left out" if left_out else "")

    def explain(self, error: InputError, config: Config) -> InputError:
        if isinstance(error, SettingError) and not issubclass(error.owner, Tokenizer):
            group = "tokenizer.phrases" if error.owner is Phrases else "corpus"
            return InputError(f"{group}.{error}".replace("from_=", "from=", 1))
        arguments = r"(^path|(?<= )(?:encoding|errors|field|unit))="
        return super().explain(InputError(re.sub(arguments, r"corpus.\1=", str(error))), config)

    def ready(self, context: Context, entry: Entry) -> None:
        custom = context.config.tokenizer.custom
        share = entry.facts.get("unsegmented", 0) / entry.facts["tokens"]
        if share > MAX_UNSEGMENTED and not custom:
            context.display.say(
                f"          {share:.0%} of the tokens are long runs of a script that has no spaces "
                "between words; a tokenizer.function can split them",
                "yellow",
            )
        tracker, config = context.tracker, context.config
        content = digest(entry.settings["corpus"])
        tracker.tag({"corpus.fingerprint": content})
        tracker.dataset(config.corpus.name, content, config.corpus.origin, entry.facts)

    def record(self, context: Context, entry: Entry) -> None:
        if "phrases" in entry.facts:
            context.tracker.files([entry.path / PHRASES], "tables")
        # MLflow's UI would list all zeros. A job has these in its summary and dataset's profile.
        found = {name: value for name, value in numbers("corpus", entry.facts).items() if value}
        if context.job is None:
            context.tracker.scores(found, 0)
