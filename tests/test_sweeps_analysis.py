"""Test the statistics of a sweep: means over seeds, and effects of settings."""

import itertools
import json
import math
from dataclasses import replace
from html import unescape
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

from pipeline.runtime.console import Display
from pipeline.sweeps import show
from pipeline.sweeps.halving import better_half
from pipeline.sweeps.objective import compare_jobs
from pipeline.sweeps.results import Job
from w2v.evaluate.advice import advice
from w2v.evaluate.sweep import Sweep
from w2v.evaluate.verdicts import MEAN_OF_SETS
from w2v.labels import short_names, shortened
from w2v.report.sweep_text import sweep_markdown
from w2v.tables import Row


def job(number: int, value: float | None, **settings: Any) -> Job:
    status = "crashed" if value is None else "finished"
    figures = {} if value is None else {"score": value, "heldout_loss": value}
    flat = {key.replace("__", "."): setting for key, setting in settings.items()}
    return Job(
        number=number,
        status=status,
        finished=value is not None,
        reason=None,
        settings=flat,
        figures=figures,
        seconds=1.0 + number,
        cached=False,
        run_id=None,
    )


def column(table: list[Row], name: str) -> list[Any]:
    return [row[name] for row in table]


def test_configurations_are_means_over_seeds() -> None:
    random = np.random.default_rng(0)
    jobs: list[Job] = []
    expected: dict[tuple[str, str], Any] = {}
    for dim, window in itertools.product((10, 20), (2, 5)):
        values = random.normal(dim / 10 + window, 0.1, 3)
        expected[str(dim), str(window)] = values
        jobs += [
            job(len(jobs) + s, float(v), model__dim=dim, model__window=window, seed=s)
            for s, v in enumerate(values)
        ]
    table = compare_jobs("score", jobs).configurations
    assert column(table, "mean") == sorted(column(table, "mean"), reverse=True)
    assert table[0]["verdict"] == "best"
    means = {key: values.mean() for key, values in expected.items()}
    best = max(means, key=lambda key: means[key])
    for row in table:
        values = expected[row["model.dim"], row["model.window"]]
        half = 4.302652729911275 * values.std(ddof=1) / math.sqrt(3)  # t of 2 degrees, 97.5 %
        assert row["mean"] == pytest.approx(values.mean())
        assert (row["low"], row["high"]) == pytest.approx(
            (values.mean() - half, values.mean() + half)
        )
        if (row["model.dim"], row["model.window"]) != best:
            p, shown = oracle_of_four(list(expected.values()), expected[best], values)
            assert row["p"] == pytest.approx(p, abs=1e-4)
            assert row["difference"] == pytest.approx(values.mean() - means[best])
            assert row["verdict"] == ("worse" if shown else "no difference shown")


def oracle_of_four(every: list[Any], best: Any, other: Any) -> tuple[float, bool]:
    """Return the p-value of the difference of `best` and `other`, and whether it is below 0.05.

    The p-value is adjusted for comparing all pairs of four configurations. `every` has the values
    of the four, each over the same three seeds; `best` and `other` are two of its elements.
    """
    rest = [
        [
            v - np.mean(own) - np.mean(column) + np.mean(every)
            for v, column in zip(own, zip(*every, strict=True), strict=True)
        ]
        for own in every
    ]
    squares = {id(own): sum(r * r for r in row) for own, row in zip(every, rest, strict=True)}
    mean, freedom = sum(squares.values()) / 6, 6
    one, two = (squares[id(own)] / 2 * 4 / 3 for own in (best, other))
    variance = 2 * mean
    if one + two > variance:
        variance = one + two
        freedom = min(6.0, variance**2 / (one**2 / 2 + two**2 / 2) * 3 / 4)
    ratio = abs(np.mean(best) - np.mean(other)) / math.sqrt(variance / 3)
    p = float(stats.studentized_range.sf(ratio * math.sqrt(2), 4, freedom))
    return p, p < 0.05


def test_a_real_difference_is_found() -> None:
    jobs = [
        job(i, 0.3 + 0.01 * seed if dim == 10 else 0.5, model__dim=dim, seed=seed)
        for i, (dim, seed) in enumerate(itertools.product((10, 20), range(3)))
    ]
    assert column(compare_jobs("score", jobs).configurations, "verdict") == ["best", "worse"]


