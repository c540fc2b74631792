"""Import what every job needs.

The process from which joblib's workers are forked imports this file, so that they need not.
"""

import pipeline.experiment
from pipeline.sweeps import job, objective
from w2v.engines import are_kernels_compiled

__all__ = ["job", "objective", "pipeline"]

if are_kernels_compiled():  # otherwise the first job that needs them compiles them
    from w2v.engines.numba import compile_kernels

    compile_kernels()  # loads them
