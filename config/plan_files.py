"""Puts the documents of data plans in the place of the files that name them."""

from pathlib import Path
from typing import Any

import orjson

from config.errors import ConfigError, Found, Location
from config.sources import read_text


def read_plan_files(data: Any, folder: Path) -> list[Found]:
    """Replace `file` by `document` in every version of `data_plans`.

    A file holds a version document, or a whole version as the Data Planning API gives it
    (spec/data-plans.md, 10).

    Args:
        data: a document as it was read; changed in place.
        folder: that names of files are below.

    Returns:
        What is wrong with them.
    """
    found: list[Found] = []
    plans = data.get("data_plans") if isinstance(data, dict) else None
    for index, plan in enumerate(plans if isinstance(plans, list) else ()):
        versions = plan.get("versions") if isinstance(plan, dict) else None
        for place, version in enumerate(versions if isinstance(versions, list) else ()):
            if isinstance(version, dict) and isinstance(version.get("file"), str):
                where: Location = ("data_plans", index, "versions", place, "file")
                message = _read(version, folder)
                if message is not None:
                    found.append((where, message))
    return found


def _read(version: dict[str, Any], folder: Path) -> str | None:
    """Read the document of one version; return what is wrong."""
    name = version.pop("file")
    if "document" in version:
        return "there is a document, too"
    version["document"] = {}  # is right, whatever the file is
    try:
        document = orjson.loads(read_text(folder / name))
    except ConfigError as error:
        return f"{name} {error.problems[0][1]}"
    except orjson.JSONDecodeError as error:
        return f"{name} is not JSON: line {error.lineno}, column {error.colno}"
    if not isinstance(document, dict):
        return f"{name} must hold an object"
    version["document"] = document.get("version_document", document)
    return None