def test_losses_compare_only_with_equal_negatives() -> None:
    jobs = [
        job(i, float(value), loss=loss, model__dim=dim, seed=0, **own)
        for i, (value, loss, dim, own) in enumerate(
            [
                (1, "negsample", 10, {"loss__negatives": 2}),
                (2, "negsample", 20, {"loss__negatives": 2}),
                (5, "negsample", 10, {"loss__negatives": 5}),
                (3, "negsample", 20, {"loss__negatives": 5}),
                (7, "softmax", 10, {"loss__logits_mb": 64}),
            ]
        )
    ]
    result = compare_jobs("heldout_loss", jobs)
    assert result.compared_within == ["loss", "loss.negatives"]
    best = {(row["group"], row["model.dim"]) for row in result.best}
    assert best == {("negsample 2", "10"), ("negsample 5", "20")}  # softmax has nothing to beat
    effects = result.effects
    assert set(column(effects, "setting")) == {"model.dim"}
    # The scores less the means of their groups: -0.5, 0.5, 1, -1, 0.
    assert column(effects, "effect") == pytest.approx([0.5 / 3, -0.25])
    assert all(math.isnan(mean) for mean in column(effects, "mean"))
    assert compare_jobs("score", jobs).compared_within == []
    assert [row["loss"] for row in compare_jobs("score", jobs).best] == ["softmax"]


@pytest.mark.parametrize("last", [3.6, math.nan])
def test_the_best_run_is_of_the_best_configuration(last: float, tmp_path: Path) -> None:
    jobs = [
        job(number, loss, train__lr=lr, seed=seed)
        for number, (lr, seed, loss) in enumerate(
            [(0.1, 0, 3.2), (0.1, 1, 3.0), (0.2, 0, 2.9), (0.2, 1, last)]
        )
    ]
    (tmp_path / "near.csv").write_text("word,neighbour\n")
    jobs[1] = replace(jobs[1], neighbours=str(tmp_path / "near.csv"))
    facts = {"command": "c", "sweep_dir": "d", "seconds": 1.0, "error": None}
    summary = show.write_results(tmp_path, compare_jobs("heldout_loss", jobs), facts)
    assert summary["best_jobs"] == [1]
    assert (tmp_path / "neighbours.csv").exists()


def test_a_lost_job_on_a_hard_seed_does_not_make_its_configuration_the_best(
    tmp_path: Path,
) -> None:
    losses = {0.1: (1.0, 1.01, 1.025, 2.0), 0.2: (1.1, 1.112, 1.12, None)}
    jobs = [
        job(number, loss, train__lr=lr, seed=seed)
        for number, (lr, seed, loss) in enumerate(
            (lr, seed, loss) for lr, some in losses.items() for seed, loss in enumerate(some)
        )
    ]
    result = compare_jobs("heldout_loss", jobs)
    assert column(result.configurations, "verdict") == ["best", "worse"]
    assert column(result.configurations, "mean") == pytest.approx([5.035 / 4, 3.332 / 3])
    assert [best.number for best in result.best_runs] == [0]
    assert better_half(result) == [0, 1, 2, 3]
    assert result.unbeaten == {"lr=0.1"}
    assert advice(result)[0].startswith("not all have runs of the same seeds: the order, ")
    page, other = page_of(tmp_path, result), ". Each is over all seeds that its setting has; "
    assert "Not all have runs of the same seeds: the order, " in page
    assert other in page
    complete = compare_jobs("heldout_loss", [one for one in jobs if one.settings["seed"] < 3])
    assert not complete.unequal_seeds
    assert other not in page_of(tmp_path, complete)


def page_of(folder: Path, result: Sweep[Job]) -> str:
    """Write the results of a sweep into a folder; return its report as HTML, entities decoded."""
    facts = {"command": "c", "sweep_dir": "d", "seconds": 1.0, "error": None, "search": False}
    show.write_results(folder, result, facts)
    return unescape((folder / "report.html").read_text())


def scored(loss: float, score: float, **settings: Any) -> Job:
    """Return a finished job of a sweep with a held-out loss and a mean score on sets of word pairs.

    `settings` are the settings of the job; in their names, ``__`` stands for a dot.
    """
    figures = {"heldout_loss": loss, MEAN_OF_SETS: score}
    return replace(job(0, 0.0, **settings), figures=figures)


def test_the_page_says_which_difference_more_seeds_would_show(tmp_path: Path) -> None:
    jobs = [
        replace(scored(lr + seed / 7, lr * seed, train__lr=lr, seed=seed), number=number)
        for number, (lr, seed) in enumerate(itertools.product((0.1, 0.2), range(3)))
    ]
    found, given = "the difference that was found. ", "the difference of 0.01, search.difference"
    both = f"{given} (for Held-out loss: the one that was found). "
    assert both in page_of(tmp_path, compare_jobs("heldout_loss", jobs, size=0.01))
    assert f"{given}. " in page_of(tmp_path, compare_jobs(MEAN_OF_SETS, jobs, size=0.01))
    assert found in page_of(tmp_path, compare_jobs("heldout_loss", jobs))
    losses = [replace(one, figures={"heldout_loss": 1.0}) for one in jobs]
    assert found in page_of(tmp_path, compare_jobs("heldout_loss", losses, size=0.01))


