"""Test that the example notebook runs, and that it is saved with its outputs and plots."""

from pathlib import Path

import nbformat
import pytest

from tests.notebook import NOTEBOOK, execute, pictures

PICTURES = 3


@pytest.mark.long
def test_the_notebook_runs(tmp_path: Path) -> None:
    assert len(pictures(execute(tmp_path))) == PICTURES


def test_the_notebook_shows_its_outputs() -> None:
    notebook = nbformat.read(NOTEBOOK, as_version=4)  # type: ignore[no-untyped-call]
    nbformat.validate(notebook)
    assert len(pictures(notebook)) == PICTURES
    assert NOTEBOOK.stat().st_size < 300_000
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    assert all(output.output_type != "error" for cell in code for output in cell.outputs)
