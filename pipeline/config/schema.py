"""The schema of the configuration: what can be set, of which type and within which limits.

The values stand in ``conf/``. Hydra checks names and types while it composes; the limits are
checked when the frozen objects are made, once, at the entry. Stages get these objects and never
see Hydra.
"""

import math
import re
from dataclasses import asdict, dataclass, field, fields, is_dataclass
from difflib import get_close_matches
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, ClassVar

from hydra.core.config_store import ConfigStore
from hydra.errors import HydraException, MissingConfigException, OverrideParseException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from pipeline.report.map import METHODS
from pipeline.stages.exports import EXPORTS
from w2v.engines import ENGINES, WITHOUT_SOFTMAX
from w2v.errors import InputError
from w2v.evaluate import UNKNOWN
from w2v.objectives import OPTIMIZERS
from w2v.text.phrases import Phrases
from w2v.text.tokenizer import Tokenizer
from w2v.vectors import USES

MOST_MAPPED = 20_000
"""Words on one map: a browser draws so many smoothly."""

UMAP_WANTED = "without umap while umap-learn is not installed (pip install umap-learn)"

STAGES = ("tokenize", "vocab", "train", "evaluate")


def require(key: str, value: object, holds: bool, wanted: str) -> None:
    """Refuse a value in one line that names the key, the value and what would be right."""
    if not holds:
        raise InputError(f"{key}={value}: must be {wanted}")


def at_least(least: float, key: str, value: float | None, optional: bool = False) -> None:
    """Refuse a number that is below ``least`` or not finite."""
    holds = optional if value is None else math.isfinite(value) and value >= least
    require(key, value, holds, f"at least {least}" + (" or null" if optional else ""))


@dataclass(frozen=True)
class Corpus:
    limit: int | None
    probes: list[str] | None
    """Words of this corpus worth looking at; those that its vocabulary lacks are left out."""

    def __post_init__(self) -> None:
        at_least(1, "corpus.limit", self.limit, optional=True)


@dataclass(frozen=True)
class PyDocsCorpus(Corpus):
    packages: list[str]

    def __post_init__(self) -> None:
        super().__post_init__()
        valid = bool(self.packages) and all(self.packages)
        require("corpus.packages", self.packages, valid, "a list of packages")


@dataclass(frozen=True)
class FilesCorpus(Corpus):
    path: Any
    """A path, a folder, a glob, or a list of them."""
    unit: str
    field: str | None
    errors: str

    def __post_init__(self) -> None:
        super().__post_init__()
        paths = self.path if isinstance(self.path, list) else [self.path]
        valid = bool(paths) and all(isinstance(path, str) and path for path in paths)
        require("corpus.path", self.path, valid, "a path, a folder, a glob, or a list of them")
        require("corpus.unit", self.unit, self.unit in ("line", "file"), "line or file")
        require("corpus.field", repr(self.field), self.field != "", "the name of a field or null")
        known = ("strict", "replace", "ignore")
        require("corpus.errors", self.errors, self.errors in known, "strict, replace or ignore")


@dataclass(frozen=True)
class NamedCorpus(Corpus):
    """An archive of fixed content."""

    path: str | None
    url: str
    sha256: str

    def __post_init__(self) -> None:
        super().__post_init__()
        valid = re.fullmatch(r"https?://.*[^/]", self.url) is not None
        require("corpus.url", self.url, valid, "the http:// or https:// address of a file")
        valid = re.fullmatch("[0-9a-f]{64}", self.sha256) is not None
        require("corpus.sha256", self.sha256, valid, "64 hexadecimal digits, lower-case")


@dataclass(frozen=True)
class Text8Corpus(NamedCorpus):
    document_words: int

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least(1, "corpus.document_words", self.document_words)


@dataclass(frozen=True)
class SstCorpus(NamedCorpus):
    pass


@dataclass(frozen=True)
class ImdbCorpus(NamedCorpus):
    splits: list[str]

    def __post_init__(self) -> None:
        super().__post_init__()
        valid = bool(self.splits) and set(self.splits) <= {"train", "test", "unsup"}
        require("corpus.splits", self.splits, valid, "some of [train, test, unsup]")