@pytest.mark.parametrize("others", [1.0, math.nan])
def test_a_loss_that_is_not_a_number_is_shown_as_a_dash(
    others: float, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    jobs = [
        job(number, math.nan if lr == 0.2 else others, train__lr=lr, seed=seed)
        for number, (lr, seed) in enumerate(itertools.product((0.1, 0.2), (0, 1)))
    ]
    result = compare_jobs("heldout_loss", jobs)
    page = page_of(tmp_path, result).partition("<body>")[2]
    assert "nan" not in page
    summary = json.loads((tmp_path / "summary.json").read_text())
    show.print_results(Display(), result, summary, [])
    assert "0.2 – – 2 undefined" in " ".join(capsys.readouterr().out.split())
    markdown = sweep_markdown(result, summary["configurations"], "", show.failures_of(result))
    assert "0.2 | – | – | 2 | undefined" in markdown


def test_the_command_for_a_report_can_be_pasted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    jobs = [replace(job(0, 1.0, seed=0), neighbours="near.csv")]
    result = compare_jobs("heldout_loss", jobs)
    facts = {"command": "c", "sweep_dir": "a b", "seconds": 1.0, "error": None, "search": False}
    summary = show.write_results(tmp_path, result, facts)
    show.print_results(Display(), result, summary, [])
    assert "run.py 'report=a b/0'\n" in capsys.readouterr().out


@pytest.mark.parametrize("objective", ["heldout_loss", MEAN_OF_SETS])
def test_only_losses_are_told_to_compare_by_a_score(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], objective: str
) -> None:
    key = {"heldout_loss": "loss", MEAN_OF_SETS: "evaluate__oov"}[objective]
    jobs = [
        replace(job(i, 0.0, seed=i % 2, **{key: "ab"[i // 2]}), figures={objective: i / 10})
        for i in range(4)
    ]
    result = compare_jobs(objective, jobs)
    facts = {"command": "c", "sweep_dir": "d", "seconds": 1.0, "error": None, "search": False}
    show.print_results(Display(), result, show.write_results(tmp_path, result, facts), [])
    said = capsys.readouterr().out
    assert "so no two of them compare." in said
    assert ("search.objective=" in said) == (objective == "heldout_loss")


def test_equal_losses_have_one_best_configuration() -> None:
    runs = itertools.product((2, 5), (("v", 0.5), ("v+u", 0.6)), (0, 1))
    jobs = [
        replace(
            job(i, 0.0, vocab__min_count=count, evaluate__use=use, seed=seed),
            figures={"heldout_loss": count + seed / 10, MEAN_OF_SETS: score + seed / 10},
        )
        for i, (count, (use, score), seed) in enumerate(runs)
    ]
    result = compare_jobs("heldout_loss", jobs)
    assert result.compared_within == ["vocab.min_count"]  # the mean of sets has a best of its own
    assert column(result.configurations, "verdict") == ["best", "no difference shown"] * 2


@pytest.mark.parametrize("undefined", range(4))
def test_a_loss_that_is_not_a_number_ranks_last(undefined: int) -> None:
    losses = [math.nan if x == undefined else float(x) for x in range(4)]
    jobs = [
        replace(
            job(i, 0.0, model__dim=x, vocab__min_count=count, seed=seed),
            figures={"heldout_loss": losses[x], MEAN_OF_SETS: (2.0, 3.0, 0.0, 1.0)[x] + seed / 10},
        )
        for i, (x, count, seed) in enumerate(itertools.product(range(4), (2, 5), (0, 1)))
    ]
    dims = column(compare_jobs("heldout_loss", jobs).configurations, "model.dim")
    assert [int(dim) for dim in dims[3::4]] == [undefined] * 2


def test_a_setting_that_follows_from_a_choice_is_left_out() -> None:
    jobs = [
        job(0, 1.0, engine="numpy", engine__name="numpy", model__dim=4, seed=0),
        job(1, 2.0, engine="numba", engine__name="numba", model__dim=4, seed=0),
    ]
    assert compare_jobs("score", jobs).axes == ["engine"]
    jobs.append(job(2, None, engine="numba", seed=0))  # it never started
    assert compare_jobs("score", jobs).axes == ["engine"]
    jobs = [
        job(0, 1.0, experiment="a", model__dim=4, seed=0),
        job(1, 2.0, experiment="b", model__dim=5, seed=0),
        job(2, 2.0, experiment="b", model__dim=5, seed=1),
    ]
    assert compare_jobs("score", jobs).axes == ["experiment", "seed"]


def test_the_same_job_twice_is_one_observation() -> None:
    jobs = [job(i, 1.0, model__dim=4, seed=0) for i in range(2)]
    jobs.append(job(2, 2.0, model__dim=5, seed=0))
    table = compare_jobs("score", jobs).configurations
    assert column(table, "seeds") == [1, 1]
    assert column(table, "verdict") == ["best", "one seed"]


def test_many_values_are_divided_at_their_quartiles() -> None:
    jobs = [job(i, float(i), train__lr=0.01 * (i + 1), seed=0) for i in range(12)]
    effects = compare_jobs("score", jobs).effects
    assert column(effects, "jobs") == [3, 3, 3, 3]
    assert column(effects, "mean") == [1, 4, 7, 10]


def test_a_range_without_values_is_left_out() -> None:
    values = [0, 1, 3, 3, 3, 3, 4, 5, 6, 7, 8, 9]  # none is above 3 and at most the median 3.5
    jobs = [job(i, float(i), model__window=value, seed=0) for i, value in enumerate(values)]
    effects = compare_jobs("score", jobs).effects
    assert column(effects, "value") == ["0 to 3", "3.5 to 6.25", "6.25 to 9"]
    assert column(effects, "jobs") == [6, 3, 3]


def test_close_values_stay_different() -> None:
    jobs = [
        job(i, value, train__lr=lr, seed=0)
        for i, (lr, value) in enumerate(((0.0250001, 0.1), (0.0250002, 0.9), (0.01, 0.5)))
    ]
    table = compare_jobs("score", jobs).configurations
    assert column(table, "mean") == [0.9, 0.5, 0.1]
    assert column(table, "train.lr") == ["0.0250002", "0.01", "0.0250001"]
    assert shortened(column(table, "train.lr")) == {
        "0.0250002": "0.0250002",
        "0.01": "0.01",
        "0.0250001": "0.0250001",
    }
    assert shortened(["0.034512345", "0.1"]) == {"0.034512345": "0.03451", "0.1": "0.1"}
    assert shortened(["a", "–", "1000000"]) == {"a": "a", "–": "–", "1000000": "1000000"}
    assert short_names(["evaluate.seed", "seed", "model.dim"]) == {
        "evaluate.seed": "evaluate.seed",
        "seed": "seed",
        "model.dim": "dim",
    }


def test_a_setting_of_some_choices_is_compared_within_them() -> None:
    jobs = [
        job(0, 1.0, loss="negsample", loss__negatives=2, seed=0),
        job(1, 3.0, loss="negsample", loss__negatives=5, seed=0),
        job(2, 20.0, loss="softmax", seed=0),
    ]
    effects = compare_jobs("score", jobs).effects
    own = {row["value"]: row["effect"] for row in effects if row["setting"] == "loss.negatives"}
    assert own == {"2": -1.0, "5": 1.0}


def test_advice() -> None:
    values = {10: (0.5, 0.52, 0.48), 50: (0.51, 0.53, 0.5), 90: (0.1, 0.11, 0.12)}
    seconds = {10: 1.0, 50: 9.0, 90: 0.1}
    jobs = [
        Job(
            number=i,
            status="finished",
            reason=None,
            settings={"model.dim": dim, "seed": seed},
            figures={
                "similarity/mine/spearman": value,
                "similarity/mine/coverage": 0.5 + 0.1 * (dim > 50),
            },
            seconds=seconds[dim],
            cached=False,
            run_id=None,
        )
        for i, (dim, seed, value) in enumerate(
            (dim, seed, value) for dim, three in values.items() for seed, value in enumerate(three)
        )
    ]
    quick, covered = advice(compare_jobs("similarity/mine/spearman", jobs))
    assert quick == (
        "quickest of those not shown to be worse: model.dim=10 (1.0 s of training against 9.0 s)"
    )
    assert covered.startswith("not all are asked the same: their words cover 50% to 60% of mine;")
    shares = itertools.cycle((0.0301, 0.0344))
    near = [
        replace(one, figures={**one.figures, "similarity/mine/coverage": next(shares)})
        for one in jobs
    ]
    assert (
        "cover 3.0% to 3.4% of mine;" in advice(compare_jobs("similarity/mine/spearman", near))[-1]
    )
