"""The settings of an experiment: frozen dataclasses that validate their values.

Those of the library are in `w2v`. `schema` makes the objects from ``conf/`` and the command line.
"""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from w2v.bench.settings import Benchmark, Complexity, Measure
from w2v.cluster.settings import ClusterSettings, RaySettings
from w2v.engines import EngineSettings, check_objective
from w2v.errors import InputError
from w2v.evaluate.metrics import figure_names
from w2v.evaluate.settings import Evaluate
from w2v.hashes import FileHashes
from w2v.limits import Limit, above, at_least, matching, one_of, text
from w2v.losses import Loss
from w2v.objectives import Architecture, Objective, with_loss
from w2v.settings import Settings, setting
from w2v.text.corpora import Corpus
from w2v.text.phrases import Phrases
from w2v.text.tokenizer import Whitespace, Words
from w2v.text.vocabulary import VocabularySettings
from w2v.training.early_stopping import HELDOUT_LOSS
from w2v.training.schedule import TrainingSettings

REPORTS = ("best", "all", "none")
"""Values of ``report`` and ``tracking.vectors``: which jobs get reports, or upload vectors."""

REPORT_WANTED = (
    "best, all or none or, as the only argument, a folder of a sweep or of a job of one that has "
    "scores; a single run has its report"
)


@dataclass(frozen=True)
class Tokenizing(Settings):
    """Settings that are common to all tokenizers."""

    workers: int | None = setting(
        "threads that tokenize; null: one for each core", at_least(1), None
    )
    phrases: Phrases = Phrases()


@dataclass(frozen=True)
class WordsTokenizer(Tokenizing, Words):
    """Settings of the tokenizer that finds words, which are mainly runs of letters and digits."""


@dataclass(frozen=True)
class WhitespaceTokenizer(Tokenizing, Whitespace):
    """Settings of the tokenizer that splits the text at white space."""


TOKENIZERS = {"words": WordsTokenizer, "whitespace": WhitespaceTokenizer}
"""The tokenizers by name."""


