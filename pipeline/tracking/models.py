"""The vectors as MLflow models: written from code and data, and found again by name."""

import re
from importlib import metadata
from itertools import islice
from pathlib import Path
from typing import Any

from pipeline.tracking.tracker import DATABASE, first_line, store_uri
from w2v.errors import InputError
from w2v.vectors import VECTORS, VOCABULARY

ROOT = Path(__file__).parents[2]


def save_model(vectors: Path, out: Path, described: Any) -> None:
    """Write an MLflow model of the vectors in a folder, made of code and data, without pickle.

    Parameters
    ----------
    vectors
        A folder that `w2v.WordVectors.load` reads.
    out
        A folder that does not exist yet.
    described
        An ``mlflow.models.Model``: of which run the model is.
    """
    import mlflow.pyfunc
    import pandas as pd
    from mlflow.models import ModelSignature
    from mlflow.types.schema import Array, ColSpec, Object, ParamSchema, ParamSpec, Property, Schema

    with (vectors / VOCABULARY).open(encoding="utf-8") as table:
        next(table)
        frequent = [row.rstrip("\n").partition("\t")[0] for row in islice(table, 2)]
    neighbour = Object([Property("word", "string"), Property("cosine", "double")])
    signature = ModelSignature(
        inputs=Schema(
            [
                ColSpec("string", "word"),
                ColSpec("string", "a", required=False),
                ColSpec("string", "b", required=False),
            ]
        ),
        outputs=Schema(
            [
                ColSpec("string", "word"),
                ColSpec(Array("string"), "unknown"),
                ColSpec(Array("float"), "vector", required=False),
                ColSpec(Array(neighbour), "neighbours", required=False),
            ]
        ),
        params=ParamSchema([ParamSpec("task", "string", "vector"), ParamSpec("k", "integer", 10)]),
    )
    mlflow.pyfunc.save_model(
        out,
        python_model=str(ROOT / "pipeline" / "serving.py"),
        code_paths=[str(ROOT / "w2v")],
        artifacts={"vectors": str(vectors / VECTORS), "vocabulary": str(vectors / VOCABULARY)},
        signature=signature,
        input_example=pd.DataFrame({"word": frequent}),
        # Of its own accord MLflow would load the model in another process to see what it imports.
        pip_requirements=[f"numpy=={metadata.version('numpy')}"],
        mlflow_model=described,
    )


def model_folder(model: str, uri: str | None = None, outputs: Path = Path("outputs")) -> Path:
    """The folder that `w2v.WordVectors.load` reads, of a model in MLflow's registry.

    Parameters
    ----------
    model
        ``models:/name@alias``, ``models:/name/version``, or ``models:/id`` of a run's model.
    uri
        Of the tracking store, as in the settings: None for the one under ``outputs``.

    Raises
    ------
    InputError
        There is no such model, or it is not one of word vectors.
    """
    from mlflow import MlflowClient
    from mlflow.artifacts import download_artifacts
    from mlflow.exceptions import MlflowException

    asked = re.fullmatch(r"models:/([^/@]+)(?:@([^/@]+)|/(\d+))?", model)
    if asked is None:
        raise InputError(f"{model}: must be models:/name@alias, models:/name/version or models:/id")
    name, alias, version = asked.groups()
    store = store_uri(uri, outputs)
    if uri is None and not (outputs / DATABASE).exists():
        raise InputError(f"{outputs / DATABASE}: no such store; give uri or outputs")
    try:
        client = MlflowClient(store, registry_uri=store)
        if alias:
            version = client.get_model_version_by_alias(name, alias).version
        if version:
            place = client.get_model_version_download_uri(name, version)
        else:
            place = client.get_logged_model(name).artifact_location
        found = Path(download_artifacts(place, tracking_uri=store))
    except (MlflowException, OSError) as error:
        raise InputError(f"{model}: not found in {store} ({first_line(error)})") from None
    if not (found / "artifacts" / VECTORS).is_file():
        raise InputError(f"{model}: not a model of word vectors")
    return found / "artifacts"
