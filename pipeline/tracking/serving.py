"""Load and serve word vectors in MLflow, which copies this file and ``w2v`` into each model."""

from pathlib import Path
from typing import Any

import mlflow
import pandas as pd
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import INVALID_PARAMETER_VALUE
from mlflow.pyfunc.model import PythonModel, PythonModelContext

from w2v import WordVectors

COLUMNS = {"vector": ["word"], "neighbours": ["word"], "analogy": ["a", "b", "word"]}
"""The columns of the input that each task reads."""


class WordVectorModel(PythonModel):
    """An MLflow model that returns word vectors, nearest neighbors, or answers to analogies."""

    vectors: WordVectors

    def load_context(self, context: PythonModelContext) -> None:
        """Load the vectors from the files of the model."""
        self.vectors = WordVectors.load(Path(context.artifacts["vectors"]).parent)

    def predict(
        self,
        context: PythonModelContext,  # noqa: ARG002 (MLflow passes it by name)
        model_input: pd.DataFrame,
        params: dict[str, Any] | None = None,
    ) -> list[dict[str, Any]]:
        """Answer one question per row of a table; raise `MlflowException` for an invalid request.

        `model_input` has the column ``word``; for analogies ("a is to b as word is to ?"), also
        ``a`` and ``b``. `params` may have ``task``: vector (default), neighbours or analogy; and
        ``k``: how many words (default 10). Each row gives a dict with ``word``, ``unknown`` (the
        words without a vector) and the answer. For the task vector, the answer has the key
        ``vector`` (list of float), else ``neighbours`` (dicts: ``word``, ``cosine``; best first).
        If a word is unknown, the value of that key is None.
        """
        params = params or {}
        task, k = str(params.get("task", "vector")), int(params.get("k", 10))
        if task not in COLUMNS:
            raise bad_request(f"task={task}: must be vector, neighbours or analogy")
        if k < 1:
            raise bad_request(f"k={k}: must be at least 1")
        for column in COLUMNS[task]:
            if column not in model_input:
                raise bad_request(f"task={task}: the column {column} is missing")
            for row, word in enumerate(model_input[column]):
                if not isinstance(word, str):
                    raise bad_request(f"{column} of row {row}: {word!r} is no word")
        rows = model_input[COLUMNS[task]].itertuples(index=False, name=None)
        return [self._answer(task, words, k) for words in rows]

    def _answer(self, task: str, words: tuple[str, ...], k: int) -> dict[str, Any]:
        vectors = self.vectors
        known = [w in vectors or vectors.ngram_vector(w) is not None for w in words]
        unknown = [word for word, found in zip(words, known, strict=True) if not found]
        row: dict[str, Any] = {"word": words[-1], "unknown": unknown}
        if task == "vector":
            return row | {"vector": None if unknown else self.vectors[words[0]].tolist()}
        if unknown:
            return row | {"neighbours": None}
        if task == "neighbours":
            found = self.vectors.nearest(words[0], k)
        else:
            found = self.vectors.analogy(words[0], words[1], words[2], k)
        return row | {"neighbours": [{"word": word, "cosine": cosine} for word, cosine in found]}


def bad_request(message: str) -> MlflowException:
    """Return an exception that MLflow's server reports to the client as HTTP status 400."""
    return MlflowException(message, INVALID_PARAMETER_VALUE)


mlflow.models.set_model(WordVectorModel())
