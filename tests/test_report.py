"""Pictures: that they are whole PNGs, show what they were given, and survive odd input."""

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

from pipeline import report
from w2v.evaluate import Pair, Question, analogies, neighbours, similarity
from w2v.vectors import WordVectors


@pytest.fixture
def figures(monkeypatch: pytest.MonkeyPatch) -> list[Figure]:
    """Every figure that is saved."""
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


def lines(ax: Axes) -> dict[str, NDArray[np.float64]]:
    return {str(line.get_label()): np.asarray(line.get_xydata()) for line in ax.get_lines()}


def test_drawing_is_not_paid_for_on_import() -> None:
    code = (
        "import sys, pipeline.report; "
        "print([name for name in ('matplotlib', 'pandas') if name in sys.modules])"
    )
    root = Path(__file__).parent.parent
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_drawing_leaves_matplotlib_as_it_was(tmp_path: Path) -> None:
    code = (
        "import sys, matplotlib; before = matplotlib.rcParams.copy(); "
        "from pipeline import report; report.loss_curve([(1, 2), (2, 1)], [], sys.argv[1]); "
        "print('matplotlib.pyplot' in sys.modules, before == matplotlib.rcParams.copy())"
    )
    root = Path(__file__).parent.parent
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "loss.png")],
        cwd=root,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "False True"


def test_the_loss_curve_shows_the_losses(tmp_path: Path, figures: list[Figure]) -> None:
    points, epochs = falling(200, 12_000_000), history(3, 4_000_000)
    report.loss_curve(points, epochs, tmp_path / "loss.png", title="corpus · seed 1")
    (ax,) = figures[0].axes
    drawn = lines(ax)
    assert drawn["training"] == pytest.approx(np.array(points) / np.array([1e6, 1.0]))
    np.testing.assert_allclose(
        drawn["held out, per epoch"], np.array([[4, 3.2], [8, 2.7], [12, 2.2 + 1 / 3]])
    )
    assert ax.get_xlabel() == "words seen (millions)"
    assert ax.get_ylabel() == "mean loss per pair (nats)"
    assert ax.get_title(loc="left") == "corpus · seed 1"
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
    assert imread(tmp_path / "loss.png").shape[:2] == (600, 960)


def test_the_smoothed_loss_keeps_to_the_losses() -> None:
    line = np.linspace(4.0, 2.0, 301)
    half = int(301 * report.SMOOTHED_OVER / 2) + 1
    # A straight line is its own centred mean; the last points see one side only.
    np.testing.assert_allclose(report._smoothed(line)[:-half], line[:-half], atol=1e-12)
    assert abs(report._smoothed(line)[-1] - line[-1]) < half * (2.0 / 300)
    noise = np.random.default_rng(0).standard_normal(301)
    assert report._smoothed(noise).std() < 0.5 * noise.std()
    for size in (1, 2, 3, 5):
        assert report._smoothed(np.full(size, 7.0)) == pytest.approx(np.full(size, 7.0))


def test_without_a_training_loss_the_heldout_loss_is_drawn(
    tmp_path: Path, figures: list[Figure]
) -> None:
    epochs = [{"words": 10, "loss": None, "heldout_loss": 2.0}]
    epochs.append({"words": 20, "loss": None, "heldout_loss": 1.5})
    report.loss_curve([], epochs, tmp_path / "loss.png")
    (axes,) = figures[0].axes
    assert axes.get_legend_handles_labels()[1] == ["held out, per epoch"]


def test_without_points_the_epochs_are_drawn(tmp_path: Path, figures: list[Figure]) -> None:
    report.loss_curve([], history(3, 500, heldout=False), tmp_path / "loss.png")
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
    report.loss_curve(points, epochs, tmp_path / "new" / "loss.png")
    assert imread(tmp_path / "new" / "loss.png").shape[:2] == (600, 960)
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["loss.png"]


def test_a_long_title_is_broken_into_lines(tmp_path: Path, figures: list[Figure]) -> None:
    report.loss_curve(falling(9, 9), [], tmp_path / "x.png", title="loss=negsample " * 12)
    figure = figures[0]
    title = figure.axes[0]._left_title  # type: ignore[attr-defined]
    assert title.get_text().count("\n") >= 1
    assert title.get_window_extent().x1 <= figure.bbox.x1


@pytest.mark.parametrize("n", [10, 60, 120])
def test_every_word_is_on_the_map_and_hardly_any_overlap(
    tmp_path: Path, figures: list[Figure], n: int
) -> None:
    generator = np.random.default_rng(n)
    words = [f"word{'x' * int(length)}{i}" for i, length in enumerate(generator.integers(0, 7, n))]
    xy = generator.standard_normal((n, 2))
    report.word_map(words, xy, tmp_path / "map.png", counts=generator.integers(1, 9999, n))
    (ax,) = figures[0].axes
    assert sorted(text.get_text() for text in ax.texts) == sorted(words)
    np.testing.assert_allclose(np.asarray(ax.collections[0].get_offsets()), xy)
    boxes = [text.get_window_extent() for text in ax.texts]
    overlapping = sum(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[:i])
    assert overlapping <= n // 20
    frame = figures[0].bbox
    assert all(frame.contains(b.x0, b.y0) and frame.contains(b.x1, b.y1) for b in boxes)
    for text in ax.texts:  # each label near its own point
        at = ax.transData.transform(xy[words.index(text.get_text())])
        box = text.get_window_extent()
        away = np.maximum(np.maximum(box.min - at, at - box.max), 0)
        assert np.linalg.norm(away) < 45 * figures[0].dpi / 72


