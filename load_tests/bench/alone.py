"""Runs a measurement in a process of its own, which has done nothing else before."""

import asyncio
import multiprocessing
from collections.abc import Callable, Coroutine
from concurrent.futures import ProcessPoolExecutor
from typing import Any, ParamSpec, TypeVar

_P = ParamSpec("_P")
_T = TypeVar("_T")


async def alone(
    measure: Callable[_P, Coroutine[Any, Any, _T]], *args: _P.args, **kwargs: _P.kwargs
) -> _T:
    """Run a function of a module to its end, and return what it returns.

    Raises:
        RuntimeError: the process has died.
    """
    spawning = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=spawning) as pool:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(pool, _run, measure, args, kwargs)


def _run(
    measure: Callable[..., Coroutine[Any, Any, _T]], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> _T:
    return asyncio.run(measure(*args, **kwargs))
