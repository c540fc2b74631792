"""What the evaluation of word vectors found: the tables that the report and the plots show."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from w2v.evaluate.metrics.tables import COLUMNS
from w2v.training.history import Epoch, Point
from w2v.vectors import WordVectors

if TYPE_CHECKING:
    import pandas as pd

TABLES = tuple(COLUMNS)


@dataclass(frozen=True)
class Findings:
    """What an evaluation found; the tables are described in `w2v.evaluate.metrics.tables`."""

    vectors: WordVectors
    points: list[Point]  # empty, as are the epochs, for vectors made elsewhere
    epochs: list[Epoch]
    probes: list[str]  # whose nearest neighbours are listed
    pairs: "pd.DataFrame"
    similarity: "pd.DataFrame"
    analogies: "pd.DataFrame"
    neighbours: "pd.DataFrame"
    bands: "pd.DataFrame"
    stability: "pd.DataFrame"  # empty if no other run was compared

    @property
    def tables(self) -> "dict[str, pd.DataFrame]":
        """Return the tables by name."""
        return {name: getattr(self, name) for name in TABLES}
