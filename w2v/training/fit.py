"""Train on a tokenized corpus, optionally from given vectors, some of which may be frozen."""

from collections.abc import Callable, Collection
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
from w2v.threads import limited_threads
from w2v.training.init import model_from
from w2v.training.result import word_vectors
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
    score: Callable[[WordVectors], dict[str, float]] | None = None,
    **options: Any,
) -> Trained:
    """Train word vectors on a corpus folder; `w2v.text.tokens` describes its files.

    Parameters
    ----------
    vocabulary
        The words that get a vector.
    ids : int32 (types,)
        The word id of each distinct token, from `w2v.text.vocabulary.choose`; -1 without a vector.
    settings
        The settings of training. Settings of initial vectors and checkpoints are ignored.
    given
        Initial vectors. A word that is not in `given` starts from a random vector or, with
        subwords, from the mean of the vectors that `given` has for the word's n-grams.
    name
        The name of `given` in error messages, such as its path.
    freeze
        Words of `given` whose vectors are not trained. Without outside vectors in `given`, only the
        center vectors of these words are frozen.
    engine
        A key of `w2v.engines.ENGINES`.
    score
        A function from vectors to their scores by name, called after each epoch (less often with
        the option `every`) and, if early stopping watches a score, before training.
    **options
        Other arguments of `w2v.training.train.train`.

    Raises
    ------
    InputError
        There is nothing to learn from, the loss is no longer finite, or `given` does not fit.
    Stopped
        The function ``options["stop"]`` returned True.
    """
    initial, count, frozen = None, None, None
    if given is not None:
        random = generator(seed, "init")
        initial, count = model_from(given, vocabulary.words, objective, random, name)
        if freeze:
            chosen = frozenset(freeze)
            rows = np.array([word in chosen and word in given for word in vocabulary.words])
            of_words = objective.loss.output_vectors == "words"
            frozen = Frozen(rows, rows & (given.outside is not None and of_words))
    # NumPy need not report overflow: `train` checks after each shard that the loss is finite.
    with np.errstate(all="ignore"), limited_threads(threads):
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
                score=score and (lambda model: score(word_vectors(vocabulary, model, objective))),
                initial=initial,
                frozen=frozen,
                **options,
            )
        except Stopped as stopped:
            so_far = stopped.so_far
            raise Stopped(lambda: replace(so_far(), given=count)) from None
    return replace(trained, given=count)