@dataclass(frozen=True)
class PhrasesConfig:
    passes: int
    threshold: float
    min_count: int
    scoring: str
    joiner: str
    connectors: list[str]

    def __post_init__(self) -> None:
        self.phrases()

    def phrases(self) -> Phrases:
        """The library's settings of phrases."""
        settings: dict[str, Any] = asdict(self)
        return Phrases(**{**settings, "connectors": tuple(self.connectors)})


@dataclass(frozen=True)
class TokenizerConfig:
    lowercase: bool
    nfc: bool
    pattern: str | None
    function: str | None
    workers: int | None
    phrases: PhrasesConfig

    split: ClassVar[str]

    def __post_init__(self) -> None:
        at_least(1, "tokenizer.workers", self.workers, optional=True)
        self.tokenizer()

    def tokenizer(self) -> Tokenizer:
        """The library's tokenizer for the settings."""
        settings = asdict(self)
        del settings["workers"], settings["phrases"]
        return Tokenizer(self.split, **settings)


@dataclass(frozen=True)
class WordsConfig(TokenizerConfig):
    apostrophes: bool
    hyphens: bool

    split = "words"


@dataclass(frozen=True)
class WhitespaceConfig(TokenizerConfig):
    split = "whitespace"


@dataclass(frozen=True)
class Vocab:
    min_count: int
    max_size: int | None
    words: str | None
    keep: list[str]

    def __post_init__(self) -> None:
        at_least(1, "vocab.min_count", self.min_count)
        at_least(2, "vocab.max_size", self.max_size, optional=True)
        require("vocab.words", repr(self.words), self.words != "", "a path or null")
        valid = all(self.keep) and len(set(self.keep)) == len(self.keep)
        require("vocab.keep", self.keep, valid, "different words")


@dataclass(frozen=True)
class SkipGramConfig:
    dim: int
    window: int
    dynamic_window: bool
    subsample: float

    def __post_init__(self) -> None:
        at_least(1, "model.dim", self.dim)
        most = 10_000  # farther apart nothing is said of each other, and it would take for ever
        valid = 1 <= self.window <= most
        require("model.window", self.window, valid, f"from 1 to {most:,}")
        at_least(0, "model.subsample", self.subsample)


@dataclass(frozen=True)
class LossConfig:
    pass


@dataclass(frozen=True)
class NegSampleConfig(LossConfig):
    negatives: int
    exponent: float

    def __post_init__(self) -> None:
        at_least(1, "loss.negatives", self.negatives)
        require("loss.exponent", self.exponent, math.isfinite(self.exponent), "a finite number")


@dataclass(frozen=True)
class SoftmaxConfig(LossConfig):
    batch_words: int | None
    logits_mb: int
    optimizer: str

    def __post_init__(self) -> None:
        known = self.optimizer in OPTIMIZERS
        require("loss.optimizer", self.optimizer, known, " or ".join(OPTIMIZERS))
        at_least(1, "loss.batch_words", self.batch_words, optional=True)
        at_least(1, "loss.logits_mb", self.logits_mb)


@dataclass(frozen=True)
class EngineConfig:
    name: str
    threads: int | None

    def __post_init__(self) -> None:
        require("engine.name", self.name, self.name in ENGINES, " or ".join(ENGINES))
        at_least(1, "engine.threads", self.threads, optional=True)


