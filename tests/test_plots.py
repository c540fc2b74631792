"""Test `w2v.plots`: plots are valid PNG files and show the given data."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import imread
from numpy.typing import NDArray

from w2v.plots import charts, comparisons, style, word_map

SIZE = (round(style.HEIGHT * style.DPI), round(style.WIDTH * style.DPI))


@pytest.fixture
def figures(monkeypatch: pytest.MonkeyPatch) -> list[Figure]:
    """Return a list that receives every Matplotlib figure that is saved."""
    saved: list[Figure] = []
    savefig = Figure.savefig

    def keep(figure: Figure, *args: Any, **kwargs: Any) -> None:
        saved.append(figure)
        savefig(figure, *args, **kwargs)

    monkeypatch.setattr(Figure, "savefig", keep)
    return saved


def history(epochs: int, words: int, heldout: bool = True) -> list[dict[str, Any]]:
    return [
        {
            "epoch": epoch,
            "words": epoch * words,
            "loss": 2.0 + 1 / epoch,
            "heldout_loss": 2.2 + 1 / epoch if heldout else None,
        }
        for epoch in range(1, epochs + 1)
    ]


def falling(points: int, words: int) -> list[tuple[float, float]]:
    noise = np.random.default_rng(0).standard_normal(points) / 20
    return [
        (words * (i + 1) / points, 2 + 2 * np.exp(-9 * i / points) + float(noise[i]))
        for i in range(points)
    ]


def title_of(figure: Figure) -> str:
    return str(figure._suptitle.get_text())  # type: ignore[attr-defined]


def lines(ax: Axes) -> dict[str, NDArray[np.float64]]:
    return {str(line.get_label()): np.asarray(line.get_xydata()) for line in ax.get_lines()}


def test_imports_load_no_plotting_library_and_drawing_changes_no_global_state(
    tmp_path: Path,
) -> None:
    code = """