@dataclass(frozen=True)
class Tracking(Settings):
    """Settings of experiment tracking: whether, where and what MLflow records."""

    name: str = setting("mlflow or none", one_of(("mlflow", "none")), "mlflow")
    uri: str | None = setting(
        "address of the tracking store; null: SQLite in outputs/mlflow.db", default=None
    )
    experiment: str = setting("the MLflow experiment", text("a name"), "w2v")
    system_metrics: bool = setting("record the machine's load; needs psutil", default=False)
    model: bool = setting("record the vectors as an MLflow model, too", default=False)
    vectors: str = setting(
        "the runs that have their vectors among their artifacts: all; best, in a sweep the best "
        "job; none",
        one_of(REPORTS),
        "best",
    )
    register: str | None = setting(
        "with model=true: the registered model's name, or name@alias",
        matching(
            r"[\w.-]+(@(?!(latest|v\d+)$)[\w-]+)?",
            "a name or name@alias (aliases like latest and v1 are MLflow's own)",
        ),
        None,
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.register is not None and not self.model:
            self.refuse("register", "null, or tracking.model=true")


@dataclass(frozen=True)
class Search(Settings):
    """Settings of a sweep: the metric that compares runs, and a difference of scores to detect."""

    objective: str = setting(
        "heldout_loss, loss, words_per_second, seconds, or a score as in MLflow, such as "
        "similarity/wordsim353/spearman",
        text("a figure's name"),
        "heldout_loss",
    )
    difference: float | None = setting(
        "a difference of scores: the verdicts say how many seeds are needed to detect it; "
        "null: one as large as the difference that was found",
        above(0),
        None,
    )


def direction_of(objective: str) -> str:
    """Return ``minimize`` for losses and times, and ``maximize`` for all other metrics."""
    return "minimize" if objective.endswith(("loss", "seconds")) else "maximize"


@dataclass(frozen=True)
class Cache(Settings):
    """Settings of the cache: how stored results are checked before they are reused."""

    verify: str = setting(
        "compare each file's size, or its SHA-256, for which the files of the text are read, too",
        one_of(("size", "sha256")),
        "size",
    )


@dataclass(frozen=True)
class Config(Settings):
    """All settings of one experiment; `InputError` is raised if they contradict each other."""

    corpus: Corpus
    tokenizer: Any  # one of TOKENIZERS: OmegaConf has no unions of dataclasses
    vocab: VocabularySettings
    model: Architecture
    loss: Loss
    engine: EngineSettings
    cluster: ClusterSettings
    train: TrainingSettings
    evaluate: Evaluate
    tracking: Tracking
    ray: RaySettings
    search: Search
    cache: Cache
    seed: int = setting("of everything that is random in training", at_least(0), 0)
    stages: list[str] = setting(
        "the stages to run; the results of others come from the cache", default=[]
    )
    report: str = setting(
        "the jobs of a sweep that get pictures and pages, or a folder that gets them now",
        Limit(REPORT_WANTED, REPORTS.__contains__),
        "best",
    )
    plan: bool = setting(
        "only say which results are in the cache, which would be made, why, and what it would "
        "take; exit status 0 if all are there, 3 if not",
        default=False,
    )
    outputs: str = setting("the folder for everything that is made", text("a folder"), "outputs")
    measure: Measure | None = None
    experiment: str | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        # The timing over vocabularies generates its own text.
        if not self.stages and not isinstance(self.measure, Complexity):
            self.refuse("stages", "at least one stage")
        if isinstance(self.measure, Benchmark):
            if set(self.stages) == {"tokenize"}:
                self.refuse("stages", "vocab or later, for measure=benchmark")
            if self.evaluate.vectors is not None:
                self.evaluate.refuse("vectors", "null with measure=benchmark, which trains")
        if self.measure is not None and self.cluster.name != "none":
            wanted = f"must be none with measure={self.measure.name}, which times one process"
            raise InputError(f"cluster={self.cluster.name}: {wanted}")
        if self.evaluate.vectors is not None and set(self.stages) != {"evaluate"}:
            self.refuse("stages", "[evaluate] where evaluate.vectors is given")
        if self.model.subwords and isinstance(self.measure, Complexity):
            self.model.refuse("subwords", "false with measure=complexity: its text has no letters")
        self._check_curves()
        try:
            if isinstance(self.measure, Benchmark):
                self.measure.able(self.objective)
            check_objective(self.engine.name, self.objective)
            self.cluster.check(self.engine.name, self.objective)
        except InputError as error:
            key = str(error).partition("=")[0]
            raise InputError(f"{'model.' * hasattr(self.model, key)}{error}") from None
        if self.evaluate.use != "v" and self.loss.output_vectors != "words":
            wanted = f"v with loss={self.loss.name}, whose output vectors are those of "
            self.evaluate.refuse("use", f"{wanted}{self.loss.output_vectors}, not of words")

    def _check_curves(self) -> None:
        """Raise `InputError` if ``evaluate.curves`` names a score that this run does not compute.

        Also raise it if early stopping watches a score (``train.watch``) that is never computed
        after epochs, or that is computed less often than every ``train.patience`` epochs.
        """
        evaluate, watch = self.evaluate, self.train.watch
        known = [name for name in figure_names(evaluate) if not name.startswith("stability/")]
        for name in evaluate.followed:
            if name not in known:
                such = f", such as {known[0]}" if known else ""
                raise InputError(f"evaluate.curves: {name}: must be a score of this run{such}")
        if self.train.patience is None or watch == HELDOUT_LOSS:
            return
        if watch not in evaluate.followed:
            followed = ", ".join(evaluate.followed) or "nothing without evaluate.every"
            wanted = f"heldout_loss or a score that is computed after epochs ({followed})"
            self.train.refuse("watch", wanted)
        if (every := evaluate.every or 1) > self.train.patience:
            wanted = f"at least evaluate.every={every}, after which the score is computed"
            self.train.refuse("patience", wanted)

    def as_dict(self) -> dict[str, Any]:
        """Return the settings as nested dicts; corpus, model and loss also have their ``name``."""
        found = asdict(self)
        for group in ("corpus", "model", "loss"):
            found[group] = {"name": getattr(self, group).name, **found[group]}
        return found

    def file_hashes(self) -> FileHashes:
        """Return a hasher of files that reuses stored hashes, unless ``cache.verify=sha256``."""
        return FileHashes(Path(self.outputs) / "hashes.db", trust=self.cache.verify != "sha256")

    @property
    def objective(self) -> Objective:
        """The model architecture combined with the loss, in the form that `w2v` uses."""
        return with_loss(self.model, self.loss)

    @property
    def run_name(self) -> str:
        """A short name of the run for lists, such as ``negsample w5 k5 d100 s0``."""
        if isinstance(self.measure, Complexity):
            return f"complexity {self.engine.name} d{self.model.dim} s{self.seed}"
        if self.evaluate.vectors is not None:
            return Path(self.evaluate.vectors).name or self.evaluate.vectors
        parts = [self.model.label, self.loss.name, f"w{self.model.window}", self.loss.label]
        parts = ["benchmark", *parts] if self.measure is not None else parts
        parts += [f"d{self.model.dim}", f"s{self.seed}", "bootstrap" * self.train.bootstrap]
        return " ".join(filter(None, parts))

    @property
    def title(self) -> str:
        """The run's name, with its corpus if it has one: ``negsample w5 k5 d100 s0 on pydocs``."""
        if self.evaluate.vectors is not None:
            return self.run_name
        return f"{self.run_name} on {self.corpus.name}"
