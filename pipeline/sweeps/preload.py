"""Imported by the fork server, to load modules and compiled kernels for joblib's processes."""

import gc
import signal

from pipeline.runtime.startup import collect_rarely

# Joblib's processes inherit this. See `launch_in_thread` on how Ctrl-C stops their jobs.
signal.signal(signal.SIGINT, signal.SIG_IGN)
collect_rarely()

import pipeline.experiment  # noqa: E402
import pipeline.sweeps.job  # noqa: E402, F401
from w2v.engines import are_kernels_compiled  # noqa: E402

if are_kernels_compiled():  # otherwise the first job that needs them compiles them
    from w2v.engines.numba import compile_kernels

    compile_kernels()  # loads them

gc.freeze()  # the garbage collector skips what is loaded
