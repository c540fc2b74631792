"""Test the settings: their defaults, and the error messages for invalid values."""

import functools
import re
from collections.abc import Iterator
from dataclasses import FrozenInstanceError, is_dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any, get_args, get_type_hints

import numpy as np
import pytest
from hydra import compose, initialize_config_dir
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from hypothesis import given
from hypothesis import strategies as st
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from pipeline.config import schema
from pipeline.config.help import entry, help_text
from pipeline.config.schema import error_line, resolve
from pipeline.config.settings import Config
from pipeline.config.values import yaml_page
from w2v.engines import ENGINES
from w2v.errors import InputError
from w2v.losses import NegativeSampling
from w2v.objectives import SkipGram
from w2v.text.tokenizer import Whitespace

ROOT = Path(__file__).parents[1]
CONF = ROOT / "conf"
FILES = ("corpus=files", "corpus.path=text.txt")
# Hydra 1.4 and later has a single behavior, and warns if this parameter is given.
BASE: dict[str, Any] = {} if version("hydra-core") >= "1.4" else {"version_base": "1.3"}


def choices(group: str) -> list[str]:
    return sorted(path.stem for path in (CONF / group).glob("*.yaml"))


GROUPS = sorted(path.name for path in CONF.iterdir() if path.is_dir() and path.name != "hydra")


@functools.cache
def composed(*overrides: str) -> DictConfig:
    """Return the configuration that Hydra composes from ``key=value`` arguments.

    It is cached, and must not be changed.
    """
    schema.register()
    with initialize_config_dir(str(CONF), **BASE):
        return compose("config", overrides=list(overrides))


# One choice of every group at a time, so that few compositions hold all choices.
EXPERIMENTS = ("experiment", "search")
SINGLE = {group: choices(group) for group in GROUPS if group not in EXPERIMENTS}
ROWS = range(max(map(len, SINGLE.values())))


def row_of_choices(row: int) -> dict[str, str]:
    return {group: names[row % len(names)] for group, names in SINGLE.items()}


def node_of(group: str, name: str) -> DictConfig:
    """Return the settings of a config group as Hydra composes them if its choice is `name`.

    Hydra refuses a choice that does not exist.
    """
    row = SINGLE[group].index(name) if name in SINGLE[group] else 0
    chosen = row_of_choices(row) | {group: name}
    node: DictConfig = composed(*(f"{key}={choice}" for key, choice in chosen.items()))[group]
    return node


def settled(*overrides: str) -> Config:
    """Return the settings of the program for ``key=value`` arguments.

    For speed, Hydra composes only the arguments that choose files in ``conf/``, such as
    ``loss=softmax``. Single values, such as ``train.lr=0.1``, are then set without Hydra.
    """
    experiments = [text for text in overrides if text.partition("=")[0] in EXPERIMENTS]
    settings = composed(*experiments).copy()
    for override in OverridesParser.create().parse_overrides(
        [text for text in overrides if text not in experiments]
    ):
        if override.key_or_group in SINGLE:
            settings[override.key_or_group] = node_of(override.key_or_group, str(override.value()))
            continue
        OmegaConf.update(settings, override.key_or_group, override.value(), merge=True)
    return resolve(settings)


def line_of(error: Exception) -> str:
    """Return the one-line message that the command prints for an error."""
    match error:
        case HydraException() | OmegaConfBaseException():
            line = error_line(error)
        case _:
            line = str(error)
    assert line == " ".join(line.split())
    return line


# Values


@pytest.mark.parametrize("group", schema.GROUPS)
def test_the_files_have_the_defaults_of_the_classes(group: str) -> None:
    """Settings have the same default in their class and in the files in ``conf/``.

    The settings of corpora, and the word-pair files of ``evaluate=standard``, are not compared.
    """
    for name in choices(group):
        node = node_of(group, name)
        kind = OmegaConf.get_type(node)
        if group == "corpus":  # its files say where the text is
            continue
        defaults = OmegaConf.structured(kind)
        for key in map(str, node):
            if key != "name" and (name, key) != ("standard", "similarity"):
                assert node[key] == defaults[key], f"{group}={name} {key}"


@pytest.mark.parametrize("section", ["vocab", "train", "cache", "search"])
def test_the_page_of_settings_has_the_defaults_of_the_classes(section: str) -> None:
    node = composed()[section]
    assert dict(node) == dict(OmegaConf.structured(OmegaConf.get_type(node)))


def test_the_default_choices() -> None:
    config = settled()
    assert (config.corpus.name, config.loss.name) == ("pydocs", "negsample")
    assert config.run_name == "negsample w5 k5 d100 s0"
    assert config.tracking.name == "mlflow"
    assert config.objective == SkipGram()
    assert isinstance(settled("tokenizer=whitespace").tokenizer, Whitespace)


def test_a_run_is_named_after_its_settings() -> None:
    softmax = settled("loss=softmax", "model.window=3", "model.dim=7", "seed=9")
    assert softmax.run_name == "softmax w3 d7 s9"
    cbow = settled("model=cbow", "model.context_gradient=word2vec")
    assert cbow.run_name == "cbow-word2vec negsample w5 k5 d100 s0"


def parts(value: Any) -> Iterator[Any]:
    if is_dataclass(value):
        yield value
        for name in value.__dataclass_fields__:
            yield from parts(getattr(value, name))


