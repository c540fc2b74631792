"""One experiment: the stages in turn, each from the cache where it can be, and what is recorded."""

import json
import logging
import shutil
import warnings
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.cache import store as artifacts
from pipeline.cache.store import Entry
from pipeline.config.schema import Config, Corpus, NegSampleConfig, SoftmaxConfig
from pipeline.corpora.records import Records
from pipeline.corpora.sources import make_source
from pipeline.report.figures import MAP, Counts, draw, read_pictures
from pipeline.report.report import REPORT, write_report
from pipeline.runtime import limits
from pipeline.runtime.console import Watch, figure
from pipeline.runtime.signals import Stopping
from pipeline.runtime.threads import available_cores, capped
from pipeline.stages import STAGES
from pipeline.stages.evaluate import Benchmarks, evaluate
from pipeline.stages.exports import Judged, digest, export
from pipeline.stages.tokenize import PHRASES, tokenize
from pipeline.stages.train import read_history, train
from pipeline.stages.vocab import FREQUENCIES, IDS, VOCABULARY, vocab
from pipeline.tracking.tracker import NEIGHBOURS, NEIGHBOURS_LISTED, Tracker
from w2v.errors import InputError
from w2v.evaluate import benchmark_path
from w2v.objectives import Loss, NegativeSampling, SkipGram, Softmax
from w2v.text.sources import Files, size_of
from w2v.text.tokens import read_counts
from w2v.text.vocabulary import digest_of, read_words
from w2v.training.checkpoint import Checkpoints
from w2v.training.init import fingerprint
from w2v.training.train import EarlyStopping, Epoch, Point, Schedule, TrainState
from w2v.vectors import OUTSIDE, VECTORS, Use

log = logging.getLogger(__name__)

EXPORTED = "exports"

Make = Callable[[Path], dict[str, Any]]

CHECKPOINTS = "checkpoints"
"""Under ``outputs``, by the key of the train stage."""


