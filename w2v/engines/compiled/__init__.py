"""The training loop of ``engine=numba``, in functions that Numba compiles; `loop` calls the others.

``w2v/engines/README.md`` says what is in each file.
"""
