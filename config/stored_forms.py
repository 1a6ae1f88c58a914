"""Takes workspace documents that earlier versions of this program have stored.

A document that was served once is served by every later version: a data folder that is started
with a new version cannot be edited first. Whoever changes the document so that one that was right
would be refused adds a step here, which makes the new form of the old one; steps stay, as nobody
knows how old a folder is. What was stored is not written for that: the next change of a document
stores all of it in the form of now. Files are not taken in an earlier form, as their authors can
mend them.
"""

import logging
from collections.abc import Callable, Collection
from typing import Any

from actors.model.workspaces import ENVIRONMENTS
from actors.outputs.identity_types import types_of_members, types_of_users
from actors.outputs.postgres_dsn import check_dsn
from actors.outputs.storage_kinds import check_options, check_url
from actors.outputs.web_urls import web_url
from config.merging import Data
from config.outputs import merged

logger = logging.getLogger("headwater.configuration")

_URLS = (
    "url",
    "registration_url",
    "event_url",
    "audience_url",
    "dsr_url",
    "pixel_url",
    "redirect_url",
)

# Changes a document in place; one that has the new form already stays as it is.
_Step = Callable[[Data], None]


def in_form_of_now(stored: Data) -> Data:
    """Return a document that was stored by this version or an earlier one, as this one takes it.

    Args:
        stored: as it was stored; may be changed.
    """
    for step in _STEPS:
        step(stored)
    return stored


def _several_former_secrets(stored: Data) -> None:
    """A credential had one `former_secret` before it could have several."""
    for credential in stored.get("api_credentials", []):
        former: Any = credential.pop("former_secret", None)
        if former is not None:
            credential["former_secrets"] = [former]


def _storages_past_the_egress_rules(stored: Data) -> None:
    """Files could go wherever fsspec can reach. Outputs that send them to such places are off."""

    def check(settings: Data) -> None:
        check_url(settings["url"])
        check_options(settings["url"], settings.get("storage_options", {}))

    _turn_off(stored, ("file", "audience_csv"), check, "storage")


def _ports_that_there_cannot_be(stored: Data) -> None:
    """A URL could have any port. Outputs that send to such a one, in vain, are off."""

    def check(settings: Data) -> None:
        for name in _URLS:
            if settings.get(name) is not None:
                web_url(settings[name])

    _turn_off(stored, ("webhook", "segment_relay", "firehose", "pixel"), check, "url")


def _options_of_postgres(stored: Data) -> None:
    """Most of what libpq knows could be in a DSN. Outputs that have what is refused now are off."""
    _turn_off(stored, ("warehouse_postgres",), lambda settings: check_dsn(settings["dsn"]), "dsn")


def _turn_off(
    stored: Data, modules: Collection[str], check: Callable[[Data], None], what: str
) -> None:
    """Turn outputs off in those environments where a check of their settings raises ValueError."""
    for output in stored.get("outputs", []):
        if output["module"] not in modules:
            continue
        for name in ENVIRONMENTS:
            there = output.get("environments", {}).get(name, {})
            if not there.get("enabled", True):
                continue
            try:
                check(merged(output.get("settings", {}), there.get("settings", {})))
            except ValueError as problem:
                output.setdefault("environments", {})[name] = there | {"enabled": False}
                logger.error(
                    "an output is off until its %s is mended: %s",
                    what,
                    problem,
                    extra={
                        "event": f"{what}_refused",
                        "output": output["id"],
                        "environment": name,
                    },
                )


def _raw_feeds_of_warehouses(stored: Data) -> None:
    """A warehouse could be sent events as they came in, of which it has never loaded any."""
    outputs = [
        each for each in stored.get("outputs", []) if each["module"].startswith("warehouse_")
    ]
    names = {each["id"] for each in outputs}
    connections = [each for each in stored.get("connections", []) if each["output"] in names]
    for settings in (
        *(each.get("connection_defaults", {}) for each in outputs),
        *(each.get("settings", {}) for each in connections),
    ):
        settings.pop("raw_data_feed", None)


def _identities_that_nobody_has(stored: Data) -> None:
    """Any identity type could be named. Outputs that name none that there is are off."""
    for output in stored.get("outputs", []):
        known = {"audience_csv": types_of_members, "redis_profile": types_of_users}.get(
            output["module"]
        )
        if known is None:
            continue
        environments = output.get("environments", {})
        everywhere = output.get("settings", {})
        own = {name: environments.get(name, {}).get("settings", {}) for name in ENVIRONMENTS}
        for name in ENVIRONMENTS:
            given = own[name].get("identities", everywhere.get("identities"))
            if given is not None and not any(_is_known(each, known) for each in given):
                there = output.setdefault("environments", {}).get(name, {})
                output["environments"][name] = there | {"enabled": False}
                logger.error(
                    "an output is off until its identities are mended",
                    extra={
                        "event": "identities_refused",
                        "output": output["id"],
                        "environment": name,
                    },
                )
        for settings in (everywhere, *own.values()):
            left = [each for each in settings.get("identities", ()) if _is_known(each, known)]
            if left:
                settings["identities"] = left


def _texts_of_data_points(stored: Data) -> None:
    """Calculated attributes could have a number where the name of an event or attribute belongs."""
    for attribute in stored.get("calculated_attributes", []):
        for name in ("datapoint", "data_point"):
            point = attribute["definition"].get(name)
            for member in ("event_name", "attribute_name"):
                if isinstance(point, dict) and not isinstance(point.get(member), str | None):
                    point[member] = str(point[member])


def _is_known(name: str, known: Callable[[list[str]], tuple[str, ...]]) -> bool:
    try:
        known([name])
    except ValueError:
        return False
    return True


# In the order in which they came.
_STEPS: tuple[_Step, ...] = (
    _several_former_secrets,
    _storages_past_the_egress_rules,
    _raw_feeds_of_warehouses,
    _identities_that_nobody_has,
    _texts_of_data_points,
    _ports_that_there_cannot_be,
    _options_of_postgres,
)
