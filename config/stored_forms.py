"""Takes workspace documents that earlier versions of this program have stored.

A document that was served once is served by every later version: a data folder that is started
with a new version cannot be edited first. Whoever changes the document so that one that was right
would be refused adds a step here, which makes the new form of the old one; steps stay, as nobody
knows how old a folder is. What was stored is not written for that: the next change of a document
stores all of it in the form of now. Files are not taken in an earlier form, as their authors can
mend them.
"""

from collections.abc import Callable
from typing import Any

from config.merging import Data

# Changes a document in place; one that has the new form already stays as it is.
_Step = Callable[[Data], None]


def in_form_of_now(stored: Data) -> Data:
    """Return a document that was stored by this version or an earlier one, as this one takes it.

    Args:
        stored: as it was stored; may be changed.
    """
    for step in _STEPS:
        step(stored)
    return stored


def _several_former_secrets(stored: Data) -> None:
    """A credential had one `former_secret` before it could have several."""
    for credential in stored.get("api_credentials", []):
        former: Any = credential.pop("former_secret", None)
        if former is not None:
            credential["former_secrets"] = [former]


_STEPS: tuple[_Step, ...] = (_several_former_secrets,)  # in the order in which they came
