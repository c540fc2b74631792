"""Compare the quality of this package's vectors with gensim's and fastText's, at equal settings.

    python -m tests.benchmark_quality reviews.txt results.jsonl [--seeds 3] [--epochs 5] [--lr 0.05]
    python -m tests.benchmark_quality --table results.jsonl

Each line of the text is a document. A training has one thread, dimension 100, window 5 and five
noise words per pair. The learning rate begins at ``--lr``, 0.025 by default. The scores of a
training are appended to the file of results. Trainings that are already in this file are not
repeated. ``--table`` prints the mean and standard deviation over seeds.

Models with n-grams (of 3 to 6 characters) are compared with gensim's FastText and, if it is
installed, with fastText itself, which always has the same seed. All of these models draw noise
words by count ** 0.5, as fastText always does. Some words of the rated pairs are left out of the
vocabulary of these models, so that some pairs have unknown words: every second one of those that
occur fewer than 500 times.

There are five scores: the accuracy on Google's analogies, and Spearman's correlation of cosines and
ratings on four sets of word pairs. These are WordSim-353; SimLex-999; the pairs of both that have
only words of the vocabulary, of which at least one occurs fewer than 500 times (``rare``); and the
pairs of both that have a word outside the vocabulary (``unknown``).
"""

import argparse
import json
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.stats import spearmanr

from tests.benchmark_family import Corpus, fasttext
from w2v.evaluate import analogies, benchmark_path, load_analogies, load_pairs, similarity
from w2v.evaluate.similarity import pair_answers
from w2v.losses import HierarchicalSoftmax, NegativeSampling
from w2v.objectives import Cbow, Objective, SkipGram
from w2v.text.tokens import Text, cut
from w2v.training.schedule import Schedule
from w2v.training.train import train
from w2v.vectors import WordVectors
from w2v.vectors.ngrams import Subwords

RARE = 500
SETS = ("wordsim353", "simlex999")
SCORES = (*SETS, "google", "rare", "unknown")

LOSSES = {"negsample": NegativeSampling(), "hsoftmax": HierarchicalSoftmax()}
FASTTEXT = NegativeSampling(exponent=0.5)


class Case(NamedTuple):
    """A training to compare: library, model, loss, whether it has n-grams, and settings of CBOW.

    `gradient` and `combine` are the settings ``context_gradient`` and ``combine`` of
    `w2v.objectives.Cbow`. gensim and fastText only have the gradient ``word2vec``: each context
    word gets the whole gradient of the mean, instead of its share. With n-grams, they take the mean
    over the vectors of all context words and of all their n-grams, as ``combine=rows`` does.
    """

    library: str
    model: str
    loss: str
    subwords: bool = False
    gradient: str = "word2vec"
    combine: str = "mean"

    def objective(self) -> Objective:
        loss = FASTTEXT if self.subwords else LOSSES[self.loss]
        if self.model == "skipgram":
            return SkipGram(loss=loss, subwords=self.subwords)
        return Cbow(
            loss=loss,
            subwords=self.subwords,
            context_gradient=self.gradient,
            combine=self.combine,
        )

    def __str__(self) -> str:
        gradient = f" {self.gradient}" * (self.model == "cbow")
        kind = f" {self.combine}" * (self.combine != "mean") + " n-grams" * self.subwords
        return f"{self.model} {self.loss}{gradient}{kind}"


LIBRARIES = ("numba", "gensim")
CASES = [
    *(Case(library, "cbow", loss) for loss in LOSSES for library in LIBRARIES),
    *(Case("numba", "cbow", loss, gradient="exact") for loss in LOSSES),
    *(Case(library, "skipgram", loss) for loss in LOSSES for library in LIBRARIES),
    *(
        Case(library, model, "negsample", subwords=True)
        for model in ("cbow", "skipgram")
        for library in (*LIBRARIES, "fasttext")
    ),
    *(
        Case("numba", "cbow", "negsample", subwords=True, gradient=gradient, combine="rows")
        for gradient in ("word2vec", "exact")
    ),
]


