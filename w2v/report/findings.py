"""The results of evaluating word vectors: the tables that the report and the charts show."""

from dataclasses import dataclass

from w2v.evaluate.metrics.tables import COLUMNS
from w2v.tables import Row
from w2v.training.history import Epoch, Point
from w2v.vectors import WordVectors

TABLES = tuple(COLUMNS)


@dataclass(frozen=True)
class Findings:
    """The results of evaluating word vectors.

    Tables are lists of rows; `w2v.evaluate.metrics.tables` describes their columns. All tables are
    empty if `evaluate_vectors` was called with ``brief=True``.

    Attributes
    ----------
    points, epochs
        The losses measured during training, and the losses and scores of each epoch. Empty if the
        setting ``evaluate.vectors`` names the vectors.
    probes
        The words whose nearest neighbors are listed.
    pairs, similarity
        Tables of the word pairs of the similarity benchmarks, and of the score on each benchmark.
    analogies
        A table of the accuracy on each analogy benchmark and category.
    bands
        A table of the scores on each benchmark by bands of word frequency.
    stability
        A table of the fraction of each word's nearest neighbors that another run shares; empty if
        no other run was compared.
    """

    vectors: WordVectors
    points: list[Point]
    epochs: list[Epoch]
    probes: list[str]
    pairs: list[Row]
    similarity: list[Row]
    analogies: list[Row]
    neighbours: list[Row]
    bands: list[Row]
    stability: list[Row]

    @property
    def tables(self) -> dict[str, list[Row]]:
        """The tables of results by name, such as ``similarity`` and ``analogies``."""
        return {name: getattr(self, name) for name in TABLES}
