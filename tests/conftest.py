"""What all tests share."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

# Before anything imports MLflow: tests talk to nobody.
os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"

# No database of examples: tests leave nothing outside their temporary folder.
settings.register_profile("w2v", database=None, deadline=None)
settings.load_profile("w2v")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Options of our own."""
    parser.addoption("--screenshots", metavar="FOLDER", help="keep pictures of pages here")
    parser.addoption(
        "--sweeps", type=int, default=2, help="parallel sweeps on fresh stores, one after another"
    )
    parser.addoption(
        "--kills", type=int, default=18, help="how often tests/test_faults.py kills a command"
    )


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests that share a server stay in one worker."""
    for item in items:
        if item.path.stem in ("test_faults", "test_tracking", "test_ui"):
            item.add_marker(pytest.mark.xdist_group(item.path.stem))


@pytest.fixture(scope="session")
def screenshots(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder for pictures of pages."""
    chosen = request.config.getoption("--screenshots")
    folder = Path(chosen) if chosen else tmp_path_factory.mktemp("screenshots")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


CHROMIUM = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
QUIET = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update"),
)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """A browser of Playwright's, that asks for nothing by itself."""
    from playwright.sync_api import sync_playwright

    path = next(filter(None, map(shutil.which, CHROMIUM)), None)
    if path is None:
        pytest.fail("pages are tested in Chromium, which is not installed: apt install chromium")
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=path, args=list(QUIET))
        yield opened
        opened.close()


@pytest.fixture
def sweeps_in_a_row(request: pytest.FixtureRequest) -> int:
    number: int = request.config.getoption("--sweeps")
    return number
