"""An application that uses mParticle's SDK and sends again what failed, so that nothing is lost.

KEY, SECRET, HOST, USER_ID and COUNT come from the environment. The last line it prints is JSON: the
status of each failure, null where there was no answer.
"""

import json
import os
import time
import warnings

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # of the SDK's own making
    import mparticle
    from mparticle.rest import ApiException

PAUSE_S = 0.2


def main() -> None:
    user = os.environ["USER_ID"]
    configuration = mparticle.Configuration()
    configuration.api_key, configuration.api_secret = os.environ["KEY"], os.environ["SECRET"]
    configuration.host = os.environ["HOST"] + "/v2"
    api = mparticle.EventsApi(configuration)
    told: list[int | None] = []
    for number in range(int(os.environ["COUNT"])):
        batch = mparticle.Batch()
        batch.source_request_id = f"{user}-{number}"
        batch.user_identities = mparticle.UserIdentities(customerid=user)
        batch.events = [mparticle.AppEvent(f"E{number}", "other")]
        while True:
            try:
                api.upload_events(batch)
                break
            except ApiException as refused:
                told.append(refused.status)
            except Exception:  # of the library below, when there is no answer
                told.append(None)
            time.sleep(PAUSE_S)
    print(json.dumps(told))


if __name__ == "__main__":
    main()
