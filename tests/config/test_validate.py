"""Rules across the objects of a document: every problem is found, and named by its path."""

from pathlib import Path
from typing import Any

import pytest

from tests.config.documents import ALL_MODULES, Change, problems, setting, shop

CASES = [
    pytest.param(
        [setting("connections.2.output", "bsu")],
        ["connections[2].output: no output with id 'bsu'"],
        id="spec example: unknown output",
    ),
    pytest.param(
        [setting("inputs.0.keys.0.key", "us1-ios-key")],
        [
            "inputs[0].keys[0].key: already used by input 'ios'",
            "inputs[1].keys[0].key: already used by input 'web'",
        ],
        id="spec example: key of another input",
    ),
    pytest.param(
        [setting("outputs.0.module", "kit_x"), setting("connections.2.output", "hook")],
        ["connections[2]: module 'kit_x' does not accept unbound feeds"],
        id="spec example: unbound feed",
    ),
    pytest.param(
        [
            setting("outputs.0.module", "mobile_x"),
            setting("connections.2", {"id": "crm-hook", "input": "crm", "output": "hook"}),
        ],
        [
            "connections[0]: module 'mobile_x' does not support platform 'MobileWeb'",
            "connections[2]: module 'mobile_x' does not accept unbound feeds",
        ],
        id="worked case 34, as a file",
    ),
    pytest.param(
        [setting("outputs.0.settings.urll", "https://x.example.com")],
        ["outputs[0].settings.urll: unknown key"],
        id="spec example: unknown key of module settings",
    ),
    pytest.param(
        [setting("outputs.0.retry", {"jitter": 1.5})],
        ["outputs[0].retry.jitter: must be between 0 and 1"],
        id="spec example: number out of bounds",
    ),
    pytest.param(
        [
            setting(
                "connections.0.settings", {"send_as_batch": True, "wait_for_complete_batch": True}
            )
        ],
        [
            "connections[0].settings: "
            "Send as Batch and Wait for Complete Batch cannot both be enabled."
        ],
        id="worked case 33, as a file",
    ),
    pytest.param(
        [setting("connections.0.input", "wbe")],
        ["connections[0].input: no input with id 'wbe'"],
        id="unknown input",
    ),
    pytest.param(
        [
            setting("outputs.0.module", "kit_x"),
            setting("connections.2.input", "calculated_attributes"),
            setting("connections.2.output", "hook"),
        ],
        ["connections[2]: module 'kit_x' does not accept the Calculated Attributes feed"],
        id="the calculated attributes feed, to a module that does not take it",
    ),
    pytest.param(
        [setting("inputs.2.id", "calculated_attributes")],
        [
            "inputs[2].id: 'calculated_attributes' is the built-in Calculated Attributes feed",
            "connections[2].input: no input with id 'crm'",
        ],
        id="an input of the feed's id",
    ),
    pytest.param(
        [setting("connections.2.input", "web")],
        [
            "connections[1]: input and output are already joined by connection 'crm-lake'",
            "connections[2]: input and output are already joined by connection 'web-lake'",
        ],
        id="two connections of one pair",
    ),
    pytest.param(
        [setting("outputs.1.id", "hook")],
        [
            "outputs[0].id: already used by another output",
            "outputs[1].id: already used by another output",
            "connections[1].output: no output with id 'lake'",
            "connections[2].output: no output with id 'lake'",
        ],
        id="one id twice",
    ),
    pytest.param(
        [setting("inputs.2.name", "ACME Web")],
        [
            "inputs[0].name: already used by input 'crm'",
            "inputs[2].name: already used by input 'web'",
        ],
        id="names differ in case only",
    ),
    pytest.param(
        [setting("inputs.0.number", 7), setting("inputs.1.number", 7)],
        [
            "inputs[0].number: already used by input 'ios'",
            "inputs[1].number: already used by input 'web'",
        ],
        id="one number twice",
    ),
    pytest.param(
        [setting("workspace.dsr_credentials.key", "us1-web-key")],
        [
            "inputs[0].keys[0].key: already used by dsr_credentials",
            "workspace.dsr_credentials.key: already used by input 'web'",
        ],
        id="the workspace's key is an input's",
    ),
    pytest.param(
        [
            setting(
                "api_credentials.1",
                {"client_id": "ops", "client_secret": "x", "apis": ["profile"]},
            )
        ],
        [
            "api_credentials[0].client_id: already used by another credential",
            "api_credentials[1].client_id: already used by another credential",
        ],
        id="one client id twice",
    ),
    pytest.param(
        [setting("outputs.0.module", "wbhook")],
        [f"outputs[0].module: no module 'wbhook'; there are {', '.join(sorted(ALL_MODULES))}"],
        id="unknown module",
    ),
    pytest.param(
        [setting("outputs.0.kind", "cookie_sync")],
        ["outputs[0].kind: module 'webhook' can be audience, dsr, event"],
        id="a kind that the module cannot be",
    ),
    pytest.param(
        [setting("outputs.0.settings.signing_secret", ["x"])],
        [
            "outputs[0].settings.signing_secret: must be a string",
            "outputs[0].settings.signing_secret[0]: "
            "must be whsec_ followed by the base64 of 24 to 64 bytes",
        ],
        id="module setting that can be written in two ways",
    ),
    pytest.param(
        [setting("outputs.0.settings", {})],
        ["outputs[0].settings.url: required"],
        id="module setting missing",
    ),
    pytest.param(
        [setting("outputs.0.environments.development.settings", {"timeout_s": "x"})],
        ["outputs[0].environments.development.settings.timeout_s: must be a number"],
        id="setting of one environment",
    ),
    pytest.param(
        [
            setting("outputs.0.use_same_settings", True),
            setting("outputs.0.environments.development.settings", {"timeout_s": 5}),
        ],
        [
            "outputs[0].use_same_settings: "
            "must be false where an environment has settings of its own"
        ],
        id="shared settings that are not shared",
    ),
    pytest.param(
        [setting("outputs.1.connection_defaults", {"send_everything": True})],
        ["outputs[1].connection_defaults.send_everything: unknown key"],
        id="connection defaults, told once and not per connection",
    ),
    pytest.param(
        [setting("outputs.0.retry", {"base": "10m", "cap": "5m"})],
        ["outputs[0].retry.base: must not be longer than cap"],
        id="retry base over cap",
    ),
    pytest.param(
        [setting("inputs.0.os", "Unknown")],
        [
            "inputs[0].os: a platform needs one of "
            "iOS, tvOS, Android, MobileWeb, Roku, Alexa, SmartTV, FireTV, Xbox"
        ],
        id="platform without a platform",
    ),
    pytest.param(
        [
            setting("inputs.0.module", "custom"),
            setting("inputs.0.is_debug", True),
            setting("inputs.0.partner", True),
        ],
        [
            "inputs[0].module: only a feed has a module",
            "inputs[0].partner: only a feed can be a partner's",
            "inputs[0].is_debug: only a feed can be forced to development",
        ],
        id="feed settings on a platform",
    ),
    pytest.param(
        [setting("workspace.retention", {"events_days": 60, "audience_event_days": 61})],
        ["workspace.retention.audience_event_days: must not exceed events_days, which is 60"],
        id="lookback over data retention",
    ),
    pytest.param(
        [setting("workspace.retention", {"profile_idle_days": 731})],
        ["workspace.retention.profile_idle_days: must not exceed events_days, which is 730"],
        id="profile lifetime over data retention",
    ),
    pytest.param(
        [setting("workspace.regulations.gdpr", {"purposes": ["Marketing", " marketing "]})],
        ["workspace.regulations.gdpr.purposes[1]: listed twice"],
        id="purposes that become equal",
    ),
    pytest.param(
        [
            setting("workspace.environments", ["production", "production"]),
            setting("workspace.partner_identities", ["Acme_Id", "Acme_Id"]),
            setting(
                "workspace.event_tiers.overrides",
                [{"event": "Beat", "tier": "connect"}, {"event": "Beat", "tier": "preserve"}],
            ),
        ],
        [
            "workspace.environments[1]: listed twice",
            "workspace.partner_identities[1]: listed twice",
            "workspace.event_tiers.overrides[1]: listed twice",
        ],
        id="entries listed twice",
    ),
]


