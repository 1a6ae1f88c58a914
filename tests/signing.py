"""The pair that tests sign with: made once, because a key takes a while."""

from functools import cache

from actors.privacy.signing import Signer, SigningPair, self_signed

DOMAIN = "privacy.example.com"
MADE_MS = 1_704_067_200_000  # 2024-01-01


@cache
def pair() -> SigningPair:
    """Return the pair."""
    return self_signed(DOMAIN, MADE_MS)


@cache
def signer() -> Signer:
    """Return what signs with it."""
    return Signer(pair())