class Experiment:
    """Runs the stages of a configuration.

    Parameters
    ----------
    config
        What to do.
    watch, tracker
        Who is told of it.
    cores
        Threads, where the configuration leaves them open; ``None`` for all cores.
    stopping
        Who says that training should stop.
    command
        Repeats the run: for the report.
    """

    def __init__(
        self,
        config: Config,
        watch: Watch,
        tracker: Tracker,
        cores: int | None = None,
        stopping: Stopping | None = None,
        command: str = "",
    ) -> None:
        self.config = config
        self.command = command
        self.watch = watch
        self.tracker = tracker
        self.cores = cores or available_cores()
        self.threads = config.engine.threads or self.cores
        self.stopping = stopping or Stopping()
        self.outputs = Path(config.outputs)
        self.digests = config.cache.verify == "sha256"
        self.entries: dict[str, Entry] = {}
        self.stages = STAGES
        if config.evaluate.vectors is not None:  # nothing of ours comes before them
            self.stages = {"evaluate": replace(STAGES["evaluate"], consumes=())}

    def run(self, run_dir: Path) -> dict[str, Any]:
        """Run the stages, record them, and return the summary.

        Raises
        ------
        InputError
            Bad input, or a stage that is left out and whose result is not in the cache.
        """
        last = max((list(self.stages).index(stage) for stage in self.config.stages), default=-1)
        for stage in list(self.stages)[: last + 1]:
            with capped(self.threads):
                self.entries[stage] = self._stage(stage)
        self._record()
        summary = self._summary(run_dir) | self._measure(run_dir)
        text = json.dumps(summary, indent=1, ensure_ascii=False, allow_nan=False)
        aside = run_dir / ".summary.json.part"
        aside.write_text(text + "\n", encoding="utf-8")
        aside.replace(run_dir / "summary.json")
        self.tracker.files([run_dir / "summary.json"], "")
        if "evaluate" in self.entries:
            self._report(run_dir, summary)
        return summary

    def _stage(self, stage: str) -> Entry:
        """Get one stage's result from the cache, or make it."""
        folder = self.outputs / "cache" / stage
        settings, make = getattr(self, f"_{stage}")()
        upstream, key = self._upstream(stage), self._key(stage, settings)
        if stage not in self.config.stages:
            entry = artifacts.find(folder, key, self.digests)
            if entry is None:
                raise InputError(
                    f"stages={self.config.stages}: {stage} is left out, and the cache does not "
                    f"hold its result; add {stage} to stages"
                )
        else:
            full = limits.disk_full_is_told(stage, self.outputs)
            with self.watch.bar(stage), self.stopping.work(), full:
                entry = artifacts.fetch(
                    folder, key, settings, upstream, make, self._damaged, self.digests
                )
            # Not before the entry is there: a crash in between would cost the training.
            shutil.rmtree(self.outputs / CHECKPOINTS / key, ignore_errors=True)
        self.tracker.tag({f"stage.{stage}": entry.key})
        if stage == "tokenize":
            content = artifacts.digest(settings["content"])
            self.tracker.tag({"corpus.fingerprint": content})
            name, origin = self.config.corpus_name, origin_of(self.config.corpus)
            self.tracker.dataset(name, content, origin, entry.facts)
        log.info("%s %s %s", stage, entry.path, "cached" if entry.cached else "made")
        self.watch.stage(stage, self._detail(stage, entry), entry.cached, entry.seconds)
        return entry

    def _measure(self, run_dir: Path) -> dict[str, Any]:
        """Time what is to be timed beside the stages."""
        if self.config.measure is None:
            return {}
        from pipeline.bench.measure import measure

        return measure(self.config, self.entries, run_dir, self.watch, self.tracker, self.threads)

    def _upstream(self, stage: str) -> dict[str, str]:
        return {name: self.entries[name].key for name in self.stages[stage].consumes}

    def _key(self, stage: str, settings: dict[str, Any]) -> str:
        version = self.stages[stage].version
        return artifacts.stage_key(stage, version, settings, self._upstream(stage))

    def _damaged(self, path: Path, aside: Path, reason: str) -> None:
        line = f"{path} is damaged ({reason}): set aside as {aside.name} and made again"
        self.watch.say(line, "yellow")

    # What each stage depends on, and how it is made.

    def _tokenize(self) -> tuple[dict[str, Any], Make]:
        corpus, tokenizer = self.config.corpus, self.config.tokenizer
        source = make_source(corpus, self.outputs, self.watch.received, self.watch.hashed)
        splitter = tokenizer.tokenizer()
        files = source.files if isinstance(source, Records) else source
        before = files.stamps() if isinstance(files, Files) else []
        with self.watch.bar("checksum"):
            content = source.fingerprint()
        settings = {
            "corpus": self.config.corpus_name,
            "content": content,
            "limit": corpus.limit,
            "tokenizer": splitter.fingerprint(),
        }
        phrases = tokenizer.phrases.phrases()
        if phrases.passes:
            settings["phrases"] = asdict(phrases)
        workers = tokenizer.workers or self.cores

        def make(out: Path) -> dict[str, Any]:
            size = size_of(source.paths) if isinstance(source, Files) else None
            if size is not None and corpus.limit is None:
                need = {"the tokens": int(size * limits.TOKENS_A_BYTE)}
                limits.require_disk(need, self.outputs, "tokenizing")
            facts = tokenize(
                out,
                source,
                splitter,
                corpus.limit,
                workers,
                self.watch.reading,
                phrases=phrases,
                joining=self.watch.joining,
            )
            # What was read must be what the checksum, and so the key, is of.
            after = files.stamps() if isinstance(files, Files) else []
            changed = sorted({*before} ^ {*after})
            if changed:
                raise InputError(
                    f"{changed[0][0]}: has changed while it was read; give the command again"
                )
            return facts

        return settings, make

    def _vocab(self) -> tuple[dict[str, Any], Make]:
        choice = self.config.vocab
        words = None if choice.words is None else read_words(Path(choice.words))
        settings = {**asdict(choice), "words": words and digest_of(words)}
        chosen = {**asdict(choice), "words": words}
        return settings, lambda out: vocab(out, self.entries["tokenize"].path, **chosen)

    def _train(self) -> tuple[dict[str, Any], Make]:
        config, train_config = self.config, self.config.train
        init = None if train_config.init is None else Path(train_config.init)
        settings = {
            "model": asdict(config.model),
            "loss": {"name": config.loss_name, **asdict(config.loss)},
            "engine": asdict(config.engine),
            # How often checkpoints are written changes nothing; vectors count by content.
            "train": {
                **{k: v for k, v in asdict(train_config).items() if "checkpoint" not in k},
                "init": None if init is None else fingerprint(init),
            },
            "seed": config.seed,
        }
        schedule = Schedule(
            train_config.epochs, train_config.lr, train_config.min_lr, train_config.decay_epochs
        )
        objective = SkipGram(**asdict(config.model), loss=loss_of(config))
        early = None
        if train_config.patience is not None:
            early = EarlyStopping(train_config.patience, train_config.min_gain)

        checkpoints = Checkpoints(
            self.outputs / CHECKPOINTS / self._key("train", settings),
            train_config.checkpoint_every,
            train_config.checkpoint_words,
            lambda line: self.watch.say(line, "yellow"),
        )

        def make(out: Path) -> dict[str, Any]:
            self._check_limits(objective, early is not None)
            start = None if checkpoints.folder.exists() else self._fewer_epochs(settings)
            with np.errstate(all="ignore"):
                return train(
                    out,
                    self.entries["tokenize"].path,
                    self.entries["vocab"].path,
                    objective,
                    schedule,
                    engine=config.engine.name,
                    threads=self.threads,
                    seed=config.seed,
                    heldout=train_config.heldout,
                    heldout_seed=train_config.heldout_seed,
                    early=early,
                    init=init,
                    start=start,
                    checkpoints=checkpoints,
                    stop=self.stopping.asked,
                    on_start=self._start,
                    on_resume=self._resume,
                    on_point=self._point,
                    on_epoch=self._epoch,
                )

        return settings, make

    def _check_limits(self, objective: SkipGram, keeps_best: bool) -> None:
        """Refuse a training that cannot have the memory or the disk that it needs."""
        words, tracking = self.entries["vocab"].facts["size"], self.config.tracking
        what = f"training {words:,} words with model.dim={objective.dim}"
        documents = self.entries["tokenize"].facts["documents"]
        need = limits.training_memory(words, documents, objective, keeps_best)
        limits.require_memory(need, what)
        checkpoints = self.config.train.checkpoint_every is not None
        tracked = tracking.name == "mlflow" and tracking.uri is None
        disk = limits.training_disk(words, objective, keeps_best, checkpoints, tracked)
        limits.require_disk(disk, self.outputs, what)

    def _fewer_epochs(self, settings: dict[str, Any]) -> Path | None:
        """The finished training of the same settings but fewer epochs that can be gone on from."""
        wanted, train_config = settings["train"], self.config.train
        folder = self.outputs / "cache" / "train"
        fewer: dict[int, Entry] = {}
        for epochs in artifacts.values_of(folder, ("train", "epochs")):
            if not isinstance(epochs, int) or epochs >= train_config.epochs:
                continue
            one = {**settings, "train": {**wanted, "epochs": epochs}}
            entry = artifacts.find(folder, self._key("train", one), self.digests)
            if entry and entry.facts["kept_epoch"] == epochs:
                fewer[epochs] = entry
        if not fewer:
            return None
        most = max(fewer)
        falls = train_config.min_lr < train_config.lr or self.config.loss_name != "negsample"
        if train_config.decay_epochs is None and falls:
            self.watch.say(
                f"  from the beginning: the steps of the {most} epochs there are were planned for "
                f"{most}; with train.decay_epochs set, more epochs go on from fewer"
            )
            return None
        return fewer[most].path

    def _evaluate(self) -> tuple[dict[str, Any], Make]:
        config = self.config.evaluate
        use: Use = "v+u" if config.use == "v+u" else "v"
        benchmarks = Benchmarks(benchmark_files(config.similarity), benchmark_files(config.analogy))
        other = config.compare and Judged.find("evaluate.compare", config.compare, use)
        if config.vectors is not None:
            trained = None
            judged = Judged.find("evaluate.vectors", config.vectors, use)
        else:
            trained = self.entries["train"].path
            judged = Judged(trained, use)
        named = ("oov", "vocabulary", "neighbours", "probes", "seed")
        settings = {name: getattr(config, name) for name in named}
        settings["use"] = use
        settings["suggested"] = None if trained is None else self.config.corpus.probes
        content = {
            "similarity": {name: digest([path]) for name, path in benchmarks.similarity.items()},
            "analogy": {name: digest([path]) for name, path in benchmarks.analogy.items()},
            "vectors": None if trained else digest(judged.files()),
            "compare": digest(other.files()) if other else None,
            "export": config.export,
            "map": config.map,
            "map_words": config.map_words,
        }

        def make(out: Path) -> dict[str, Any]:
            with warnings.catch_warnings(record=True) as warned:
                facts = evaluate(
                    out,
                    judged.open,
                    trained,
                    benchmarks,
                    **settings,
                    compare=other.open if other else None,
                    export=lambda vectors: export(out / EXPORTED, vectors, config.export),
                    report=partial(
                        draw,
                        title=self.config.title,
                        counts=None if trained is None else self._counts(),
                        vocabulary=config.vocabulary,
                        methods=config.map,
                        map_words=config.map_words,
                    ),
                )
            for warning in warned:
                self.watch.say(str(warning.message), "yellow")
            return facts

        return {**settings, **content}, make

    def _counts(self) -> Counts:
        kept = np.load(self.entries["vocab"].path / IDS, allow_pickle=False) >= 0
        return Counts(read_counts(self.entries["tokenize"].path), kept)

    # What is told while and after.

    def _start(self, words: int) -> None:
        self.stopping.postpone()
        self.watch.start(words)

    def _resume(self, at: TrainState) -> None:
        self.watch.resume(at)
        self.tracker.history(list(at.points), list(at.epochs))

    def _point(self, point: Point) -> None:
        self.watch.point(point)
        self.tracker.point(point)

    def _epoch(self, epoch: Epoch) -> None:
        self.watch.epoch(epoch)
        self.tracker.epoch(epoch, epoch.words * epoch.epoch)

    def _detail(self, stage: str, entry: Entry) -> str:
        facts = entry.facts
        match stage:
            case "tokenize":
                line = f"{facts['tokens']:,} tokens in {facts['documents']:,} documents"
                return line + (f", {facts['phrases']:,} phrases" if "phrases" in facts else "")
            case "vocab":
                share = facts["tokens_kept"] / (facts["tokens_kept"] + facts["tokens_dropped"])
                missing = facts.get("missing", 0)
                lost = f"; {missing} wanted words are not among them" if missing else ""
                return f"{facts['size']:,} words, {share:.1%} of the tokens{lost}"
            case "train":
                final = facts["epochs"][-1]
                line = f"loss {figure(final['loss'])} after {final['epoch']} epochs"
                if facts["kept_epoch"] != final["epoch"]:
                    line += f", vectors of epoch {facts['kept_epoch']}, the best"
                if "initial" in facts:
                    line += ", {given:,} of {of:,} words from train.init".format(**facts["initial"])
                return line
            case _:
                return "scores, tables and plots"

    def _record(self) -> None:
        """Tell the tracker what has not been told: all of the training, where it was cached."""
        tracker, entries = self.tracker, self.entries
        words = 0
        # The first metrics are those that the UI's pages of comparison open with.
        if "train" in entries and entries["train"].cached:
            tracker.history(*read_history(entries["train"].path))
        if "tokenize" in entries and "phrases" in entries["tokenize"].facts:
            tracker.files([entries["tokenize"].path / PHRASES], "tables")
        for section, stage in (("corpus", "tokenize"), ("vocab", "vocab")):
            if stage in entries:
                facts = entries[stage].facts
                numbers = {f"{section}/{k}": v for k, v in facts.items() if is_number(v)}
                tracker.scores(numbers, 0)
        if "vocab" in entries:
            tracker.files([entries["vocab"].path / FREQUENCIES], "tables")
        if "train" in entries:
            folder, facts = entries["train"].path, entries["train"].facts
            words = facts["words"]
            tracker.scores({"train/words_per_second": facts["words_per_second"]}, words)
            files = [folder / name for name in (VECTORS, VOCABULARY, OUTSIDE)]
            tracker.files(files, "vectors")
            if self.config.tracking.model:
                tracker.model(folder)
        if "evaluate" in entries:
            folder = entries["evaluate"].path
            tracker.scores(flat_scores(entries["evaluate"].facts), words)
            tracker.files([folder / picture.file for picture in read_pictures(folder)], "plots")
            tables = [*folder.glob("*.csv"), *folder.glob("*.parquet")]
            tracker.files(sorted(tables), "tables")
            tracker.table(folder / NEIGHBOURS, "tables/neighbours.json", NEIGHBOURS_LISTED)
            for path in sorted((folder / EXPORTED).rglob("*.*")):
                tracker.files([path], str(path.parent.relative_to(folder)))

    def _report(self, run_dir: Path, summary: dict[str, Any]) -> None:
        """Leave the report of this run, and the map to explore, in its folder and the tracker."""
        judged = self.entries["evaluate"].path
        pages = [run_dir / REPORT]
        write_report(
            pages[0],
            judged,
            summary,
            title=self.config.title,
            command=self.command,
            when=datetime.now().astimezone(),
        )
        if (judged / MAP).exists():
            pages.append(Path(shutil.copyfile(judged / MAP, run_dir / MAP)))
        self.tracker.files(pages, "")

    def _summary(self, run_dir: Path) -> dict[str, Any]:
        entries = self.entries
        summary: dict[str, Any] = {
            "run_dir": str(run_dir),
            "mlflow_run_id": self.tracker.run_id,
            "config": asdict(self.config),
            "stages": {
                name: {
                    "key": entry.key,
                    "path": str(entry.path),
                    "cached": entry.cached,
                    "seconds": entry.seconds,
                }
                for name, entry in entries.items()
            },
        }
        sections = {
            "tokenize": "corpus",
            "vocab": "vocab",
            "train": "train",
            "evaluate": "evaluate",
        }
        for stage, section in sections.items():
            if stage in entries:
                summary[section] = entries[stage].facts
        if "train" in entries:
            folder = entries["train"].path
            files = {"vectors": folder / VECTORS, "vocabulary": folder / VOCABULARY}
            summary["files"] = {name: str(path) for name, path in files.items()}
        elif self.config.evaluate.vectors is not None:
            summary["files"] = {"vectors": self.config.evaluate.vectors}
        if "evaluate" in entries and self.config.evaluate.export:
            summary["files"]["exports"] = str(entries["evaluate"].path / EXPORTED)
        return summary