@pytest.mark.parametrize(("changes", "expected"), CASES)
def test_a_contradiction_is_named_by_its_path(
    changes: list[Change], expected: list[str], tmp_path: Path
) -> None:
    """spec/connections.md, 1, 10 and worked case 33."""
    assert problems(shop(*changes), tmp_path) == expected


def test_a_document_without_contradictions_has_no_problems(tmp_path: Path) -> None:
    assert problems(shop(), tmp_path) == []


def test_all_problems_are_listed_at_once(tmp_path: Path) -> None:
    """A malformed part hides no other mistake, and references to it are no mistakes."""
    found = problems(
        shop(
            setting("version", 2),
            setting("inputs.0.colour", "red"),  # web: connections refer to it
            setting("inputs.1.keys.0.key", "short"),
            setting("outputs.0.settings.urll", "https://x.example.com"),
            setting("connections.2.output", "bsu"),
        ),
        tmp_path,
    )
    assert found == [
        "version: must be 1",
        "inputs[0].colour: unknown key",
        "inputs[1].keys[0].key: must be 8 to 128 characters of A-Z, a-z, 0-9, _ and -",
        "outputs[0].settings.urll: unknown key",
        "connections[2].output: no output with id 'bsu'",
    ]


@pytest.mark.parametrize(
    ("days", "expected"),
    [
        pytest.param(730, [], id="just inside"),
        pytest.param(
            731,
            ["workspace.retention.audience_event_days: must not exceed events_days, which is 730"],
            id="just outside",
        ),
    ],
)
def test_the_lookback_reaches_as_far_as_data_is_kept(
    days: int, expected: list[str], tmp_path: Path
) -> None:
    """spec/profiles.md, 6."""
    data = shop(setting("workspace.retention.audience_event_days", days))
    assert problems(data, tmp_path) == expected


def test_an_environment_that_is_switched_off_needs_no_settings(tmp_path: Path) -> None:
    data = shop(
        setting("outputs.0.settings", {}),
        setting("outputs.0.environments.production.settings", {"url": "https://p.example.com"}),
        setting("outputs.0.environments.development.enabled", False),
    )
    assert problems(data, tmp_path) == []


@pytest.mark.parametrize(
    "section",
    ["rules", "filters"],
)
def test_a_section_that_nothing_uses_is_refused(section: str, tmp_path: Path) -> None:
    empty: list[Any] = []
    assert problems(shop(setting(section, empty)), tmp_path) == [f"{section}: unknown key"]