@dataclass(frozen=True)
class Train:
    epochs: int
    lr: float
    min_lr: float
    heldout: float
    heldout_seed: int
    decay_epochs: int | None
    patience: int | None
    min_gain: float
    init: str | None
    checkpoint_every: float | None
    """Seconds."""
    checkpoint_words: int | None

    def __post_init__(self) -> None:
        at_least(1, "train.epochs", self.epochs)
        at_least(1, "train.decay_epochs", self.decay_epochs, optional=True)
        at_least(1, "train.patience", self.patience, optional=True)
        at_least(0, "train.min_gain", self.min_gain)
        at_least(0, "train.checkpoint_every", self.checkpoint_every, optional=True)
        at_least(1, "train.checkpoint_words", self.checkpoint_words, optional=True)
        valid = self.init is None or bool(self.init.strip())
        require("train.init", repr(self.init), valid, "a folder, a file or null")
        valid = math.isfinite(self.lr) and self.lr > 0
        require("train.lr", self.lr, valid, "a finite number above 0")
        valid = math.isfinite(self.min_lr) and 0 <= self.min_lr <= self.lr
        require("train.min_lr", self.min_lr, valid, f"from 0 to train.lr={self.lr}")
        require("train.heldout", self.heldout, 0 <= self.heldout < 1, "at least 0 and below 1")
        at_least(0, "train.heldout_seed", self.heldout_seed)
        valid = self.patience is None or self.heldout > 0
        wanted = "null where train.heldout=0: held-out text judges"
        require("train.patience", self.patience, valid, wanted)


@dataclass(frozen=True)
class Cache:
    verify: str

    def __post_init__(self) -> None:
        valid = self.verify in ("size", "sha256")
        require("cache.verify", self.verify, valid, "size or sha256")


@dataclass(frozen=True)
class EvaluateConfig:
    vectors: str | None
    use: str
    oov: str
    vocabulary: int
    neighbours: int
    probes: list[str] | None
    compare: str | None
    seed: int
    export: list[str]
    map: list[str]
    map_words: int
    similarity: dict[str, str | None] = field(default_factory=dict)
    """A file of word pairs by name. ``gensim``: the benchmark of that name that gensim ships;
    ``None``: none."""
    analogy: dict[str, str | None] = field(default_factory=dict)
    """The same of analogies; a folder is read as BATS."""

    def __post_init__(self) -> None:
        require("evaluate.use", self.use, self.use in USES, " or ".join(USES))
        require("evaluate.oov", self.oov, self.oov in UNKNOWN, " or ".join(UNKNOWN))
        for name in (*self.similarity, *self.analogy):
            valid = re.fullmatch(r"[\w.-]+", name, re.ASCII) is not None
            require("evaluate", f"{name!r}", valid, "a name of letters, digits, _, . and -")
        at_least(1, "evaluate.vocabulary", self.vocabulary)
        valid = set(self.map) <= set(METHODS) and len(set(self.map)) == len(self.map)
        require("evaluate.map", self.map, valid, f"some of [{', '.join(METHODS)}], each once")
        able = "umap" not in self.map or find_spec("umap") is not None
        require("evaluate.map", self.map, able, UMAP_WANTED)
        valid = 1 <= self.map_words <= MOST_MAPPED
        require("evaluate.map_words", self.map_words, valid, f"from 1 to {MOST_MAPPED}")
        at_least(1, "evaluate.neighbours", self.neighbours)
        at_least(0, "evaluate.seed", self.seed)
        known = set(self.export) <= set(EXPORTS)
        require("evaluate.export", self.export, known, f"some of [{', '.join(EXPORTS)}]")


@dataclass(frozen=True)
class TrackingConfig:
    name: str
    uri: str | None
    experiment: str
    system_metrics: bool
    model: bool
    register: str | None
    """``name`` or ``name@alias``, as in ``models:/name@alias``."""

    def __post_init__(self) -> None:
        require("tracking.name", self.name, self.name in ("mlflow", "none"), "mlflow or none")
        valid = bool(self.experiment.strip())
        require("tracking.experiment", repr(self.experiment), valid, "a name")
        if self.register is not None:
            shape = r"[\w.-]+(@(?!latest$|v\d+$)[\w-]+)?"
            valid = bool(re.fullmatch(shape, self.register, re.IGNORECASE))
            wanted = "a name or name@alias; aliases like latest and v1 are MLflow's own"
            require("tracking.register", repr(self.register), valid, wanted)
            require("tracking.register", self.register, self.model, "null, or tracking.model=true")


