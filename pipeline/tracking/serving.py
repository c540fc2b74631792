"""The words as an MLflow model: the code that MLflow runs when it loads or serves one.

MLflow copies this file and the ``w2v`` package into every model (models from code), so a model
works where the project is not installed, and nothing is pickled. The model's artifacts are the
two files that `w2v.WordVectors.load` reads.
"""

from pathlib import Path
from typing import Any

import mlflow
import pandas as pd
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import INVALID_PARAMETER_VALUE
from mlflow.pyfunc.model import PythonModel, PythonModelContext

from w2v import WordVectors

TASKS = ("vector", "neighbours", "analogy")


class Words(PythonModel):
    """Answers one question a row."""

    vectors: WordVectors

    def load_context(self, context: PythonModelContext) -> None:
        """Open the vectors, mapped into memory."""
        self.vectors = WordVectors.load(Path(context.artifacts["vectors"]).parent)

    def predict(
        self,
        context: PythonModelContext,  # noqa: ARG002 (MLflow passes it by name)
        model_input: pd.DataFrame,
        params: dict[str, Any] | None = None,
    ) -> list[dict[str, Any]]:
        """Answer every row.

        Parameters
        ----------
        model_input
            The column ``word``; for an analogy ``a`` and ``b`` too: a is to b as word is to what?
        params
            ``task``: vector, neighbours or analogy; ``k``: how many words to answer with.

        Returns
        -------
        list of dict
            In the order of the rows: ``word``; ``unknown``, those of the row's words that have no
            vector; and the answer, None where ``unknown`` is not empty. A vector is ``vector``,
            a list of numbers. Neighbours and analogies are ``neighbours``, a list of ``word`` and
            ``cosine``, the largest cosine first.

        Raises
        ------
        MlflowException
            A task that there is not, k below 1, a word or a column that is missing. A server
            answers with status 400.
        """
        chosen = params or {}
        task, k = str(chosen.get("task", "vector")), int(chosen.get("k", 10))
        if task not in TASKS:
            raise refusal(f"task={task}: must be {', '.join(TASKS[:-1])} or {TASKS[-1]}")
        if k < 1:
            raise refusal(f"k={k}: must be at least 1")
        columns = ["a", "b", "word"] if task == "analogy" else ["word"]
        for column in columns:
            if column not in model_input:
                raise refusal(f"task={task}: the column {column} is missing")
            for row, word in enumerate(model_input[column]):
                if not isinstance(word, str):
                    raise refusal(f"{column} of row {row}: {word!r} is no word")
        return [
            self._answer(task, list(words), k)
            for words in model_input[columns].itertuples(index=False, name=None)
        ]

    def _answer(self, task: str, words: list[str], k: int) -> dict[str, Any]:
        unknown = [word for word in words if word not in self.vectors]
        name = "vector" if task == "vector" else "neighbours"
        answer: list[Any] | None = None
        if not unknown:
            match task:
                case "vector":
                    answer = self.vectors[words[0]].tolist()
                case "neighbours":
                    answer = named(self.vectors.nearest(words[0], k))
                case _:
                    a, b, c = words
                    answer = named(self.vectors.analogy(a, b, c, k))
        return {"word": words[-1], "unknown": unknown, name: answer}


def named(nearest: list[tuple[str, float]]) -> list[dict[str, Any]]:
    """Words and cosines as JSON objects."""
    return [{"word": word, "cosine": cosine} for word, cosine in nearest]


def refusal(reason: str) -> MlflowException:
    """What a server answers with status 400."""
    return MlflowException(reason, INVALID_PARAMETER_VALUE)


mlflow.models.set_model(Words())
