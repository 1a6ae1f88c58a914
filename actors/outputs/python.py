"""Output `python`: a class of the operator's own (spec/connections.md, 7).

It is loaded from the folder that the operator has set for this, into the process of the output's
forwarder. A test loads it into a process of its own: tests are made by edges.
"""

import asyncio
import logging
import re
import sys
from collections.abc import Sequence
from typing import Annotated, Any

import msgspec
import orjson
from msgspec import convert
from msgspec.structs import replace
from pydantic import AfterValidator, Field, SecretStr

from actors.model.deliveries import Delivery
from actors.outputs import dsr_messages, python_loading
from actors.outputs.contract import Delivered, Fatal, Outcome, Refused, RequestLimits, Retry
from actors.outputs.environment import OutputEnvironment
from actors.outputs.http_answers import EXCERPT_BYTES
from actors.outputs.mistakes import described, uncancelled
from actors.outputs.module import OutputModule, OutputSettings
from actors.outputs.python_jobs import Job
from actors.outputs.python_loading import LoadFailed, Wanted
from actors.outputs.user_order import in_order

logger = logging.getLogger("headwater.output")

STOP_TIMEOUT_S = 5.0
TEST_TIMEOUT_S = 40.0
RESULTS: dict[str, type[Delivered | Retry | Fatal]] = {
    each.__name__: each for each in (Delivered, Retry, Fatal)
}
# A text may be a secret: only the class knows.
Value = SecretStr | bool | int | float


def _path(path: str) -> str:
    if not re.fullmatch(r"(?:[\w-]+/)*[\w-]+\.py", path):
        raise ValueError("must be the name of a file such as crm.py, in a folder or not")
    return path


def _class_name(name: str) -> str:
    if not name.isidentifier():
        raise ValueError("must be the name of a class")
    return name


class PythonSettings(OutputSettings):
    """Settings of the module `python`.

    `path`: of the file, below the folder of the process setting `python_outputs`. `settings`: what
    the class is made with. One call has at most `max_jobs` jobs of `max_bytes` together, waits for
    more of them for `max_wait_ms`, and has to end within `timeout_s`.
    """

    path: Annotated[str, AfterValidator(_path)]
    class_name: Annotated[str, Field(alias="class"), AfterValidator(_class_name)] = "Output"
    settings: dict[str, Value] = Field(default_factory=dict)
    max_jobs: int = Field(default=100, ge=1, le=1000)
    max_bytes: int = Field(default=1024 * 1024, ge=1024, le=64 * 1024 * 1024)
    max_wait_ms: int = Field(default=0, ge=0, le=600_000)
    timeout_s: float = Field(default=30.0, gt=0, le=600)

    @property
    def plain(self) -> dict[str, Any]:
        """What the class is made with, secrets and all."""
        return {
            name: value.get_secret_value() if isinstance(value, SecretStr) else value
            for name, value in self.settings.items()
        }


class _NotNow(Exception):
    """An object cannot begin for the time being."""


