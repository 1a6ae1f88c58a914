"""`headwater planning:...`: data plans on the command line (spec/data-plans.md, 4.2 and 10)."""

import base64
import gzip
import sys
import time
import zlib
from collections.abc import Callable, Iterator
from http.client import HTTPException
from pathlib import Path
from typing import Any, NoReturn
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import click
import orjson
import zstandard

from actors.clock import SystemClock
from actors.errors import BatchRejected
from actors.outputs.retry import parse_retry_after
from actors.plans.document import DocumentProblem, DocumentRefused, compile_document
from actors.plans.trial import try_batch
from server.platform_client import checked_url
from server.quarantine_replay import (
    NoQuarantineBatch,
    NothingToFindBy,
    ReplayOptions,
    replayed,
)

CONFIG = "mp.config.json"
TIMEOUT_S = 30.0
TRIES = 5  # of a batch that is answered 429 or 503

_FILE = click.Path(path_type=Path, dir_okay=False)


def _with_plan(command: Callable[..., None]) -> Callable[..., None]:
    """Let a command take the version of a plan, in any of its forms."""
    for option in (
        click.option("--config", type=_FILE, help=f"Instead of {CONFIG} in this folder."),
        click.option("--versionNumber", "version_number", type=int, help="Of the plan."),
        click.option("--dataPlanFile", "plan_file", type=_FILE, help="File of a whole plan."),
        click.option("--dataPlan", "plan", help="A whole plan, as JSON."),
        click.option("--dataPlanVersionFile", "version_file", type=_FILE, help="File of one."),
        click.option("--dataPlanVersion", "version", help="A version, as JSON."),
    ):
        command = option(command)
    return command


@click.command("planning:batches:validate")
@_with_plan
@click.option("--batch", help="A batch of the Events API, as JSON.")
@click.option("--batchFile", "batch_file", type=_FILE, help="File of a batch.")
@click.option("--outFile", "out_file", type=_FILE, help="Where the answer goes [standard output].")
def validate(
    batch: str | None, batch_file: Path | None, out_file: Path | None, **given: Any
) -> None:
    """Tell what a plan finds in a batch, here and without a deployment; exit 1 if anything."""
    document = _document(given)
    sent = _json(batch, batch_file, "--batch or --batchFile")
    try:
        found = try_batch(compile_document(document), sent)
    except DocumentRefused as refused:
        _fail([_line(each) for each in refused.problems])
    except BatchRejected as refused:
        _fail([f"{each.path or 'batch'}: {each.message}" for each in refused.problems])
    answer = orjson.dumps(found, option=orjson.OPT_INDENT_2).decode()
    if out_file is None:
        click.echo(answer)
    else:
        try:
            out_file.write_text(answer + "\n", "utf-8")
        except OSError as error:
            raise click.ClickException(f"{out_file} cannot be written: {error.strerror}") from None
    if found["results"]:
        sys.exit(1)


@click.command("planning:document:lint")
@_with_plan
def lint(**given: Any) -> None:
    """Check the document of a version as an upload would; exit 1 on errors."""
    try:
        compile_document(_document(given))
    except DocumentRefused as refused:
        _fail([_line(each) for each in refused.problems])
    click.echo("The document is valid.")


@click.command("planning:quarantine:replay")
@click.option("--file", "files", type=_FILE, multiple=True, required=True, help="Of batches.")
@click.option("--input-key", required=True, help="Key of the input that they are sent through.")
@click.option("--input-secret", required=True, envvar="HEADWATER_INPUT_SECRET")
@click.option("--url", default="http://127.0.0.1:8080", show_default=True, callback=checked_url)
@click.option("--event-attributes", is_flag=True, help="Send events with blocked attributes, too.")
@click.option("--user-attributes", is_flag=True, help="Send blocked attributes of users, too.")
@click.option("--user-identities", is_flag=True, help="Send blocked identities, too.")
@click.option("--dry-run", is_flag=True, help="Send nothing; tell what would be sent.")
def replay(
    files: tuple[Path, ...],
    input_key: str,
    input_secret: str,
    url: str,
    dry_run: bool,
    **chosen: bool,
) -> None:
    """Send what was blocked again, from files of quarantine batches, one a line."""
    options = ReplayOptions(**chosen)
    if options.event_attributes:
        click.echo(
            "Events with blocked attributes were delivered without them, and come a second time.",
            err=True,
        )
    pair = base64.b64encode(f"{input_key}:{input_secret}".encode()).decode()
    has_failed = False
    for file in files:
        sent = skipped = failed = 0
        for number, line in _lines(file):
            try:
                batch = replayed(orjson.loads(line), options)
                if batch is None:
                    skipped += 1
                    continue
                if not dry_run:
                    _send(f"{url.rstrip('/')}/v2/events", pair, orjson.dumps(batch))
                sent += 1
            except (
                orjson.JSONDecodeError,
                NoQuarantineBatch,
                NothingToFindBy,
                _NotTaken,
            ) as error:
                failed += 1
                click.echo(f"{file}:{number}: {error}", err=True)
        word = "would be sent" if dry_run else "sent"
        click.echo(f"{file}: {sent} {word}, {skipped} skipped, {failed} failed")
        has_failed = has_failed or failed > 0
    if has_failed:
        sys.exit(1)


