"""Bodies of data subject requests (spec/privacy.md, 3.2). Messages show no values."""

import json
import re
from collections.abc import Collection, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, Literal, cast, get_args
from urllib.parse import urlsplit

from actors.batches.identities import MAX_IDENTITY
from actors.outputs.egress import EgressRules
from actors.privacy.requests import RequestType, Submission, Version
from server.bodies import without_half_pairs
from server.dsr_problems import INVALID, invalid
from server.parameters import INT64_END, is_int64

DAY_MS = 24 * 3600 * 1000
MAX_GROUP = 150
MAX_CALLBACKS = 10
MAX_IDENTITIES: Mapping[Version, int] = {"1.0": 5000, "2.0": 5000, "3.0": 50}
MPID_ALONE = "If an mpid is provided, it must be the only identity in the request."

# Types that discovery lists, in its order, to their names in IDSync.
MAIN_TYPES: Mapping[str, str] = {
    "android_advertising_id": "android_aaid",
    "android_id": "android_uuid",
    "controller_customer_id": "customerid",
    "email": "email",
    "fire_advertising_id": "fire_aid",
    "ios_advertising_id": "ios_idfa",
    "ios_vendor_id": "ios_idfv",
    "microsoft_advertising_id": "microsoft_aid",
    "microsoft_publisher_id": "microsoft_publisher_id",
    "roku_advertising_id": "roku_aid",
    "roku_publisher_id": "roku_publisher_id",
}
_TYPES: Mapping[str, str] = {
    **MAIN_TYPES,
    "roku_publishing_id": "roku_publisher_id",
    "other": "other",
    "other1": "other",
    **{f"other{number}": f"other{number}" for number in range(2, 11)},
    **{name: name for name in ("mobile_number", "phone_number_2", "phone_number_3")},
}
_UUID4 = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
_OWN_DOMAINS: Mapping[Version, tuple[str, ...]] = {
    "1.0": ("opengdpr.mparticle.com", "opendsr.mparticle.com"),
    "2.0": ("opendsr.mparticle.com",),
    "3.0": ("opendsr.mparticle.com",),
}

Regulation = Literal["gdpr", "ccpa"]


def read_submission(
    body: bytes, version: Version, domain: str, egress: EgressRules, now_ms: int
) -> Submission:
    """Read and check the body of a request.

    Args:
        body: as it came.
        version: of the API.
        domain: the deployment's own, which the extension may be named by.
        egress: where callbacks may go.
        now_ms: time of receipt.

    Raises:
        DsrRefused: with all that is wrong (400).
    """
    return _Reader(_object(body), version, domain, egress, now_ms).read()