import sys
import w2v.report.figures, w2v.report.report
from w2v.plots import charts
print([name for name in ("matplotlib", "pandas", "sklearn") if name in sys.modules])
import matplotlib
before = matplotlib.rcParams.copy()
charts.loss_curve([(1, 2), (2, 1)], [], sys.argv[1])
print("matplotlib.pyplot" in sys.modules, before == matplotlib.rcParams.copy())
"""
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "loss.png")],
        cwd=Path(__file__).parent.parent,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split("\n") == ["[]", "False True", ""]


def test_the_loss_curve_shows_the_losses(tmp_path: Path, figures: list[Figure]) -> None:
    points, epochs = falling(200, 12_000_000), history(3, 4_000_000)
    charts.loss_curve(points, epochs, tmp_path / "loss.png", title="corpus · seed 1")
    (ax,) = figures[0].axes
    drawn = lines(ax)
    assert drawn["training"] == pytest.approx(np.array(points) / np.array([1e6, 1.0]))
    np.testing.assert_allclose(
        drawn["held out, per epoch"], np.array([[4, 3.2], [8, 2.7], [12, 2.2 + 1 / 3]])
    )
    assert ax.get_xlabel() == "words seen (millions)"
    assert ax.get_ylabel() == "mean loss (nats)"
    assert title_of(figures[0]) == "corpus · seed 1"
    legend = ax.get_legend()
    assert legend is not None
    assert [text.get_text() for text in legend.get_texts()] == [
        "training",
        "training, smoothed",
        "held out, per epoch",
    ]
    low, high = ax.get_ylim()
    assert (np.array([p[1] for p in points]) > low).mean() > 0.98
    assert high > max(point[1] for point in points)
    assert imread(tmp_path / "loss.png").shape[:2] == SIZE


def test_the_smoothed_loss_follows_the_losses() -> None:
    line = np.linspace(4.0, 2.0, 301)
    half = int(301 * charts.SMOOTHING / 2) + 1
    # The centered mean of a straight line is the line. At the end, half of the window is missing.
    np.testing.assert_allclose(charts._smoothed(line)[:-half], line[:-half], atol=1e-12)
    assert abs(charts._smoothed(line)[-1] - line[-1]) < half * (2.0 / 300)
    noise = np.random.default_rng(0).standard_normal(301)
    assert charts._smoothed(noise).std() < 0.5 * noise.std()
    for size in (1, 2, 3, 5):
        assert charts._smoothed(np.full(size, 7.0)) == pytest.approx(np.full(size, 7.0))


def test_the_heldout_loss_is_drawn_without_a_training_loss(
    tmp_path: Path, figures: list[Figure]
) -> None:
    epochs: list[dict[str, Any]] = [
        {"words": 10, "loss": None, "heldout_loss": 2.0},
        {"words": 20, "loss": None, "heldout_loss": 1.5},
    ]
    charts.loss_curve([], epochs, tmp_path / "loss.png")
    (axes,) = figures[0].axes
    assert axes.get_legend_handles_labels()[1] == ["held out, per epoch"]


def test_the_epochs_are_drawn_without_points(tmp_path: Path, figures: list[Figure]) -> None:
    charts.loss_curve([], history(3, 500, heldout=False), tmp_path / "loss.png")
    drawn = lines(figures[0].axes[0])
    np.testing.assert_allclose(
        drawn["training, per epoch"], np.array([[500, 3], [1000, 2.5], [1500, 2 + 1 / 3]])
    )
    assert "held out, per epoch" not in drawn
    assert figures[0].axes[0].get_xlabel() == "words seen"


@pytest.mark.parametrize(
    ("points", "epochs"),
    [
        ([], []),
        ([(1, 2.0)], []),
        ([(1, 2.0)], history(1, 1)),
        ([(1, 2.0), (2, 2.0)], []),
        ([(1, float("nan")), (2, float("inf")), (3, 1.0)], history(2, 1)),
        (falling(3, 10), history(30, 10)),
    ],
)
def test_any_history_can_be_drawn(
    tmp_path: Path, points: list[tuple[float, float]], epochs: list[dict[str, Any]]
) -> None:
    charts.loss_curve(points, epochs, tmp_path / "new" / "loss.png")
    assert imread(tmp_path / "new" / "loss.png").shape[:2] == SIZE
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["loss.png"]


def test_a_long_title_is_broken_into_lines(tmp_path: Path, figures: list[Figure]) -> None:
    charts.loss_curve(falling(9, 9), [], tmp_path / "x.png", title="loss=negsample " * 12)
    title = figures[0]._suptitle  # type: ignore[attr-defined]
    assert title.get_text().count("\n") >= 1
    assert title.get_window_extent().x1 <= figures[0].bbox.x1


def overlapping(texts: list[Any]) -> int:
    boxes = [text.get_window_extent() for text in texts]
    return sum(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[:i])


@pytest.mark.parametrize("n", [10, 120])
def test_no_label_covers_another_and_few_are_left_out(
    tmp_path: Path, figures: list[Figure], n: int
) -> None:
    generator = np.random.default_rng(n)
    words = [f"word{'x' * int(length)}{i}" for i, length in enumerate(generator.integers(0, 7, n))]
    xy = generator.standard_normal((n, 2))
    word_map(words, xy, tmp_path / "map.png", counts=generator.integers(1, 9999, n))
    (ax,) = figures[0].axes
    np.testing.assert_allclose(np.asarray(ax.collections[0].get_offsets()), xy)
    labels = [text.get_text() for text in ax.texts]
    assert set(labels) <= set(words)
    assert len(labels) == len(set(labels)) >= 0.95 * n
    assert overlapping(list(ax.texts)) == 0
    frame = ax.get_window_extent()
    for text in ax.texts:  # each label is inside the axes and near its own point
        at = ax.transData.transform(xy[words.index(text.get_text())])
        box = text.get_window_extent()
        assert (np.asarray(box.min) >= np.asarray(frame.min) - 1).all()
        assert (np.asarray(box.max) <= np.asarray(frame.max) + 1).all()
        away = np.maximum(np.maximum(box.min - at, at - box.max), 0)
        assert np.linalg.norm(away) < 45 * figures[0].dpi / 72


def test_frequent_words_are_labelled_where_not_all_fit(
    tmp_path: Path, figures: list[Figure]
) -> None:
    words, xy = [f"crowded{i}" for i in range(200)], np.zeros((200, 2))
    word_map(words, xy, tmp_path / "map.png", counts=np.arange(200))
    named = [text.get_text() for text in figures[0].axes[0].texts]
    assert 6 <= len(named) < 100
    assert named[0] == "crowded199"
    assert overlapping(list(figures[0].axes[0].texts)) == 0


def test_more_frequent_words_have_larger_points(tmp_path: Path, figures: list[Figure]) -> None:
    xy = np.eye(3, 2)
    word_map(list("abc"), xy, tmp_path / "map.png", counts=[5, 500, 50], title="run")
    small, large, middle = figures[0].axes[0].collections[0].get_sizes()  # type: ignore[attr-defined]
    assert small < middle < large
    assert title_of(figures[0]) == "run"


def test_the_same_map_is_drawn_every_time(tmp_path: Path) -> None:
    xy = np.random.default_rng(0).standard_normal((30, 2))
    words = [f"word{i}" for i in range(30)]
    for name in ("a.png", "b.png"):
        word_map(words, xy, tmp_path / name)
    np.testing.assert_array_equal(imread(tmp_path / "a.png"), imread(tmp_path / "b.png"))


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    "words",
    [
        [],
        ["one"],
        ["$x^", "$a$", r"\frac{", "_hidden", "100%", "{", "a&b", "<b>"],
        ["世界", "한국어", "😀", "שלום", "\ud800", "\x00", "\x1b[0m", "\u202e"],
        ["same", "place"],
    ],
)
def test_any_words_can_be_drawn(tmp_path: Path, figures: list[Figure], words: list[str]) -> None:
    xy = (
        np.zeros((len(words), 2))
        if "same" in words
        else np.random.default_rng(0).random((len(words), 2))
    )
    word_map(words, xy, tmp_path / "map.png", counts=np.ones(len(words)), title="".join(words))
    assert len(figures[0].axes[0].texts) == len(words)
    assert imread(tmp_path / "map.png").ndim == 3


def test_dollar_signs_are_not_read_as_formulas(tmp_path: Path, figures: list[Figure]) -> None:
    word_map(["$x$"], [[0, 0]], tmp_path / "map.png", title="$y$")
    assert not figures[0].axes[0].texts[0].get_parse_math()
    assert not figures[0]._suptitle.get_parse_math()  # type: ignore[attr-defined]


def test_no_text_in_a_chart_of_many_trainings_is_read_as_a_formula(tmp_path: Path) -> None:
    path, text = tmp_path / "chart.png", r"[$]\w+|[$]"  # as a formula, it is an error
    comparisons.parallel_coordinates([[text, "a"]], [1, 2], [text, text], path, text)
    comparisons.main_effects([comparisons.Panel(text, [text], [1], False)], 1, text, path)
    clouds = [comparisons.Cloud(text, [(1, 1), (2, 2)], True)]
    comparisons.value_over_cost(clouds, text, text, text, path)


def test_the_old_file_survives_if_saving_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "loss.png"
    path.write_bytes(b"old")

    def fail(figure: Figure, path: Path, **kwargs: Any) -> None:
        path.write_bytes(b"half")
        raise OSError("disk full")

    monkeypatch.setattr(Figure, "savefig", fail)
    with pytest.raises(OSError, match="disk full"):
        charts.loss_curve(falling(3, 3), [], path)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def pairs_table(rows: list[tuple[str, str, float, float, bool]]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["word_1", "word_2", "human", "model", "used"])


def test_similarity_shows_the_used_pairs_and_names_those_that_disagree_most(
    tmp_path: Path, figures: list[Figure]
) -> None:
    rows = [(f"a{i}", f"b{i}", float(i), i / 40, True) for i in range(30)]
    rows[3] = ("high", "$low$", 3.0, 0.99, True)
    rows[25] = ("far", "off", 25.0, -0.2, True)
    rows[7] = ("un", "known", 7.0, float("nan"), False)
    rows[8] = ("as", "zero", 8.0, float("nan"), True)
    charts.similarity_scatter(
        pairs_table(rows).to_dict("records"), tmp_path / "x.png", "set", -0.5, (-0.7, -0.001)
    )
    (ax,) = figures[0].axes
    drawn = np.asarray(ax.collections[0].get_offsets())
    expected = [(r[2], 0.0 if np.isnan(r[3]) else r[3]) for r in rows if r[4]]
    np.testing.assert_allclose(drawn, expected)
    named = {text.get_text() for text in ax.texts}
    assert {"high – $low$", "far – off"} <= named
    assert len(named) == charts.NAMED_PAIRS
    assert overlapping(list(ax.texts)) == 0
    assert title_of(figures[0]) == "set\nSpearman −0.50 (−0.70 … 0.00) · 29 of 30 pairs"
    assert ax.get_xlabel() == "human score (the benchmark's scale)"
    assert ax.get_ylabel() == "model score (cosine)"


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("used", [0, 1, 11, 12])
def test_any_number_of_pairs_can_be_drawn(tmp_path: Path, figures: list[Figure], used: int) -> None:
    rows = [("a", "b", 1.0, 0.5, i < used) for i in range(12)]
    charts.similarity_scatter(pairs_table(rows).to_dict("records"), tmp_path / "x.png", "same")
    assert title_of(figures[0]) == f"same\nSpearman not defined · {used} of 12 pairs"


def analogy_table(categories: int, methods: tuple[str, ...]) -> pd.DataFrame:
    rows = [
        (
            method,
            "semantic" if i < 2 else "syntactic",
            f"category {i}",
            10 * i,
            i / 50 + j / 100,
            i / 60,
            i / 45,
        )
        for j, method in enumerate(methods)
        for i in range(categories)
    ]
    columns = ["method", "section", "category", "questions", "accuracy", "low", "high"]
    table = pd.DataFrame(rows, columns=columns)
    table.loc[table["questions"] == 0, ["accuracy", "low", "high"]] = np.nan
    return table


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("categories", [1, 40])
@pytest.mark.parametrize("methods", [("3CosAdd",), ("3CosAdd", "3CosMul")])
def test_accuracies_are_drawn_beside_their_categories(
    tmp_path: Path, figures: list[Figure], categories: int, methods: tuple[str, ...]
) -> None:
    table = analogy_table(categories, methods)
    charts.analogy_accuracy(table.to_dict("records"), tmp_path / "x.png", "google")
    (ax,) = figures[0].axes
    places = {
        label.get_text(): y for label, y in zip(ax.get_yticklabels(), ax.get_yticks(), strict=True)
    }
    assert list(places) == [f"category {i} ({10 * i:,})" for i in range(categories)]
    drawn = lines(ax)
    low, high = ax.get_xlim()
    for j, method in enumerate(methods):
        x, y = drawn[method].T
        np.testing.assert_allclose(x[1:], [100 * (i / 50 + j / 100) for i in range(1, categories)])
        assert np.isnan(x[0])
        assert np.abs(y - list(places.values())).max() < 0.5
        assert (x[1:] >= low).all()
        assert (x[1:] <= high).all()
    if len(methods) == 2:  # different shapes, for greyscale
        first, second = ax.get_lines()[:2]
        assert first.get_marker() != second.get_marker()
        assert [text.get_text() for text in figures[0].legends[0].get_texts()] == list(methods)
    assert ax.get_xlabel() == "accuracy (% of the questions), 95 % interval"
    boxes = list(ax.get_yticklabels())
    assert overlapping(boxes) == 0


def test_zipf_shows_what_is_kept_and_what_is_dropped(tmp_path: Path, figures: list[Figure]) -> None:
    counts = np.array([3, 1000, 10, 1, 100, 5, 5, 1])
    kept = np.array([False, True, True, False, True, True, False, False])
    charts.zipf(counts, kept, tmp_path / "x.png", "corpus")
    (ax,) = figures[0].axes
    drawn = lines(ax)
    names = [name for name in drawn if not name.startswith("_")]
    assert names == [
        "kept: 4 words, 99.1 % of the tokens",
        "dropped: 4 types, 0.9 %",
        "count ∝ 1 / rank",
    ]
    np.testing.assert_array_equal(drawn[names[0]], [(1, 1000), (2, 100), (3, 10), (4, 5)])
    np.testing.assert_array_equal(drawn[names[1]], [(5, 5), (6, 3), (7, 1), (8, 1)])
    assert (ax.get_xscale(), ax.get_yscale()) == ("log", "log")
    assert [text.get_text() for text in ax.texts] == ["last kept: 5 times"]
    assert ax.get_xlabel() == "rank of the type by frequency"
    assert ax.get_ylabel() == "occurrences in the corpus"


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    ("counts", "kept"),
    [([], []), ([7], [True]), ([7], [False]), ([5, 5], [True, True]), (range(1, 9999), None)],
)
def test_any_counts_can_be_drawn(tmp_path: Path, counts: Any, kept: Any) -> None:
    counts = np.array(counts, dtype=np.int64)
    charts.zipf(counts, counts > 5 if kept is None else kept, tmp_path / "x.png")
    assert imread(tmp_path / "x.png").shape[:2] == SIZE


def test_blue_and_orange_differ_in_greyscale() -> None:
    def lightness(color: str) -> float:
        red, green, blue = (int(color[i : i + 2], 16) for i in (1, 3, 5))
        return (0.299 * red + 0.587 * green + 0.114 * blue) / 255

    assert lightness(style.ORANGE) - lightness(style.BLUE) > 0.2
