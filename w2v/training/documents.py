"""`w2v.train`: from documents to a trained model in one call."""

import hashlib
import warnings
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal, Never

import numpy as np

from w2v.cluster.settings import ClusterSettings
from w2v.engines import compiled_ahead
from w2v.errors import InputError
from w2v.files import DISK_FULL, local_path
from w2v.objectives import Objective
from w2v.text.documents import FileSettings, source_of
from w2v.text.phrases import Phrases
from w2v.text.tokenize import tokenize
from w2v.text.tokenizer import Tokenizer
from w2v.text.tokens import read_types
from w2v.text.vocabulary import Vocabulary, VocabularySettings, coverage
from w2v.training import arguments
from w2v.training.arguments import Split, VocabularyOf
from w2v.training.checkpoint import Checkpoints
from w2v.training.fit import fit
from w2v.training.interrupt import Interrupt
from w2v.training.memory import available_cores, require_memory, training_memory
from w2v.training.model import TrainedModel
from w2v.training.movement import movement
from w2v.training.progress import ProgressBar
from w2v.training.result import word_vectors
from w2v.training.schedule import TrainingSettings
from w2v.training.train import Stopped, Trained
from w2v.vectors import WordVectors

Documents = str | Path | Iterable[str | Path] | Iterable[Iterable[str]]
"""The types of the argument `documents` of `train`: paths, texts, or lists of tokens.

A single str or Path is a path. All items of a list or tuple are paths if the first item is a Path,
or a string that names an existing file or folder, is a glob pattern or a URL, or ends in the suffix
of a known file format, as ``a.txt`` does. The strings in any other iterable are texts.
"""


