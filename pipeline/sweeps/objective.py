"""The metrics by which a sweep compares its runs; one of them is the objective of the sweep."""

import difflib
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pipeline.config.settings import Config, direction_of
from w2v.engines import ENGINES
from w2v.errors import InputError
from w2v.evaluate.metrics import figure_names
from w2v.evaluate.metrics import figures as scores_of
from w2v.evaluate.metrics.similarity import MEAN
from w2v.evaluate.sweep import Sweep
from w2v.losses import LOSSES
from w2v.objectives import ARCHITECTURES

if TYPE_CHECKING:
    from pipeline.sweeps.results import Job

CHANGES_LOSS = {
    *("loss", "model"),
    *(f"loss.{key}" for loss in LOSSES.values() for key in loss.changes_objective),
    *(f"model.{key}" for kind, _ in ARCHITECTURES.values() for key in kind.changes_objective),
    *("train.heldout", "train.heldout_seed"),
}
"""Settings that change what a loss measures; losses are comparable only if these are equal."""

CHANGE_LOSS_GROUPS = ("corpus", "tokenizer", "vocab")
"""Groups in which every setting changes what a loss measures."""

CHANGES_SCORE = ("evaluate", "evaluate.oov", "evaluate.vocabulary", "evaluate.compare")
"""A Hydra group and three of its settings; scores are comparable only if all of these are equal."""

TIMES = ("words_per_second", "seconds")


def incomparable(objective: str, keys: Iterable[str]) -> list[str]:
    """Return which settings in `keys` must not differ among runs compared by metric `objective`."""
    if objective.endswith("loss"):
        return [k for k in keys if k in CHANGES_LOSS or k.partition(".")[0] in CHANGE_LOSS_GROUPS]
    if "/" not in objective:
        return []
    sets, name, *_ = f"evaluate.{objective}".split("/")
    changes = (*CHANGES_SCORE, sets, f"{sets}.{name}")
    return [k for k in keys if k in changes or (name == MEAN and k.startswith(f"{sets}."))]


def compare_jobs(
    objective: str,
    jobs: "Sequence[Job]",
    first: "Sequence[Job] | None" = None,
    size: float | None = None,
) -> "Sweep[Job]":
    """Return the comparison of the jobs of a sweep by the metric `objective`.

    Successive halving runs a configuration and seed in several jobs, each for more epochs than the
    one before: `jobs` has the last of them, and `first` the first. In other sweeps, `jobs` has all
    jobs, and `first` is None. Effects of settings on the objective are computed from `first` if it
    is given, else from `jobs`. For benchmark scores, the comparison also says how many seeds would
    detect a difference of `size` between two configurations (None: the difference observed).
    """
    return Sweep(
        objective,
        jobs,
        first=None if first is None else compare_jobs(objective, first),
        size=size,
        smaller_is_better=lambda metric: direction_of(metric) == "minimize",
        must_agree=incomparable,
    )


def figures_of(summary: Mapping[str, Any]) -> dict[str, float]:
    """Return a run's speed, time, scores, and the losses of the epoch whose vectors are saved."""
    figures: dict[str, float | None] = {}
    if "train" in summary:
        train = summary["train"]
        kept = train["epochs"][train["kept_epoch"] - 1]
        figures = {name: kept[name] for name in ("heldout_loss", "loss")}
        figures |= {name: train[name] for name in TIMES}
    if "evaluate" in summary:
        figures |= scores_of(summary["evaluate"])
    return {name: float(value) for name, value in figures.items() if value is not None}


def objective_value(summary: Mapping[str, Any], objective: str) -> float:
    """Return the metric `objective` of a run; raise `InputError` if the run does not have it."""
    figures = figures_of(summary)
    if objective not in figures:
        has = ", ".join(sorted(figures))
        raise InputError(f"search.objective={objective}: this job has no such figure; it has {has}")
    return figures[objective]


def objective_names(config: Config) -> list[str]:
    """Return the names of a run's metrics, assuming that it runs all stages and holds text out."""
    names: list[str] = []
    if config.evaluate.vectors is None:
        names += ["heldout_loss", "loss", *TIMES]
        if not ENGINES[config.engine.name].reports_loss:
            names.remove("loss")
    return names + figure_names(config.evaluate)


def check_objective(config: Config, objective: str) -> None:
    """Raise `InputError` if a run with these settings does not compute the metric `objective`."""
    if objective == "heldout_loss" and config.train.heldout == 0:
        raise InputError(
            "search.objective=heldout_loss: train.heldout=0 holds nothing out; "
            "raise it, or search by another figure"
        )
    stage = "evaluate" if "/" in objective else "train"
    if stage not in config.stages and (stage == "evaluate" or "evaluate" not in config.stages):
        raise InputError(f"search.objective={objective}: add {stage} to stages={config.stages}")
    if objective not in (known := objective_names(config)):
        near = difflib.get_close_matches(objective, known, 1, 0.8)
        hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(known)}"
        raise InputError(f"search.objective={objective}: no such figure here; {hint}")
