"""The list of the stages of an experiment, in the order in which they run."""

from pipeline.stages.base import Stage
from pipeline.stages.evaluate import Evaluation
from pipeline.stages.tokenize import Tokenize
from pipeline.stages.train import Train
from pipeline.stages.vocab import Vocab

STAGES: tuple[Stage, ...] = (Tokenize(), Vocab(), Train(), Evaluation())
