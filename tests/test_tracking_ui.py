"""Test how MLflow's web pages show a sweep, with a real server and a real browser."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from mlflow import MlflowClient

from tests.servers import mlflow_server

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("ui")]

ROOT = Path(__file__).parents[1]

# Settings that a user makes once: without them, MLflow's assistant covers a quarter of the page.
UI_SETTINGS = """
localStorage.setItem('mlflow.assistant.fab.autoOpenedOnFirstLoad_v1', 'true');
localStorage.setItem('mlflow.assistant.panelOpen_v1', 'false');
localStorage.setItem('mlflow.workflowType_v1', '"machine_learning"');
"""

NAMES = ("dim=8", "dim=16")
SWEEP = "sweep model.dim"
TABLE = "tables/neighbours.json"


class Store(NamedTuple):
    """A recorded sweep over two vector dimensions, and the MLflow server that shows the sweep."""

    address: str
    experiment: str
    runs: dict[str, str]
    """The ids of the MLflow runs of the sweep and of its jobs, by name."""

    def artifact(self, run: str, path: str) -> str:
        """Return the URL of the page that shows the artifact `path` of the run called `run`."""
        return (
            f"{self.address}/#/experiments/{self.experiment}/runs/{self.runs[run]}/artifacts/{path}"
        )


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    folder = tmp_path_factory.mktemp("ui")
    text = "the cat sat on the mat\nthe king spoke to the queen of the cat\n"
    (folder / "text.txt").write_text(text * 3000)
    command = [sys.executable, str(ROOT / "pipeline" / "run.py"), "-m", "model.dim=8,16"]
    command += ["corpus=files", "corpus.path=text.txt", "vocab.min_count=1", "report=all"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300)
    assert (done.returncode, done.stderr) == (0, "")
    uri = f"sqlite:///{folder}/outputs/mlflow.db"
    client = MlflowClient(uri)
    found: Any = client.get_experiment_by_name("w2v")
    experiment = found.experiment_id
    runs = {run.info.run_name: run.info.run_id for run in client.search_runs([experiment])}
    assert set(runs) == {SWEEP, *NAMES}
    with mlflow_server(["ui", "--backend-store-uri", uri], folder) as server:
        yield Store(server.address, experiment, runs)


@pytest.fixture(scope="module")
def context(browser: Any) -> Any:
    """Return a browser context; its pages share a cache, so that MLflow's scripts load once."""
    context = browser.new_context(viewport={"width": 1400, "height": 900})
    context.set_default_timeout(60_000)
    context.add_init_script(UI_SETTINGS)
    return context


@pytest.fixture
def page(context: Any) -> Iterator[Any]:
    page = context.new_page()
    yield page
    page.evaluate("localStorage.clear()")  # the next page starts without choices made here
    page.close()


def open_runs(page: Any, store: Store, mode: str = "TABLE") -> None:
    """Open MLflow's page of runs, with the jobs of the sweep unfolded.

    `mode` is the view: TABLE, CHART or ARTIFACT.
    """
    address = f"{store.address}/#/experiments/{store.experiment}/runs"
    page.goto(address, wait_until="domcontentloaded")
    page.get_by_text(SWEEP, exact=True).wait_for()
    assert page.get_by_text(NAMES[0]).count() == 0
    page.locator(".ag-row [col-id='attributes.`Run Name`'] button").first.click()
    for name in NAMES:
        page.get_by_text(name).first.wait_for()
    if mode != "TABLE":
        page.goto(f"{address}?compareRunsMode={mode}", wait_until="domcontentloaded")
        page.reload(wait_until="domcontentloaded")


def row(page: Any, name: str) -> Any:
    return page.get_by_role("row").filter(has_text=name).first


def test_the_runs_of_the_jobs_are_listed_below_their_sweep(
    page: Any, store: Store, screenshots: Path
) -> None:
    open_runs(page, store)
    page.get_by_text(re.compile(r"^files \([0-9a-f]{16}\)$")).nth(
        1
    ).wait_for()  # the dataset of each run
    page.screenshot(path=screenshots / "runs.png")
    for name in NAMES:
        indent = row(page, name).get_by_text(name).bounding_box()["x"]
        assert indent > row(page, SWEEP).get_by_text(SWEEP).bounding_box()["x"]


def test_two_selected_runs_are_compared(page: Any, store: Store, screenshots: Path) -> None:
    open_runs(page, store)
    for name in NAMES:
        row(page, name).locator(".ag-selection-checkbox input").click(force=True)
    page.get_by_role("button", name="Compare").click()
    page.get_by_text("Comparing 2 Runs from 1 Experiment").wait_for()
    page.locator(".parcoords").first.wait_for()
    page.screenshot(path=screenshots / "compare.png")
    axes = page.locator(".parcoords .axis-title").all_text_contents()
    assert axes == ["model.dim", "train/loss"]  # the setting that differs, and the loss
    for name in NAMES:
        assert page.get_by_text(name).first.is_visible()
    same = page.get_by_text("model.window", exact=True)
    assert same.count() == 1
    page.get_by_role("switch").first.click()  # "show diff only"
    same.wait_for(state="hidden")
    differs = page.get_by_role("row").filter(has_text="model.dim").last
    differs.scroll_into_view_if_needed()
    page.screenshot(path=screenshots / "differences.png")
    assert differs.inner_text().split() == ["model.dim", "8", "16"]