def rated_words() -> set[str]:
    pairs = [pair for name in SETS for pair in load_pairs(benchmark_path(name))]
    return {word.lower() for pair in pairs for word in pair[:2]}


class Data:
    """A text with two vocabularies: one for models with n-grams, one for models without them."""

    def __init__(self, source: Path, folder: Path) -> None:
        self.all = Corpus(source, folder)
        self.folder = folder
        counts = dict(zip(self.all.words, self.all.counts.tolist(), strict=True))
        rare = sorted(w for w in rated_words() if counts.get(w, RARE) < RARE)
        left_out = set(rare[::2])
        self.kept = np.array([word not in left_out for word in self.all.words])

    def of(self, *, subwords: bool) -> tuple[Text, NDArray[np.int64], list[str]]:
        """Return the text with the word ids of a vocabulary, and the vocabulary's counts and words.

        The vocabulary is that of models with n-grams if `subwords` is true, else that of models
        without them. Words outside it have the id -1.
        """
        text, counts, words = self.all.text, self.all.counts, self.all.words
        if not subwords:
            return text, counts, words
        renumbered = np.where(self.kept, np.cumsum(self.kept) - 1, -1).astype(np.int32)
        ids = np.where(text.ids >= 0, renumbered[text.ids], -1).astype(np.int32)
        chosen = [word for word, kept in zip(words, self.kept, strict=True) if kept]
        return Text(text.tokens, ids, text.spans), counts[self.kept], chosen

    def file(self) -> Path:
        """Write the text for models with n-grams to a file, once; return the path of the file.

        Words outside the vocabulary of these models are left out. Lines have at most 1,000 words,
        because gensim drops words of longer lines.
        """
        path = self.folder / "ngrams.txt"
        if not path.exists():
            text, _, words = self.of(subwords=True)
            with path.open("w", encoding="utf-8") as file:
                for start, end in cut(text.spans, 1000):
                    chosen = text.ids[text.tokens[start:end]]
                    file.write(" ".join(words[i] for i in chosen[chosen >= 0]) + "\n")
        return path


def trained(case: Case, data: Data, epochs: int, lr: float, seed: int) -> WordVectors:
    """Train vectors as `case` says, and return them."""
    text, counts, words = data.of(subwords=case.subwords)
    if case.library == "numba" or not case.subwords:
        schedule = Schedule(epochs=epochs, lr=lr)
        done = train(
            text, counts, case.objective(), schedule,
            words=words, engine=case.library, seed=seed, heldout=0.0,
        )  # fmt: skip
        center = np.ascontiguousarray(done.model.center)
        if not case.subwords:
            return WordVectors(words, center, counts)
        subwords = Subwords(center[len(words) :], 3, 6)
        vectors = subwords.means([word.encode() for word in words], center[: len(words)].copy())
        return WordVectors(words, vectors, counts, subwords=subwords)
    path = data.file()
    if case.library == "gensim":
        from gensim.models import FastText

        model: Any = FastText(
            vector_size=100, window=5, min_count=1, sg=case.model == "skipgram", hs=0, negative=5,
            sample=1e-3, alpha=lr, min_alpha=1e-4, min_n=3, max_n=6, bucket=2_000_000,
            workers=1, seed=seed, ns_exponent=FASTTEXT.exponent,
        )  # fmt: skip
        model.build_vocab_from_freq(dict(zip(words, counts.tolist(), strict=True)))
        model.train(
            corpus_file=str(path), epochs=epochs,
            total_words=int(counts.sum()), total_examples=len(cut(text.spans, 1000)),
        )  # fmt: skip
        rows = model.wv.vectors_ngrams
        vectors = np.array([model.wv[word] for word in words])
    else:
        found: Any = fasttext()
        model = found.train_unsupervised(
            str(path), model="cbow" if case.model == "cbow" else "skipgram", lr=lr, dim=100,
            ws=5, epoch=epochs, minCount=1, minn=3, maxn=6, neg=5, bucket=2_000_000, thread=1,
            t=1e-3, verbose=0,
        )  # fmt: skip
        rows = np.asarray(model.get_input_matrix())[len(model.words) :]
        vectors = np.array([model.get_word_vector(word) for word in words])
    return WordVectors(words, vectors, counts, subwords=Subwords(rows, 3, 6))