@dataclass(frozen=True)
class MeasureConfig:
    """What is timed beside the stages."""

    name: str
    repeats: int

    def __post_init__(self) -> None:
        at_least(1, "measure.repeats", self.repeats)


@dataclass(frozen=True)
class ComplexityConfig(MeasureConfig):
    over_vocabulary: list[int]
    over_negatives: list[int]
    at_vocabulary: int
    at_negatives: int
    seconds: float

    def __post_init__(self) -> None:
        super().__post_init__()
        for key, values, least in (
            ("over_vocabulary", self.over_vocabulary, 2),
            ("over_negatives", self.over_negatives, 1),
        ):
            valid = len(set(values)) >= 3 and min(values) >= least
            wanted = f"three numbers or more, each at least {least}"
            require(f"measure.{key}", values, valid, wanted)
        listed = self.at_vocabulary in self.over_vocabulary
        require(
            "measure.at_vocabulary", self.at_vocabulary, listed, "one of measure.over_vocabulary"
        )
        listed = self.at_negatives in self.over_negatives
        require("measure.at_negatives", self.at_negatives, listed, "one of measure.over_negatives")
        at_least(0, "measure.seconds", self.seconds)


@dataclass(frozen=True)
class BenchmarkConfig(MeasureConfig):
    engines: list[str]
    threads: list[int] | None

    def __post_init__(self) -> None:
        super().__post_init__()
        valid = bool(self.engines) and set(self.engines) <= set(ENGINES)
        require("measure.engines", self.engines, valid, f"some of [{', '.join(ENGINES)}]")
        valid = self.threads is None or (bool(self.threads) and min(self.threads) >= 1)
        require("measure.threads", self.threads, valid, "numbers of at least 1, or null")


@dataclass(frozen=True)
class Search:
    objective: str

    def __post_init__(self) -> None:
        require("search.objective", repr(self.objective), bool(self.objective), "a figure's name")


def direction_of(objective: str) -> str:
    """``minimize`` or ``maximize``: losses and times are better when small."""
    return "minimize" if objective.endswith(("loss", "seconds")) else "maximize"


@dataclass(frozen=True)
class Config:
    """One experiment."""

    corpus: Corpus
    tokenizer: TokenizerConfig
    vocab: Vocab
    model: SkipGramConfig
    loss: LossConfig
    engine: EngineConfig
    train: Train
    evaluate: EvaluateConfig
    tracking: TrackingConfig
    search: Search
    cache: Cache
    seed: int
    stages: list[str]
    outputs: str
    measure: MeasureConfig | None = None
    experiment: Any = None

    def __post_init__(self) -> None:
        at_least(0, "seed", self.seed)
        alone = isinstance(self.measure, ComplexityConfig)  # on a text of its own
        valid = (alone or bool(self.stages)) and set(self.stages) <= set(STAGES)
        require("stages", self.stages, valid, f"some of [{', '.join(STAGES)}]")
        require("outputs", repr(self.outputs), bool(self.outputs.strip()), "a folder")
        valid = not isinstance(self.measure, BenchmarkConfig) or self.stages != ["tokenize"]
        require("stages", self.stages, valid, "vocab or later, for measure=benchmark")
        if isinstance(self.loss, SoftmaxConfig) and self.engine.name in WITHOUT_SOFTMAX:
            raise InputError(WITHOUT_SOFTMAX[self.engine.name])
        only = self.evaluate.vectors is None or set(self.stages) == {"evaluate"}
        require("stages", self.stages, only, "[evaluate] where evaluate.vectors is given")

    @property
    def loss_name(self) -> str:
        """The loss as ``conf/loss`` names it."""
        return "softmax" if isinstance(self.loss, SoftmaxConfig) else "negsample"

    @property
    def corpus_name(self) -> str:
        """The corpus as ``conf/corpus`` names it."""
        return CORPORA[type(self.corpus)]

    @property
    def run_name(self) -> str:
        """Short enough for a list of runs: ``negsample w5 k5 d100 s0``, or the file judged."""
        if isinstance(self.measure, ComplexityConfig):
            return f"complexity {self.engine.name} d{self.model.dim} s{self.seed}"
        if self.evaluate.vectors is not None:
            return Path(self.evaluate.vectors).name or self.evaluate.vectors
        parts = [self.loss_name, f"w{self.model.window}"]
        if isinstance(self.loss, NegSampleConfig):
            parts.append(f"k{self.loss.negatives}")
        parts = ["benchmark", *parts] if self.measure is not None else parts
        return " ".join([*parts, f"d{self.model.dim}", f"s{self.seed}"])

    @property
    def title(self) -> str:
        """The run and what it learns from: ``negsample w5 k5 d100 s0 on pydocs``."""
        judged = self.evaluate.vectors is not None
        return self.run_name if judged else f"{self.run_name} on {self.corpus_name}"


