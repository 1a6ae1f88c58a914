"""A deployment in processes of its own."""

import gc
import warnings
from pathlib import Path

import pytest

from actors.clock import SystemClock
from load_tests.server_process import ServerProcess


def test_one_that_ends_while_it_starts_says_why_and_leaves_nothing(tmp_path: Path) -> None:
    server = ServerProcess(tmp_path, SystemClock(), "--no-such-option")
    with pytest.raises(RuntimeError, match=r"(?s)it ended:.*--no-such-option"):
        server.start()
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        del server
        gc.collect()
    assert [str(each.message) for each in said if each.category is ResourceWarning] == []
