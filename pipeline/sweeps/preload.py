"""Imported by the fork server, to load modules and compiled kernels for joblib's processes."""

import gc

import pipeline.experiment
import pipeline.sweeps.job  # noqa: F401
from w2v.engines import are_kernels_compiled

if are_kernels_compiled():  # otherwise the first job that needs them compiles them
    from w2v.engines.numba import compile_kernels

    compile_kernels()  # loads them

gc.freeze()  # the garbage collector skips what is loaded