COMMANDS = (validate, lint, replay)


class _NotTaken(Exception):
    """The Events API does not take a batch. Says why."""


def _send(url: str, pair: str, body: bytes) -> None:
    headers = {"Content-Type": "application/json", "Authorization": f"Basic {pair}"}
    for left in range(TRIES, 0, -1):
        request = Request(url, body, headers)  # noqa: S310
        try:
            with urlopen(request, timeout=TIMEOUT_S):  # noqa: S310
                return
        except HTTPError as error:
            if error.code not in (429, 503) or left == 1:
                raise _NotTaken(f"is answered {error.code}") from None
            asked_s = parse_retry_after(error.headers["Retry-After"], SystemClock().now_ms())
            time.sleep(1.0 if asked_s is None else asked_s)
        except OSError as error:
            raise click.ClickException(f"{url} does not answer: {error}") from None
        except (HTTPException, ValueError):  # the text is what was sent
            raise click.ClickException(f"{url} does not answer as HTTP wants it") from None


def _lines(file: Path) -> Iterator[tuple[int, bytes]]:
    """Yield the lines of a file output's file that are not empty, with their numbers."""
    try:
        content = _inflated(file.read_bytes(), file.suffix)
    except (zlib.error, gzip.BadGzipFile, EOFError, zstandard.ZstdError):
        raise click.ClickException(f"{file} is no {file.suffix} file, or damaged") from None
    except OSError as error:
        raise click.ClickException(f"{file} cannot be read: {error.strerror}") from None
    for number, line in enumerate(content.split(b"\n"), 1):
        if line.strip():
            yield number, line


def _inflated(content: bytes, suffix: str) -> bytes:
    """Return what a file holds; raises what its compression does, EOFError if it is cut off."""
    if suffix == ".gz":
        return gzip.decompress(content)
    if suffix != ".zst":
        return content
    inflating = zstandard.ZstdDecompressor().decompressobj()
    inflated = inflating.decompress(content)
    if not inflating.eof:
        raise EOFError
    return inflated


def _document(given: dict[str, Any]) -> Any:
    """Return the version document that options or the configuration file name."""
    names = ("version", "version_file", "plan", "plan_file")
    planning = {} if any(given[name] for name in names) else _planning(given["config"])
    version_file = given["version_file"] or planning.get("dataPlanVersionFile")
    plan_file = given["plan_file"] or planning.get("dataPlanFile")
    if given["plan"] or plan_file:
        number = given["version_number"] or planning.get("versionNumber")
        version = _version(given["plan"], plan_file and Path(plan_file), number)
    else:
        version = _json(
            given["version"],
            version_file and Path(version_file),
            "--dataPlanVersion or --dataPlanVersionFile",
        )
    return version.get("version_document", version) if isinstance(version, dict) else version


def _planning(config: Path | None) -> dict[str, Any]:
    """Return `planningConfig` of a configuration file; `config`: None is that of this folder."""
    file = config or Path(CONFIG)
    if config is None and not file.exists():
        return {}
    written = _json(None, file, CONFIG)
    if not isinstance(written, dict):
        raise click.ClickException(f"{file} must hold an object")
    planning = written.get("planningConfig")
    if planning is None:
        return {}
    if not isinstance(planning, dict):
        raise click.ClickException(f"{file}: planningConfig must be an object")
    for name in ("dataPlanVersionFile", "dataPlanFile"):
        value = planning.get(name)
        if value is not None and (not isinstance(value, str) or "\0" in value):
            raise click.ClickException(f"{file}: planningConfig.{name} must be a path")
    return planning


def _version(plan: str | None, file: Path | None, number: Any) -> Any:
    """Return the version of that number of a whole plan, which was given as JSON or as a file."""
    whole = _json(plan, file, "--dataPlan or --dataPlanFile")
    versions = whole.get("data_plan_versions") if isinstance(whole, dict) else None
    if not isinstance(versions, list):
        raise click.ClickException(f"{file or '--dataPlan'}: data_plan_versions must be a list")
    if number is None:
        raise click.ClickException("give --versionNumber: a whole plan has several versions")
    for each in versions:
        if isinstance(each, dict) and each.get("version") == number:
            return each
    raise click.ClickException(f"the plan has no version {number} (--versionNumber)")


def _json(text: str | None, file: Path | None, what: str) -> Any:
    """Return JSON that was given as text or as a file; `what`: the options for it."""
    try:
        if text is not None and file is None:
            return orjson.loads(text)
        if text is None and file is not None:
            return orjson.loads(file.read_bytes())
    except OSError as error:
        raise click.ClickException(f"{file} cannot be read: {error.strerror}") from None
    except orjson.JSONDecodeError as error:
        raise click.ClickException(f"{file or what} is not JSON: {error}") from None
    raise click.UsageError(f"give {what}")


def _line(problem: DocumentProblem) -> str:
    place = "".join(
        f"[{each}]" if isinstance(each, int) else f".{each}" for each in problem.path
    ).removeprefix(".")
    return f"{place or 'document'}: {problem.message}"


def _fail(lines: list[str]) -> NoReturn:
    for line in lines:
        click.echo(line, err=True)
    sys.exit(1)
