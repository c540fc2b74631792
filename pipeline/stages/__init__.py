"""The stages: plain functions from inputs to files, and the table of what each one needs.

A stage's function gets the empty folder that it fills, the folders of the stages it consumes and
its settings; it returns facts for the summary. It knows nothing of Hydra, the cache or MLflow.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Stage:
    """A row of the stage table.

    Attributes
    ----------
    consumes
        The stages whose results are read.
    version
        Raised when the code changes what the same settings give.
    """

    consumes: tuple[str, ...]
    version: int


STAGES = {
    "tokenize": Stage(consumes=(), version=2),
    "vocab": Stage(consumes=("tokenize",), version=2),
    "train": Stage(consumes=("tokenize", "vocab"), version=1),
    "evaluate": Stage(consumes=("train",), version=2),
}
"""In the order in which they run."""
