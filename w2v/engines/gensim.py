"""``engine=gensim``: train by gensim's Word2Vec, to compare it with the other engines.

It trains negative sampling and the hierarchical softmax, for skip-gram and for CBOW. gensim reads
the text from a file with a line for each document, or for each part of at most `LINE` words. gensim
differs from the other engines:

- With ``dynamic_window``, it draws a random window size for each center word. For skip-gram, the
  other engines weight pairs by their distance instead.
- It skips pairs, noise words and tree nodes whose score is outside [-6, 6], and noise words that
  equal the word to predict.
- With n threads, the learning rate falls only 1 / n as far in an epoch as planned, because each
  thread computes it from the words that it has read itself.
"""

import math
import tempfile
import time
import zlib
from collections.abc import Mapping
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from w2v.engines import Tally, Task
from w2v.errors import InputError
from w2v.huffman import HuffmanTree
from w2v.losses import NegativeSampling
from w2v.objectives import Model
from w2v.sampling import keep_probabilities
from w2v.text.tokens import SHARD_TOKENS, Text, cut

BATCH = 10_000
"""The most words that gensim trains on in one batch. gensim adds lines to a batch until the batch
has more words than this, and then sub-samples it. If more words than this are still left, gensim
silently drops the excess (piskvorky/gensim#2880). `LINE` and `MAX_KEPT` make this very unlikely."""

LINE = 1000
"""The most words of the text in a line of the file that gensim reads. A line can also have filler
words, which gensim skips (see `UNKNOWN`). gensim adds whole lines to a batch until the batch has
more than `BATCH` words, filler words included. A batch thus has at most BATCH + LINE words of the
text. A document of more than LINE words is cut into several lines, and windows do not reach across
a cut."""

MAX_KEPT = 0.85
"""A line is padded with unknown words if sub-sampling keeps, on average, more than this share.

If more than `BATCH` words of a batch are left after sub-sampling, gensim drops the excess. It
counts unknown words when it fills a batch, and then skips them, so padding leaves fewer words.
Without padding, a batch has at most `BATCH` + `LINE` = 11,000 words, of which sub-sampling keeps at
most 9350 on average.
"""

UNKNOWN = "- "
"""The filler word with which lines are padded: a dash, and the space after it. gensim counts it
when it reads a batch, and then skips it, because it is not in the vocabulary (see `MAX_KEPT`).

Each word of the vocabulary is written as the letter w and a number, so neither a dash nor digits
alone are a word of it. gensim may get digits alone, because its threads may start to read in the
middle of a word."""

MIN_THREAD_WORDS = 10 * BATCH
"""The fewest words per thread, if there are several threads. Each of n threads starts at another
n-th of the file, and reads whole batches until it has read more than 1 / n of the words. It may
thus read about one batch of words that the next thread reads, too. With fewer words per thread,
much of the text would be read by two threads."""

LEAST_RATE = 1e-30
"""At a learning rate up to this one, training may leave all vectors unchanged, because the changes
are too small for float32. At a higher rate, unchanged vectors mean that there were no pairs."""

MAX_INT = 2**31 - 1
"""The largest value of gensim's C integers. A larger setting makes gensim's threads die, and gensim
waits for these threads forever."""


