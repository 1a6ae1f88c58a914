"""Calls Segment's or RudderStack's SDK: the first argument names it, the second says what to do.

KEY, HOST, USER_ID and COUNT come from the environment. The last line it prints is JSON: the errors
that the callback was told.
"""

import json
import os
import sys
from typing import Any

ORDER = {"order_id": "o1", "total": 21.0, "products": [{"product_id": "p", "quantity": 2}]}


def make_every_call(client: Any, user: str) -> None:
    anonymous = f"anonymous-{user}"
    traits = {"email": f"{user}@example.test", "firstName": "Ada", "plan": "pro"}
    client.identify(user, traits | {"address": {"city": "Turin"}})
    client.track(user, "Opened", {"n": 1})
    client.track(user, "Order Completed", ORDER)
    client.page(user, "Docs", "Pricing")
    client.screen(user, "Onboarding", "Main")
    client.group(user, "acme", {"size": 3})
    client.track(anonymous_id=anonymous, event="Visited")
    client.alias(anonymous, f"known-{user}")


def main(sdk: str, task: str) -> None:
    if sdk == "segment":
        from segment.analytics.client import Client
    else:
        from rudderstack.analytics.client import Client
    key, host, user = (os.environ[name] for name in ("KEY", "HOST", "USER_ID"))
    errors: list[str] = []
    client = Client(
        key, host=host, upload_size=10, on_error=lambda error, _: errors.append(str(error))
    )
    if task == "calls":
        make_every_call(client, user)
    else:
        for number in range(int(os.environ["COUNT"])):
            client.track(user, f"E{number}")
    client.flush()
    client.join()
    print(json.dumps(errors))


if __name__ == "__main__":
    main(*sys.argv[1:])
