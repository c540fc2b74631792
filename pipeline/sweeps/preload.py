"""Import the modules that every job needs, and load the compiled kernels if the disk has them.

The fork server imports this file, so that joblib's worker processes start with all of it loaded.
"""

import gc

import pipeline.experiment
import pipeline.sweeps.job  # noqa: F401
from w2v.engines import are_kernels_compiled

if are_kernels_compiled():  # otherwise the first job that needs them compiles them
    from w2v.engines.numba import compile_kernels

    compile_kernels()  # loads them

gc.freeze()  # the garbage collector skips what is loaded
