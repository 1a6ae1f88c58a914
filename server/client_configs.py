"""What client SDKs are told when they start (spec/clients.md, 4.2 and 5.2)."""

from collections.abc import Mapping
from hashlib import sha256
from typing import Any

from actors.model.workspaces import Environment
from config.client_plans import client_plan
from config.cookie_sync import Pixel
from server.edge_config import EdgeConfig, KeyInfo
from server.limits import DAY_MS
from server.parameters import is_int64

NO_PLAN = "The data plan is not known, or no version of it that was asked for is active."


def workspace_token(workspace_id: str) -> str:
    """Return what clients call the storage of a workspace; it must never change."""
    return sha256(f"workspace_token:{workspace_id}".encode()).hexdigest()[:8].upper()


def data_plan_result(
    config: EdgeConfig, query: Mapping[str, str], environment: Environment
) -> dict[str, Any] | None:
    """Return what is told of the plan that a query asks for, `None` if it asks for none.

    Source: spec/data-plans.md, 8.
    """
    plan_id = query.get("plan_id")
    if not plan_id:
        return None
    version = query.get("plan_version", "")
    number = int(version) if is_int64(version) else None
    found = client_plan(config.plans, plan_id, number, environment)
    return {"error_message": NO_PLAN} if found is None else found


def web_config(
    config: EdgeConfig, key: KeyInfo, environment: Environment, query: Mapping[str, str]
) -> dict[str, Any]:
    """Return the configuration of the web SDK, which takes flags as texts."""
    sdks = config.client_sdks
    return {
        "appName": key.input_name,
        "serviceUrl": "",
        "secureServiceUrl": "",
        "minWebviewBridgeVersion": 2,
        "workspaceToken": workspace_token(config.workspace_slug),
        "kitConfigs": [],
        "pixelConfigs": list(map(_pixel_config, config.pixels.get((key.input, environment), ()))),
        "dataPlanResult": data_plan_result(config, query, environment),
        "flags": {
            "eventsV3": "100",
            "eventBatchingIntervalMillis": str(sdks.event_batching_interval_ms),
            "offlineStorage": "100",
            "reportBatching": False,
            "directURLRouting": "False",
            "cacheIdentity": str(sdks.cache_identity),
            "audienceAPI": str(config.has_client_audience_api),
            "astBackgroundEvents": "True",
            "captureIntegrationSpecificIds": "False",
            "captureIntegrationSpecificIds.V2": "none",
        },
    }


def _pixel_config(pixel: Pixel) -> dict[str, Any]:
    """Return an image as the web SDK takes it (spec/connections.md, 8)."""
    members: dict[str, Any] = {
        "name": pixel.name,
        "moduleId": pixel.module,
        "esId": pixel.connection,
        "isDebug": "development" in pixel.environments,
        "isProduction": "production" in pixel.environments,
        "settings": {},
        "frequencyCap": pixel.frequency_cap_days,
        "pixelUrl": pixel.pixel_url,
        "redirectUrl": pixel.redirect_url,
    }
    if pixel.purposes:
        members["filteringConsentRuleValues"] = {
            "includeOnMatch": pixel.includes,
            "values": [
                {"consentPurpose": purpose, "hasConsented": has_consented}
                for purpose, has_consented in pixel.purposes
            ],
        }
    return members


def native_config(
    config: EdgeConfig, environment: Environment, query: Mapping[str, str]
) -> dict[str, Any]:
    """Return the configuration of the native SDKs, without what is different in every answer."""
    sdks = config.client_sdks
    alias_days = config.identity.alias_window_ms // DAY_MS
    members: dict[str, Any] = {
        "dt": "ac",
        "dbg": False,
        "wst": workspace_token(config.workspace_slug),
        "cue": "appdefined",
        "oo": False,
        "stl": sdks.session_timeout_s,
        "uitl": sdks.upload_interval_s,
        "eks": [],
        "dur": False,
        "flags": {"AudienceAPI": "True"} if config.has_client_audience_api else {},
        "alias_max_window": alias_days,
        "amw": alias_days,
        "pio": 30,
        "crml": 1_024_000,
        "dpr": data_plan_result(config, query, environment),
    }
    return {name: value for name, value in members.items() if value is not None}
