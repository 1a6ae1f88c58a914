"""Which variation of an A/B test a user belongs to (spec/audiences.md, 10)."""

from hashlib import sha256

from actors.audiences.objects import CONTROL, AbTest, Variation

BUCKETS = 10_000


def bucket(audience: int, test: int, mpid: int) -> int:
    """Return the bucket of a user in a test: always the same, from 0 to 9999."""
    digest = sha256(f"{audience}:{test}:{mpid}".encode("ascii")).digest()
    return int.from_bytes(digest[:8], "big") % BUCKETS


def variation(audience: int, test: AbTest, mpid: int) -> str:
    """Return the name of a user's variation: consecutive runs of buckets, the rest is `Control`."""
    place = bucket(audience, test.number, mpid)
    for each in test.variations:
        if place < each.share:
            return each.name
        place -= each.share
    return CONTROL


def with_control(test: AbTest) -> tuple[Variation, ...]:
    """Return all variations of a test, `Control` last."""
    rest = BUCKETS - sum(each.share for each in test.variations)
    return (*test.variations, Variation(CONTROL, rest))


def forwarded_name(external_name: str, name: str | None) -> str:
    """Return what an audience, or a variation of it, is called at an output."""
    return external_name if name is None else f"{external_name} - {name}"
