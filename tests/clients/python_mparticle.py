"""An application that uses mParticle's SDK and sends again what failed, so that nothing is lost.

KEY, SECRET, HOST, USER_ID and COUNT come from the environment. The last line it prints is JSON: the
status of each failure, null where there was no answer.
"""

import json
import os
import warnings
from typing import Any

from tests.clients.programs import PATIENCE_S
from tests.serving import eventually

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # of the SDK's own making
    import mparticle
    from mparticle.rest import ApiException


def failure(api: Any, batch: Any) -> list[int | None]:
    """Upload a batch; return the status of its failure, if it fails."""
    try:
        api.upload_events(batch)
    except ApiException as refused:
        return [refused.status]
    except Exception:  # of the library below, when there is no answer
        return [None]
    return []


def main() -> None:
    user = os.environ["USER_ID"]
    configuration = mparticle.Configuration()
    configuration.api_key, configuration.api_secret = os.environ["KEY"], os.environ["SECRET"]
    configuration.host = os.environ["HOST"] + "/v2"
    api = mparticle.EventsApi(configuration)
    told: list[int | None] = []

    def is_uploaded(batch: Any) -> bool:
        failed = failure(api, batch)
        told.extend(failed)
        return not failed

    for number in range(int(os.environ["COUNT"])):
        batch = mparticle.Batch()
        batch.source_request_id = f"{user}-{number}"
        batch.user_identities = mparticle.UserIdentities(customerid=user)
        batch.events = [mparticle.AppEvent(f"E{number}", "other")]
        eventually(lambda batch=batch: is_uploaded(batch), bool, PATIENCE_S)  # type: ignore[misc]
    print(json.dumps(told))


if __name__ == "__main__":
    main()
