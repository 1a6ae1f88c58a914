"""Workspace documents for tests: a small one that is right, and what is found in a changed one."""

import copy
import json
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from actors.identity.registry import STRATEGIES
from actors.outputs.module import OutputModule
from actors.outputs.registry import MODULES
from actors.pipeline.settings import Takes
from config.errors import ConfigError
from config.load import load_workspace
from config.numbers import Numbers, assign_numbers
from config.settings import Settings
from config.workspace import WorkspaceDocument

Data = dict[str, Any]
Change = Callable[[Data], object]

SETTINGS = Settings(data_dir=Path("unused"), dedup_window_days=45)

# A module that only takes data of a platform, beside the real ones.
KIT = replace(
    MODULES["webhook"], module="kit_x", accepts_unbound=False, accepts_attribute_feed=False
)
# One that only supports mobile platforms.
MOBILE = replace(
    MODULES["webhook"],
    module="mobile_x",
    takes=lambda _: Takes(platforms=frozenset({"iOS", "Android"})),
)
ALL_MODULES = {**MODULES, KIT.module: KIT, MOBILE.module: MOBILE}

SHOP: Data = {
    "version": 1,
    "account": {"id": "acme", "name": "Acme"},
    "workspace": {
        "id": "acme-shop",
        "name": "Acme Shop",
        "dsr_credentials": {"key": "us1-dsr-key", "secret": "s-dsr"},
    },
    "api_credentials": [{"client_id": "ops", "client_secret": "s-ops", "apis": ["platform"]}],
    "inputs": [
        {
            "id": "web",
            "kind": "platform",
            "os": "MobileWeb",
            "name": "Acme web",
            "keys": [{"key": "us1-web-key", "secret": "s-web"}],
        },
        {
            "id": "ios",
            "kind": "platform",
            "os": "iOS",
            "name": "Acme iOS",
            "keys": [{"key": "us1-ios-key", "secret": "s-ios"}],
        },
        {
            "id": "crm",
            "kind": "feed",
            "name": "CRM feed",
            "keys": [{"key": "us1-crm-key", "secret": "s-crm"}],
        },
    ],
    "outputs": [
        {
            "id": "hook",
            "kind": "event",
            "module": "webhook",
            "name": "Analytics hook",
            "settings": {"url": "https://analytics.example.com/in"},
        },
        {
            "id": "lake",
            "kind": "event",
            "module": "file",
            "name": "Lake",
            "settings": {"url": "file:///srv/lake", "format": "ndjson"},
        },
    ],
    "connections": [
        {"id": "web-hook", "input": "web", "output": "hook", "active": True},
        {"id": "web-lake", "input": "web", "output": "lake", "active": True},
        {"id": "crm-lake", "input": "crm", "output": "lake", "active": True},
    ],
}


def shop(*changes: Change) -> Data:
    """Return the document with changes made to it."""
    data = copy.deepcopy(SHOP)
    for change in changes:
        change(data)
    return data


def setting(path: str, value: Any) -> Change:
    """Make a change: `outputs.0.settings.url` gets a value."""

    def change(data: Any) -> None:
        *parents, last = (int(part) if part.isdigit() else part for part in path.split("."))
        for parent in parents:
            data = data.setdefault(parent, {}) if isinstance(data, dict) else data[parent]
        if isinstance(data, list) and last == len(data):
            data.append(value)
        else:
            data[last] = value

    return change


def load(
    data: object,
    folder: Path,
    environ: Mapping[str, str] | None = None,
    modules: Mapping[str, OutputModule] = ALL_MODULES,
    strategies: Collection[str] = STRATEGIES,
) -> WorkspaceDocument:
    """Write a document to a file and load it."""
    file = folder / "workspace.yaml"
    file.write_text(json.dumps(data), "utf-8")  # JSON is YAML
    return load_workspace(file, environ or {}, modules=modules, strategies=strategies)


def problems(data: object, folder: Path, environ: Mapping[str, str] | None = None) -> list[str]:
    """Return the lines of what is wrong with a document."""
    try:
        load(data, folder, environ)
    except ConfigError as error:
        return error.lines()
    return []


def compiled(folder: Path, *changes: Change) -> tuple[WorkspaceDocument, Numbers]:
    """Return a changed document, and the first numbers of its objects."""
    document = load(shop(*changes), folder)
    return document, assign_numbers(document, Numbers())
