"""gensim's Word2Vec as an engine: a peer one setting away, on the same text and the same judge.

gensim trains as its users run it, through its fastest path, a file of one document a line. What
it does not share with the other engines: the window of each centre word is drawn where they
weigh pairs by distance; a pair whose score is beyond ±6 is left out, and so is a noise word that
equals the word to be told apart; and with several threads, each lets the learning rate fall by
the share of the text that it has read itself, so a pass of n threads ends at 1 / n of the way
from its first rate to its last.
"""

import math
import tempfile
import time
from collections.abc import Mapping
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from w2v.engines import Tally, Task
from w2v.errors import InputError
from w2v.objectives import Model, NegativeSampling
from w2v.sampling import keep_probabilities
from w2v.text.tokens import BLOCK, Text, cut

BATCH = 10_000
"""Words that gensim looks at together. It reads lines until it has more, then drops what
survives sub-sampling beyond so many, without a word (piskvorky/gensim#2880)."""

LINE = 1000
"""Words in a line at most, so that a batch is at most BATCH + LINE. Longer documents are cut, and
windows do not cross the cut."""

CROWDED = 0.85
"""Where more than this share of the words survives sub-sampling, a batch could still be too long.
Each line then gets words that gensim does not know, a ninth of its own: they fill batches and are
passed over, and of BATCH + LINE · 10 / 9 words at most BATCH are known."""

UNKNOWN = "- "
"""Such a word. The others are w and their number: cut in two by a thread that starts at an
arbitrary byte, neither part is another word."""

THREAD_WORDS = 10 * BATCH
"""Words a thread has at least. A thread stops at the end of the batch in which it passes its
share, so of a text much shorter than this, much would be read twice."""

LARGEST = 2**31 - 1
"""What gensim's C code takes as an int; beyond it, its threads die and it waits for them."""


class GensimEngine:
    """Skip-gram with negative sampling by gensim, on the model's own matrices.

    A pass over the text is one call of `Word2Vec.train`. gensim reports no loss that could be
    compared (a float32 sum, not per pair: piskvorky/gensim#2735, #2743) and no number of pairs;
    both are ``None`` in the tally.

    Raises
    ------
    InputError
        gensim is not installed, or a setting that it cannot honour.
    """

    piece_words = 2**62
    compile_seconds = 0.0

    def __init__(self, task: Task) -> None:
        loss = task.objective.loss
        assert isinstance(loss, NegativeSampling)
        refuse_what_gensim_cannot(task, loss)
        try:
            from gensim.models import Word2Vec
        except ImportError as error:
            raise InputError(f"engine=gensim: gensim cannot be imported ({error})") from None
        # gensim wants the rows side by side.
        model = Model(*map(np.ascontiguousarray, task.model))
        self.task = replace(task, model=model)
        keep = keep_probabilities(task.counts, task.objective.subsample)
        self.crowded = float(keep @ task.counts) > CROWDED * task.counts.sum()
        self.words = [f"w{number} " for number in range(len(task.counts))]
        self.gensim: Any = Word2Vec(
            sg=1,
            hs=0,
            vector_size=task.objective.dim,
            window=task.objective.window,
            shrink_windows=task.objective.dynamic_window,
            negative=loss.negatives,
            ns_exponent=loss.exponent,
            # From 1 on, gensim takes it for a count; as a threshold it then keeps every word.
            sample=task.objective.subsample if task.objective.subsample < 1 else 0,
            min_count=0,
            sorted_vocab=0,
        )
        # Vectors that are there already are kept, and none are drawn.
        self.gensim.wv.vectors = model.center
        counts = zip(self.words, task.counts.tolist(), strict=True)
        self.gensim.build_vocab_from_freq({word[:-1]: count for word, count in counts})
        self.gensim.syn1neg = model.outside
        self.gensim.min_alpha_yet_reached = math.inf  # it would warn of a second call

    def train(self, text: Text, rates: tuple[float, float], random: np.random.Generator) -> Tally:
        """See `w2v.engines.Engine.train`."""
        begun = time.perf_counter()
        if max(rates) > float(np.finfo(np.float32).max):
            raise InputError(f"train.lr={rates[0]:g}: engine=gensim crashes beyond float32")
        with tempfile.TemporaryDirectory(prefix="w2v-gensim-") as folder:
            corpus = Path(folder) / "corpus"
            words, read, pairs = self._write(text, corpus)
            if not pairs:
                return Tally(words)
            gensim = self.gensim
            gensim.workers = max(1, min(self.task.threads, words // THREAD_WORDS))
            # As arguments of ``train``, rates of 0 would count as not given.
            gensim.alpha, gensim.min_alpha = rates
            gensim.random = np.random.RandomState(random.integers(2**32, dtype=np.uint32))
            training = time.perf_counter()
            gensim.train(corpus_file=str(corpus), total_words=read, epochs=1)
            training = time.perf_counter() - training
        return Tally(words, None, None, time.perf_counter() - begun - training)

    def state(self) -> dict[str, NDArray[Any]]:
        """See `w2v.engines.Engine.state`."""
        return {}

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """See `w2v.engines.Engine.restore`."""

    def _write(self, text: Text, path: Path) -> tuple[int, int, bool]:
        """Write a text as gensim reads it.

        Returns
        -------
        words, read, pairs
            The words of the vocabulary, those and the unknown ones beside them, and whether any
            line holds a pair.
        """
        words = unknown = 0
        pairs = False
        with path.open("w", encoding="ascii", newline="\n") as file:
            for piece in Text(text.tokens, text.ids, cut(text.spans, LINE)).pieces(BLOCK):
                ids, documents = piece.chunk()
                borders = np.flatnonzero(np.diff(documents, prepend=-1, append=-1)).tolist()
                tokens = [self.words[word] for word in ids.tolist()]
                for start, end in pairwise(borders):
                    filler = -(-(end - start) // 9) if self.crowded else 0
                    file.write("".join(tokens[start:end]) + UNKNOWN * filler + "\n")
                    unknown += filler
                    pairs |= end - start > 1
                words += len(ids)
        return words, words + unknown, pairs


def refuse_what_gensim_cannot(task: Task, loss: NegativeSampling) -> None:
    """Refuse, by name, the settings with which gensim fails, hangs or trains nothing."""
    sizes = {"model.window": task.objective.window, "loss.negatives": loss.negatives}
    for name, value in sizes.items():
        if not 1 <= value <= LARGEST:
            raise InputError(f"{name}={value}: engine=gensim takes 1 to {LARGEST}")
    with np.errstate(over="ignore"):
        mass = (task.counts.astype(np.float64) ** loss.exponent).sum()
    if not 0 < mass < math.inf:
        raise InputError(
            f"loss.exponent={loss.exponent}: engine=gensim cannot add up count ** exponent; "
            "choose one nearer to 0"
        )
