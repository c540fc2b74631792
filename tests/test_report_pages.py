"""Test the content of ``report.html`` and ``map.html``, and their behavior in Chromium.

Some words in the pages contain scripts, markup or control characters.
"""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from pipeline.sweeps.objective import compare_jobs
from tests.test_sweeps_analysis import job
from w2v.evaluate.metrics.base import MetricInput
from w2v.evaluate.settings import Evaluate
from w2v.files import write_vocabulary
from w2v.report.evaluation import compute
from w2v.report.figures import LIST, MAP, Counts, draw, read_pictures
from w2v.report.report import REPORT, without_passwords, write_report
from w2v.report.sweep import write_sweep_page
from w2v.training.history import Epoch, Point
from w2v.vectors import VOCABULARY, WordVectors
from w2v.vectors.formats import HISTORY

if TYPE_CHECKING:  # Playwright is needed only where the pages are opened
    from playwright.sync_api import Browser, Dialog, Page

pytestmark = pytest.mark.xdist_group("pages")

HOSTILE = (
    "</script><script>alert(1)</script>",
    "<!--<script>",
    "<img/src=x/onerror=alert(2)>",
    "\"'><svg/onload=alert(3)>",
    "{{7*7}}${7*7}",
    "\u202egnip\u202c",
    "nul\x00\x1bend",
    "\u2028line",
    "__proto__",
    "constructor",
    "שלום",
    "x" * 3000,
)
PLAIN = tuple(f"{letter}{number}" for letter in "abcdefgh" for number in range(40))
WORDS = (*PLAIN[:20], *HOSTILE, *PLAIN[20:])
TITLE = 'run "a" <b>bold</b> </title>\u202e'
COMMAND = (
    "cd '/a folder'\npython pipeline/run.py 'corpus.path=<x>' tracking.uri=http://me:secret@h/"
)


