"""What the evaluation of word vectors found: the tables that the report and the plots show."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from w2v.training.history import Epoch, Point
from w2v.vectors import WordVectors

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = {
    # One row per word pair of a similarity benchmark.
    "pairs": {
        "benchmark": "str",
        "word_1": "str",
        "word_2": "str",
        "human": "float64",  # people's score, on the benchmark's own scale
        "model": "float64",  # cosine of the two vectors; NaN if a word has no vector
        "used": "bool",  # whether the pair counts in the benchmark's score
    },
    # One row per similarity benchmark.
    "similarity": {
        "benchmark": "str",
        "vectors": "str",  # "v": input vectors; "v+u": sums of input and output vectors
        "spearman": "float64",  # rank correlation of "human" and "model"; NaN if undefined
        "pearson": "float64",
        "low": "float64",  # 95 % bootstrap interval of "spearman"
        "high": "float64",
        "pairs": "int64",  # pairs used
        "total": "int64",  # pairs in the benchmark
        "coverage": "float64",  # fraction of the pairs whose words both have vectors
        "oov": "str",  # "skip": pairs with unknown words are left out; "zero": cosine 0
    },
    # One row per analogy category and method. The sums over categories are rows as well: category
    # "all" of the sections "semantic", "syntactic" and "all".
    "analogies": {
        "benchmark": "str",
        "method": "str",  # "3CosAdd" or "3CosMul"
        "section": "str",  # "semantic" or "syntactic"
        "category": "str",
        "questions": "int64",  # questions used
        "total": "int64",  # questions in the benchmark
        "correct_1": "int64",  # questions whose right answer came first
        "correct_5": "int64",  # questions whose right answer was among the first five
        "accuracy": "float64",  # correct_1 / questions; NaN if no question was used
        "low": "float64",  # 95 % interval of "accuracy"
        "high": "float64",
        "vocabulary": "int64",  # answers were chosen among this many most frequent words
    },
    # One row per probe word and rank.
    "neighbours": {
        "word": "str",
        "rank": "int64",  # from 1, the nearest neighbour
        "neighbour": "str",
        "similarity": "float64",  # cosine
    },
    # One row per benchmark and band of word frequency. A pair or question belongs to the band of
    # its rarest word.
    "bands": {
        "benchmark": "str",
        "metric": "str",  # "spearman", or "accuracy" of 3CosAdd
        "first": "int64",  # the band's most frequent rank, from 1
        "last": "int64",
        "used": "int64",  # pairs or questions used
        "value": "float64",
        "low": "float64",  # 95 % interval of "value"
        "high": "float64",
    },
    # One row per word that this run and the run compared with have in common.
    "stability": {
        "word": "str",
        "overlap": "float64",  # fraction of its nearest neighbours that both runs share
    },
}
"""Name and dtype of every column, by table."""

TABLES = tuple(COLUMNS)


@dataclass(frozen=True)
class Findings:
    """The evaluated vectors, the history of their training, and the tables of results.

    The columns of the tables are described in `COLUMNS`.

    Attributes
    ----------
    vectors
        The vectors that were evaluated.
    points, epochs
        The losses during training and at the end of each epoch; both empty if the vectors were
        not trained by this project.
    probes
        The words whose nearest neighbours are listed.
    pairs
        Human and model score of each word pair.
    similarity
        Correlation of human and model scores for each similarity benchmark.
    analogies
        Accuracy for each category of each analogy benchmark.
    neighbours
        Nearest neighbours of the probe words.
    bands
        Scores by how frequent the words of a pair or question are.
    stability
        Shared nearest neighbours with another run; empty if none was compared.
    """

    vectors: WordVectors
    points: list[Point]
    epochs: list[Epoch]
    probes: list[str]
    pairs: "pd.DataFrame"
    similarity: "pd.DataFrame"
    analogies: "pd.DataFrame"
    neighbours: "pd.DataFrame"
    bands: "pd.DataFrame"
    stability: "pd.DataFrame"

    @property
    def tables(self) -> "dict[str, pd.DataFrame]":
        """Return the tables by name."""
        return {name: getattr(self, name) for name in TABLES}
