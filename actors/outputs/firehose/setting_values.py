"""Values of the settings that a module registers (spec/connections.md, 4.2).

Documents may write them as what they are, or as texts; messages carry texts.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pydantic import SecretStr

from actors.outputs.firehose.registration import (
    AnySetting,
    BooleanSetting,
    NumberSetting,
    TextSetting,
)

SHOWN_CHARACTERS = 4
MASK = "*" * 11
_BOOLEANS = {"true": True, "false": False}


def value_problems(
    settings: Sequence[AnySetting], values: Mapping[str, Any]
) -> Iterator[tuple[str, str]]:
    """List what is wrong with values: id of the setting, and the problem.

    Hidden settings need no value: the module gives it itself.
    """
    known = {each.id: each for each in settings}
    for name in values:
        if name not in known:
            yield name, "the module has no such setting"
    for each in settings:
        value = plain(values.get(each.id))
        if value is None:
            is_required = getattr(each, "required", False) and each.visible
            if is_required and getattr(each, "default_value", None) is None:
                yield each.id, "is required"
        else:
            problem = _problem(each, value)
            if problem is not None:
                yield each.id, problem


def sent_values(settings: Sequence[AnySetting], values: Mapping[str, Any]) -> dict[str, str]:
    """Return values as messages carry them, those that are not given from their defaults."""
    found: dict[str, str] = {}
    for each in settings:
        value = plain(values.get(each.id))
        if value is None:
            value = each.default_value
            if value is None and isinstance(each, BooleanSetting):
                value = each.checked
        if value is not None:
            found[each.id] = _text(each, value)
    return found


def shown_values(settings: Sequence[AnySetting], values: Mapping[str, Any]) -> dict[str, Any]:
    """Return values as they may be shown: of confidential ones the end alone."""
    confidential = {
        each.id for each in settings if isinstance(each, TextSetting) and each.confidential
    }
    found = {name: plain(value) for name, value in values.items()}
    return {
        name: _masked(str(value)) if name in confidential and value is not None else value
        for name, value in found.items()
    }


def plain(value: Any) -> Any:
    """Return a value that may have been kept as a secret."""
    return value.get_secret_value() if isinstance(value, SecretStr) else value


def _masked(text: str) -> str | None:
    # Of a short secret, four characters would be too much of it.
    if len(text) < 3 * SHOWN_CHARACTERS:
        return None
    return MASK + text[-SHOWN_CHARACTERS:]


def _problem(setting: AnySetting, value: Any) -> str | None:
    if isinstance(setting, BooleanSetting):
        is_one = isinstance(value, bool) or (isinstance(value, str) and value in _BOOLEANS)
        return None if is_one else "must be true or false"
    if isinstance(setting, TextSetting):
        if not isinstance(value, str):
            return "must be a text"
        return "is required" if setting.required and not value else None
    return _number_problem(setting, value)


def _number_problem(setting: NumberSetting, value: Any) -> str | None:
    kind = "an integer" if setting.type == "integer" else "a number"
    try:
        number = float(value)
    except (TypeError, ValueError):
        return f"must be {kind}"
    if isinstance(value, bool) or (setting.type == "integer" and not number.is_integer()):
        return f"must be {kind}"
    if setting.min_value is not None and number < setting.min_value:
        return f"must be at least {setting.min_value:g}"
    if setting.max_value is not None and number > setting.max_value:
        return f"must be at most {setting.max_value:g}"
    return None if number == number else f"must be {kind}"  # NaN


def _text(setting: AnySetting, value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(setting, NumberSetting) and not isinstance(value, str):
        is_whole = setting.type == "integer" or float(value).is_integer()
        return str(int(value)) if is_whole else repr(float(value))
    return str(value)
