"""The stage ``train``: trains word vectors on token ids."""

import shutil
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.cache import store
from pipeline.cache.store import Entry
from pipeline.config.settings import Config
from pipeline.stages.base import Context, Expected, Make, Stage, code_of
from pipeline.stages.vocab import IDS
from pipeline.tracking.artifacts import record_vectors
from w2v.files import can_link, digest, free_disk, link_if_equal, require_disk, size_text
from w2v.hashes import FileHashes
from w2v.labels import format_figure
from w2v.text.vocabulary import Vocabulary
from w2v.training.checkpoint import Checkpoints
from w2v.training.cost import objective_of, relative_cost
from w2v.training.fit import fit
from w2v.training.heldout import holds_out_passage
from w2v.training.history import Epoch, Point, TrainState
from w2v.training.init import check_given, fingerprint, given_vectors
from w2v.training.memory import model_bytes, require_memory, training_disk, training_memory
from w2v.training.result import read_history, read_state, save_result
from w2v.vectors import VECTORS, VOCABULARY

CURVES = "w2v.evaluate.curves"
"""The module that computes scores after epochs."""

CHECKPOINTS = "checkpoints"
"""The folder in `outputs` with the checkpoints of each unfinished training, by cache key."""


class Train(Stage):
    """Trains word vectors, and saves them with the training history."""

    name = "train"
    section = "train"
    groups = ("train", "model")
    consumes = ("tokenize", "vocab")

    def applies(self, config: Config) -> bool:
        return config.evaluate.vectors is None

    def check(self, config: Config) -> None:
        if config.train.init is not None:
            check_given(config.train.init, config.objective)

    def prepare(self, context: Context) -> tuple[dict[str, Any], Make]:
        settings = key_settings(context.config, context.hashes)
        return settings, lambda out: self.make(context, settings, out)

    def expect(self, context: Context, past: Mapping[str, Any] | None) -> Expected:
        vocabulary, config = context.entries["vocab"].facts, context.config
        start, done = self.going_on(context)
        if not vocabulary or not context.entries["tokenize"].facts:
            return Expected(start=start)
        memory, disk = resources_needed(context)
        seconds = None
        if past is not None:
            now, then = config.objective, objective_of(**past["settings"])
            words_then = past["files"][VECTORS]["bytes"] // (4 * then.dim)
            ratio = relative_cost(now, vocabulary["size"]) / relative_cost(then, words_then)
            epochs = max(0, config.train.epochs - done)
            ratio *= vocabulary["tokens_kept"] * epochs / past["facts"]["words"]
            # The first excludes the time of an earlier training or a checkpoint that was continued.
            seconds = max(past["seconds"], past["facts"]["seconds"]) * ratio
        return Expected(seconds, memory, sum(disk.values()), start)

    def going_on(self, context: Context) -> tuple[str, float]:
        """Find what a training would continue: a checkpoint, or a cached result of fewer epochs.

        Return a text on it for ``plan=true`` to print, and its number of epochs; if none, "" and 0.
        """
        config, settings = context.config, key_settings(context.config, context.hashes)
        checkpoints = Checkpoints(context.outputs / CHECKPOINTS / self.key(context, settings))
        if checkpoints.folder.exists():
            kept = context.entries["vocab"].facts.get("tokens_kept", 0) * (1 - config.train.heldout)
            done = checkpoints.words_read() / kept if kept else 0
            return "it was interrupted, and goes on from its checkpoint", done
        fewer = self.fewer_epochs(context, settings) if more_epochs_can_follow(config) else None
        if fewer is None:
            return "", 0
        done = fewer.facts["kept_epoch"]
        return f"it goes on from {done} epoch{'s' * (done > 1)}", done

    def make(self, context: Context, settings: dict[str, Any], out: Path) -> dict[str, Any]:
        """Train, save vectors and training history in `out`, and return figures on the training.

        `settings` are those on which the vectors depend. The figures are saved in the cache entry.
        """
        from w2v.cluster.workers import open_cluster  # loads SciPy

        config, entries, display = context.config, context.entries, context.display
        require_resources(context)
        checkpoints = Checkpoints(
            context.outputs / CHECKPOINTS / self.key(context, settings),
            config.train.checkpoint_every,
            config.train.checkpoint_words,
            lambda line: display.say(line, "yellow"),
        )
        start = None if checkpoints.folder.exists() else self.fewer_epochs(context, settings)
        if start is not None and not more_epochs_can_follow(config):
            most = start.facts["kept_epoch"]
            display.say(
                f"  from the beginning: the steps of the {most} epochs there are were planned for "
                f"{most}; with train.decay_epochs set, more epochs continue from fewer"
            )
            start = None
        vocabulary = Vocabulary.load(entries["vocab"].path / VOCABULARY)
        ids = np.load(entries["vocab"].path / IDS, allow_pickle=False)
        given = None if config.train.init is None else given_vectors(config.train.init)
        documents, scored = entries["tokenize"].facts["documents"], config.evaluate
        if holds_out_passage(documents, config.train.heldout):
            display.say(f"  documents are few ({documents:,}): a passage of the text is held out")
        with open_cluster(
            config.cluster, config.ray.address, context.cores, config.engine.threads, display.say
        ) as cluster:
            trained = fit(
                entries["tokenize"].path,
                vocabulary,
                ids,
                config.objective,
                config.train,
                given=given,
                name=str(config.train.init),
                engine=config.engine.name,
                threads=context.threads,
                precision=config.engine.precision,
                cluster=cluster,
                seed=config.seed,
                start=None if start is None else read_state(start.path),
                checkpoints=checkpoints,
                stop=context.stop.requested,
                score=partial(import_module(CURVES).scores_of, scored) if scored.every else None,
                every=scored.every or 1,
                **callbacks(context),
            )
        if not more_epochs_can_follow(config):
            trained = trained.without_step_state()
        save_result(out, vocabulary, trained)
        # Results of the same vocabulary share its file on disk.
        link_if_equal(entries["vocab"].path / VOCABULARY, out / VOCABULARY)
        facts = {"engine": config.engine.name, "threads": context.threads, **trained.figures()}
        if start is not None:
            facts["made_from"] = {self.name: start.key}
        if trained.given is not None:
            facts["initial"] = {"given": trained.given, "of": len(vocabulary)}
        return facts

    def fewer_epochs(self, context: Context, settings: dict[str, Any]) -> Entry | None:
        """Return the longest cached training with `settings`, but fewer epochs, or None.

        Callers must check `more_epochs_can_follow` before they continue it. Its number of epochs is
        a multiple of ``evaluate.every``, if that is set. Thus, a training that continues it has
        scores for early stopping after the same epochs as a training from the beginning.
        """
        config, folder = context.config, context.outputs / "cache" / self.name
        every = config.evaluate.every or 1
        for most in range((config.train.epochs - 1) // every * every, 0, -every):
            wanted = {**settings, "train": {**settings["train"], "epochs": most}}
            entry = store.find(folder, self.key(context, wanted), context.verify)
            if entry and entry.facts["kept_epoch"] == most:
                return entry
        return None

    def describe(self, facts: Mapping[str, Any]) -> str:
        epochs, kept = facts["epochs"], facts["kept_epoch"]
        loss = format_figure(epochs[kept - 1]["loss"])
        line = f"loss {loss} after {kept} epoch{'s' * (kept > 1)}"
        if "device" in facts:
            line += f" on {facts['device']}"
        if kept < len(epochs):
            line += f", the best of {len(epochs)}"
        if "initial" in facts:
            line += ", {given:,} of {of:,} words from train.init".format(**facts["initial"])
        return line

    def ready(self, context: Context, entry: Entry) -> None:
        # Only now, with the result in the cache: a crash before that would lose the training.
        shutil.rmtree(context.outputs / CHECKPOINTS / entry.key, ignore_errors=True)
        if entry.cached:
            context.tracker.history(*read_history(entry.path))

    def record(self, context: Context, entry: Entry) -> None:
        tracker = context.tracker
        tracker.scores({"train/words_per_second": entry.facts["words_per_second"]}, context.words)
        if context.config.tracking.vectors in (["all", "best"] if context.job is None else ["all"]):
            record_vectors(tracker, entry.path)
        if context.config.tracking.model:
            tracker.model(entry.path)

    def files(self, context: Context, entry: Entry) -> dict[str, str]:  # noqa: ARG002
        names = {"vectors": VECTORS, "vocabulary": VOCABULARY}
        return {key: str(entry.path / name) for key, name in names.items()}


def more_epochs_can_follow(config: Config) -> bool:
    """Return whether a training can be continued for more epochs than were planned.

    It cannot if updates depend on that number, as when the learning rate falls over all epochs.
    """
    falls = config.train.min_lr < config.train.lr or config.loss.step_depends_on_length
    return config.train.decay_epochs is not None or not falls


def key_settings(config: Config, hashes: FileHashes) -> dict[str, Any]:
    """Return the settings that the trained vectors depend on, for the cache key."""
    init, settings = config.train.init, config.as_dict()
    scored = config.evaluate
    curves: dict[str, Any] = {}
    if scored.every:  # imported by name, so that `code` has no module of evaluation
        curves = {"scores.code": digest(code_of(CURVES))}
        curves |= import_module(CURVES).identity(scored, hashes)
    return {
        **({"evaluate": curves} if curves else {}),
        "model": settings["model"],
        "loss": settings["loss"],
        "engine": config.engine.identity(),
        "cluster": config.cluster.identity(),
        "train": {  # how often checkpoints are written does not change the vectors
            **{k: v for k, v in settings["train"].items() if "checkpoint" not in k},
            "init": None if init is None else fingerprint(Path(init), hashes),
        },
        "seed": config.seed,
    }


def resources_needed(context: Context) -> tuple[int, dict[str, int]]:
    """Return the memory that training needs, and the disk space by kind of file, in bytes."""
    config, entries = context.config, context.entries
    words, documents = entries["vocab"].facts["size"], entries["tokenize"].facts["documents"]
    keeps_best = config.train.early_stopping is not None
    memory = training_memory(words, documents, config.objective, keeps_best)
    checkpoints = config.train.checkpoint_every is not None
    tracking, model = config.tracking, model_bytes(words, config.objective)
    copied = tracking.name == "mlflow" and tracking.uri is None and tracking.vectors != "none"
    copied = copied and context.outputs.exists() and not can_link(context.outputs)
    return memory, training_disk(model, keeps_best, checkpoints, copied)


def require_resources(context: Context) -> None:
    """Raise `InputError` if there is too little memory or disk space for a training.

    In a sweep, the disk must also have room for the vectors of all later jobs.
    """
    config, words = context.config, context.entries["vocab"].facts["size"]
    what = f"training {words:,} words with model.dim={config.model.dim}"
    memory, disk = resources_needed(context)
    less = "lower model.dim or vocab.max_size, or raise vocab.min_count"
    require_memory(memory, f"{what} takes", less)
    if context.sweep_dims > config.model.dim:
        what = "this job with all later ones"
        disk["the vectors"] = model_bytes(words, replace(config.objective, dim=context.sweep_dims))
        if context.job == 0:
            need, free = map(size_text, (disk["the vectors"], free_disk(context.outputs)))
            context.display.say(f"the vectors of all jobs take {need}; {free} is free")
    require_disk(disk, context.outputs, what)


def callbacks(context: Context) -> dict[str, Any]:
    """Return callback arguments of `fit` that show and record the progress of training.

    Once `fit` calls ``on_start``, Ctrl-C or SIGTERM stops it after the current part of the text.
    """
    display, tracker, stop = context.display, context.tracker, context.stop

    def start(words: int) -> None:
        stop.defer()
        display.start(words)

    def resume(at: TrainState) -> None:
        display.resume(at)
        tracker.history(list(at.points), list(at.epochs))

    def point(point: Point) -> None:
        display.point(point)
        tracker.point(point)

    def epoch(epoch: Epoch) -> None:
        display.epoch(epoch)
        tracker.epoch(epoch, epoch.words * epoch.epoch)

    return {"on_start": start, "on_resume": resume, "on_point": point, "on_epoch": epoch}