CORPORA: dict[type, str] = {
    PyDocsCorpus: "pydocs",
    FilesCorpus: "files",
    Text8Corpus: "text8",
    SstCorpus: "sst",
    ImdbCorpus: "imdb",
}

PLUGINS = ("joblib", "optuna", "submitit")
"""Extras of the project that bring launchers and sweepers."""

SCHEMAS: dict[str, dict[str, type]] = {
    "": {"schema": Config},
    "corpus": {f"{name}_schema": schema for schema, name in CORPORA.items()},
    "tokenizer": {"words_schema": WordsConfig, "whitespace_schema": WhitespaceConfig},
    "model": {"schema": SkipGramConfig},
    "loss": {"negsample_schema": NegSampleConfig, "softmax_schema": SoftmaxConfig},
    "engine": {"schema": EngineConfig},
    "evaluate": {"schema": EvaluateConfig},
    "tracking": {"schema": TrackingConfig},
    "measure": {"complexity_schema": ComplexityConfig, "benchmark_schema": BenchmarkConfig},
}


@cache
def register() -> None:
    """Make the schemas known to Hydra, under the names that ``conf/`` uses."""
    store = ConfigStore.instance()
    for group, schemas in SCHEMAS.items():
        for name, schema in schemas.items():
            node = OmegaConf.structured(schema)
            thaw(node)
            for part in fields(schema) if group else ():
                # Composition copies a part: a flag that is only removed would come back.
                if isinstance(part.type, type) and is_dataclass(part.type):
                    node[part.name] = OmegaConf.structured(part.type)
                    OmegaConf.set_readonly(node[part.name], False)
            store.store(name=name, group=group or None, node=node)


def thaw(node: Any) -> None:
    """Let Hydra fill in the node: OmegaConf takes a frozen dataclass for a read-only one."""
    if isinstance(node, DictConfig):
        OmegaConf.set_readonly(node, None)
        if OmegaConf.get_type(node) is dict:
            OmegaConf.set_struct(node, False)  # names are the user's: no + is needed to add one
        for key in [] if node._is_missing() or node._is_none() else node:
            thaw(node._get_node(key))


def resolve(composed: DictConfig) -> Config:
    """Resolve every interpolation and make the frozen objects; Hydra's own settings are left out.

    Raises
    ------
    InputError
        A setting that the schema lacks, or a value that is missing or out of its limits.
    """
    if "hydra" in composed:  # as it stands outside a job
        composed = composed.copy()
        OmegaConf.set_struct(composed, False)
        composed.pop("hydra")
        OmegaConf.set_struct(composed, True)
    check_keys(composed)
    missing = sorted(OmegaConf.missing_keys(composed))
    if missing:
        raise InputError(not_set(missing[0]))
    settings = OmegaConf.to_object(composed)
    assert isinstance(settings, Config)
    return settings