def train(
    documents: Documents,
    objective: Objective | None = None,
    *,
    tokenizer: Tokenizer | Split | None = None,
    phrases: Phrases | None = None,
    unit: str = "line",
    field: str | None = None,
    encoding: str = "utf-8",
    errors: str = "strict",
    limit: int | None = None,
    workers: int | None = None,
    min_count: int = 5,
    max_size: int | None = None,
    words: str | Path | Sequence[str] | None = None,
    keep: Sequence[str] = (),
    drop: str | Path | Sequence[str] = (),
    max_share: float | None = None,
    epochs: int = 5,
    lr: float = 0.025,
    min_lr: float = 1e-4,
    decay_epochs: int | None = None,
    heldout: float = 0.01,
    heldout_seed: int = 0,
    bootstrap: bool = False,
    patience: int | None = None,
    min_gain: float = 0.0,
    init: str | Path | WordVectors | TrainedModel | None = None,
    vocabulary: VocabularyOf = "new",
    freeze: Literal["given"] | Sequence[str] = (),
    checkpoints: str | Path | None = None,
    checkpoint_every: float | None = 60.0,
    checkpoint_words: int | None = None,
    engine: str = "numba",
    threads: int | None = None,
    precision: str = "float32",
    cluster: ClusterSettings | None = None,
    ray_address: str | None = None,
    seed: int = 0,
    progress: bool = True,
    **unknown: Never,
) -> TrainedModel:
    """Train word vectors on files, texts or lists of tokens.

    The stages ``tokenize``, ``vocab`` and ``train`` of the pipeline have settings of the same names
    and defaults. With equal settings, they give the same vectors, bit for bit.

    Parameters
    ----------
    documents
        Either files: the path of a file or folder, a glob pattern or a URL, or a list of these;
        ``.gz``, ``.bz2``, ``.xz`` and ``.zst`` files are decompressed. Or the documents themselves:
        an iterable of strings, or of lists of tokens, which are used unchanged; it is read once, as
        a stream. A list of strings is taken for paths if its first item is an existing path, a glob
        pattern or a URL, or has the suffix of a known file format, such as ``.txt``.
    objective
        The architecture and its loss, as in ``w2v.Cbow(loss=w2v.HierarchicalSoftmax())``; None:
        ``w2v.SkipGram()``, with 100 dimensions, a window of 5 and negative sampling with 5 noise
        words.
    tokenizer
        How a text is split: ``w2v.Words()`` (the default), ``w2v.Whitespace()``, or a function from
        the unchanged text to its tokens.
    phrases
        How words that often occur together are joined, as in ``w2v.Phrases(passes=2)``; None: they
        are not joined.
    unit, field, encoding, errors
        How files are read. A document is a `unit` (``line``, ``paragraph`` or ``file``) of plain
        text, or the `field` of a record in a JSON, CSV, TSV or Parquet file. Bytes that are invalid
        in `encoding` are treated according to `errors`: ``strict``, ``replace`` or ``ignore``. With
        `field`, `unit` must be ``line``.
    limit
        The largest number of documents to read; blank ones do not count.
    workers
        The number of threads that tokenize; None: one for each core. With the setting ``pattern``
        or ``function`` of ``w2v.Words`` or ``w2v.Whitespace``, `workers` processes tokenize instead
        of threads; None: one. If `tokenizer` is itself a function, `workers` is not used.
    min_count, max_size, words, keep, drop, max_share
        Which words get a vector: words that occur at least `min_count` times or, if `words` is
        given, words in `words` that occur. Words in `drop`, and words that each make up more than
        the fraction `max_share` of all tokens, are left out. If more than `max_size` words remain,
        the most frequent are used. Words in `keep` always get a vector if they occur. `words` and
        `drop` are lists of words, or the path of a file with one word per line.
    epochs, lr, min_lr, decay_epochs
        The number of passes over the text, and the learning rate at the start and at the end. The
        rate falls linearly over `decay_epochs` epochs; None: over all epochs.
    heldout, heldout_seed
        The share of documents that are not trained on, but used to measure the held-out loss after
        each epoch, and the seed by which they are drawn. If there are too few documents, a passage
        of the text is held out.
    bootstrap
        Whether to train on a bootstrap sample of the documents that are not held out, drawn with
        replacement by `seed`. Models of several seeds then differ as models of several similar
        texts would. The vocabulary and its counts stay those of the whole text.
    patience, min_gain
        Stop after `patience` successive epochs without a gain, and keep the vectors of the best
        epoch; None: never stop early. A gain is a held-out loss that is more than `min_gain` nats
        per pair below the best so far.
    init
        Initial vectors: a model, vectors, or a path that `WordVectors.load` reads. Other words
        start from random vectors or, with subwords, from the mean of the initial vectors of their
        n-grams. The attribute ``moved`` of the result says how far training moved the vectors.
    vocabulary
        With `init`, which words the result has: ``new``, words of the text; ``given``, words of
        `init` and words of `keep` that occur; ``union``, both. A word of `init` that is not in the
        text keeps its initial vectors, unless subwords change its center vector or `w2v.Softmax`
        its outside vector. With ``given`` and ``union``, `max_share` does not exclude words of
        `init`, and counts of `init`, if any, are added to those of the text.
    freeze
        Words of `init` whose vectors are not trained; ``given``: all of them. Training then uses
        NumPy and is several times slower. Not possible with subwords or with ``engine="jax"``.
    checkpoints
        A folder for checkpoints, from which the same call continues after an interruption. They are
        removed when the training is complete. None: no checkpoints.
    checkpoint_every, checkpoint_words
        Write a checkpoint when this many seconds or words have passed since the last one; None: not
        used. The time is longer if writing checkpoints would take more than 1 % of the training
        time. A checkpoint is also written when Ctrl-C stops the training.
    engine, threads
        One of `w2v.engines.ENGINES`, and its number of threads; None: one for each core.
    precision
        The precision of matrix products of ``engine="jax"``, one of `w2v.engines.PRECISIONS`.
    cluster
        The workers that train the model together, as in ``w2v.ClusterSettings("ray", workers=8)``;
        None: only this process. The vectors depend on the number of workers.
    ray_address
        The Ray cluster, as in ``10.0.0.1:6379``; None: one is started on this machine. Ignored if
        this process is already connected to a Ray cluster: that cluster is used. Workers on other
        machines need ``text="store"`` in `cluster`, or access to this machine's temporary folder.
    seed
        The seed of everything that is random in training. `heldout_seed` chooses the held-out text
        and the noise words for its loss.

    Returns
    -------
    TrainedModel
        The vectors, with the losses of all epochs.

    Raises
    ------
    InputError
        An argument or a document is invalid, a file cannot be read, there is nothing to learn from,
        or memory or disk space is too small.
    KeyboardInterrupt
        Ctrl-C was pressed before training began, or twice.

    Warns
    -----
    UserWarning
        Ctrl-C interrupted training, and the vectors are those trained so far; a checkpoint cannot
        be used or written; or `bootstrap` is set and there are fewer than 20 documents.

    Notes
    -----
    The text is not kept in memory. Its token ids, 4 bytes each, are in a temporary folder
    (environment variable ``TMPDIR``) until the training ends. Memory holds some blocks of text, the
    distinct tokens with their counts (about 150 bytes each), 64 bytes for each document, and the
    model (16 bytes for each word and dimension).

    References
    ----------
    Mikolov, Chen, Corrado, Dean (2013), Efficient Estimation of Word Representations in Vector
    Space. Mikolov, Sutskever, Chen, Corrado, Dean (2013), Distributed Representations of Words and
    Phrases and their Compositionality.

    Examples
    --------
    >>> model = w2v.train("reviews.txt", w2v.SkipGram(dim=200), epochs=3)
    >>> model.vectors.nearest("plot")
    """
    arguments.refuse_unknown(unknown, train)
    objective = arguments.objective_of(objective)
    settings = TrainingSettings(
        epochs=epochs,
        lr=lr,
        min_lr=min_lr,
        decay_epochs=decay_epochs,
        heldout=heldout,
        heldout_seed=heldout_seed,
        bootstrap=bootstrap,
        patience=patience,
        min_gain=min_gain,
        checkpoint_every=checkpoint_every,
        checkpoint_words=checkpoint_words,
    )
    arguments.OtherSettings(seed, limit, workers)
    threads = arguments.check_engine(engine, threads, precision, objective)
    team = arguments.cluster_of(cluster, ray_address, engine, objective)
    arguments.check_others(progress, checkpoints)
    phrases = arguments.phrases_of(phrases)
    wanted, kept, dropped = arguments.word_lists(words, keep, drop)
    choice = VocabularySettings(min_count, max_size, None, kept, dropped, max_share)
    choice.words_to_drop()
    given, name = arguments.initial_vectors(init, objective)
    frozen = arguments.words_to_freeze(freeze, given, engine, objective)
    arguments.check_vocabulary(vocabulary, given, words, objective.loss)
    found = source_of(documents, FileSettings(unit, field, encoding, errors))
    source, split = arguments.apply_tokenizer(found, tokenizer)
    cores = available_cores()
    with (
        ProgressBar(progress) as bar,
        TemporaryDirectory(prefix="w2v-", ignore_cleanup_errors=True) as temporary,
        Interrupt() as interrupt,
    ):
        folder = Path(temporary)
        with compiled_ahead(engine), _explain_full_disk(folder):
            corpus = tokenize(
                folder,
                source,
                split,
                phrases,
                limit=limit,
                # Starting processes runs the user's script again, unless it guards its main part.
                workers=workers or (1 if split.custom else cores),
                on_read=bar.reading,
                on_join=bar.joining,
            )
        types, counts = read_types(folder)
        added = None if vocabulary == "new" else given
        chosen, ids = arguments.choose_with_given(
            types, counts, choice, wanted, dropped, added, vocabulary
        )
        covered = coverage(types, counts, chosen, [*(wanted or ()), *kept], dropped)
        del types
        keeps_best = settings.early_stopping is not None
        require_memory(
            training_memory(len(chosen), corpus["documents"], objective, keeps_best),
            f"training {len(chosen):,} words with dim={objective.dim} takes",
            "lower dim or max_size, or raise min_count" + ", or lower buckets" * objective.subwords,
        )
        saved = None
        if checkpoints is not None:
            # How often checkpoints are written does not change the vectors.
            same = replace(settings, checkpoint_every=None, checkpoint_words=None)
            parts = objective, same, engine, precision, seed, chosen.words, sorted(frozen)
            path = local_path(checkpoints) / _digest(folder, (*parts, team.identity()), given)
            saved = Checkpoints(path, checkpoint_every, checkpoint_words, _warn)
        interrupt.defer()
        from w2v.cluster.workers import open_cluster  # loads SciPy

        interrupted = False
        try:
            with open_cluster(team, ray_address, cores, threads, bar.say) as opened:
                trained = fit(
                    folder,
                    chosen,
                    ids,
                    objective,
                    settings,
                    given=given,
                    name=name,
                    freeze=frozen,
                    engine=engine,
                    threads=threads or cores,
                    precision=precision,
                    cluster=opened,
                    seed=seed,
                    checkpoints=saved,
                    stop=interrupt.requested,
                    on_start=bar.start,
                    on_resume=bar.resume,
                    on_point=bar.point,
                    on_epoch=bar.epoch,
                )
        except Stopped as stopped:
            trained, interrupted = stopped.so_far(), True
        if saved is not None and not interrupted:
            saved.clear()
    if interrupted:
        _warn(interrupted_line(trained, settings.epochs, saved is not None))
    elif interrupt.received:
        _warn("Ctrl-C came after the last words of the training, which is complete")
    vectors = _vectors(trained, chosen, added)
    # The engine's arrays belong to the text's own counts and order of words.
    state = trained.engine_state if added is None or added.counts is None else {}
    return TrainedModel(
        vectors,
        trained.epochs,
        trained.points,
        trained.kept_epoch,
        trained.words,
        trained.seconds,
        corpus,
        covered,
        None if given is None else movement(given, vectors),
        interrupted,
        state,
        trained.cluster,
    )