def test_nothing_can_be_set_afterwards() -> None:
    every = list(parts(settled()))
    assert len(every) == 15
    for part in every:
        for name in part.__dataclass_fields__:
            with pytest.raises(FrozenInstanceError):
                setattr(part, name, getattr(part, name))


def test_interpolations_are_resolved() -> None:
    assert settled("seed=${model.window}", "outputs=out/${seed}").outputs == "out/5"


@pytest.mark.parametrize("row", ROWS)
def test_every_choice_composes(row: int) -> None:
    chosen = row_of_choices(row)
    if ENGINES[chosen["engine"]].losses is not None:
        chosen["loss"] = "negsample"
    if chosen["model"] != "skipgram" or chosen["loss"] in ENGINES[chosen["engine"]].lacks:
        chosen["engine"] = "numba"
    if chosen["engine"] in ("jax", "gensim") or chosen["loss"] == "softmax":
        chosen["cluster"] = "none"
    if chosen["cluster"] != "none":
        del chosen["measure"]
    path = [FILES[1]] if chosen["corpus"] == "files" else []
    config = settled(*(f"{group}={choice}" for group, choice in chosen.items()), *path)
    assert config.loss.name == chosen["loss"]
    assert config.corpus.name == chosen["corpus"]
    assert config.engine.name == chosen["engine"]
    assert config.tracking.name == chosen["tracking"]


@pytest.mark.parametrize("name", choices("experiment"))
def test_an_experiment_opens_with_its_command(name: str) -> None:
    first, second, *_ = (CONF / "experiment" / f"{name}.yaml").read_text().split("\n")
    assert first == "# @package _global_"
    command = r"# python pipeline/run\.py (\S+ )*experiment=(\S+)( \S+)*"
    found = re.fullmatch(command, second)
    assert found
    assert found.group(2) == name
    assert settled(f"experiment={name}")


def test_what_stands_at_the_limits_is_allowed() -> None:
    config = settled(
        "corpus.limit=1",
        "vocab.min_count=1",
        "vocab.max_size=2",
        "model.dim=1",
        "model.window=1",
        "model.subsample=0",
        "loss.negatives=1",
        "loss.exponent=-1",
        "engine.threads=1",
        "train.epochs=1",
        "train.lr=1e-9",
        "train.min_lr=0",
        "train.heldout=0",
        "evaluate.vocabulary=1",
        "evaluate.neighbours=1",
        "stages=[train]",
    )
    assert (config.loss, config.stages) == (NegativeSampling(1, -1.0), ["train"])
    assert settled("train.min_lr=0.025", "train.heldout=0.999").train.min_lr == 0.025


PATHS = {
    "outputs='~/x'": ("outputs", "HOME/x"),
    "corpus=files corpus.path='~/a.txt'": ("corpus.path", "HOME/a.txt"),
    "corpus=files corpus.path=['~/a.txt',b.txt,'a~/b']": (
        *("corpus.path", ["HOME/a.txt", "b.txt", "a~/b"]),
    ),
    "vocab.words='~/w.txt'": ("vocab.words", "HOME/w.txt"),
    "train.init='~/run'": ("train.init", "HOME/run"),
    "evaluate.compare='~/run'": ("evaluate.compare", "HOME/run"),
    "evaluate.analogy.google='~/q.txt'": (*("evaluate.analogy", {"google": "HOME/q.txt"}),),
    "tracking.uri='sqlite:///~/x.db'": ("tracking.uri", "sqlite:///HOME/x.db"),
    "tokenizer.pattern='~/x'": ("tokenizer.pattern", "~/x"),
    "vocab.keep=['~']": ("vocab.keep", ["~"]),
}


