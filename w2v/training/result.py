"""The result of a training as a folder of files, from which more epochs can continue."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from w2v.objectives import Model
from w2v.text.vocabulary import Vocabulary
from w2v.training.checkpoint import Snapshot
from w2v.training.history import Epoch, Point
from w2v.training.train import Trained, finished_state
from w2v.vectors import OUTSIDE, VECTORS, WordVectors

HISTORY = "history.json"
ENGINE = "engine.npz"
"""The arrays beside the vectors that more epochs need. There is no such file if there are none."""


def save_result(folder: Path, vocabulary: Vocabulary, trained: Trained) -> None:
    """Write a folder that `WordVectors.load`, `read_history` and `read_state` read."""
    WordVectors(vocabulary.words, trained.model.center, vocabulary.counts).save(folder)
    np.save(folder / OUTSIDE, trained.model.outside, allow_pickle=False)
    if trained.engine_state:
        np.savez(folder / ENGINE, **trained.engine_state)  # type: ignore[arg-type]
    history = {
        "epochs": [asdict(epoch) for epoch in trained.epochs],
        "points": [point._asdict() for point in trained.points],
    }
    (folder / HISTORY).write_text(json.dumps(history, allow_nan=False), encoding="utf-8")


def read_history(folder: Path) -> tuple[list[Point], list[Epoch]]:
    """Read the history of a training."""
    history = json.loads((folder / HISTORY).read_bytes())
    points = [Point(**point) for point in history["points"]]
    return points, [Epoch(**epoch) for epoch in history["epochs"]]


def read_state(folder: Path) -> Snapshot:
    """Read the state at the end of a training, from which more epochs can continue."""
    points, epochs = read_history(folder)
    model = Model(
        *(np.load(folder / name, mmap_mode="r", allow_pickle=False) for name in (VECTORS, OUTSIDE))
    )
    engine: dict[str, Any] = {}
    if (folder / ENGINE).is_file():
        with np.load(folder / ENGINE, allow_pickle=False) as arrays:
            engine = dict(arrays)
    return finished_state(model, engine, epochs, points)