def _vectors(trained: Trained, chosen: Vocabulary, added: WordVectors | None) -> WordVectors:
    """Return the trained vectors with their words and counts.

    `chosen` is the vocabulary with the counts of the text. `added` are the initial vectors if the
    argument ``vocabulary`` of `train` is ``union`` or ``given``, and None if it is ``new``. If
    `added` has counts, they are added to those of the text, and words are ordered by the sums.
    """
    found = word_vectors(chosen, trained.model, trained.objective)
    if added is None or added.counts is None:
        return found
    old = dict(zip(added.words, added.counts.tolist(), strict=True))
    counts = chosen.counts + np.array([old.get(word, 0) for word in chosen.words], np.int64)
    order = np.argsort(-counts, kind="stable")
    words = [chosen.words[row] for row in order.tolist()]
    outside = None if found.outside is None else found.outside[order]
    return WordVectors(words, found.vectors[order], counts[order], outside, found.subwords)


def interrupted_line(trained: Trained, epochs: int, saved: bool) -> str:
    """Return the text of the warning that Ctrl-C interrupted a training.

    `epochs` is the number of epochs requested, and `saved` is whether there are checkpoints.
    """
    way = "the same call continues" if saved else "with checkpoints='folder' it could continue"
    return (
        f"interrupted in epoch {len(trained.epochs) + 1} of {epochs}: these vectors are learnt "
        f"from the {trained.words:,} words read so far; {way}"
    )


