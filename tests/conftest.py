"""pytest options, hooks and fixtures for the tests."""

import gc
import os
import shutil
import signal
import sqlite3
import sys
from collections.abc import Iterator
from copy import deepcopy
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import IO, Any

import pytest
from hypothesis import settings

from pipeline.runtime.startup import collect_rarely

# Set before anything imports MLflow: tests send no telemetry.
os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"

# Tests interrupt themselves and other processes. Scripts start a command in the background (``&``)
# with this signal ignored, and its processes inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)

# Workers of pytest-xdist and commands that tests run inherit this. They are more than the cores,
# and the threads of several BLAS libraries wait for each other longer than they compute.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

# Tests with JAX compile longer than they compute. Without optimization, and with the older of its
# two code generators for CPUs, they compile in a quarter of the time. XLA ends a process that gives
# a flag it does not know, and later releases will lack the older generator.
JAX_RELEASE = tuple(map(int, version("jaxlib").split(".")[:2]))
os.environ.setdefault(
    "XLA_FLAGS",
    "--xla_backend_optimization_level=0"
    + " --xla_cpu_use_fusion_emitters=false" * ((0, 6) <= JAX_RELEASE <= (0, 10)),
)

# Looking for garbage as often as usual would take a tenth of the time of the tests. Ten times more
# rarely than here takes more time again, because more memory is in use.
collect_rarely()

# Hypothesis keeps no database of examples, because tests leave no files behind.
settings.register_profile("w2v", database=None, deadline=None)
settings.load_profile("w2v")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--screenshots", metavar="FOLDER", help="keep pictures of pages here")
    parser.addoption(
        "--require-browser",
        action="store_true",
        help="fail tests that need Chromium where it is not installed, instead of skipping them",
    )
    parser.addoption(
        "--sweeps", type=int, default=1, help="parallel sweeps on fresh stores, one after another"
    )
    parser.addoption(
        "--worker-kills",
        type=int,
        default=0,
        help="how often a worker on Ray is killed; 0 skips the tests of lost processes on Ray",
    )
    parser.addoption(
        "--kills", type=int, default=6, help="how often tests/test_faults.py kills a command"
    )


def pytest_collection_finish() -> None:
    """Exempt imported modules and collected tests from garbage collection, which saves time."""
    gc.freeze()


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark tests that use the fixture `browser` with ``pytest.mark.browser``."""
    for item in items:
        if "browser" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.browser)


@pytest.fixture(scope="session", autouse=True)
def compiled_programs(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Let JAX keep compiled programs in a temporary folder, so that later tests can use them."""
    os.environ["JAX_COMPILATION_CACHE_DIR"] = folder = str(tmp_path_factory.mktemp("compiled"))
    os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0"
    if "jax" in sys.modules:
        sys.modules["jax"].config.update("jax_compilation_cache_dir", folder)
        sys.modules["jax"].config.update("jax_persistent_cache_min_compile_time_secs", 0)


@pytest.fixture
def short_shards(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """If the test's engine is ``jax``, let it train on short shards (parts of a text), for speed.

    `name` is a parameter of the test, the name of its engine. Without this fixture, shards of
    ``jax`` have at least 65,536 words, and its arrays are as long even for a short text.
    """
    if name == "jax":
        monkeypatch.setattr("w2v.engines.jax.MIN_SHARD_WORDS", 8192)


@pytest.fixture(scope="session", autouse=True)
def no_waiting_for_the_disk() -> Iterator[None]:
    """For speed, keep ``os.fsync`` and SQLAlchemy's SQLite databases from waiting for the disk."""
    import sqlalchemy

    def connected(connection: Any, _: object) -> None:
        if isinstance(connection, sqlite3.Connection):
            connection.execute("pragma synchronous = off")

    sqlalchemy.event.listen(sqlalchemy.Engine, "connect", connected)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda _: None)
        yield


@pytest.fixture(scope="session", autouse=True)
def quick_composition() -> Iterator[None]:
    """For speed, let Hydra parse every configuration file once, and share its store of schemas.

    Hydra copies the store whenever it composes settings, but never changes a copy.
    """
    from hydra._internal.core_plugins import file_config_source
    from hydra.core.config_store import ConfigStore
    from omegaconf import OmegaConf

    parsed: dict[str, Any] = {}

    def load(file: IO[str]) -> Any:
        text = file.read()
        if text not in parsed:
            file.seek(0)
            parsed[text] = OmegaConf.load(file)
        return deepcopy(parsed[text])

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ConfigStore, "__deepcopy__", lambda store, _: store, raising=False)
        patch.setattr(file_config_source, "OmegaConf", SimpleNamespace(load=load))
        yield


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make an empty MLflow database once, and return its path; tests work on copies of it."""
    from pipeline.tracking.store import make_sqlite_store

    folder = tmp_path_factory.mktemp("store")
    make_sqlite_store(folder / "mlflow.db", folder / "mlartifacts")
    return folder / "mlflow.db"


@pytest.fixture
def outputs(empty_store: Path, tmp_path: Path) -> Path:
    """Return a folder for the outputs of a test, with an empty MLflow database."""
    shutil.copy(empty_store, tmp_path)
    return tmp_path


@pytest.fixture
def made_store(empty_store: Path, tmp_path: Path) -> None:
    """Copy the empty MLflow database to ``tmp_path/outputs``; making a new one takes a second."""
    (tmp_path / "outputs").mkdir()
    shutil.copy(empty_store, tmp_path / "outputs")


@pytest.fixture(scope="session")
def screenshots(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder for screenshots: that of ``--screenshots``, or a temporary one."""
    chosen = request.config.getoption("--screenshots")
    folder = Path(chosen) if chosen else tmp_path_factory.mktemp("screenshots")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


CHROMIUM = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
CHROMIUM_OPTIONS = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update"),
)


@pytest.fixture(scope="module")
def browser(request: pytest.FixtureRequest) -> Iterator[Any]:
    """Start Chromium by Playwright, and yield it; skip the test if either is not installed.

    With the environment variable ``CI`` or the option ``--require-browser``, the test fails instead
    of being skipped.
    """
    path = next(filter(None, map(shutil.which, CHROMIUM)), None)
    if path is None or find_spec("playwright") is None:
        required = "CI" in os.environ or request.config.getoption("--require-browser")
        needed = 'needs Chromium and Playwright: apt install chromium && pip install -e ".[ci]"'
        (pytest.fail if required else pytest.skip)(needed)
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=path, args=list(CHROMIUM_OPTIONS))
        yield opened
        opened.close()


@pytest.fixture
def sweeps_in_a_row(request: pytest.FixtureRequest) -> int:
    number: int = request.config.getoption("--sweeps")
    return number
