"""Word vectors as MLflow models: save, log, register and find them."""

import re
import tempfile
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import Any

import mlflow.pyfunc
import pandas as pd
from mlflow import MlflowClient
from mlflow.artifacts import download_artifacts
from mlflow.entities import LoggedModelOutput, Run
from mlflow.exceptions import MlflowException
from mlflow.models import Model, ModelSignature
from mlflow.types.schema import Array, ColSpec, Object, ParamSchema, ParamSpec, Property, Schema

import w2v
from pipeline.tracking.retries import one_line
from pipeline.tracking.store import DATABASE, STORE_ERRORS, follow_artifacts, store_uri
from w2v.errors import InputError
from w2v.vectors import NGRAMS, SUBWORDS, VECTORS, VOCABULARY

MODEL = "words"
"""The name of every run's model: MLflow's UI shows models of the same name side by side."""

SERVED = (VECTORS, VOCABULARY, SUBWORDS, NGRAMS)
"""Files in the folder of a trained model that go into the logged MLflow model if they exist."""

NEIGHBOUR = Object([Property("word", "string"), Property("cosine", "double")])
optional = partial(ColSpec, required=False)
SIGNATURE = ModelSignature(
    inputs=Schema([ColSpec("string", "word"), optional("string", "a"), optional("string", "b")]),
    outputs=Schema(
        [
            ColSpec("string", "word"),
            ColSpec(Array("string"), "unknown"),
            optional(Array("float"), "vector"),
            optional(Array(NEIGHBOUR), "neighbours"),
        ]
    ),
    params=ParamSchema([ParamSpec("task", "string", "vector"), ParamSpec("k", "integer", 10)]),
)
"""The columns and parameters that the MLflow model takes, and the columns that it returns."""


def save_model(vectors: Path, out: Path, model: Model) -> None:
    """Save the vectors in the folder ``vectors`` as an MLflow model in the new folder ``out``.

    It contains the code of ``w2v`` and the files of the vectors, but no context vectors and no
    pickle. ``model`` is the MLflow object with its metadata, such as its ID.
    """
    files = [name for name in SERVED if (vectors / name).is_file()]
    mlflow.pyfunc.save_model(
        out,
        python_model=str(Path(__file__).with_name("serving.py")),
        code_paths=[str(Path(w2v.__file__).parent)],
        artifacts={Path(name).stem: str(vectors / name) for name in files},
        signature=SIGNATURE,
        input_example=pd.DataFrame({"word": w2v.WordVectors.load(vectors).words[:2]}),
        # Without a list, MLflow loads the model in another process to see what it imports.
        pip_requirements=[f"numpy=={metadata.version('numpy')}"],
        mlflow_model=model,
    )


def log_model(client: MlflowClient, run: Run, vectors: Path, register: str | None) -> None:
    """Log a folder of vectors as a run's MLflow model; register it as ``name[@alias]`` if given."""
    run_id = run.info.run_id
    parameters = client.get_run(run_id).data.params
    logged = client.create_logged_model(run.info.experiment_id, MODEL, run_id, params=parameters)
    location, model_id = logged.artifact_location, logged.model_id
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / MODEL
        save_model(vectors, folder, Model(location, run_id, model_uuid=model_id, model_id=model_id))
        client.log_model_artifacts(model_id, str(folder))
    client.finalize_logged_model(model_id, "READY")
    client.log_outputs(run_id, models=[LoggedModelOutput(model_id, step=0)])
    if register is None:
        return
    name, _, alias = register.partition("@")
    try:
        client.create_registered_model(name)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    # MLflow would look up an address of the form models:/id in another store, the global one.
    version = client.create_model_version(name, location, run_id, model_id=model_id)
    if alias:
        client.set_registered_model_alias(name, alias, version.version)


def model_folder(model: str, uri: str | None = None, outputs: Path = Path("outputs")) -> Path:
    """Return the folder with the vectors of an MLflow model, for `w2v.WordVectors.load`.

    ``model`` is ``models:/name@alias``, ``models:/name/version`` or ``models:/id``. ``uri`` is the
    address of the tracking store (None: in ``outputs``). A missing model raises `InputError`.
    """
    parts = re.fullmatch(r"models:/([^/@]+)(?:@([^/@]+)|/(\d+))?", model)
    if parts is None:
        raise InputError(f"{model}: must be models:/name@alias, models:/name/version or models:/id")
    name, alias, version = parts.groups()
    store = store_uri(uri, outputs)
    if uri is None and not (outputs / DATABASE).exists():
        raise InputError(f"{outputs / DATABASE}: no such store; give uri or outputs")
    try:
        if uri is None:
            follow_artifacts(outputs / DATABASE, outputs.absolute() / "mlartifacts")
        client = MlflowClient(store, registry_uri=store)
        if alias:
            version = client.get_model_version_by_alias(name, alias).version
        location: Any
        if version:
            location = client.get_model_version_download_uri(name, version)
        else:
            location = client.get_logged_model(name).artifact_location
        folder = Path(download_artifacts(location, tracking_uri=store)) / "artifacts"
    except STORE_ERRORS as error:
        raise InputError(f"{model}: not found in {store} ({one_line(error)})") from None
    if not (folder / VECTORS).is_file():
        raise InputError(f"{model}: not a model of word vectors")
    return folder
