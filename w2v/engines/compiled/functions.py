"""Decorators that compile functions with Numba.

Some are for functions that Python calls, the others for functions that only compiled code calls.
"""

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba
from llvmlite.binding import Linkage
from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import Compiler
from numba.core.registry import CPUDispatcher

Function = TypeVar("Function", bound=Callable[..., Any])

UNCOUNTED: dict[str, Any] = {"_nrt": False}
"""The option of Numba that compiles code without reference counting of arrays. Such code cannot
make arrays. With counting, a tenth of the training time would go into it, and all threads would
write to the same counters."""

OPTIONS: dict[str, Any] = {"error_model": "numpy"}
"""Options of Numba for all functions compiled here. ``fastmath`` is not among them: with it, the
rounding of a result would depend on how LLVM optimizes the code around it."""

INNER: dict[str, Any] = OPTIONS | UNCOUNTED | {"nopython": True}
INNER |= {"no_cpython_wrapper": True, "no_cfunc_wrapper": True}
"""Options for functions that Python does not call. Wrappers, which convert Python objects to
arguments, would take a third of the time for compiling."""


def compiled(function: Function) -> Function:
    """Decorator: compile a function that Python calls, and cache the machine code on disk.

    The function is compiled when it is first called. Several threads can run it at the same time,
    because it does not hold Python's global interpreter lock. The compiled code does not count
    references to arrays, so it cannot create arrays (`UNCOUNTED`).
    """
    options = OPTIONS | UNCOUNTED
    jit = numba.njit(cache=True, nogil=True, pipeline_class=WholeCompiler, **options)
    return cast(Function, jit(function))


def allocating(function: Function) -> Function:
    """Decorator: compile a function that is called from Python and may create arrays.

    As with `compiled`, the result is cached on disk, and several threads can run it at the same
    time. But a function decorated with `compiled` may not create arrays.
    """
    return cast(Function, numba.njit(cache=True, nogil=True, **OPTIONS)(function))


def inner(function: Function) -> Function:
    """Decorator: compile a function that only compiled functions call, not Python.

    The function is compiled together with the functions that call it. It has no interface to
    Python, which saves a third of the time for compiling.
    """
    return cast(Function, InnerFunction(function, INNER))


def inlined(function: Function) -> Function:
    """Decorator: compile a function into each compiled function that calls it.

    It is copied in place of the call. SIMD vectors that are its arguments or results then stay in
    registers. Like a function decorated with `inner`, it cannot be called from Python.
    """
    return cast(Function, InnerFunction(function, INNER | {"forceinline": True}))


class WholeCompiler(Compiler):
    """Compiles a function that Python calls, together with all functions that it calls.

    Unlike Numba's usual compiler, this one puts the code into a `WholeLibrary`, with which LLVM can
    optimize the code more.
    """

    def __init__(self, typing: Any, target: Any, _: Any, *arguments: Any) -> None:
        library = WholeLibrary(target.codegen(), "whole")  # type: ignore[no-untyped-call]
        library.enable_object_caching()  # type: ignore[no-untyped-call]
        super().__init__(typing, target, library, *arguments)  # type: ignore[no-untyped-call]


class WholeLibrary(JITCodeLibrary):
    """The code of a compiled function, with that of all functions that it calls.

    Numba lets LLVM assume that other code may call these functions, too. LLVM then must keep all of
    their arguments, and each array is passed as several arguments. Here LLVM is told that nothing
    else calls these functions. It removes arguments that are not used, and copies even a large
    function into its caller if the function has only one caller. On a processor with AVX2, this
    makes skip-gram with negative sampling a tenth faster; the machine code is a seventh smaller.
    """

    def _optimize_final_module(self) -> None:
        """Mark the functions that were linked into the module as internal; optimize the module."""
        for function in self._final_module.functions:
            if not function.is_declaration and function.linkage == Linkage.linkonce_odr:
                function.linkage = Linkage.internal
        super()._optimize_final_module()  # type: ignore[no-untyped-call]


class InnerFunction(CPUDispatcher):
    """A compiled function that only other compiled functions can call, not Python.

    The decorators `inner` and `inlined` make it. It has no wrapper that converts Python objects to
    arguments, because compiling wrappers takes long.
    """

    def __init__(self, function: Callable[..., Any], options: dict[str, Any]) -> None:
        super().__init__(function, targetoptions=dict(options), pipeline_class=InnerCompiler)

    def __call__(self, *_: Any) -> None:
        """Raise TypeError, because only compiled code can call the function, not Python.

        There is no code that converts Python objects to its arguments.
        """
        raise TypeError(f"{self.py_func.__name__} can only be called by compiled functions")

    def add_overload(self, result: Any) -> None:
        """Store the result of compiling this function for some types of arguments.

        Numba calls this method after compiling. It finds the code of a compiled function by its
        entry point, an object that Python can call. An `InnerFunction` has no entry point, because
        only compiled code calls it; its code library is stored in place of the entry point.
        """
        known = result._replace(entry_point=result.library)
        self.overloads[tuple(result.signature.args)] = known
        self.targetctx.insert_user_function(  # type: ignore[no-untyped-call]
            result.library, result.fndesc, [result.library]
        )


class InnerCompiler(Compiler):
    """Compiles a function that only other compiled functions call (`InnerFunction`).

    Unlike Numba's usual compiler, it makes no machine code, but only LLVM code, which is copied
    into the functions that call the function. This code is in an `InnerLibrary`.
    """

    def __init__(self, typing: Any, target: Any, _: Any, *arguments: Any) -> None:
        library = InnerLibrary(target.codegen(), "inner")  # type: ignore[no-untyped-call]
        super().__init__(typing, target, library, *arguments)  # type: ignore[no-untyped-call]
        self.state.flags.no_compile = True  # no machine code


class InnerLibrary(JITCodeLibrary):
    """The LLVM code of an `InnerFunction` and of the functions that it calls.

    Numba copies this code, unoptimized, into the code of each caller. Only the outermost caller,
    the function that Python calls, is optimized and compiled to machine code. By default, Numba
    would optimize each function together with all functions that it calls, and compile each to
    machine code; this would take 1.5 times as long.
    """

    def _optimize_final_module(self) -> None:
        """Do nothing: the LLVM code is optimized later, in the functions that it is copied into."""

    def _finalize_final_module(self) -> None:
        """Mark this LLVM code as final; unlike Numba's own method, make no machine code of it."""
        self._finalize_dynamic_globals()  # type: ignore[no-untyped-call]
        self._finalized = True