class GensimEngine:
    """An engine that trains with gensim.

    An epoch is one call of gensim's `Word2Vec.train`. The engine reports neither the number of
    pairs nor the loss. gensim does not report the number of pairs. It accumulates the loss in
    float32 over all pairs (piskvorky/gensim#2735, #2743), so its loss cannot be compared with the
    loss of other engines.

    Raises
    ------
    InputError
        gensim is not installed, or cannot train with one of the settings.
    """

    shard_words = 2**62
    compile_seconds = 0.0

    def __init__(self, task: Task) -> None:
        loss = task.objective.loss
        negative_sampling = isinstance(loss, NegativeSampling)
        if isinstance(loss, NegativeSampling):
            check_settings(task, loss)
        try:
            from gensim.models import Word2Vec
        except ImportError as error:
            raise InputError(f"engine=gensim: gensim cannot be imported ({error})") from None
        check_lengths(task.model)
        # gensim requires contiguous matrices.
        model = Model(*map(np.ascontiguousarray, task.model))
        self.task = replace(task, model=model)
        self.keep = keep_probabilities(task.counts, task.objective.subsample)
        self.words = [f"w{number} " for number in range(len(task.counts))]
        self.gensim: Any = Word2Vec(
            sg=task.objective.name == "skipgram",
            hs=not negative_sampling,
            cbow_mean=1,
            vector_size=task.objective.dim,
            window=task.objective.window,
            shrink_windows=task.objective.dynamic_window,
            negative=loss.negatives if isinstance(loss, NegativeSampling) else 0,
            ns_exponent=loss.exponent if isinstance(loss, NegativeSampling) else 0.75,
            # gensim would take a value of 1 or more as a count; as a threshold it keeps every word.
            sample=task.objective.subsample if task.objective.subsample < 1 else 0,
            min_count=0,
            sorted_vocab=0,
        )
        # gensim keeps existing vectors instead of drawing its own.
        self.gensim.wv.vectors = model.center
        counts = zip(self.words, task.counts.tolist(), strict=True)
        # gensim divides by counts. Words that do not occur in this text get the count 0 afterwards.
        self.gensim.build_vocab_from_freq({word[:-1]: max(1, count) for word, count in counts})
        absent = np.flatnonzero(task.counts == 0).tolist()
        for word in absent:
            self.gensim.wv.set_vecattr(self.words[word][:-1], "count", 0)
        if absent and negative_sampling:
            self.gensim.make_cum_table()
        if negative_sampling:
            self.gensim.syn1neg = model.outside
        else:
            self._set_tree(task)
        self.gensim.min_alpha_yet_reached = math.inf  # or it warns at the second call
        self._has_learnt = False

    def _set_tree(self, task: Task) -> None:
        """Replace gensim's Huffman tree and node vectors by those of the task."""
        tree = HuffmanTree(task.counts)
        paths = [slice(*path) for path in pairwise(tree.starts.tolist())]
        for word, path in zip(self.words, paths, strict=True):
            self.gensim.wv.set_vecattr(word[:-1], "code", tree.codes[path].astype(np.uint8))
            self.gensim.wv.set_vecattr(word[:-1], "point", tree.nodes[path].astype(np.uint32))
        # gensim has one row more than the tree has inner nodes.
        self.gensim.syn1 = np.zeros((len(task.counts), task.objective.dim), np.float32)
        nodes = self.gensim.syn1[:-1]
        nodes[:] = task.model.outside
        self.task = replace(self.task, model=self.task.model._replace(outside=nodes))

    def train(self, text: Text, rates: tuple[float, float], random: np.random.Generator) -> Tally:
        """Train on the text once; `rates` are the learning rates at its start and end.

        gensim reads the text from a file; `random` gives gensim's seed. The result has the number
        of words before sub-sampling, and the seconds spent on preparation. The number of pairs and
        the loss are None, because the engine does not report them, or 0 if there were no pairs:
        if no line of the file has two words of the vocabulary, or this and all earlier calls left
        the output vectors unchanged, although one of `rates` is large enough (above `LEAST_RATE`).

        Raises
        ------
        InputError
            A learning rate is larger than float32 can hold.
        """
        start = time.perf_counter()
        if max(rates) > float(np.finfo(np.float32).max):
            raise InputError(f"lr={rates[0]:g}: engine=gensim crashes beyond float32")
        with tempfile.TemporaryDirectory(prefix="w2v-gensim-") as folder:
            corpus = Path(folder) / "corpus"
            words, read, pairs = self._write(text, corpus)
            if not pairs:
                return Tally(words)
            gensim = self.gensim
            gensim.workers = max(1, min(self.task.threads, words // MIN_THREAD_WORDS))
            # Set as attributes, because ``train`` ignores arguments that are 0.
            gensim.alpha, gensim.min_alpha = rates
            gensim.random = np.random.RandomState(random.integers(2**32, dtype=np.uint32))
            # Every pair changes an output vector, unless the learning rate is too small for that.
            before = None if self._has_learnt else zlib.crc32(self.task.model.outside.data)
            training = time.perf_counter()
            gensim.train(corpus_file=str(corpus), total_words=read, epochs=1)
            training = time.perf_counter() - training
        preparation = time.perf_counter() - start - training
        self._has_learnt |= before != zlib.crc32(self.task.model.outside.data)
        if not self._has_learnt and max(rates) > LEAST_RATE:
            return Tally(words, setup_seconds=preparation)
        return Tally(words, None, None, preparation)

    def state(self) -> dict[str, NDArray[Any]]:
        """Return an empty dict, because the engine has no state other than the model."""
        return {}

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Do nothing: the engine has no state to restore."""

    def _write(self, text: Text, path: Path) -> tuple[int, int, bool]:
        """Write a text to a file in gensim's format, one document or part of a document per line.

        Tokens outside the vocabulary are left out. gensim drops words of a batch if too many are
        left after sub-sampling (see `MAX_KEPT`). To prevent this, some lines end with filler words.
        gensim counts them when it fills a batch, which thus has less text, and then skips them.

        Returns
        -------
        words
            The number of tokens of the text that are written to the file.
        read
            The number of all words in the file: these tokens, and the filler words.
        pairs
            Whether any line has two or more tokens of the text, so that there is a pair to train
            on.
        """
        words = unknown = 0
        pairs = False
        with path.open("w", encoding="ascii", newline="\n") as file:
            for shard in Text(text.tokens, text.ids, cut(text.spans, LINE)).shards(SHARD_TOKENS):
                ids, documents, _ = shard.read()
                borders = np.flatnonzero(np.diff(documents, prepend=-1, append=-1)).tolist()
                tokens = [self.words[word] for word in ids.tolist()]
                kept = np.append(0.0, np.cumsum(self.keep[ids]))
                for start, end in pairwise(borders):
                    pads = kept[end] - kept[start] > MAX_KEPT * (end - start)
                    # A batch of padded lines has up to 11,112 words; up to 10,000 are no filler.
                    filler = -(-(end - start) // 9) if pads else 0
                    file.write("".join(tokens[start:end]) + UNKNOWN * filler + "\n")
                    unknown += filler
                    pairs |= end - start > 1
                words += len(ids)
        return words, words + unknown, pairs


def check_lengths(model: Model) -> None:
    """Raise an `InputError` if a vector's Euclidean length is so large that gensim would crash."""
    most = float(np.finfo(np.float32).max)
    squares = (np.einsum("ij,ij->i", part, part, dtype=np.float64) for part in model)
    if any(part.max(initial=0) > most for part in squares):
        raise InputError(
            f"init: engine=gensim crashes with a vector that is longer than {math.sqrt(most):.2g}"
        )


def check_settings(task: Task, loss: NegativeSampling) -> None:
    """Check for settings of negative sampling with which gensim would fail, hang or train nothing.

    Raises
    ------
    InputError
        The number of noise words, or the sum of count ** exponent, is out of gensim's range.
    """
    if loss.negatives > MAX_INT:
        raise InputError(
            f"loss.negatives={loss.negatives}: must be at most {MAX_INT} for engine=gensim"
        )
    with np.errstate(over="ignore"):
        total = (task.counts.astype(np.float64) ** loss.exponent).sum()
    if not 0 < total < math.inf:
        raise InputError(
            f"loss.exponent={loss.exponent}: engine=gensim cannot add up count ** exponent; "
            "choose one nearer to 0"
        )