@pytest.mark.parametrize("overrides", PATHS)
def test_a_path_may_start_in_the_home_folder(
    overrides: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", "HOME")
    key, wanted = PATHS[overrides]
    found: Any = settled(*overrides.split())
    for name in key.split("."):
        found = getattr(found, name)
    assert found == wanted


# Refusals

LIMITS = {
    "corpus.limit=0": "corpus.limit=0: must be at least 1 or null",
    "corpus.limit=-3": "corpus.limit=-3: must be at least 1 or null",
    "corpus.packages=[]": "corpus.packages=[]: must be a list of packages",
    "corpus.packages=[numpy,'']": "corpus.packages=[numpy, '']: must be a list of packages",
    "corpus=files corpus.path=''": "corpus.path='': must be a path, a folder, a glob, or a list of them",
    "corpus=files corpus.path=[]": "corpus.path=[]: must be a path, a folder, a glob, or a list of them",
    "corpus=files corpus.path=[a,3]": "corpus.path=[a, 3]: must be a path, a folder, a glob, or a list of them",
    "corpus=files corpus.path=3": "corpus.path=3: must be a path, a folder, a glob, or a list of them",
    "corpus=files corpus.path=null": "corpus.path=null: must be a path, a folder, a glob, or a list of them",
    "corpus=files corpus.path={a:b}": "corpus.path={'a': 'b'}: must be a path, a folder, a glob, or a list of them",
    "corpus=files corpus.path=a corpus.unit=word": "corpus.unit=word: must be line, paragraph or file",
    "corpus=files corpus.path=a corpus.encoding=utf-17": "corpus.encoding=utf-17: must be the name of a text encoding, such as utf-16 or cp1252",
    "corpus=files corpus.path=a corpus.errors=lax": "corpus.errors=lax: must be strict, replace or ignore",
    "corpus=files corpus.path=a corpus.field=''": "corpus.field='': must be the name of a field or null",
    "tokenizer.workers=0": "tokenizer.workers=0: must be at least 1 or null",
    "tokenizer.function=nowhere.here": "tokenizer.function=nowhere.here: must be package.module.name of a function (No module named 'nowhere')",
    "vocab.words=''": "vocab.words='': must be a path or null",
    "vocab.keep=[a,a]": "vocab.keep=[a, a]: must be different words",
    "vocab.keep=[a,'']": "vocab.keep=[a, '']: must be different words",
    "vocab.drop=3": "vocab.drop=3: must be a file or a list of words",
    "vocab.max_share=0": "vocab.max_share=0.0: must be above 0 and below 1 or null",
    "corpus=files": "corpus.path is not set; give it as corpus.path=...",
    "corpus=sst corpus.url=ftp://a/b.zip": "corpus.url=ftp://a/b.zip: must be the http:// or https:// address of a file",
    "corpus=sst corpus.url=http://a/": "corpus.url=http://a/: must be the http:// or https:// address of a file",
    "corpus=imdb corpus.sha256=abc": "corpus.sha256=abc: must be 64 hexadecimal digits, lower-case",
    "corpus=imdb corpus.splits=[]": "corpus.splits=[]: must be some of [train, test, unsup], each once",
    "corpus=imdb corpus.splits=[pos]": "corpus.splits=[pos]: must be some of [train, test, unsup], each once",
    "corpus=text8 corpus.document_words=0": "corpus.document_words=0: must be at least 1",
    "tokenizer.pattern='('": "tokenizer.pattern=(: must be a regular expression (missing ), unterminated subpattern at position 0)",
    "tokenizer.pattern='a*'": "tokenizer.pattern=a*: must be a pattern that does not match the empty string",
    "tokenizer.phrases.passes=-1": "tokenizer.phrases.passes=-1: must be at least 0",
    "tokenizer.phrases.passes=1 tokenizer.phrases.from_=a": "tokenizer.phrases.passes=1: must be 0 where phrases are from another corpus, with its passes",
    "tokenizer.phrases.from_=' '": "tokenizer.phrases.from=' ': must be a folder or a file or null",
    "tokenizer.phrases.scoring=pmi": "tokenizer.phrases.scoring=pmi: must be default or npmi",
    "tokenizer.phrases.joiner=ab": "tokenizer.phrases.joiner=ab: must be one character that is not white space",
    "vocab.min_count=0": "vocab.min_count=0: must be at least 1",
    "vocab.max_size=1": "vocab.max_size=1: must be at least 2 or null",
    "model.dim=0": "model.dim=0: must be at least 1",
    "model.window=-1": "model.window=-1: must be from 1 to 10,000",
    "model.subsample=-1": "model.subsample=-1.0: must be at least 0",
    "model.subsample=nan": "model.subsample=nan: must be at least 0",
    "model.subsample=inf": "model.subsample=inf: must be at least 0",
    "loss.negatives=0": "loss.negatives=0: must be at least 1",
    "loss.exponent=nan": "loss.exponent=nan: must be a finite number",
    "loss.exponent=-inf": "loss.exponent=-inf: must be a finite number",
    "loss=softmax loss.batch_words=0": "loss.batch_words=0: must be at least 1 or null",
    "loss=softmax loss.logits_mb=0": "loss.logits_mb=0: must be at least 1",
    "loss=softmax loss.optimizer=adam": "loss.optimizer=adam: must be adagrad or sgd",
    "engine.threads=0": "engine.threads=0: must be at least 1 or null",
    "engine=jax engine.precision=float16": "engine.precision=float16: must be float32, tf32 or bfloat16",
    "engine=numpy engine.precision=tf32": "engine.precision=tf32: must be float32 with engine=numpy",
    "engine.name=abacus": "engine.name=abacus: must be numba, numpy, jax or gensim",
    "cluster.workers=2": "cluster.workers=2: must be 1 with cluster=none; cluster=local and cluster=ray have more",
    "cluster=local cluster.workers=0": "cluster.workers=0: must be at least 1",
    "cluster=local cluster.round_words=0": "cluster.round_words=0: must be at least 1 or null",
    "cluster=local cluster.combine=vote": "cluster.combine=vote: must be sum, mean, orthogonal or sequential",
    "cluster=ray cluster.processes=5": "cluster.processes=5: must be at most workers=1",
    "cluster=ray cluster.text=mail": "cluster.text=mail: must be path or store",
    "cluster=local engine=jax": "engine=jax: cannot train with cluster=local; numba and numpy can",
    "cluster=local loss=softmax": "loss=softmax: cannot be trained with cluster=local, because its optimizer keeps sums beside the vectors, or may do so",
    "ray.address=here": "ray.address=here: must be host:port, as ray start prints it or null",
    "model=cbow engine.name=jax": "model=cbow: engine=jax cannot train it; engine=numba can",
    "model=cbow model.combine=max": "model.combine=max: must be mean, sum or rows",
    "model=cbow model.context_gradient=half": "model.context_gradient=half: must be exact or word2vec",
    "model.subwords=true engine.name=gensim": "model.subwords=true: engine=gensim cannot train them; engine=numba can",
    "model.subwords=true measure=complexity": "model.subwords=true: must be false with measure=complexity: its text has no letters",
    "loss=softmax measure=benchmark measure.engines=[gensim]": "loss=softmax: engine=gensim cannot train it; it has negsample, hsoftmax only",
    "model.min_n=0": "model.min_n=0: must be from 1 to 1,000",
    "model.max_n=2": "model.max_n=2: must be at least min_n=3",
    "model.buckets=0": "model.buckets=0: must be from 1 to 1,000,000,000",
    "model.subword_gradient=half": "model.subword_gradient=half: must be exact or fasttext",
    "loss=hsoftmax engine.name=jax": "loss=hsoftmax: engine=jax cannot train it; engine=numba can",
    "loss=hsoftmax evaluate.use=v+u": "evaluate.use=v+u: must be v with loss=hsoftmax, whose output vectors are those of inner nodes, not of words",
    "loss=softmax engine.name=gensim": "loss=softmax: engine=gensim cannot train it; it has negsample, hsoftmax only",
    "model=cbow engine.name=gensim": "model.context_gradient=exact: must be word2vec with engine=gensim",
    "model=cbow model.combine=sum engine.name=gensim": "model.combine=sum: must be mean with engine=gensim",
    "measure=complexity stages=[] measure.repeats=0": "measure.repeats=0: must be at least 1",
    "measure=complexity measure.over_vocabulary=[1000,8000]": "measure.over_vocabulary=[1000, 8000]: must be three numbers or more, each at least 2",
    "measure=complexity measure.over_negatives=[0,5,9]": "measure.over_negatives=[0, 5, 9]: must be three numbers or more, each at least 1",
    "measure=complexity measure.at_vocabulary=7": "measure.at_vocabulary=7: must be one of measure.over_vocabulary",
    "measure=complexity measure.at_negatives=7": "measure.at_negatives=7: must be one of measure.over_negatives",
    "measure=complexity measure.seconds=-1": "measure.seconds=-1.0: must be at least 0",
    "measure=benchmark measure.engines=[]": "measure.engines=[]: must be some of [numba, numpy, jax, gensim], each once",
    "measure=benchmark measure.engines=[abacus]": "measure.engines=[abacus]: must be some of [numba, numpy, jax, gensim], each once",
    "measure=benchmark measure.threads=[0]": "measure.threads=[0]: must be numbers of at least 1 or null",
    "measure=benchmark stages=[tokenize]": "stages=[tokenize]: must be vocab or later, for measure=benchmark",
    "measure=benchmark stages=[tokenize,tokenize]": "stages=[tokenize, tokenize]: must be vocab or later, for measure=benchmark",
    "measure=benchmark stages=[evaluate] evaluate.vectors=a.vec": "evaluate.vectors=a.vec: must be null with measure=benchmark, which trains",
    "measure=benchmark cluster=local": "cluster=local: must be none with measure=benchmark, which times one process",
    "measure=complexity stages=[] cluster=local": "cluster=local: must be none with measure=complexity, which times one process",
    "train.epochs=0": "train.epochs=0: must be at least 1",
    "train.lr=0": "train.lr=0.0: must be a finite number above 0",
    "train.lr=nan": "train.lr=nan: must be a finite number above 0",
    "train.lr=inf": "train.lr=inf: must be a finite number above 0",
    "train.min_lr=-1": "train.min_lr=-1.0: must be at least 0",
    "train.min_lr=0.03": "train.min_lr=0.03: must be from 0 to lr=0.025",
    "train.min_lr=nan": "train.min_lr=nan: must be at least 0",
    "train.heldout=1": "train.heldout=1.0: must be at least 0 and below 1",
    "train.heldout=-0.1": "train.heldout=-0.1: must be at least 0 and below 1",
    "train.heldout=nan": "train.heldout=nan: must be at least 0 and below 1",
    "train.decay_epochs=0": "train.decay_epochs=0: must be at least 1 or null",
    "train.patience=0": "train.patience=0: must be at least 1 or null",
    "train.patience=2 train.heldout=0": "train.patience=2: must be null where heldout=0: held-out text is what it is judged by",
    "evaluate.every=0": "evaluate.every=0: must be at least 1 or null",
    "evaluate.every=1 evaluate.curves=[similarity/men/spearman]": "evaluate.curves: similarity/men/spearman: must be a score of this run, such as similarity/wordsim353/spearman",
    "train.patience=2 train.watch=similarity/wordsim353/spearman": "train.watch=similarity/wordsim353/spearman: must be heldout_loss or a score that is computed after epochs (nothing without evaluate.every)",
    "train.patience=1 train.watch=similarity/wordsim353/spearman evaluate.every=2": "train.patience=1: must be at least evaluate.every=2, after which the score is computed",
    "train.min_gain=-1": "train.min_gain=-1.0: must be at least 0",
    "train.init=''": "train.init='': must be a folder or a file or null",
    "train.checkpoint_every=-1": "train.checkpoint_every=-1.0: must be at least 0 or null",
    "train.checkpoint_words=0": "train.checkpoint_words=0: must be at least 1 or null",
    "train.heldout_seed=-1": "train.heldout_seed=-1: must be at least 0",
    "evaluate.vocabulary=0": "evaluate.vocabulary=0: must be at least 1",
    "evaluate.neighbours=0": "evaluate.neighbours=0: must be at least 1",
    "evaluate.counts=a.tsv": "evaluate.counts=a.tsv: must be null, or given with evaluate.vectors",
    "evaluate.use=u": "evaluate.use=u: must be v or v+u",
    "evaluate.oov=drop": "evaluate.oov=drop: must be skip or zero",
    "evaluate.sets=' '": "evaluate.sets=' ': must be a folder",
    "evaluate.sets_url=ftp://a": "evaluate.sets_url=ftp://a: must be an http:// or https:// address or null",
    "evaluate.similarity={mean: a.tsv}": "evaluate.similarity={'wordsim353': 'gensim', 'simlex999': 'gensim', 'mean': 'a.tsv'}: must be names other than mean, which is the mean over all of them",
    "search.difference=0": "search.difference=0.0: must be a finite number above 0 or null",
    "evaluate.seed=-1": "evaluate.seed=-1: must be at least 0",
    "evaluate.export=[word2vec]": "evaluate.export=[word2vec]: must be some of [word2vec-text, word2vec-binary, glove-text, fasttext, parquet, tensorboard], each once",
    "evaluate.similarity={my/own:a.tsv}": "evaluate.similarity={'wordsim353': 'gensim', 'simlex999': 'gensim', 'my/own': 'a.tsv'}: must be names of letters, digits, _, . and -",
    "evaluate.vectors=a.vec": "stages=[tokenize, vocab, train, evaluate]: must be [evaluate] where evaluate.vectors is given",
    "tracking.experiment=''": "tracking.experiment='': must be a name",
    "tracking.name=notes": "tracking.name=notes: must be mlflow or none",
    "tracking.model=true tracking.register=a/b": "tracking.register=a/b: must be a name or name@alias (aliases like latest and v1 are MLflow's own) or null",
    "tracking.model=true tracking.register=a@": "tracking.register=a@: must be a name or name@alias (aliases like latest and v1 are MLflow's own) or null",
    "tracking.model=true tracking.register=a@V2": "tracking.register=a@V2: must be a name or name@alias (aliases like latest and v1 are MLflow's own) or null",
    "tracking.register=a@b": "tracking.register=a@b: must be null, or tracking.model=true",
    "search.objective=''": "search.objective='': must be a figure's name",
    "cache.verify=md5": "cache.verify=md5: must be size or sha256",
    "seed=-1": "seed=-1: must be at least 0",
    "stages=[]": "stages=[]: must be at least one stage",
    "outputs=' '": "outputs=' ': must be a folder",
}


TYPES = {
    "model.dim=2.9": "model.dim: Value '2.9' of type 'float' could not be converted to Integer",
    "seed=true": "seed: Value 'True' of type 'bool' could not be converted to Integer",
    "train.lr=fast": "train.lr: Value 'fast' of type 'str' could not be converted to Float",
    "tokenizer.lowercase=3.5": "tokenizer.lowercase: Value '3.5' is not a valid bool (type float)",
    "seed=null": "seed: must not be null",
    "stages=train": "stages: Invalid value assigned: str is not a ListConfig, list or tuple.",
    "train=3": "train: Invalid type assigned: int is not a subclass of TrainingSettings. value: 3",
}


@pytest.mark.parametrize("override", TYPES)
def test_a_value_of_the_wrong_type_is_refused(override: str) -> None:
    with pytest.raises(OmegaConfBaseException) as refusal:
        settled(override)
    # OmegaConf 2.4 knows one type more
    line = line_of(refusal.value).replace("TupleConfig, list, or tuple", "list or tuple")
    assert line == TYPES[override]


def test_an_empty_mapping_is_refused() -> None:
    override, more = "evaluate.similarity={}", "evaluate.similarity={simlex999:null}"
    refused = f"{override}: changes nothing; evaluate.similarity={{name:null}} removes an entry"
    with pytest.raises(InputError, match=f"^{re.escape(refused)}$"):
        schema.check_overrides([more, override])
    with pytest.raises(InputError, match="changes nothing"):
        schema.check_overrides(["evaluate.similarity={ }"])


@pytest.mark.parametrize(
    "override", ["train.bootstrap=20", "model.subwords=-1", "+tokenizer.lowercase=2"]
)
def test_a_number_is_no_boolean(override: str) -> None:
    schema.check_overrides(["train.bootstrap=true", "model.subwords=1", "seed=20", "nothing=3"])
    with pytest.raises(InputError, match=f"^{re.escape(override)}: must be true or false$"):
        schema.check_overrides(["seed=20", override])


@pytest.mark.parametrize(
    ("file", "text", "refused"),
    [
        ("experiment/mine.yaml", "# @package _global_\nmodel: {subwords: 7}\n", "model.subwords=7"),
        (
            "tokenizer/mine.yaml",
            "defaults: [words_schema]\nlowercase: '2'\n",
            "tokenizer.lowercase=2",
        ),
        ("experiment/mine.yaml", "# @package _global_\nseed: 7\nmodel: {subwords: 1}\n", ""),
    ],
)
def test_a_number_in_a_file_is_no_boolean(
    tmp_path: Path, file: str, text: str, refused: str
) -> None:
    path = tmp_path / file
    path.parent.mkdir()
    path.write_text(text)
    schema.register()
    chosen = [f"hydra.searchpath=[file://{tmp_path}]", f"{path.parent.name}=mine"]
    with initialize_config_dir(str(CONF), **BASE):
        hydra = compose("config", chosen, return_hydra_config=True).hydra
        if not refused:
            schema.check_files(hydra)
            return
        with pytest.raises(InputError, match=f"^{path}: {refused}: must be true or false$"):
            schema.check_files(hydra)


@pytest.mark.parametrize("override", ["vocab.keep=[1e5,set,it]", "evaluate.probes=[a,true]"])
def test_a_number_is_no_word(override: str) -> None:
    schema.check_overrides(
        ["vocab.keep=['1e5',set]", "vocab.drop=words.txt", "measure.threads=[1]"]
    )
    line = f"{override.partition('=')[0]}: numbers, and words such as no and on, need quotes"
    with pytest.raises(InputError, match=f"^{re.escape(line)}$"):
        schema.check_overrides([override])


INCLUDING = {
    "other": "# @package _global_\ndefaults: [mine]\n",
    "here": "# @package _global_\ndefaults: ['mine@_here_']\n",
    "placed": "# @package _global_\ndefaults: ['/experiment/mine@_global_', _self_]\n",
    "dated": "# @package _global_\ndefaults: [mine]\nvocab: {words: 2023-02-29}\n",
}


@pytest.mark.parametrize(
    "chosen", ["mine", "[negsample,mine]", " [negsample, mine]", "mine.yaml", *INCLUDING]
)
def test_words_that_yaml_reads_as_something_else_are_refused(
    tmp_path: Path, chosen: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A list of words is refused if it has an unquoted ``no``, which YAML reads as false.

    This holds however the file with the list is chosen, or included by another file. Unquoted
    numbers are refused as well.
    """
    monkeypatch.setenv("TEXT", "text (1, 2).txt")  # would need quotes as an argument
    (tmp_path / "experiment").mkdir()
    path = tmp_path / "experiment" / "mine.yaml"
    bad = ["[no, cat]", *["[cat, 1.5]", "[1_000]", "[1e5]"] * (chosen == "mine")]
    path.write_text(f"# @package _global_\nvocab: {{keep: {bad[0]}}}\n")
    for name, text in INCLUDING.items():
        (path.parent / f"{name}.yaml").write_text(text)
    schema.register()
    overrides = [f"hydra.searchpath=[file://{tmp_path}]", f"experiment={chosen}"]
    overrides += ["corpus=files", "corpus.path=${oc.env:TEXT}"]
    line = f"^{path}: vocab.keep: numbers, and words such as no and on, need quotes$"
    with initialize_config_dir(str(CONF), **BASE):
        hydra = compose("config", overrides, return_hydra_config=True).hydra
        for words in bad:
            path.write_text(f"# @package _global_\nvocab: {{keep: {words}}}\n")
            with pytest.raises(InputError, match=line):
                schema.check_files(hydra)
        path.write_text("# @package _global_\nvocab: {keep: ['no', '7', cat]}\n")
        schema.check_files(hydra)


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ("seed: yes", "seed: Value 'True' of type 'bool' could not be converted to Integer"),
        (
            "train: {lr: on}",
            "train.lr: Value 'True' of type 'bool' could not be converted to Float",
        ),
        ("model: {windw: 3}", "model.windw: no such setting here; did you mean model.window?"),
    ],
)
def test_what_is_wrong_in_a_file_is_named(tmp_path: Path, settings: str, problem: str) -> None:
    (tmp_path / "experiment").mkdir()
    (tmp_path / "experiment" / "mine.yaml").write_text(f"# @package _global_\n{settings}\n")
    schema.register()
    chosen = [f"hydra.searchpath=[file://{tmp_path}]", "experiment=mine"]
    with initialize_config_dir(str(CONF), **BASE), pytest.raises(HydraException) as refusal:
        compose("config", chosen)
    assert line_of(refusal.value) == f"experiment/mine.yaml: {problem}"


def numbers() -> dict[str, tuple[Any, str, bool]]:
    """Return all settings that are numbers or lists of numbers, by names such as ``Config.seed``.

    Each value of the dict has an object with the setting, the setting's name in this object, and
    whether it is a list.
    """
    found = {}
    pairs = [(group, name) for group in schema.GROUPS for name in choices(group)]
    pairs.remove(("cluster", "ray"))  # has the settings of cluster=local, and needs Ray
    pairs.remove(("corpus", "files"))
    chosen = [OmegaConf.to_object(node_of(group, name)) for group, name in pairs]
    for part in [part for one in [settled(*FILES), *chosen] for part in parts(one)]:
        hints = get_type_hints(type(part))
        for key in part.__dataclass_fields__:
            kinds = {hints[key], *get_args(hints[key])}
            if kinds & {int, float, list[int]}:
                found[f"{type(part).__name__}.{key}"] = part, key, list[int] in kinds
    return found


def test_a_boolean_is_no_number_in_the_library() -> None:
    found = numbers()
    assert len(found) > 50
    assert {"Config.seed", "SkipGramArchitecture.subsample", "Benchmark.threads"} <= {*found}
    for part, key, is_list in found.values():
        for value in (True, np.True_, np.array([2])):
            with pytest.raises(InputError, match=rf"^{key}=.*: must be a .*number"):
                replace(part, **{key: [value] if is_list else value})


@pytest.mark.parametrize("value", ["true", "yes", "on"])
def test_a_boolean_in_a_file_is_no_number(value: str) -> None:
    for part, key, is_list in numbers().values():
        file = OmegaConf.create(f"{key}: {[value] if is_list else value}".replace("'", ""))
        with pytest.raises(OmegaConfBaseException, match=r"converted to (Int|Float)"):
            OmegaConf.merge(OmegaConf.structured(part), file)


TEXT = st.one_of(
    st.sampled_from(
        [
            "1e-4",
            "1e5",
            ".5",
            "5.",
            "1_000",
            "0x1F",
            "0o7",
            "12:30",
            "on",
            "y",
            "no",
            "null",
            "~",
            "true",
            ".inf",
            "-.NaN",
            "nan",
            "2020-01-01",
            "=",
            "<<",
            "'",
            "-",
            "#",
            "a:b",
            "&a",
            "*a",
            "!t",
            "%a",
            "@a",
            "`a",
            "[a",
            "{a",
            ",",
            "?",
            "|",
            ">",
            '"q',
        ]
    ),
    st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), max_size=12),
    st.sampled_from(["", " ", "a b ", "a\nb", "\t", "a: b", "a #b"]),
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(TEXT, VALUES, max_size=4))
def test_a_page_of_settings_is_read_back_as_it_was(settings: dict[str, Any]) -> None:
    read = OmegaConf.to_container(OmegaConf.create(yaml_page(settings)))
    assert read == settings
    assert repr(read) == repr(settings)  # 1 is not 1.0


@pytest.mark.parametrize("plus", ["", "+"])
def test_benchmarks_of_the_users_are_added_by_name(plus: str) -> None:
    config = resolve(
        composed(
            f"{plus}evaluate.similarity.men-3k=a b.tsv",
            f"{plus}evaluate.analogy.bats=BATS_3.0",
            "~evaluate.similarity.wordsim353",
            "evaluate.similarity.simlex999=null",
        )
    )
    assert config.evaluate.similarity == {"simlex999": None, "men-3k": "a b.tsv"}
    assert config.evaluate.analogy == {"google": "gensim", "bats": "BATS_3.0"}


def test_a_run_that_evaluates_a_file_is_named_after_it() -> None:
    config = settled("evaluate.vectors=some/glove.6B.txt", "stages=[evaluate]")
    assert (config.run_name, config.title) == ("glove.6B.txt", "glove.6B.txt")
    assert settled().title == f"{settled().run_name} on pydocs"


def test_the_name_of_a_run_tells_of_a_bootstrap() -> None:
    assert settled("train.bootstrap=true", "seed=3").title.endswith("d100 s3 bootstrap on pydocs")


@pytest.mark.parametrize("overrides", LIMITS)
def test_an_impossible_value_is_refused(overrides: str) -> None:
    with pytest.raises(InputError) as refusal:
        settled(*re.split(r" (?=[\w.]+=)", overrides))
    assert line_of(refusal.value) == LIMITS[overrides]


def one_of(group: str) -> str:
    return f"no such choice; there are {', '.join(choices(group))}"


NO_SUCH = "no such setting here"
SYNTAX = "not of the form key=value, with every bracket and quote closed"
QUOTES = "special characters stand in quotes; write"
SHELL_QUOTED = "'vocab.words='\"'\"'it\\'\"'\"'s.txt'\"'\"''"
FILES_HINT = "no such choice; did you mean corpus=files corpus.path="

COMPOSITION = {
    # Typos
    "model.windw=3": f"model.windw: {NO_SUCH}; did you mean model.window?",
    "vocab.min_cout=3": f"vocab.min_cout: {NO_SUCH}; did you mean vocab.min_count?",
    "tokenizer.phrases.treshold=3": (
        f"tokenizer.phrases.treshold: {NO_SUCH}; did you mean tokenizer.phrases.threshold?"
    ),
    "evaluate.simlarity.mine=a": (
        f"evaluate.simlarity: {NO_SUCH}; did you mean evaluate.similarity?"
    ),
    "evaluate.similarity=3": "evaluate.similarity: Cannot assign int to Dict[str, Optional[str]]",
    "trian.lr=3": f"trian: {NO_SUCH}; did you mean train?",
    "los=softmax": f"los: {NO_SUCH}; did you mean loss?",
    "negatives=3": f"negatives: {NO_SUCH}; did you mean loss.negatives?",
    "model={window:3,dimm:4}": f"model.dimm: {NO_SUCH}; did you mean model.dim?",
    "qwerty=3": f"qwerty: {NO_SUCH}; --help lists the settings",
    "loss.logits_mb=3": f"loss.logits_mb: {NO_SUCH}; it belongs to loss=softmax",
    # Added and removed
    "+qwerty=3": f"qwerty: {NO_SUCH}; --help lists the settings",
    "++model.widow=3": f"model.widow: {NO_SUCH}; did you mean model.window?",
    "vocab.word=a": f"vocab.word: {NO_SUCH}; did you mean vocab.words?",
    "+loss.logits_mb=3": f"loss.logits_mb: {NO_SUCH}; it belongs to loss=softmax",
    "~seed": "seed is not set; give it as seed=...",
    "~train": "train is not set; give it as train=...",
    "~loss": "loss is not set; give it as loss=...",
    "seed=???": "seed is not set; give it as seed=...",
    # Types
    "model.window=a": "model.window: Value 'a' of type 'str' could not be converted to Integer",
    "model.dim=2.5": "model.dim: Value '2.5' of type 'float' could not be converted to Integer",
    "seed=${sed}": "seed: Interpolation key 'sed' not found",
    # Choices
    "loss=hinge": f"loss=hinge: {one_of('loss')}",
    "corpus=wiki": f"corpus=wiki: {one_of('corpus')}",
    f"corpus={'x' * 300}": f"corpus={'x' * 300}: {one_of('corpus')}",
    "engine=abacus": f"engine=abacus: {one_of('engine')}",
    "experiment=nil": f"experiment=nil: {one_of('experiment')}",
    # Syntax
    "model.window": f"model.window: {SYNTAX}",
    "stages=[tokenize": f"stages=[tokenize: {SYNTAX}",
    "vocab.words='a": f"vocab.words='a: {SYNTAX}",
    "grösse=3": f"grösse=3: {SYNTAX}",
    "corpus.path=my text (1).txt": (
        f"corpus.path=my text (1).txt: {QUOTES} \"corpus.path='my text (1).txt'\""
    ),
    "vocab.words=größe.txt": f"vocab.words=größe.txt: {QUOTES} \"vocab.words='größe.txt'\"",
    "vocab.drop=[größe, über]": (
        f"vocab.drop=[größe, über]: {QUOTES} \"vocab.drop=['größe','über']\""
    ),
    "vocab.words=it's.txt": f"vocab.words=it's.txt: {QUOTES} {SHELL_QUOTED}",
    "corpus=größe.txt": f"corpus=größe.txt: {QUOTES} corpus=files \"corpus.path='größe.txt'\"",
    "corpus=/data/x.txt": f"corpus=/data/x.txt: {FILES_HINT}/data/x.txt",
    "corpus=x.txt": f"corpus=x.txt: {FILES_HINT}x.txt",
    "corpus=texts/": f"corpus=texts/: {FILES_HINT}texts/",
}


@pytest.mark.parametrize("override", COMPOSITION)
def test_what_cannot_be_composed_is_refused(override: str) -> None:
    with pytest.raises((InputError, HydraException, OmegaConfBaseException)) as refusal:
        resolve(composed(override))
    assert line_of(refusal.value) == COMPOSITION[override]


@pytest.mark.parametrize("name", ["nothing", "sub/nothing", "nothing.yaml"])
def test_a_main_file_of_settings_that_is_not_there_is_named(name: str) -> None:
    with initialize_config_dir(str(CONF), **BASE), pytest.raises(HydraException) as refusal:
        compose(name)
    file = f"{name.removesuffix('.yaml')}.yaml"
    line = f"{file}: no such file in conf, nor in a folder given as --config-dir"
    assert line_of(refusal.value) == line


# What is written for people


def listed(text: str) -> list[str]:
    """Return the names that a line of help text describes: a and b for ``a · b: some words``."""
    found = re.match(r"[\w-]+(?: · [\w-]+)*", text)
    return found.group().split(" · ") if found else []


def test_help_describes_every_setting_and_every_choice() -> None:
    text = help_text(schema.GROUPS)
    for key in schema.known_keys().keys() - {
        *GROUPS,
        "tokenizer.phrases",
        "vocab",
        "train",
        "cache",
        "ray",
    }:
        if key not in ("experiment", "measure"):
            assert re.search(rf"^ +{re.escape(key.rstrip('_'))}[= ]", text, re.MULTILINE), key
    for group in GROUPS:
        for name in choices(group) if group != "experiment" else ():
            assert f" {group}={name} " in text
    for name in choices("experiment"):
        assert re.search(rf"\b{name}\b", text)
    assert "K, noise words a pair (a whole number, at least 1)" in text
    assert max(map(len, text.split("\n"))) <= 110


def test_help_has_columns() -> None:
    assert entry("  a=b", "some words") == [f"{'  a=b':36}some words"]
    assert entry("  a=b", "word " * 14) == [f"{'  a=b':36}{'word ' * 12}word", f"{'':36}word"]
    assert entry("a" * 36, "word") == ["a" * 36, f"{'':36}word"]
    for left in ("  a=b", "a" * 40):
        assert entry(left, "") == [left]  # a file without a comment at its top


def test_the_page_of_defaults_lists_every_choice() -> None:
    page = (CONF / "config.yaml").read_text()
    for group in GROUPS:
        found = re.search(rf"^  - (?:override /)?{group}: \w+ *(?:# (.*))?$", page, re.MULTILINE)
        assert found, group
        if found.group(1) and " · " in found.group(1):
            assert sorted(listed(found.group(1))) == choices(group)
        else:
            assert len(choices(group)) == 1 or group in ("experiment", "search")
