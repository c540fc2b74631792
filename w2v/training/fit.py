"""Train on a corpus folder: the step between a vocabulary and vectors, with given vectors."""

from collections.abc import Collection
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from w2v.engines import Frozen
from w2v.objectives import Objective
from w2v.sampling import generator
from w2v.text.tokens import open_text
from w2v.text.vocabulary import Vocabulary
from w2v.training.init import model_from
from w2v.training.schedule import TrainingSettings
from w2v.training.train import Stopped, Trained, train
from w2v.vectors import WordVectors


def fit(
    corpus: Path,
    vocabulary: Vocabulary,
    ids: NDArray[np.int32],
    objective: Objective,
    settings: TrainingSettings,
    *,
    given: WordVectors | None = None,
    name: str = "",
    freeze: Collection[str] = (),
    engine: str = "numba",
    threads: int = 1,
    seed: int = 0,
    **options: Any,
) -> Trained:
    """Train word vectors on a corpus folder.

    Parameters
    ----------
    corpus
        See `w2v.text.tokens` for its files.
    vocabulary, ids : Vocabulary, int32 (types,)
        As `w2v.text.vocabulary.choose` returns them.
    objective
        The loss, and the pairs it is a mean of.
    settings
        ``init`` is not read: its vectors are `given`.
    given, name
        Initial vectors, and what messages call them. The words that they lack start at random.
    freeze
        Words of `given` whose vectors stay as they are. Their outside vectors stay as well if they
        are given; otherwise they start from zero and are learnt.
    engine, threads, seed, **options
        See `w2v.training.train.train`.

    Raises
    ------
    InputError
        See `w2v.training.train.train` and `w2v.training.init.model_from`.
    Stopped
        ``stop`` returned True.
    """
    from threadpoolctl import threadpool_limits

    initial, count, frozen = None, None, None
    if given is not None:
        random = generator(seed, "init")
        initial, count = model_from(given, vocabulary.words, objective, random, name)
        if freeze:
            chosen = frozenset(freeze)
            rows = np.array([word in chosen and word in given for word in vocabulary.words])
            of_words = objective.loss.output_vectors == "words"
            frozen = Frozen(rows, rows & (given.outside is not None and of_words))
    # Overflow is found in the loss, which is checked after each shard.
    with np.errstate(all="ignore"), threadpool_limits(threads):
        try:
            trained = train(
                open_text(corpus, ids),
                vocabulary.counts,
                objective,
                settings,
                words=vocabulary.words,
                engine=engine,
                threads=threads,
                seed=seed,
                heldout=settings.heldout,
                heldout_seed=settings.heldout_seed,
                bootstrap=settings.bootstrap,
                early=settings.early_stopping,
                initial=initial,
                frozen=frozen,
                **options,
            )
        except Stopped as stopped:
            so_far = stopped.so_far
            raise Stopped(lambda: replace(so_far(), given=count)) from None
    return replace(trained, given=count)
