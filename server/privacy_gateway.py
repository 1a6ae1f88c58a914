"""Data subject requests as the routes reach them."""

from typing import NamedTuple

from actors.privacy.desk import PrivacyDesk
from actors.privacy.signing import Signer


class PrivacyGateway(NamedTuple):
    """The desk of a workspace, and what signs answers. Calls raise as `Deployment` does."""

    desk: PrivacyDesk
    signer: Signer