def origin_of(corpus: Corpus) -> str | list[str]:
    """Where the text is: the path or the address, or the packages."""
    for key in ("path", "url", "packages"):
        found: str | list[str] | None = getattr(corpus, key, None)
        if found is not None:
            return found
    raise TypeError(f"no origin of {type(corpus).__name__}")


def loss_of(config: Config) -> Loss:
    """The library's loss for the settings."""
    match config.loss:
        case NegSampleConfig(negatives=negatives, exponent=exponent):
            return NegativeSampling(negatives, exponent)
        case SoftmaxConfig(batch_words=batch_words, logits_mb=logits_mb, optimizer=optimizer):
            return Softmax(logits_mb, batch_words, optimizer)
        case _:
            raise TypeError(f"no loss for {type(config.loss).__name__}")


def benchmark_files(named: Mapping[str, str | None]) -> dict[str, Path]:
    """The files of benchmarks; ``gensim`` stands for what gensim ships under that name."""
    files = {name: path for name, path in named.items() if path is not None}
    return {
        name: benchmark_path(name) if path == "gensim" else Path(path)
        for name, path in files.items()
    }


FIGURES = {
    "similarity": ("spearman", "pearson", "coverage"),
    "analogy": ("accuracy", "accuracy_5", "semantic", "syntactic", "coverage", "accuracy_3cosmul"),
}
"""What is told of a benchmark, by its kind."""


def flat_scores(facts: dict[str, Any]) -> dict[str, float]:
    """The scores as metrics: ``similarity/wordsim353/spearman`` and the like."""
    flat = {
        f"{kind}/{name}/{figure}": value
        for kind, figures in FIGURES.items()
        for name, result in facts[kind].items()
        for figure in figures
        if (value := figure_of(result, figure)) is not None
    }
    if "stability" in facts:
        flat["stability/overlap"] = facts["stability"]["overlap"]
    return flat


def figure_of(result: Mapping[str, Any], figure: str) -> float | None:
    """A figure of `FIGURES`; ``None`` where this benchmark has none."""
    value: float | None = result.get(figure)
    return result["3CosMul"]["accuracy"] if figure == "accuracy_3cosmul" else value


def is_number(value: object) -> bool:
    """Whether a fact can be a metric."""
    return isinstance(value, int | float) and not isinstance(value, bool)