def check_keys(node: Any, prefix: str = "") -> None:
    """Refuse what ``+key=...`` added and ``~key`` removed: composition lets both pass."""
    if not isinstance(node, DictConfig) or node._is_missing() or node._is_none():
        return
    schema = OmegaConf.get_type(node)
    if is_dataclass(schema):
        names = [field.name for field in fields(schema)]
        unknown = [key for key in node if key not in names]
        absent = [name for name in names if name not in list(node)]
        if unknown:
            raise InputError(no_such(f"{prefix}{unknown[0]!s}"))
        if absent:
            raise InputError(not_set(f"{prefix}{absent[0]}"))
    for key in node:
        check_keys(node._get_node(key), f"{prefix}{key!s}.")


def not_set(key: str) -> str:
    """The line for a setting without a value."""
    return f"{key} is not set; give it as {key}=..."


def no_such(key: str) -> str:
    """The line for an unknown setting, with the one that was probably meant."""
    group, _, name = key.rpartition(".")
    owners = [
        f"{group}={choice.removesuffix('_schema')}"
        for choice, schema in SCHEMAS.get(group, {}).items()
        if choice.endswith("_schema") and name in {field.name for field in fields(schema)}
    ]
    known = sorted(known_keys())
    known = [other for other in known if other.startswith(f"{group}.")] or known
    close = get_close_matches(name, [other.rpartition(".")[2] for other in known], n=1)
    if owners:
        hint = f"it belongs to {' and '.join(owners)}"
    elif close:
        meant = [other for other in known if other.rpartition(".")[2] == close[0]]
        hint = f"did you mean {' or '.join(meant)}?"
    else:
        hint = "--help lists the settings"
    return f"{key}: no such setting here; {hint}"


def explain(error: HydraException | OmegaConfBaseException) -> str:
    """One line for an error of composition, with the setting that was probably meant."""
    cause = error.__cause__ if isinstance(error.__cause__, OmegaConfBaseException) else error
    detail = str(cause).split("\n")[0]
    key = str(getattr(cause, "full_key", None) or "")
    if key and "not in" in detail:
        return no_such(key)
    if key:
        return f"{key}: {detail}"
    if isinstance(error, MissingConfigException) and error.missing_cfg_file:
        group, _, name = error.missing_cfg_file.rpartition("/")
        options = [o for o in error.options or [] if "schema" not in o]
        hint = f"there are {', '.join(options)}" if options else "--help lists the choices"
        extra = "submitit" if name.startswith("submitit") else name
        if extra in PLUGINS and group.startswith("hydra/"):
            hint = f"pip install 'w2v-experiments[{extra}]' brings it"
        return f"{group}={name}: no such choice; {hint}"
    if isinstance(error, OverrideParseException):
        return (
            f"{error.override}: not of the form key=value; "
            "a value with special characters stands in quotes, as in \"key='a b'\""
        )
    noise = ("See https", "full_key:", "object_type=")
    lines = [line.strip() for line in str(error).split("\n")]
    return " ".join(line for line in lines if line and not line.startswith(noise))


def unclear(error: ValueError | AssertionError) -> str | None:
    """The line for an error of composition that is of no class of its own; ``None`` for others.

    Hydra has such ones for ``model=3``, for a list that is set to nothing, and for ``+=``.
    """
    reason = str(error)
    if reason.startswith(("Config group override", "Unexpected type for root")):
        return f"{reason.partition(' : ')[0]}; --help lists the groups and settings"
    place = error.__traceback__
    while place is not None and place.tb_next is not None:
        place = place.tb_next
    if place is not None and place.tb_frame.f_globals.get("__name__", "").startswith("hydra."):
        return "a setting is not of the form key=value; --help lists the groups and settings"
    return None


def known_keys() -> set[str]:
    """Every key that some choice of the groups has."""
    keys = {field.name for field in fields(Config)}
    for group, schemas in SCHEMAS.items():
        for schema in schemas.values():
            keys |= {f"{group}.{field.name}" for field in fields(schema) if group}
    sections = {
        "vocab": Vocab,
        "train": Train,
        "search": Search,
        "cache": Cache,
        "tokenizer.phrases": PhrasesConfig,
    }
    for section, schema in sections.items():
        keys |= {f"{section}.{field.name}" for field in fields(schema)}
    return keys
