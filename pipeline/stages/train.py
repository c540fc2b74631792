"""Token ids to vectors."""

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.stages.vocab import IDS, VOCABULARY
from w2v.objectives import Model, SkipGram
from w2v.sampling import generator
from w2v.text.tokens import open_text
from w2v.text.vocabulary import Vocabulary
from w2v.training.checkpoint import Checkpoints, Snapshot
from w2v.training.init import model_from
from w2v.training.train import EarlyStopping, Epoch, Point, Schedule, TrainState, finished
from w2v.training.train import train as train_model
from w2v.vectors import OUTSIDE, VECTORS, WordVectors

HISTORY = "history.json"
ENGINE = "engine.npz"
"""What the engine knows beside the vectors; left out where that is nothing."""


def train(
    out: Path,
    corpus: Path,
    vocab: Path,
    objective: SkipGram,
    schedule: Schedule,
    *,
    engine: str,
    threads: int,
    seed: int,
    heldout: float,
    heldout_seed: int,
    early: EarlyStopping | None,
    init: Path | None,
    start: Path | None,
    checkpoints: Checkpoints,
    stop: Callable[[], bool],
    on_start: Callable[[int], None],
    on_resume: Callable[[TrainState], None],
    on_point: Callable[[Point], None],
    on_epoch: Callable[[Epoch], None],
) -> dict[str, Any]:
    """Write the word vectors (`WordVectors.load` reads the folder), the outside vectors and
    ``history.json``: the points and the epochs of `w2v.training.train.Trained`.

    Parameters
    ----------
    init
        Where the first vectors come from, see `w2v.training.init`.
    start
        A folder that this function filled with fewer epochs of the same: they are not repeated.
    """
    words = Vocabulary.load(vocab / VOCABULARY)
    text = open_text(corpus, np.load(vocab / IDS, allow_pickle=False))
    initial, given = None, {}
    if init is not None:
        random = generator(seed, "init")
        initial, count = model_from(init, words.words, objective.dim, random)
        given = {"initial": {"given": count, "of": len(words)}}
    trained = train_model(
        text,
        words.counts,
        objective,
        schedule,
        engine=engine,
        threads=threads,
        seed=seed,
        heldout=heldout,
        heldout_seed=heldout_seed,
        early=early,
        initial=initial,
        start=None if start is None else read_state(start),
        checkpoints=checkpoints,
        stop=stop,
        on_start=on_start,
        on_resume=on_resume,
        on_point=on_point,
        on_epoch=on_epoch,
    )
    WordVectors(words.words, trained.model.center, words.counts).save(out)
    np.save(out / OUTSIDE, trained.model.outside, allow_pickle=False)
    if trained.engine_state:
        np.savez(out / ENGINE, **trained.engine_state)  # type: ignore[arg-type]
    epochs = [asdict(epoch) for epoch in trained.epochs]
    history = {"epochs": epochs, "points": [point._asdict() for point in trained.points]}
    (out / HISTORY).write_text(json.dumps(history, allow_nan=False), encoding="utf-8")
    return {
        "engine": engine,
        "threads": threads,
        "words": trained.words,
        "seconds": trained.seconds,
        "words_per_second": trained.words / trained.seconds,
        "compile_seconds": trained.compile_seconds,
        "epochs": epochs,
        "kept_epoch": trained.kept_epoch,
        **given,
    }


def read_history(folder: Path) -> tuple[list[Point], list[Epoch]]:
    """The history in a folder that `train` filled."""
    history = json.loads((folder / HISTORY).read_bytes())
    points = [Point(**point) for point in history["points"]]
    return points, [Epoch(**epoch) for epoch in history["epochs"]]


def read_state(folder: Path) -> Snapshot:
    """The state at the end of the training that filled a folder."""
    points, epochs = read_history(folder)
    model = Model(
        *(np.load(folder / name, mmap_mode="r", allow_pickle=False) for name in (VECTORS, OUTSIDE))
    )
    engine: dict[str, Any] = {}
    if (folder / ENGINE).is_file():
        with np.load(folder / ENGINE, allow_pickle=False) as arrays:
            engine = dict(arrays)
    return finished(model, engine, epochs, points)
