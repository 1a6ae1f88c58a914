"""Calls Segment's or RudderStack's SDK, which the first argument names: once for each message.

KEY, HOST and MESSAGES (see `messages.py`) come from the environment. The last line it prints is
JSON: the errors that the callback was told.
"""

import json
import os
import sys
from typing import Any


def call(client: Any, message: dict[str, Any]) -> None:
    user, name = message.get("userId"), message.get("name")
    match message["type"]:
        case "identify":
            client.identify(user, message["traits"])
        case "track":
            anonymous = message.get("anonymousId")
            client.track(user, message["event"], message.get("properties"), anonymous_id=anonymous)
        case "page":
            client.page(user, message["category"], name)
        case "screen":
            client.screen(user, name=name)
        case "group":
            client.group(user, message["groupId"], message["traits"])
        case "alias":
            client.alias(message["previousId"], user)


def main(sdk: str) -> None:
    if sdk == "segment":
        from segment.analytics.client import Client
    else:
        from rudderstack.analytics.client import Client
    errors: list[str] = []
    client = Client(
        os.environ["KEY"],
        host=os.environ["HOST"],
        upload_size=10,
        on_error=lambda error, _: errors.append(str(error)),
    )
    for message in json.loads(os.environ["MESSAGES"]):
        call(client, message)
    client.flush()
    client.shutdown()
    print(json.dumps(errors))


if __name__ == "__main__":
    main(*sys.argv[1:])