def _warn(line: str) -> None:
    warnings.warn(line, stacklevel=3)


def _digest(folder: Path, settings: object, given: WordVectors | None) -> str:
    """Return a name for a training's checkpoint folder: a hash of the three arguments.

    The name is the same if the text, the settings and the initial vectors are the same.

    Parameters
    ----------
    folder
        The folder of the tokenized text. Its token ids, the borders of its documents and its types
        (distinct tokens) are hashed.
    settings
        Any object; its ``repr`` is hashed.
    given
        The initial vectors, if any. Their words, their center and outside vectors, and the vectors
        of their n-grams are hashed.
    """
    digest = hashlib.sha256(repr(settings).encode("utf-8", "backslashreplace"))
    arrays = [np.load(folder / name, mmap_mode="r") for name in ("tokens.npy", "offsets.npy")]
    arrays.append(np.fromfile(folder / "types.txt", np.uint8))
    if given is not None:
        digest.update(repr(given.words).encode("utf-8", "backslashreplace"))
        ngrams = None if given.subwords is None else given.subwords.rows
        given_arrays = given.vectors, given.outside, ngrams
        arrays += [array for array in given_arrays if array is not None]
    for array in arrays:
        digest.update(zlib.crc32(np.ascontiguousarray(array).data).to_bytes(4, "big"))
    return digest.hexdigest()[:16]


@contextmanager
def _explain_full_disk(folder: Path) -> Iterator[None]:
    """Context manager: convert an error about a full disk into an `InputError` with advice.

    `folder` is the temporary folder with the tokenized text.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in DISK_FULL:
            raise
        raise InputError(
            f"{folder}: the disk is full; set the environment variable TMPDIR to a folder with "
            "space for 4 bytes a token"
        ) from None
