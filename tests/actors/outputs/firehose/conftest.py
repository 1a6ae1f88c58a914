"""A module for each test."""

from collections.abc import AsyncIterator

import pytest

from tests.actors.outputs.firehose.support import Module


@pytest.fixture
async def module() -> AsyncIterator[Module]:
    """A module that takes everything."""
    module = Module()
    await module.start()
    yield module
    await module.stop()