class _Reader:
    """One body, and what was found to be wrong with it."""

    def __init__(
        self, data: dict[str, Any], version: Version, domain: str, egress: EgressRules, now_ms: int
    ) -> None:
        self._data = data
        self._version = version
        self._domain = domain
        self._egress = egress
        self._now_ms = now_ms
        self._problems: list[str] = []
        self._mpids: list[int] = []

    def read(self) -> Submission:
        """Raises DsrRefused."""
        data = self._data
        if data.get("api_version") not in (None, self._version):
            self._wrong("api_version", f"must be {self._version} on this path")
        extension = self._extension()
        submission = Submission(
            id=self._id(),
            type=cast(RequestType, self._word("subject_request_type", get_args(RequestType))),
            version=self._version,
            regulation=self._regulation(),
            submitted_ms=self._submitted_ms(),
            group=self._group(),
            skips_waiting=self._flag(extension) or False,
            identities=tuple(self._identities(extension)),
            mpids=tuple(dict.fromkeys(self._mpids)),
            callback_urls=tuple(self._callbacks()),
        )
        self._check_identities(submission)
        if self._problems:
            raise invalid(*self._problems)
        return submission

    # -- Fields -----------------------------------------------------------------------------------

    def _id(self) -> str:
        value = self._data.get("subject_request_id")
        if isinstance(value, str) and _UUID4.fullmatch(value):
            return value
        self._wrong("subject_request_id", "must be a lower-case UUID of version 4")
        return ""

    def _regulation(self) -> Regulation | None:
        if self._version == "1.0":
            return None
        return cast(Regulation, self._word("regulation", get_args(Regulation)))

    def _word(self, name: str, words: Collection[str]) -> str:
        value = self._data.get(name)
        if isinstance(value, str) and value in words:
            return value
        self._wrong(name, f"must be one of {', '.join(words)}")
        return ""

    def _submitted_ms(self) -> int:
        value = self._data.get("submitted_time")
        try:
            moment = datetime.fromisoformat(value if isinstance(value, str) else "")
            if moment.tzinfo is None:
                moment = moment.replace(tzinfo=UTC)
            submitted_ms = round(moment.timestamp() * 1000)
        except (ValueError, OverflowError):
            self._wrong("submitted_time", "must be a date, or a date and time, of ISO 8601")
            return 0
        if submitted_ms > self._now_ms + DAY_MS:
            self._wrong("submitted_time", "must not be in the future")
        return submitted_ms

    def _group(self) -> str | None:
        value = self._data.get("group_id")
        if value is None or (isinstance(value, str) and 1 <= len(value) <= MAX_GROUP):
            return value
        self._wrong("group_id", f"must be a text of 1 to {MAX_GROUP} characters")
        return None

    def _flag(self, extension: Mapping[str, Any]) -> bool | None:
        """Read `skip_waiting_period`; the extension's wins."""
        found = None
        for holder in (self._data, extension):
            value = holder.get("skip_waiting_period")
            if value is None:
                continue
            if not isinstance(value, bool):
                self._wrong("skip_waiting_period", "must be true or false")
            found = value is True
        return found

    def _callbacks(self) -> Iterator[str]:
        urls = self._data.get("status_callback_urls")
        if urls is None:
            return
        if not isinstance(urls, list) or len(urls) > MAX_CALLBACKS:
            self._wrong("status_callback_urls", f"must be a list of at most {MAX_CALLBACKS} URLs")
            return
        for url in dict.fromkeys(map(str, urls)):
            if _is_callback(url, self._egress):
                yield url
            else:
                problem = "must be absolute https URLs of public hosts"
                self._wrong("status_callback_urls", problem)
                return

    def _extension(self) -> dict[str, Any]:
        extensions = self._data.get("extensions")
        if extensions is None:
            return {}
        if isinstance(extensions, dict):
            for domain in (self._domain, *_OWN_DOMAINS[self._version]):
                own = extensions.get(domain)
                if isinstance(own, dict):
                    return own
                if own is not None:
                    break
            else:
                return {}
        self._wrong("extensions", "must be an object of objects by domain")
        return {}

    # -- Identities -------------------------------------------------------------------------------

    def _identities(self, extension: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
        """Yield (IDSync type, value); MPIDs go aside."""
        if self._version == "3.0":
            for holder in (self._data, extension):
                yield from self._dictionary(holder.get("subject_identities"))
            return
        yield from self._array("subject_identities", self._data.get("subject_identities"))
        yield from self._array("identities", extension.get("identities"))
        mpids = extension.get("mpids")
        if mpids is not None and not isinstance(mpids, list):
            self._wrong("mpids", "must be a list")
        elif mpids:
            for each in mpids:
                self._take_mpid(each)

    def _dictionary(self, sent: Any) -> Iterator[tuple[str, str]]:
        if sent is None:
            return
        if not isinstance(sent, dict):
            self._wrong("subject_identities", "must be an object")
            return
        for name, identity in sent.items():
            if not isinstance(identity, dict):
                self._wrong("subject_identities", "must have objects with value and encoding")
            elif identity.get("encoding", "raw") != "raw":
                self._wrong("encoding", "must be raw")
            elif name == "mpid":
                self._take_mpid(identity.get("value"))
            else:
                yield from self._identity(name, identity.get("value"))

    def _array(self, field: str, sent: Any) -> Iterator[tuple[str, str]]:
        if sent is None:
            return
        if not isinstance(sent, list):
            self._wrong(field, "must be a list")
            return
        for identity in sent:
            if not isinstance(identity, dict):
                self._wrong(field, "must have objects with identity_type and identity_value")
            elif identity.get("identity_format", "raw") != "raw":
                self._wrong("identity_format", "must be raw")
            else:
                yield from self._identity(
                    identity.get("identity_type"), identity.get("identity_value")
                )

    def _identity(self, name: Any, value: Any) -> Iterator[tuple[str, str]]:
        known = _TYPES.get(name) if isinstance(name, str) else None
        if known is None:
            self._wrong("subject_identities", "has an unknown identity type")
        elif isinstance(value, str) and 1 <= len(value.strip()) <= MAX_IDENTITY:
            yield known, value.strip()
        else:
            self._wrong("subject_identities", "must have texts as values")

    def _take_mpid(self, value: Any) -> None:
        if isinstance(value, str) and is_int64(value):
            value = int(value)
        if type(value) is int and -INT64_END <= value < INT64_END:
            self._mpids.append(value)
        else:
            self._wrong("mpid", "must be an integer of 64 bits")

    def _check_identities(self, read: Submission) -> None:
        count = len(read.identities) + len(read.mpids)
        if not count and not self._problems:
            self._wrong("subject_identities", "must have an identity")
        most = MAX_IDENTITIES[self._version]
        if count > most:
            self._wrong("subject_identities", f"must have at most {most} identities")
        if self._version == "3.0":
            if read.mpids and count > 1:
                self._problems.append(MPID_ALONE)
            if len({kind for kind, _ in read.identities}) < len(read.identities):
                self._wrong("subject_identities", "must have one identity of each type")

    def _wrong(self, field: str, problem: str) -> None:
        message = f"{field} {problem}."
        if message not in self._problems:
            self._problems.append(message)


def _object(body: bytes) -> dict[str, Any]:
    """Decode a JSON object in which no name comes twice. Raises DsrRefused."""
    try:
        # Not msgspec: it takes names that come twice.
        data = json.loads(
            without_half_pairs(body), object_pairs_hook=_once, parse_constant=_no_constant
        )
    except (ValueError, RecursionError):
        raise invalid(INVALID) from None
    if not isinstance(data, dict):
        raise invalid(INVALID)
    return data


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a name comes twice")
    return found


def _no_constant(name: str) -> None:
    raise ValueError(name)


def _is_callback(url: str, egress: EgressRules) -> bool:
    """Tell whether a URL may be told of statuses, as far as is known without resolving it."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port or (443 if parts.scheme == "https" else 80)
    except ValueError:
        return False
    if not host or parts.username is not None or parts.scheme not in ("http", "https"):
        return False
    if egress.refusal(url) is not None:
        return False
    return parts.scheme == "https" or egress.lists(host, port)
