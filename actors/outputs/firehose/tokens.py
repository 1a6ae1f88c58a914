"""The OAuth 2 tokens of an output: in memory at once, and on disk as soon as that is possible.

Source: spec/connections.md, 4.2: authentication. They are shown nowhere.
"""

import asyncio
import logging
from collections.abc import Mapping

import msgspec
from msgspec import Struct

from actors.errors import ShardUnavailable, StoreFull
from actors.outputs.environment import OutputEnvironment, OutputState

logger = logging.getLogger("headwater.forwarder")

PREFIX = "oauth-"  # of their names among what is kept of an output


class Tokens(Struct, frozen=True):
    """What a token endpoint gave. `expires_ms`: by our clock."""

    access_token: str
    refresh_token: str | None
    expires_ms: int

    def __repr__(self) -> str:
        return f"Tokens(expires_ms={self.expires_ms})"


class KeptTokens:
    """The tokens of one output by name; all its environments have the same.

    A refresh token may hold only once: an environment that renewed tokens of its own would leave
    the others with some that the module refuses.
    """

    def __init__(self, output: str, state: OutputState) -> None:
        self._output = output
        self._state = state
        self._tokens: dict[str, Tokens] = {}
        self._unkept: dict[str, Tokens] = {}
        self._renewing: dict[str, asyncio.Lock] = {}
        self._keeping = asyncio.Lock()
        self._is_warned = False

    def load(self, state: Mapping[str, bytes]) -> None:
        """Take up the tokens that were kept, but for those that are known: these may be newer."""
        for name, kept in state.items():
            if name.startswith(PREFIX):
                self._tokens.setdefault(name, msgspec.json.decode(kept, type=Tokens))

    def get(self, name: str) -> Tokens | None:
        """Return the newest tokens that are known."""
        return self._tokens.get(name)

    def renewing(self, name: str) -> asyncio.Lock:
        """Return what is held while a module is asked for new tokens."""
        return self._renewing.setdefault(name, asyncio.Lock())

    async def put(self, name: str, tokens: Tokens) -> None:
        """Take up new tokens and keep them; they hold even where they cannot be kept yet.

        The module may have forgotten the former already: without these, somebody would have to
        authorize the output again.
        """
        self._tokens[name] = self._unkept[name] = tokens
        await self.keep()

    async def keep(self) -> None:
        """Keep what could not be kept so far, if it can be by now."""
        async with self._keeping:  # else older tokens could be written over newer ones
            unkept = dict(self._unkept)
            if not unkept:
                return
            changes = {name: msgspec.json.encode(tokens) for name, tokens in unkept.items()}
            try:
                await self._state.keep_output_state(self._output, changes)
            except (ShardUnavailable, StoreFull) as error:
                self._warn(error)
                return
            self._is_warned = False
            for name, tokens in unkept.items():
                if self._unkept[name] is tokens:
                    del self._unkept[name]

    async def reread(self, name: str) -> Tokens | None:
        """Return the newest tokens, on disk too: another process may have renewed them.

        Raises:
            ShardUnavailable, StoreFull: it is not known what is on disk.
        """
        if name not in self._unkept:
            kept = (await self._state.output_state(self._output)).get(name)
            if kept is not None:
                self._tokens[name] = msgspec.json.decode(kept, type=Tokens)
        return self._tokens.get(name)

    def _warn(self, error: Exception) -> None:
        if not self._is_warned:
            logger.warning(
                "Tokens could not be kept yet; after a restart they may have to be asked for again",
                extra={
                    "event": "tokens_not_kept",
                    "output": self._output,
                    "error": {"type": type(error).__name__},
                },
            )
        self._is_warned = True


def tokens_of(environment: OutputEnvironment) -> KeptTokens:
    """Return the tokens of an output, the same ones for each of its environments."""
    found: KeptTokens = environment.memory.setdefault(
        KeptTokens, KeptTokens(environment.output, environment.state)
    )
    return found