CHARTS = """names => {
    const lines = plot => plot.querySelector(".scatterlayer path.js-line");
    const charts = Array.from(document.querySelectorAll(".js-plotly-plot"))
        .filter(lines)
        .map(({data}) => names.map(
            name => Array.from(data.find(line => line.name === name)?.x ?? [])
        ));
    const drawn = charts.every(chart => chart.every(steps => steps.length >= 5));
    return charts.length === 3 && drawn && charts;
}"""
"""A JavaScript function that takes the names of runs. It returns the steps (x values) of each run
in each of three charts; or false, until three charts have five steps or more of each run."""


def test_a_chart_shows_the_losses_of_both_runs(page: Any, store: Store, screenshots: Path) -> None:
    open_runs(page, store, "CHART")
    page.get_by_placeholder("Search metric charts").fill("loss")
    # train/loss, epoch/loss and epoch/heldout_loss; the page may draw them several times.
    charts = page.wait_for_function(CHARTS, arg=NAMES).json_value()
    page.screenshot(path=screenshots / "charts.png")
    for one, other in charts:
        assert one == other  # the numbers of words seen


def test_the_map_of_words_opens_as_an_artifact(page: Any, store: Store, screenshots: Path) -> None:
    page.goto(store.artifact(NAMES[0], "map.html"), wait_until="domcontentloaded")
    words = page.frame_locator("iframe")
    words.get_by_role("combobox").fill("que")
    words.get_by_role("option", name="queen").click()
    chosen = words.get_by_label("The chosen word")
    chosen.get_by_text("queen").first.wait_for()
    table = json.loads(
        Path(
            MlflowClient(store.address).download_artifacts(store.runs[NAMES[0]], TABLE)
        ).read_bytes()
    )
    nearest = dict(table["data"])["queen"].split(", ")
    shown = chosen.inner_text()
    assert all(word in shown for word in nearest)
    page.screenshot(path=screenshots / "map.png")


def test_the_report_opens_as_an_artifact(page: Any, store: Store, screenshots: Path) -> None:
    page.goto(store.artifact(NAMES[0], "report.html"), wait_until="domcontentloaded")
    report = page.frame_locator("iframe")
    report.get_by_text("negsample w5 k5 d8 s0 on files").first.wait_for()
    page.screenshot(path=screenshots / "report.png")


def test_the_run_of_the_sweep_shows_its_tables_and_plots(
    page: Any, store: Store, screenshots: Path
) -> None:
    address = f"{store.address}/#/experiments/{store.experiment}/runs/{store.runs[SWEEP]}"
    page.goto(address, wait_until="domcontentloaded")
    page.get_by_text("sweep/finished").first.wait_for()
    page.get_by_text("By heldout_loss").first.wait_for()  # its description
    page.screenshot(path=screenshots / "sweep.png")
    page.goto(store.artifact(SWEEP, "tables/jobs.json"), wait_until="domcontentloaded")
    for text in ("model/dim", "heldout_loss", store.runs[NAMES[0]]):
        page.get_by_text(text).first.wait_for()
    first = page.get_by_role("row").filter(has_text="finished").first
    assert first.inner_text().split()[:3] == ["0", "finished", "8"]
    page.screenshot(path=screenshots / "jobs.png")
    page.get_by_text("plots", exact=True).click()
    page.get_by_text("parallel.png", exact=True).click()
    page.locator("img[src^='blob:']:visible").first.wait_for()
    page.screenshot(path=screenshots / "parallel.png")


def test_the_neighbours_of_all_runs_are_shown_side_by_side(
    page: Any, store: Store, screenshots: Path
) -> None:
    open_runs(page, store, "ARTIFACT")
    client = MlflowClient(store.address)
    for run in store.runs.values():
        table = json.loads(Path(client.download_artifacts(run, TABLE)).read_bytes())
        # The first row: the page draws the rows far down only when one scrolls to them.
        page.get_by_text(table["data"][0][1]).first.wait_for()
    page.screenshot(path=screenshots / "neighbours.png")


def test_a_run_shows_its_tags_and_its_sweep(page: Any, store: Store, screenshots: Path) -> None:
    run = store.runs[NAMES[1]]
    address = f"{store.address}/#/experiments/{store.experiment}/runs/{run}"
    page.goto(address, wait_until="domcontentloaded")
    page.get_by_text("stage.train").wait_for()
    page.get_by_role("link", name=SWEEP).wait_for()  # the parent run
    page.screenshot(path=screenshots / "run.png")
    tags = MlflowClient(store.address).get_run(run).data.tags
    shown = page.locator("body").inner_text()
    for wanted in (tags["stage.train"], f"files ({tags['corpus.fingerprint']})", "run.py"):
        assert wanted in shown