class PythonOutput:
    """Hands jobs to an object of the class, which it makes when there is something to send."""

    def __init__(self, settings: PythonSettings, environment: OutputEnvironment) -> None:
        self._settings = settings
        self._environment = environment
        self._made: Any = None
        self._making = asyncio.Lock()
        self.limits = RequestLimits(settings.max_jobs, settings.max_bytes, settings.max_wait_ms)

    async def start(self) -> None:
        """Nothing: a class that cannot be had is told of where something is to be sent."""

    async def stop(self) -> None:
        """Have the object let go; the next one is made of the file as it is then."""
        made, self._made = self._made, None
        if made is None:
            return
        try:
            async with asyncio.timeout(STOP_TIMEOUT_S):
                await uncancelled(python_loading.call(made, "stop"))
        except Exception as error:
            self._report("stop", error)

    async def test(self) -> Outcome:
        """Make an object in a process of its own, and call its `test` if it has one."""
        settings = self._settings
        try:
            file = await self._find()
        except LoadFailed as error:
            return Fatal("invalid_settings", str(error))
        wanted = Wanted(str(file), settings.class_name, settings.plain)
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", python_loading.__name__),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )
        try:
            async with asyncio.timeout(min(TEST_TIMEOUT_S, settings.timeout_s)):
                answer, _ = await process.communicate(msgspec.json.encode(wanted))
            name, fields = orjson.loads(answer)
        except TimeoutError:
            return Retry("the test has not ended in time")
        except ValueError:
            return Fatal("invalid_settings", f"the process of the test ended: {process.returncode}")
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        return convert(fields, RESULTS[name])

    async def send(self, deliveries: Sequence[Delivery]) -> list[Outcome]:
        """Have the class send; what it answers holds for each delivery apart."""
        count = len(deliveries)
        try:
            made = await self._object()
        except LoadFailed as error:
            return [Refused("invalid_settings", str(error))] * count
        except _NotNow as error:
            return [Retry(str(error))] * count
        try:
            async with asyncio.timeout(self._settings.timeout_s):
                results = await made.send([self._job(each) for each in deliveries])
        except TimeoutError:
            return [Retry(f"{self._settings.class_name}.send has not ended in time")] * count
        except Exception as error:
            self._report("send", error)
            return [
                Retry(f"{self._settings.class_name}.send raised {type(error).__name__}")
            ] * count
        if not isinstance(results, list) or len(results) != count:
            problem = f"{self._settings.class_name}.send must return a list of {count} results"
            return [Fatal("invalid_module_response", problem)] * count
        return in_order(deliveries, [self._outcome(each) for each in results])

    async def _find(self) -> Any:
        folder = self._environment.python_dir
        return await asyncio.to_thread(python_loading.find, folder, self._settings.path)

    async def _object(self) -> Any:
        """Return the object, made if there is none. Raises LoadFailed, _NotNow."""
        async with self._making:
            if self._made is None:
                settings = self._settings
                made = await self._load()
                try:
                    async with asyncio.timeout(settings.timeout_s):
                        await python_loading.call(made, "start")
                except Exception as error:
                    self._report("start", error)
                    problem = f"{settings.class_name}.start raised {type(error).__name__}"
                    if isinstance(error, OSError):  # whom it talks to is away, or slow
                        raise _NotNow(problem) from None
                    raise LoadFailed(problem) from None
                self._made = made
            return self._made

    async def _load(self) -> Any:
        """Make an object. Raises LoadFailed, also if it takes too long: its thread stays."""
        settings = self._settings
        loading = asyncio.to_thread(
            python_loading.load, await self._find(), settings.class_name, settings.plain
        )
        try:
            async with asyncio.timeout(settings.timeout_s):
                return await loading
        except TimeoutError:
            raise LoadFailed(f"{settings.class_name} was not made in time") from None

    def _job(self, delivery: Delivery) -> Job:
        place, payload = self._environment.place, delivery.payload
        if place.kind == "dsr":
            payload = dsr_messages.body_of(payload, place.number)
        return Job(
            delivery_id=delivery.delivery_id,
            environment=delivery.environment,
            input=self._environment.inputs.get(delivery.connection, ""),
            mpid=delivery.mpid,
            attempt=delivery.attempts + 1,
            payload=orjson.loads(payload),
        )

    def _outcome(self, result: Any) -> Outcome:
        """Check a result, which may have anything in it; its excerpt is kept within bounds."""
        try:
            if not isinstance(result, Delivered | Retry | Fatal):
                raise TypeError
            result = replace(result, excerpt=str(result.excerpt)[:EXCERPT_BYTES])
            checked: Outcome = convert(msgspec.to_builtins(result), type(result))
        except (TypeError, msgspec.ValidationError):
            problem = f"{self._settings.class_name}.send returned a wrong {type(result).__name__}"
            return Fatal("invalid_module_response", problem)
        if isinstance(checked, Fatal):
            excerpt = checked.excerpt or checked.reason
            return Fatal("fatal_response", excerpt, checked.http_status)
        return checked

    def _report(self, method: str, error: Exception) -> None:
        logger.warning(
            "The class of an output failed",
            extra={
                "event": "python_output_failed",
                "output": self._environment.output,
                "method": method,
                "error": described(error),
            },
        )


MODULE = OutputModule(
    module="python",
    kinds=frozenset({"event", "audience", "dsr"}),
    accepts_unbound=True,
    accepts_attribute_feed=True,
    settings_model=PythonSettings,
    send_as_batch_default=True,
    retry_profile="stream",
    open=PythonOutput,
)
