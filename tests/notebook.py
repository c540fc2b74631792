"""Run the example notebook, and save it with its outputs: ``python -m tests.notebook``."""

import base64
import io
import os
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import nbformat
from PIL import Image

NOTEBOOK = Path(__file__).parents[1] / "w2v" / "example.ipynb"

COLORS = 32
"""The pictures in the notebook are reduced to this many colors, and to a width of `WIDTH` pixels,
so that their files are small."""
WIDTH = 720


def execute(folder: Path) -> Any:
    """Run the example notebook with `folder` as its working directory; return it with outputs."""
    from nbclient import NotebookClient

    notebook = nbformat.read(NOTEBOOK, as_version=4)  # type: ignore[no-untyped-call]
    resources = {"metadata": {"path": str(folder)}}
    client = NotebookClient(notebook, timeout=600, kernel_name="python3", resources=resources)
    client.execute(env={**os.environ, "PYTHONPATH": str(NOTEBOOK.parents[1])})
    return notebook


def pictures(notebook: Any) -> list[Any]:
    """Return the data (a dictionary by MIME type) of each output that contains a PNG image."""
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", ())]
    return [output.data for output in outputs if "image/png" in output.get("data", {})]


def make_small(data: Any) -> None:
    """Replace the PNG image of a notebook cell's output by one 720 pixels wide, of 32 colors.

    `data` is the data of the output, a dictionary by MIME type, which is changed.
    """
    picture = Image.open(io.BytesIO(base64.b64decode(data["image/png"]))).convert("RGB")
    height = round(picture.height * WIDTH / picture.width)
    picture = picture.resize((WIDTH, height), Image.Resampling.LANCZOS).quantize(COLORS)
    file = io.BytesIO()
    picture.save(file, "png", optimize=True)
    data["image/png"] = base64.b64encode(file.getvalue()).decode()


def main() -> None:
    with TemporaryDirectory() as folder:
        notebook = execute(Path(folder))
    for data in pictures(notebook):
        make_small(data)
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
    notebook.metadata.language_info = {"name": "python"}
    nbformat.write(notebook, NOTEBOOK)  # type: ignore[no-untyped-call]


if __name__ == "__main__":
    main()
