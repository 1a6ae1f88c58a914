"""Who may ask what: every endpoint of an edge's port, by what its caller has to have.

A new endpoint needs a row here. What each guard answers to whom: `tests/whole/test_access.py`.
"""

from collections.abc import Iterator

# By name of the guard, which is a task where one decides; each row is a method and a path as in its
# route, `~` for a workspace's.
WORKSPACE = "/platform/v2/workspaces/{workspace}"
GUARDS = {
    "input": """
        POST /v2/events
        POST /v2/bulkevents
        POST /v2/bulkevents/historical
        POST /userprofile/experimental/bulkdelete
        GET /userprofile/experimental/bulkdelete/{request_id}
    """,
    "identity": """
        POST /v1/identify
        POST /v1/login
        POST /v1/logout
        POST /v1/search
        POST /identity/v1/identify
        POST /v1/{mpid}/modify
    """,
    "writer": """
        POST /v1/batch
        POST /v1/import
        POST /v1/b
        POST /v1/track
        POST /v1/t
        POST /v1/page
        POST /v1/p
        POST /v1/screen
        POST /v1/s
        POST /v1/group
        POST /v1/g
        POST /v1/alias
        POST /v1/a
        POST /segment/v1/identify
        POST /v1/i
        GET /sourceConfig
        POST /beacon/v1/batch
    """,
    "workspace key": """
        POST /v2/calculatedattributes
        POST /v2/bulkcalculatedattributes
    """,
    "requests' key": """
        POST /v1/opengdpr_requests
        GET /v1/opengdpr_requests
        GET /v1/opengdpr_requests/{id}
        DELETE /v1/opengdpr_requests/{id}
        POST /v2/requests
        GET /v2/requests
        GET /v2/requests/{id}
        DELETE /v2/requests/{id}
        POST /v3/requests
        GET /v3/requests
        GET /v3/requests/{id}
        DELETE /v3/requests/{id}
    """,
    "nobody": """
        GET /v1/discovery
        GET /v2/discovery
        GET /v3/discovery
        GET /gdpr/opengdpr_cert.pem
        GET /dsr/opendsr_cert.pem
        GET /v1/opengdpr_requests/{id}/results
        GET /v2/requests/{id}/results
        GET /v3/requests/{id}/results
        POST /oauth/token
        GET /healthz
        GET /readyz
        GET /startupz
        GET /version
        GET /openapi.json
        POST /v1/m
        GET /pixel/v1/track
        GET /pixel/v1/page
        GET /v1/cookiesync/{module}
        GET /userprofile/v1/resolve/{org}/{account}/{workspace}
    """,
    "web key in path": """
        POST /v3/JS/{key}/events
        POST /v1/JS/{key}/Forwarding
        POST /v2/JS/{key}/Forwarding
        GET /v1/{key}/Pixel
    """,
    "page key in path": """
        GET /JS/v2/{key}/config
        GET /JS/v2/{key}/mparticle.js
    """,
    "app key in path": """
        GET /v4/{key}/config
        POST /v2/{key}/events
    """,
    "identity key in path": """
        POST /v1/identity/{api_key}/Alias
    """,
    "identity_settings:view": """
        GET /platform/identity/{scope}/config
    """,
    "workspace changer": """
        PUT ~
    """,
    "privacy:settings": """
        GET ~/dsr/{id}/report
    """,
    "roles reader": """
        GET /platform/v2/organizations/{org}/accounts/{account}/tasks
        GET /platform/v2/organizations/{org}/accounts/{account}/roles
    """,
    "roles changer": """
        PUT /platform/v2/organizations/{org}/accounts/{account}/roles
    """,
    "user_management:view": """
        GET /v1/users
        GET /v1/users/{user}
    """,
    "user:core": """
        GET ~
        GET ~/modules
        GET ~/modules/{module}
    """,
    "profile": """
        POST /userprofile/v1/resolve/{org}/{account}/{workspace}
        GET /userprofile/v1/{org}/{account}/{workspace}/{mpid}
        POST /userprofile/v1/{org}/{account}/{workspace}/{mpid}
    """,
    "any key in path": """
        GET /v1/{key}/audience
    """,
    "connections:view": """
        GET ~/config
        GET ~/config/ids
        GET ~/config/revisions
        GET ~/config/revisions/{revision}
        GET ~/inputs
        GET ~/inputs/{input}
        GET ~/outputs
        GET ~/outputs/{output}
        GET ~/output-connections
        GET ~/output-connections/{connection}
        GET ~/output-connections/{connection}/queue
        GET ~/output-connections/{connection}/dlq
        GET ~/output-connections/{connection}/dlq/export
        GET ~/output-connections/{connection}/dlq/{delivery}
    """,
    "data_filter:view": """
        GET ~/outputs/{output}/filter
        GET ~/outputs/{output}/filter/datapoints
    """,
    "calculated_attributes:view": """
        GET /platform/workspaces/{workspace}/groups
        GET /platform/workspaces/{workspace}/groups/{group}
        GET /platform/workspaces/{workspace}/groups/{group}/members
        GET /platform/experimental/workspaces/{workspace}/groups
        GET /platform/experimental/workspaces/{workspace}/groups/{group}
        GET /platform/experimental/workspaces/{workspace}/groups/{group}/members
        GET ~/calculatedattributes
        POST ~/calculatedattributes/preview
        GET ~/calculatedattributes/{calculated_attribute}
        GET ~/calculatedattributes/{calculated_attribute}/activation
        GET ~/calculatedattributes/{calculated_attribute}/calculation
        GET ~/predictions
        GET ~/predictions/{prediction}
        GET ~/predictions/{prediction}/distribution
        GET ~/predictions/{prediction}/distribution/size-at
    """,
    "connections:configure_inputs": """
        POST ~/inputs
        PUT ~/inputs/{input}
        DELETE ~/inputs/{input}
        POST ~/inputs/{input}/keys
        DELETE ~/inputs/{input}/keys/{which}
    """,
    "connections:configure_outputs": """
        POST ~/outputs
        PUT ~/outputs/{output}
        DELETE ~/outputs/{output}
        POST ~/outputs/{output}/test
        POST ~/outputs/{output}/registration
        GET ~/outputs/{output}/oauth/start
        GET ~/outputs/{output}/oauth/callback
    """,
    "data_filter:*": """
        PUT ~/outputs/{output}/filter
        POST ~/outputs/{output}/filter/copy
    """,
    "connections:connect_integration": """
        POST ~/output-connections
        PUT ~/output-connections/{connection}
        DELETE ~/output-connections/{connection}
        POST ~/output-connections/{connection}/activation
        DELETE ~/output-connections/{connection}/activation
        POST ~/output-connections/{connection}/resume
        DELETE ~/output-connections/{connection}/queue
        POST ~/output-connections/{connection}/dlq/replay
        DELETE ~/output-connections/{connection}/dlq
        DELETE ~/output-connections/{connection}/dlq/{delivery}
        POST ~/output-connections/{connection}/preview
    """,
    "calculated_attributes:*": """
        POST /platform/workspaces/{workspace}/groups
        PUT /platform/workspaces/{workspace}/groups/{group}
        DELETE /platform/workspaces/{workspace}/groups/{group}
        POST /platform/workspaces/{workspace}/groups/{group}/run
        POST /platform/experimental/workspaces/{workspace}/groups
        PUT /platform/experimental/workspaces/{workspace}/groups/{group}
        DELETE /platform/experimental/workspaces/{workspace}/groups/{group}
        POST /platform/experimental/workspaces/{workspace}/groups/{group}/run
        POST ~/calculatedattributes
        PUT ~/calculatedattributes/{calculated_attribute}
        DELETE ~/calculatedattributes/{calculated_attribute}
        POST ~/calculatedattributes/{calculated_attribute}/activation
        DELETE ~/calculatedattributes/{calculated_attribute}/activation
        DELETE ~/calculatedattributes/{calculated_attribute}/draft
        POST ~/predictions
        PATCH ~/predictions/{prediction}
        DELETE ~/predictions/{prediction}
        POST ~/predictions/{prediction}/activate
        POST ~/predictions/{prediction}/deactivate
        POST ~/predictions/{prediction}/scores
    """,
    "identity_settings:*": """
        PUT /platform/identity/{scope}/config
    """,
    "user_activity:view": """
        GET /platform/workspaces/{workspace}/users/{mpid}/groups
        GET /platform/experimental/workspaces/{workspace}/users/{mpid}/groups
        GET ~/predictions/{prediction}/users/{mpid}
        GET /platform/identity/{scope}/aliases
        GET /platform/identity/{scope}/{environment}/lookup
        POST /platform/identity/{scope}/{environment}/explain
        GET /platform/identity/{scope}/{environment}/mpids/{mpid}
        GET /platform/identity/{scope}/{environment}/mpids/{mpid}/history
        GET ~/users/search
        GET ~/users/{mpid}
        GET ~/users/{mpid}/events
    """,
    "identities changer": """
        POST /platform/identity/{scope}/{environment}/mpids/{mpid}/undo
    """,
    "user_management:*": """
        POST /v1/users
        PUT /v1/users/{user}
        DELETE /v1/users/{user}
        GET /platform/v2/accounts/{account}/audit-logs
    """,
    "api_credentials:*": """
        GET /platform/v2/organizations/{org}/accounts/{account}/credentials
        POST /platform/v2/organizations/{org}/accounts/{account}/credentials
        GET /platform/v2/organizations/{org}/accounts/{account}/credentials/{client}
        PATCH /platform/v2/organizations/{org}/accounts/{account}/credentials/{client}
        DELETE /platform/v2/organizations/{org}/accounts/{account}/credentials/{client}
        POST /platform/v2/organizations/{org}/accounts/{account}/credentials/{client}/rotate
    """,
    "all of a document": """
        PUT ~/config
        POST ~/config/revisions/{revision}/rollback
    """,
    "audiences:view": """
        POST ~/audiences/estimate
        POST ~/audiences/evaluate
        GET ~/audiences/{audience}/members
        GET ~/audiences/{audience}/members/{mpid}
        GET ~/audiences/{audience}/members/{mpid}/explanation
        POST ~/audiences/{audience}/dry-run
        GET ~/audiences/{audience}/download/{download}
        GET ~/audiences
        GET ~/audiences/costs
        GET ~/audiences/{audience}
        GET ~/audiences/{audience}/abtest
        GET ~/audiences/{audience}/subscriptions
        GET ~/audiences/{audience}/subscriptions/{subscription}
        GET ~/audiences/{audience}/sharing
        GET /platform/v2/accounts/{account}/audience-sharing
        GET ~/journeys
        GET ~/journeys/{journey}
        GET /v1/audiences
        GET /v1/workspace/{workspace}/audiences
    """,
    "audiences:*": """
        PUT ~/audiences/{audience}/members
        POST ~/audiences/{audience}/download
        GET ~/audiences/{audience}/download/{download}/file
        POST ~/audiences
        POST ~/audiences/calculate
        PUT ~/audiences/{audience}
        DELETE ~/audiences/{audience}
        POST ~/audiences/{audience}/activation
        DELETE ~/audiences/{audience}/activation
        POST ~/audiences/{audience}/clone
        POST ~/audiences/{audience}/send
        POST ~/audiences/{audience}/abtest
        DELETE ~/audiences/{audience}/abtest
        POST ~/audiences/{audience}/subscriptions
        PUT ~/audiences/{audience}/subscriptions/{subscription}
        DELETE ~/audiences/{audience}/subscriptions/{subscription}
        POST ~/audiences/{audience}/subscriptions/{subscription}/resume
        POST ~/outputs/{output}/connect-audiences
        PUT ~/audiences/{audience}/sharing
        POST ~/audiences/{audience}/sharing/requests
        PUT /platform/v2/accounts/{account}/audience-sharing
        POST ~/journeys
        PUT ~/journeys/{journey}
        DELETE ~/journeys/{journey}
        POST ~/journeys/{journey}/milestones
        PUT ~/journeys/{journey}/milestones/{milestone}
        DELETE ~/journeys/{journey}/milestones/{milestone}
        DELETE /v1/audiences/{audience}
    """,
    "plans reader": """
        GET ~/plans
        POST ~/plans/validate
        GET ~/plans/{plan}
        GET ~/plans/{plan}/versions/{version}
    """,
    "plans changer": """
        POST ~/plans
        PATCH ~/plans/{plan}
        DELETE ~/plans/{plan}
        POST ~/plans/{plan}/versions
        PATCH ~/plans/{plan}/versions/{version}
        DELETE ~/plans/{plan}/versions/{version}
    """,
    "write key in path": """
        GET /v1/projects/{write_key}/settings
    """,
}


def rows() -> Iterator[tuple[str, str, str]]:
    """Yield (method, path, guard)."""
    for guard, text in GUARDS.items():
        for row in text.split("\n"):
            if row.strip():
                method, path = row.split()
                yield method, path.replace("~", WORKSPACE), guard