@dataclass(frozen=True)
class Site:
    """The folder of ``report.html`` and ``map.html``, and the vectors and results they show."""

    folder: Path
    vectors: WordVectors
    summary: Mapping[str, Any]

    def url(self, name: str) -> str:
        return (self.folder / name).as_uri()


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    """Write ``report.html`` and ``map.html`` as a run does, once for all tests."""
    folder = tmp_path_factory.mktemp("pages")
    random = np.random.default_rng(3)
    made = random.standard_normal((len(WORDS), 8))
    vectors = WordVectors(WORDS, made, 7 * np.arange(len(WORDS), 0, -1))
    epochs = [Epoch(n, 3 / n, 3.1 / n, 0.01, 500, 2000.0, 0.5) for n in (1, 2)]
    points = [Point(1, 10 * n, 3 - n / 60, 0.01, n / 100) for n in range(1, 100)]
    history = {"epochs": [asdict(e) for e in epochs], "points": [p._asdict() for p in points]}
    (folder / HISTORY).write_text(json.dumps(history))
    rows = [f"a{i}\tb{i}\t{random.random():.3f}" for i in range(30)]
    rows += [f"{HOSTILE[2]}\tb1\t0.99", "none\tb2\t0.5"]
    (folder / "pairs.tsv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    questions = [": <i>family", *(f"a{i} b{i} a{i + 1} b{i + 1}" for i in range(12))]
    (folder / "questions.txt").write_text("\n".join(questions) + "\n", encoding="utf-8")
    settings = Evaluate(
        similarity={"pairs": str(folder / "pairs.tsv")},
        analogy={"q.a": str(folder / "questions.txt")},
        vocabulary=300,
        neighbours=10,
        probes=[HOSTILE[0], "a1", HOSTILE[5]],
    )
    facts, findings = compute(folder, MetricInput(vectors, settings), settings, folder, None)
    draw(
        folder,
        findings,
        title=TITLE,
        kept_epoch=2,
        counts=Counts(np.arange(400, 0, -1), np.arange(400) < 300),
        methods=["pca", "tsne"],
        map_words=320,
        vocabulary=300,
    )
    write_vocabulary(folder / VOCABULARY, HOSTILE[:5], np.arange(1000, 995, -1))
    summary = {
        "config": {
            "corpus": {"path": ["<x>", None]},
            "model": {"name": "skipgram"},
            "loss": {"negatives": 5},
            "seed": 0,
            "evaluate": vars(settings),
        },
        "corpus": {"documents": 9, "bytes": 2_500_000, "tokens": 80_200, "types": 400},
        "vocab": {"size": 300, "tokens_kept": 75_150, "tokens_dropped": 5_050},
        "stages": {"train": {"seconds": 130.0, "cached": True}},
        "train": {
            "engine": "numpy",
            "threads": 2,
            "words_per_second": 1234567.0,
            "epochs": history["epochs"],
            "kept_epoch": 2,
        },
        "evaluate": facts,
    }
    write_report(
        folder / REPORT,
        folder,
        folder,
        summary,
        folder,
        title=TITLE,
        command=COMMAND,
        when=datetime(2026, 1, 2, 3, 4, tzinfo=UTC),
    )
    return Site(folder, vectors, summary)


DESK: dict[str, Any] = {"viewport": {"width": 1280, "height": 800}}
PHONE: dict[str, Any] = {
    "viewport": {"width": 390, "height": 844},
    "device_scale_factor": 2,
    "is_mobile": True,
    "has_touch": True,
}


@pytest.fixture(params=["desk", "phone"])
def screen(request: pytest.FixtureRequest) -> dict[str, Any]:
    return DESK if request.param == "desk" else PHONE


@pytest.fixture
def open_page(browser: Browser) -> Iterator[Any]:
    """Yield a function that opens a page in Chromium.

    The test fails if the page logs a message, throws an error, shows a dialog or requests another
    file.
    """
    contexts: list[Any] = []
    faults: list[str] = []

    def dismiss(dialog: Dialog) -> None:
        faults.append(f"dialog: {dialog.message}")
        dialog.dismiss()

    def open_in_new_context(address: str, **settings: Any) -> Page:
        context = browser.new_context(reduced_motion="reduce", **settings)
        contexts.append(context)
        page = context.new_page()
        own = (address, "data:", "blob:")
        page.on("console", lambda message: faults.append(f"console: {message.text}"))
        page.on("pageerror", lambda error: faults.append(f"error: {error}"))
        page.on("dialog", dismiss)
        page.on(
            "request",
            lambda request: faults.extend([request.url] * (not request.url.startswith(own))),
        )
        page.goto(address)
        return page

    yield open_in_new_context
    for context in contexts:
        context.close()
    assert faults == []


def wait_until(page: Page, condition: str | Callable[[], bool]) -> None:
    """Wait until a Python function or a JavaScript expression gives true; fail after 30 s."""
    deadline = time.monotonic() + 30
    while not (page.evaluate(condition) if isinstance(condition, str) else condition()):
        assert time.monotonic() < deadline, f"never true: {condition}"
        page.wait_for_timeout(20)


def settled(page: Page) -> Page:
    """Wait until the map of words on the page has stopped moving and is drawn; return the page.

    The page is ``map.html``. Its map moves for a moment after some inputs, such as a search.
    """
    wait_until(page, "wordMap.still()")
    return page


def painted(page: Page) -> str:
    """Return a PNG image of the map of words drawn on the page ``map.html``, as a data URL."""
    return str(settled(page).evaluate("document.getElementById('plot').toDataURL()"))


def place_of(page: Page, word: str) -> tuple[float, float]:
    """Return where the browser window shows a word of the page's map of words: (x, y) in pixels."""
    at = settled(page).evaluate("word => wordMap.locate(word)", word)
    box = page.locator("#plot").bounding_box()
    assert box is not None
    return box["x"] + at["x"], box["y"] + at["y"]


def nearest(vectors: WordVectors, word: str, k: int, among: int) -> list[tuple[str, float]]:
    """Return a word's k nearest neighbors among the `among` most frequent words, with cosines."""
    own = vectors.words.index(word)
    lengths = np.linalg.norm(vectors.vectors.astype(float), axis=1)
    cosines = vectors.vectors.astype(float) @ vectors.vectors[own] / lengths / lengths[own]
    order = [int(row) for row in np.argsort(-cosines[:among]) if row != own]
    return [(vectors.words[row], float(cosines[row])) for row in order[:k]]


def test_the_map_opens_and_fits(site: Site, open_page: Any, screen: dict[str, Any]) -> None:
    page = open_page(site.url(MAP), **screen)
    blank = page.evaluate(
        "(() => { const c = document.createElement('canvas'), p = document.getElementById('plot');"
        " c.width = p.width; c.height = p.height; return c.toDataURL(); })()"
    )
    assert painted(page) != blank
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert page.evaluate("document.documentElement.scrollHeight <= innerHeight")
    for part in ("#plot", "#search", "#panel", "#legend", "#tools"):
        box = page.locator(part).bounding_box()
        assert box is not None
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= screen["viewport"]["width"]
        assert box["y"] + box["height"] <= screen["viewport"]["height"]
    assert "occurrences" in page.inner_text("#legend")
    assert "original 8 dimensions" in page.inner_text("#panel")


def test_a_searched_word_lights_up_with_its_neighbours(
    site: Site, open_page: Any, screen: dict[str, Any]
) -> None:
    page = open_page(site.url(MAP), **screen)
    before = painted(page)
    page.fill("#search", "a1")
    assert page.locator("#matches li").first.inner_text() == "a1"
    page.press("#search", "Enter")
    assert page.inner_text("#panel h2") == "a1"
    expected = nearest(site.vectors, "a1", 10, 300)
    names = page.locator("#panel li bdi").all_inner_texts()
    assert names == [_shown(word) if len(word) < 80 else word[:79] + "…" for word, _ in expected]
    cosines = [float(text) for text in page.locator("#panel li output").all_inner_texts()]
    assert cosines == pytest.approx([cosine for _, cosine in expected], abs=1.01e-3)
    assert f"{7 * (len(WORDS) - WORDS.index('a1')):,} times" in page.inner_text("#panel")
    lit = page.evaluate("wordMap.lit()")
    assert len(lit) == 10
    assert set(lit) >= {word for word, _ in expected if word in PLAIN}
    assert painted(page) != before
    for word in [w for w, _ in expected if w in PLAIN]:  # words that are inside the window
        at = page.evaluate("word => wordMap.locate(word)", word)
        box = page.locator("#plot").bounding_box()
        assert 0 < at["x"] < box["width"]
        assert 0 < at["y"] < box["height"]
    follow = next(w for w, _ in expected if w in PLAIN)
    page.get_by_role("button", name=follow, exact=True).click()
    assert page.inner_text("#panel h2") == follow


def test_the_search_works_by_keyboard(site: Site, open_page: Any) -> None:
    page = open_page(site.url(MAP), **DESK)
    page.keyboard.press("/")
    page.keyboard.type("B1")
    found = page.locator("#matches li").all_inner_texts()
    assert found[0] == "b1"
    assert len(found) == 8
    assert all(name.startswith("b1") for name in found)
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    assert page.get_attribute("#search", "aria-activedescendant") == "match-1"
    page.keyboard.press("Enter")
    assert page.inner_text("#panel h2") == found[1]
    assert page.locator("#matches").is_hidden()
    page.fill("#search", "nowhere")
    page.keyboard.press("Enter")
    assert "“nowhere” is not among the 320 words" in page.inner_text("#panel")
    page.keyboard.press("Escape")
    assert page.input_value("#search") == ""
    assert page.evaluate("wordMap.lit()") == []


def test_hovering_over_a_word_shows_its_neighbours(site: Site, open_page: Any) -> None:
    page = open_page(site.url(MAP), **DESK)
    page.fill("#search", "c7")
    page.press("#search", "Enter")
    x, y = place_of(page, "c7")
    page.mouse.move(x + 1, y)
    page.locator("#tip").wait_for(state="visible")
    tip = page.inner_text("#tip")
    assert tip.startswith("c7")
    assert f"{7 * (len(WORDS) - WORDS.index('c7')):,} times" in tip
    expected = nearest(site.vectors, "c7", 5, 300)
    for word, _ in expected:
        assert _shown(word)[:31] in tip
    cosines = [float(part.rsplit(" ", 1)[1]) for part in tip.split("\n")[-1].split(" · ")]
    assert cosines == pytest.approx([cosine for _, cosine in expected], abs=0.006)
    page.mouse.move(3, 3)
    page.locator("#tip").wait_for(state="hidden")


def test_the_map_moves_by_mouse_and_keyboard(site: Site, open_page: Any) -> None:
    page = open_page(site.url(MAP), **DESK)
    x, y = place_of(page, "d5")
    page.mouse.move(x, y)
    page.mouse.wheel(0, -240)
    wait_until(page, "wordMap.view().zoom > 1.2")
    assert place_of(page, "d5") == pytest.approx((x, y), abs=1.0)  # the point under the mouse stays
    page.mouse.down()
    page.mouse.move(x + 90, y - 40, steps=4)
    page.mouse.up()
    assert place_of(page, "d5") == pytest.approx((x + 90, y - 40), abs=1.5)
    assert page.evaluate("wordMap.lit()") == []  # dragging selects no word
    page.focus("#plot")
    page.keyboard.press("ArrowLeft")
    assert place_of(page, "d5") == pytest.approx((x + 150, y - 40), abs=1.5)
    zoom = page.evaluate("wordMap.view().zoom")
    page.keyboard.press("+")
    assert page.evaluate("wordMap.view().zoom") == pytest.approx(1.3 * zoom)
    page.keyboard.press("-")
    page.click("#closer")
    assert page.evaluate("wordMap.view().zoom") == pytest.approx(1.5 * zoom)
    page.click("#whole")
    wait_until(page, "wordMap.view().zoom === 1")
    x, y = place_of(page, "d5")
    page.mouse.click(x, y)
    assert page.inner_text("#panel h2") != ""
    page.keyboard.press("Escape")
    assert page.locator("#panel h2").count() == 0


def test_the_map_moves_by_touch(site: Site, open_page: Any) -> None:
    page = open_page(site.url(MAP), **PHONE)
    touch = page.context.new_cdp_session(page)

    def fingers(kind: str, *places: tuple[float, float]) -> None:
        points = [{"x": x, "y": y, "id": n} for n, (x, y) in enumerate(places)]
        touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    x, y = place_of(page, "e5")
    fingers("touchStart", (x, y))
    for step in range(1, 5):
        fingers("touchMove", (x + 10 * step, y))
    fingers("touchEnd")
    assert place_of(page, "e5") == pytest.approx((x + 40, y), abs=2)
    fingers("touchStart", (150, 400), (250, 400))
    for step in range(1, 6):
        fingers("touchMove", (150 - 10 * step, 400), (250 + 10 * step, 400))
    fingers("touchEnd")
    assert page.evaluate("wordMap.view().zoom") == pytest.approx(2.0, rel=0.05)
    page.tap("#whole")
    wait_until(page, "wordMap.view().zoom === 1")
    page.touchscreen.tap(*place_of(page, "e5"))
    page.locator("#panel h2").wait_for(state="visible")


def test_the_map_changes_between_projections(site: Site, open_page: Any) -> None:
    page = open_page(site.url(MAP), **DESK)
    assert page.locator("#methods button").all_inner_texts() == ["PCA", "t-SNE"]
    assert "principal component" in page.inner_text("#axes")
    before = place_of(page, "f1")
    page.click("text=t-SNE")
    assert page.get_attribute("#methods button:nth-child(2)", "aria-pressed") == "true"
    assert "t-SNE" in page.inner_text("#axes")
    assert place_of(page, "f1") != pytest.approx(before, abs=1)
    page.click("text=PCA")
    assert place_of(page, "f1") == pytest.approx(before, abs=1)
    page.click("text=t-SNE")  # moving the view does not stop the words that are still moving
    page.fill("#search", "f1")
    page.press("#search", "Enter")
    page.click("#whole")
    settled(page)
    assert page.evaluate("wordMap.view().zoom") == 1


def test_the_map_follows_the_color_scheme(site: Site, open_page: Any) -> None:
    ground, canvas = {}, {}
    for scheme in ("light", "dark"):
        page = open_page(site.url(MAP), color_scheme=scheme, **DESK)
        ground[scheme] = page.evaluate("getComputedStyle(document.body).backgroundColor")
        canvas[scheme] = painted(page)
    assert ground["light"] == "rgb(255, 255, 255)"
    assert ground["dark"] != ground["light"]
    assert canvas["dark"] != canvas["light"]
    page.emulate_media(color_scheme="light")
    wait_until(page, lambda: painted(page) == canvas["light"])


def test_hostile_words_are_shown_as_text(site: Site, open_page: Any) -> None:
    page = open_page(site.url(MAP), **DESK)
    names = page.evaluate("Array.from({length: wordMap.size}, (_, i) => wordMap.word(i))")
    for word in HOSTILE:
        name = next(name for name in names if name[:9] == _shown(word)[:9])
        page.fill("#search", name)
        page.press("#search", "Enter")
        heading = page.inner_text("#panel h2").rstrip("…")
        assert heading in name
        assert heading[:9] == name[:9]
    assert page.locator("img, svg, i, script").count() == 2  # the page's own two scripts
    assert page.title() == "Map of words · " + _shown(TITLE)


def _shown(text: str) -> str:
    return "".join("\ufffd" if ord(c) < 32 or c in "\u202e\u202c\u2028" else c for c in text)


def test_the_map_works_in_the_frame_of_mlflow(site: Site, open_page: Any, tmp_path: Path) -> None:
    # MLflow shows HTML artifacts from a blob, in a frame that may run scripts and nothing else.
    text = (site.folder / MAP).read_text(encoding="utf-8")
    host = tmp_path / "host.html"
    host.write_text("<!doctype html><title>host</title>", encoding="utf-8")
    page = open_page(host.as_uri(), **DESK)
    page.evaluate(
        """text => {
            const frame = document.createElement("iframe");
            frame.sandbox = "allow-scripts";
            frame.width = 700;
            frame.height = 500;
            frame.src = URL.createObjectURL(new Blob([text], {type: "text/html"}));
            document.body.append(frame);
        }""",
        text,
    )
    frame = page.frame_locator("iframe")
    frame.locator("#search").fill("a1")
    frame.locator("#search").press("Enter")
    assert frame.locator("#panel h2").inner_text() == "a1"
    assert frame.locator("#panel li").count() == 10


class PageText(HTMLParser):
    """A parser that collects the text of an HTML page and the names of its elements."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.text = ""
        self.tags: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.tags.append(tag)

    def handle_data(self, data: str) -> None:
        self.text += data


def test_the_report_shows_the_results_and_no_password(site: Site) -> None:
    page = (site.folder / REPORT).read_text(encoding="utf-8")
    assert "secret" not in page
    read = PageText(page)
    assert not {"script", "iframe", "i"} & {*read.tags}
    assert read.tags.count("img") == 6
    score = site.summary["evaluate"]["similarity"]["pairs"]
    texts = [
        _shown(TITLE),
        f"{score['spearman']:.3f}".replace("-", "−"),
        "31 of 32",  # pairs
        "12 of 12",  # questions
        "2 January 2026, 03:04 UTC",
        "1.23 M",  # words per second
        "2 min 10 s, from the cache",
        "cd '/a folder'\npython pipeline/run.py 'corpus.path=<x>' tracking.uri=http://***@h/\n",
        "[<x>, null]",
        "93.7 %",  # of the tokens are in the vocabulary
        *(f"{word}\N{NO-BREAK SPACE}{1000 - n:,}" for n, word in enumerate(HOSTILE[:5])),
    ]
    for word, cosine in nearest(site.vectors, "a1", 8, len(WORDS)):
        texts.append(f"{_shown(word)}\N{NO-BREAK SPACE}{cosine:.2f}".replace("-", "−"))
    for text in texts:
        assert text in read.text


UNUSED = "The held-out loss is measured on text that is not used for training"


@pytest.mark.parametrize(
    ("model", "loss", "heldout", "lead"),
    [
        (
            "skipgram",
            {"negatives": 5},
            3.1,
            f"pair of words, in nats. {UNUSED}, with noise words that do not depend on the seed.",
        ),
        ("cbow", {}, 3.1, f"predicted word, in nats. {UNUSED}."),
        ("cbow", {"negatives": 5}, None, "predicted word, in nats."),
    ],
)
def test_the_report_says_what_the_loss_is_the_mean_over(
    site: Site, tmp_path: Path, model: str, loss: dict[str, int], heldout: float | None, lead: str
) -> None:
    config = {**site.summary["config"], "model": {"name": model}, "loss": loss}
    epochs = [{**row, "heldout_loss": heldout} for row in site.summary["train"]["epochs"]]
    train = {**site.summary["train"], "epochs": epochs}
    write_report(
        tmp_path / REPORT,
        site.folder,
        site.folder,
        {**site.summary, "config": config, "train": train},
        None,
        title="",
        command="",
        when=datetime(2026, 1, 2, tzinfo=UTC),
    )
    text = PageText((tmp_path / REPORT).read_text(encoding="utf-8")).text
    assert f"The loss is the mean objective per {lead}\n" in text
    assert ("Held-out loss" in text) == (heldout is not None)
    assert "nats, after 2 epochs" in text


@pytest.mark.parametrize(
    ("oov", "used", "captions"),
    [
        (
            "skip",
            ("2 of 3", "1 of 4"),
            ("the pairs whose two words have vectors", "Only questions whose four words are"),
        ),
        ("zero", ("3 of 3", "4 of 4"), ("over all pairs; where a word has", "counts as wrong")),
    ],
)
def test_coverage_and_captions_say_how_unknown_words_count(
    tmp_path: Path, oov: str, used: tuple[str, str], captions: tuple[str, str]
) -> None:
    vectors = WordVectors(PLAIN[:8], np.random.default_rng(0).standard_normal((8, 4)))
    (tmp_path / "pairs.tsv").write_text("a0\ta1\t3\na2\ta3\t2\na4\tnone\t1\n")
    (tmp_path / "questions.txt").write_text(": capital\na0 a1 a2 a3\n" + "a0 a1 a2 none\n" * 3)
    settings = Evaluate(
        similarity={"pairs": str(tmp_path / "pairs.tsv")},
        analogy={"mine": str(tmp_path / "questions.txt")},
        oov=oov,
        map=[],
    )
    facts, findings = compute(tmp_path, MetricInput(vectors, settings), settings, None, None)
    draw(
        tmp_path,
        findings,
        title="",
        kept_epoch=None,
        counts=None,
        methods=[],
        map_words=8,
        vocabulary=8,
    )
    stages = {"evaluate": {"seconds": 1.0, "cached": False}}
    summary = {"config": {"evaluate": vars(settings)}, "stages": stages, "evaluate": facts}
    path = tmp_path / REPORT
    when = datetime(2026, 1, 2, tzinfo=UTC)
    write_report(path, tmp_path, tmp_path, summary, None, title="", command="", when=when)
    text = PageText(path.read_text(encoding="utf-8")).text
    assert facts["analogy"]["mine"]["coverage"] == 0.25
    for expected in (f"{used[0]}66.7 %", f"{used[1]}25.0 %", *captions):  # two cells of a row
        assert expected in text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("s3://key:se/cr+et@bucket/a.gz", "s3://***@bucket/a.gz"),
        ("https://me:p@ss@host:80/a b", "https://***@host:80/a b"),
        ("https://me@host/a http://me:secret@host", "https://***@host/a http://***@host"),
        ("https://host/a@2.txt", "https://host/a@2.txt"),
        ("https://host:80/a", "https://host:80/a"),
    ],
)
def test_no_part_of_a_password_is_shown(text: str, shown: str) -> None:
    assert without_passwords(text) == shown


def test_the_page_of_a_sweep_fits(tmp_path: Path, open_page: Any) -> None:
    random = np.random.default_rng(0)
    varied = itertools.product(("negsample", "hsoftmax"), (2, 5), (0.025, 0.05), range(3))
    jobs = [
        job(n, random.normal(), loss=loss, model__window=window, train__lr=lr, seed=seed)
        for n, (loss, window, lr, seed) in enumerate(varied)
    ]
    result = compare_jobs("score", jobs)
    summary = {
        "configurations": result.configurations,
        "objective": "score",
        "jobs": [{"status": "finished"}] * len(jobs),
        "difference": None,
        "command": COMMAND,
    }
    write_sweep_page(tmp_path, result.judged, summary, result.settings)
    page = open_page((tmp_path / REPORT).as_uri())
    for width in (390, 700, 701, 1000, 1001, 1400):
        page.set_viewport_size({"width": width, "height": 800})
        assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.locator(".verdicts tbody tr").count() == 28  # every two of eight configurations


def test_the_report_opens_and_fits(site: Site, open_page: Any, screen: dict[str, Any]) -> None:
    page = open_page(site.url(REPORT), **screen)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert page.inner_text("h1") == _shown(TITLE)
    images = page.evaluate(
        "Array.from(document.images, i => [i.src.slice(0, 22), i.naturalWidth > 0, i.alt !== ''])"
    )
    listed = json.loads((site.folder / LIST).read_text(encoding="utf-8"))
    assert images == [["data:image/png;base64,", True, True]] * len(listed)
    assert page.locator("main img").count() == len(listed)
    assert page.locator("script, iframe, link[href^=http]").count() == 0


def test_the_report_is_dark_on_request_and_prints_on_white(site: Site, open_page: Any) -> None:
    page = open_page(site.url(REPORT), color_scheme="dark", **DESK)
    ground = "getComputedStyle(document.body).backgroundColor"
    assert page.evaluate(ground) != "rgb(255, 255, 255)"
    page.emulate_media(media="print")
    assert page.evaluate(ground) == "rgb(255, 255, 255)"
    assert page.locator("nav").is_hidden()
    assert page.pdf(format="A4").startswith(b"%PDF")


def test_every_chart_has_its_file(site: Site) -> None:
    listed = read_pictures(site.folder)
    for picture in listed:
        assert (site.folder / picture.file).read_bytes().startswith(b"\x89PNG")
    assert {picture.kind for picture in listed} == {"loss", "map", "similarity", "analogy", "zipf"}
    assert sorted(picture.file for picture in listed) == [
        "analogies-q.a.png",
        "loss.png",
        "map-pca.png",
        "map-tsne.png",
        "similarity-pairs.png",
        "zipf.png",
    ]
