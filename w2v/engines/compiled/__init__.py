"""The training loop of ``engine=numba``, as functions that Numba compiles.

The module `loop` has the loop itself and calls the functions of the other modules.
``w2v/engines/README.md`` says what is in each file.
"""
