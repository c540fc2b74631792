"""Import the modules that every job needs, and load the kernels if they are compiled.

The fork server imports this file, so that joblib's worker processes start with all of it loaded.
"""

import gc
import multiprocessing
import os
import signal
import threading
import time

import pipeline.experiment
from pipeline.sweeps import job, objective
from w2v.engines import are_kernels_compiled

__all__ = ["job", "objective", "pipeline"]

if are_kernels_compiled():  # otherwise the first job that needs them compiles them
    from w2v.engines.numba import compile_kernels

    compile_kernels()  # loads them


def end_with_main_process() -> None:
    """Wait until the main process has ended, then end this process.

    After ``kill -9`` of the main process, joblib's workers would wait for jobs forever.
    """
    while (main := multiprocessing.parent_process()) is None:
        time.sleep(1)  # it is set soon after the fork
    main.join()
    os.kill(os.getpid(), signal.SIGTERM)


def watch_main_process() -> None:
    threading.Thread(target=end_with_main_process, daemon=True).start()


os.register_at_fork(after_in_child=watch_main_process)

gc.freeze()  # the garbage collector skips what is loaded