def test_more_frequent_words_have_larger_points(tmp_path: Path, figures: list[Figure]) -> None:
    xy = np.eye(3, 2)
    report.word_map(list("abc"), xy, tmp_path / "map.png", counts=[5, 500, 50], title="run")
    small, large, middle = figures[0].axes[0].collections[0].get_sizes()  # type: ignore[attr-defined]
    assert small < middle < large
    assert figures[0].axes[0].get_title(loc="left") == "run"


def test_the_same_map_is_drawn_twice(tmp_path: Path) -> None:
    xy = np.random.default_rng(0).standard_normal((30, 2))
    words = [f"word{i}" for i in range(30)]
    for name in ("a.png", "b.png"):
        report.word_map(words, xy, tmp_path / name)
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
    report.word_map(
        words, xy, tmp_path / "map.png", counts=np.ones(len(words)), title="".join(words)
    )
    assert len(figures[0].axes[0].texts) == len(words)
    assert imread(tmp_path / "map.png").ndim == 3


def test_math_signs_are_drawn_as_they_are(tmp_path: Path, figures: list[Figure]) -> None:
    report.word_map(["$x$"], [[0, 0]], tmp_path / "map.png", title="$y$")
    assert not figures[0].axes[0].texts[0].get_parse_math()
    assert not figures[0].axes[0]._left_title.get_parse_math()  # type: ignore[attr-defined]


def test_a_failed_drawing_leaves_the_old_picture(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "loss.png"
    path.write_bytes(b"old")

    def fail(figure: Figure, path: Path, **kwargs: Any) -> None:
        path.write_bytes(b"half")
        raise OSError("disk full")

    monkeypatch.setattr(Figure, "savefig", fail)
    with pytest.raises(OSError, match="disk full"):
        report.loss_curve(falling(3, 3), [], path)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


VECTORS = WordVectors(
    ["a", "b", "c", "d", *(f"w{i}" for i in range(12))],
    np.vstack(
        (
            np.array([[1, 0, 0], [0, 1, 0], [0, 0, 1], [-1, 1, 1]]),
            np.random.default_rng(0).standard_normal((12, 3)),
        )
    ),
)


def test_the_score_table_has_one_score_a_row() -> None:
    pairs = [Pair("a", f"w{i}", i) for i in range(12)] + [Pair("a", "none", 1)]
    similar = similarity(VECTORS, pairs, generator=np.random.default_rng(0))
    questions = [
        Question("family", "a", "b", "c", "d"),
        Question("family", "a", "b", "c", "none"),
        Question("gram1", "a", "b", "d", "none"),
    ]
    answers = analogies(VECTORS, questions, 10)
    table = report.score_table({"pairs": similar}, {"questions": answers})
    assert table[["benchmark", "category", "metric"]].to_numpy().tolist() == [
        ["pairs", "all", "spearman"],
        ["pairs", "all", "pearson"],
        ["questions", "all", "accuracy"],
        ["questions", "semantic", "accuracy"],
        ["questions", "syntactic", "accuracy"],
        ["questions", "family", "accuracy"],
        ["questions", "gram1", "accuracy"],
    ]
    assert table["value"].iloc[:2].tolist() == [similar.spearman, similar.pearson]
    assert (table["low"][0], table["high"][0]) == similar.ci95
    assert table[["used", "total"]].to_numpy().tolist() == [
        [12, 13],
        [12, 13],
        [1, 3],
        [1, 2],
        [0, 1],
        [1, 2],
        [0, 1],
    ]
    assert table["value"].iloc[2:].fillna(-1).tolist() == [1, 1, -1, 1, -1]
    assert table["coverage"].tolist() == pytest.approx([12 / 13, 12 / 13, 1 / 3, 0.5, 0, 0.5, 0])
    assert table["vocabulary"].fillna(-1).tolist() == [-1, -1, 10, 10, 10, 10, 10]


def test_empty_tables_have_their_columns() -> None:
    assert list(report.score_table({}, {}).columns)[:4] == [
        "benchmark",
        "category",
        "metric",
        "value",
    ]
    assert list(report.neighbour_table([]).columns) == ["word", "rank", "neighbour", "cosine"]


def test_tables_survive_parquet_with_their_types(tmp_path: Path) -> None:
    empty = analogies(VECTORS, [], 10)
    table = report.score_table({"none": similarity(VECTORS, [])}, {"none": empty})
    table.to_parquet(tmp_path / "scores.parquet")
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "scores.parquet"), table)


def test_the_neighbour_table_has_one_neighbour_a_row() -> None:
    rows = neighbours(VECTORS, ["a", "d"], 3)
    table = report.neighbour_table(rows)
    assert [tuple(row) for row in table.itertuples(index=False)] == [tuple(row) for row in rows]
