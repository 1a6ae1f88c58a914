"""Random events and the batches that bring them, in the form in which the log gives them back."""

from random import Random
from typing import Any

from actors.model.batches import Batch, Event, StoredBatch
from actors.model.workspaces import WorkspaceInfo
from tests.oracle.audiences.fixture import DAY, HOUR
from tests.oracle.audiences.vocabulary import (
    ACTIONS,
    EVENT_NAMES,
    INPUTS,
    NUMBERS,
    SCREENS,
    WORDS,
    chance,
    make_date_text,
    recased,
)

_KINDS = (
    *(("custom_event",) * 8),
    *(("commerce_event",) * 5),
    *("screen_view", "session_start", "session_end", "application_state_transition"),
    *("push_message", "crash_report", "uninstall", "first_run"),
)
_QUARTERS = (0.25, 0.5, 5, 10, 20.25, -3, 0)  # sums of them are exact in any order
_QUANTITIES = (1, 2, 3, 0, -1, 0.5)


class Events:
    """Makes the events of users.

    Args:
        moments: instants at which an event is most interesting, none later than now.
        spans: after another event an event is most interesting after one of them.
        now_ms: when everything has been received.
    """

    def __init__(
        self,
        randomness: Random,
        moments: tuple[int, ...],
        spans: tuple[int, ...],
        now_ms: int,
        workspace: WorkspaceInfo,
    ) -> None:
        self._randomness = randomness
        self._moments = moments
        self._spans = spans
        self._latest_ms = now_ms
        self._now_ms = now_ms
        self._workspace = workspace
        self._ids = 0

    def batches(self, mpid: int) -> list[StoredBatch]:
        """Return a user's stored batches in the order of the store, with their chains."""
        randomness = self._randomness
        drafts = [self._batch() for _ in range(randomness.choice((0, 1, 2, 3, 4, 6, 8)))]
        drafts.sort(key=lambda each: each[0])
        stored: list[StoredBatch] = []
        newest = {False: 0, True: 0}
        for received_ms, batch in drafts:
            self._ids += 1
            is_historical = chance(randomness, 0.1)
            stored.append(
                StoredBatch(
                    log_id=self._ids,
                    previous_log_id=newest[is_historical],
                    workspace=self._workspace.number,
                    scope=self._workspace.scope,
                    mpid=mpid,
                    input=randomness.choice(INPUTS),
                    received_ms=received_ms,
                    channel="server_to_server",
                    is_historical=is_historical,
                    device_key=None,
                    batch=batch,
                )
            )
            newest[is_historical] = self._ids
        return stored

    def moment(self) -> int:
        """Return an instant in the past, often at a border of a window."""
        randomness = self._randomness
        if self._moments and chance(randomness, 0.6):
            return randomness.choice(self._moments)
        return (
            self._now_ms
            - randomness.choice((HOUR, DAY, 7 * DAY, 33 * DAY))
            * randomness.randint(0, 1000)
            // 1000
        )

    def _time(self) -> int:
        """Return the time of the next event: any, or some span after the one before."""
        randomness = self._randomness
        after_ms = self._latest_ms + randomness.choice(self._spans) + randomness.randint(-1, 1)
        is_related = chance(randomness, 0.4) and after_ms <= self._now_ms
        self._latest_ms = after_ms if is_related else self.moment()
        return self._latest_ms

    def _batch(self) -> tuple[int, Batch]:
        randomness = self._randomness
        events = [self._event() for _ in range(randomness.choice((0, 1, 1, 2, 3)))]
        latest_ms = max((event.timestamp_ms for event in events), default=self.moment())
        delay_ms = randomness.choice((0, 0, 0, 1, 1000, HOUR, 3 * DAY, 40 * DAY))
        if chance(randomness, 0.1):
            delay_ms = -randomness.choice((1, HOUR, DAY))  # from the future
        received_ms = min(self._now_ms, latest_ms + delay_ms)
        batch = Batch("production", received_ms, events)
        if chance(randomness, 0.4):
            batch.device_info = {"platform": randomness.choice(("iOS", "Android"))}
            batch.application_info = {"application_version": randomness.choice(("17.2", "9"))}
        return received_ms, batch

    def _event(self) -> Event:
        randomness = self._randomness
        kind = randomness.choice(_KINDS)
        at_ms = self._time()
        body: dict[str, Any] = {"timestamp_unixtime_ms": at_ms, **self._data(kind)}
        if chance(randomness, 0.5):
            body["session_id"] = randomness.randint(1, 3)
        if kind != "commerce_event" or chance(randomness, 0.3):
            body["custom_attributes"] = self._attributes()
        if chance(randomness, 0.2):
            body["location"] = {"latitude": 34, "longitude": -118.5}
        self._ids += 1
        return Event(kind, at_ms, body, self._ids)

    def _attributes(self) -> dict[str, str | None]:
        randomness = self._randomness
        found: dict[str, str | None] = {}
        if chance(randomness, 0.7):
            words: tuple[str | None, ...] = (*WORDS[:8], None, "18")
            kind = randomness.choice(words)
            found["kind"] = None if kind is None else recased(randomness, kind)
        if chance(randomness, 0.6):
            found["n"] = randomness.choice((*NUMBERS[:8], None, "n/a", ""))
        if chance(randomness, 0.4):
            found["due"] = make_date_text(randomness, self.moment())
        return found

    def _data(self, kind: str) -> dict[str, Any]:
        randomness = self._randomness
        match kind:
            case "custom_event":
                type_ = randomness.choice(("other", "other", "search"))
                name = randomness.choice(EVENT_NAMES)
                return {"event_name": name, "custom_event_type": type_}
            case "commerce_event":
                return self._commerce()
            case "screen_view":
                named = chance(randomness, 0.8)
                return {"screen_name": randomness.choice(SCREENS)} if named else {}
            case "session_end":
                return {"session_duration_ms": randomness.choice((10, 18, 34))}
            case "application_state_transition":
                return {
                    "application_transition_type": "application_initialized",
                    "is_first_run": chance(randomness, 0.5),
                    "is_upgrade": chance(randomness, 0.3),
                    "successfully_closed": False,
                }
            case "push_message":
                return {"push_message_type": "received", "message": "gold"}
            case "crash_report":
                return {"severity": randomness.choice(("gold", "red"))}
        return {}

    def _commerce(self) -> dict[str, Any]:
        randomness = self._randomness
        shown: dict[str, Any] = {"is_non_interactive": False}
        if chance(randomness, 0.3):
            shown["currency_code"] = randomness.choice(("gold", "premium"))
        products = [self._product() for _ in range(randomness.choice((0, 1, 2, 2)))]
        choice = randomness.randint(0, 9)
        if choice == 0:
            promotions = [
                {"id": randomness.choice(WORDS[:4]), "position": randomness.choice(NUMBERS[:2])}
                for _ in range(randomness.randint(0, 2))
            ]
            shown["promotion_action"] = {"action": "view", "promotions": promotions}
            shown["custom_event_type"] = "promotion_view"
        elif choice == 1:
            shown["product_impressions"] = [{"products": [one]} for one in products] or [{}]
            shown["custom_event_type"] = "impression"
        else:
            action = randomness.choice((*ACTIONS, "add_to_cart", "purchase"))
            shown["product_action"] = {"action": action, "products": products}
            if chance(randomness, 0.5):
                shown["product_action"]["total_amount"] = randomness.choice(_QUARTERS)
            derived = {"remove_from_wish_list": "remove_from_wishlist"}
            shown["custom_event_type"] = derived.get(action, action)
        return shown

    def _product(self) -> dict[str, Any]:
        randomness = self._randomness
        product: dict[str, Any] = {}
        for name in ("name", "brand"):
            if chance(randomness, 0.8):
                product[name] = recased(randomness, randomness.choice(WORDS))
        if chance(randomness, 0.8):
            product["price"] = randomness.choice(_QUARTERS)
        if chance(randomness, 0.6):
            product["quantity"] = randomness.choice(_QUANTITIES)
        if "price" in product:
            product["total_product_amount"] = product["price"] * product.get("quantity", 1)
        if chance(randomness, 0.4):
            product["custom_attributes"] = {"color": randomness.choice((*WORDS[:3], None, "10"))}
        return product
