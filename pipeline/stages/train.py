"""Token ids to vectors."""

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.stages.vocab import IDS, VOCABULARY
from w2v.model import SkipGram
from w2v.tokens import open_text
from w2v.train import Epoch, Point, Schedule
from w2v.train import train as train_model
from w2v.vectors import OUTSIDE, WordVectors
from w2v.vocabulary import Vocabulary

HISTORY = "history.json"


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
    on_start: Callable[[int], None],
    on_point: Callable[[Point], None],
    on_epoch: Callable[[Epoch], None],
) -> dict[str, Any]:
    """Write the word vectors (`WordVectors.load` reads the folder), the outside vectors and
    ``history.json``: the points and the epochs of `w2v.train.Trained`."""
    words = Vocabulary.load(vocab / VOCABULARY)
    text = open_text(corpus, np.load(vocab / IDS, allow_pickle=False))
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
        on_start=on_start,
        on_point=on_point,
        on_epoch=on_epoch,
    )
    WordVectors(words.words, trained.model.center, words.counts).save(out)
    np.save(out / OUTSIDE, trained.model.outside)
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
    }


def read_history(folder: Path) -> tuple[list[Point], list[Epoch]]:
    """The history in a folder that `train` filled."""
    history = json.loads((folder / HISTORY).read_bytes())
    points = [Point(**point) for point in history["points"]]
    return points, [Epoch(**epoch) for epoch in history["epochs"]]