def scores_of(vectors: WordVectors) -> dict[str, float]:
    """Return the benchmark scores of vectors, by their names in `SCORES`; NaN if undefined."""
    sets = {name: load_pairs(benchmark_path(name)) for name in SETS}
    scores = {name: similarity(vectors, pairs).spearman for name, pairs in sets.items()}
    scores["google"] = analogies(vectors, load_analogies(benchmark_path("google"))).accuracy
    pairs = [pair for name in SETS for pair in sets[name]]
    ratings = np.array([pair.score for pair in pairs])
    answers = pair_answers(vectors, pairs)
    assert vectors.counts is not None
    counts = dict(zip(vectors.words, vectors.counts.tolist(), strict=True))
    least = np.array([min(counts.get(word.lower(), 0) for word in pair[:2]) for pair in pairs])
    for name, among in (("rare", (least > 0) & (least < RARE)), ("unknown", answers.ngrams)):
        chosen = among & ~np.isnan(answers.cosines)
        scores[name] = float("nan")
        if chosen.sum() > 1:
            scores[name] = spearmanr(answers.cosines[chosen], ratings[chosen]).statistic
    return {name: np.nan if score is None else float(score) for name, score in scores.items()}


def print_table(results: Path) -> None:
    """Print a table of benchmark scores, each as its mean and standard deviation over seeds.

    `results` is a file with a line of JSON for each training, as `main` writes it. The table has a
    row for each model, library, number of epochs and learning rate.
    """
    lines = [json.loads(line) for line in results.read_text("utf-8").splitlines()]
    groups: dict[tuple[str, str, int, float], list[dict[str, Any]]] = {}
    for line in lines:
        key = line["model"], line["library"], line["epochs"], line["lr"]
        groups.setdefault(key, []).append(line)
    for (model, library, epochs, lr), runs in sorted(groups.items()):
        values = np.array([[run[name] for name in SCORES] for run in runs])
        spread = values.std(axis=0, ddof=1) if len(runs) > 1 else np.full(len(SCORES), np.nan)
        cells = [f"{a:.3f} ± {b:.3f}" for a, b in zip(values.mean(axis=0), spread, strict=True)]
        row = [model, library, str(epochs), str(lr), str(len(runs)), *cells]
        print("| " + " | ".join(row) + " |")


def main() -> None:
    """Train vectors for each case and seed, and append their benchmark scores to a file of results.

    A case is a library, a model, a loss and further settings (see `Case`). Trainings whose scores
    are already in the file are not repeated. With ``--table``, only print the scores in the file.
    """
    parser = argparse.ArgumentParser()
    parser.add_argument("text", type=Path)
    parser.add_argument("results", type=Path, nargs="?")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--lr", type=float, default=0.025, help="the learning rate at the start")
    parser.add_argument("--only", default="", help="only cases whose names contain this")
    parser.add_argument("--table", action="store_true", help="print the results in a table")
    given = parser.parse_args()
    if given.table:
        print_table(given.text)
        return
    results = given.results
    with tempfile.TemporaryDirectory() as folder:
        data = Data(given.text, Path(folder))
        for seed in range(given.seeds):
            for case in CASES:
                name = {"model": str(case), "library": case.library, "seed": seed}
                name |= {"epochs": given.epochs, "lr": given.lr}
                old = results.read_text("utf-8").splitlines() if results.exists() else []
                if given.only not in f"{case} {case.library}" or any(
                    json.loads(line).items() >= name.items() for line in old
                ):
                    continue
                if case.library == "fasttext" and fasttext() is None:
                    continue
                begun = time.perf_counter()
                scores = scores_of(trained(case, data, given.epochs, given.lr, seed))
                line = {**name, **scores, "seconds": round(time.perf_counter() - begun)}
                with results.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(line) + "\n")
                print(line, flush=True)


if __name__ == "__main__":
    main()
