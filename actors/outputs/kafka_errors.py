"""What Kafka's errors mean for a delivery.

They get the HTTP status that says the same, where there is one: a wrong login then stops a
connection as it does for other outputs (spec/connections.md, 1.3 and 3.2).
"""

import ssl

from aiokafka import errors

from actors.outputs import retry
from actors.outputs.contract import Fatal, Outcome, Retry, Split
from actors.outputs.egress import EgressRefused

_TOO_LARGE = (
    errors.MessageSizeTooLargeError,
    errors.RecordListTooLargeError,
    errors.RecordTooLargeError,
)
_NO_LOGIN = (
    errors.AuthenticationFailedError,
    errors.AuthenticationMethodNotSupported,
    errors.IllegalSaslStateError,
    errors.SaslAuthenticationFailed,
    errors.UnsupportedSaslMechanismError,
)
_NO_RIGHT = (
    errors.ClusterAuthorizationFailedError,
    errors.TopicAuthorizationFailedError,
    errors.TransactionalIdAuthorizationFailed,
)
_FINAL = (
    errors.IncompatibleBrokerVersion,
    errors.InvalidRequestError,
    errors.InvalidRequiredAcksError,
    errors.InvalidTopicError,
    errors.SecurityDisabled,
    errors.UnrecognizedBrokerVersion,
    errors.UnsupportedCodecError,
    errors.UnsupportedForMessageFormatError,
    errors.UnsupportedVersionError,
)
# One record is to blame, and those that shared a batch with it are refused as well.
_OF_A_RECORD = (errors.InvalidTimestampError, errors.PolicyViolationError)


def outcome_of(error: Exception, deliveries: int = 1) -> Outcome:
    """Say what an error means for what was sent; `deliveries`: how many went together."""
    text = _text(error)
    match error:
        case EgressRefused():
            return Fatal("egress_refused", str(error))
        case ssl.SSLError():
            return Fatal("fatal_response", retry.TLS_ALERT)
        case _ if isinstance(error, _NO_LOGIN):
            return Fatal("fatal_response", text, 401)
        case _ if isinstance(error, _NO_RIGHT):
            return Fatal("fatal_response", text, 403)
        case _ if isinstance(error, _TOO_LARGE):
            return Split(text)
        case _ if isinstance(error, _OF_A_RECORD):
            return Split(text) if deliveries > 1 else Fatal("fatal_response", text)
        case _ if isinstance(error, _FINAL):
            return Fatal("fatal_response", text)
        case _:
            return Retry(f"{retry.NETWORK_ALERT}: {text}")


def _text(error: Exception) -> str:
    """Name an error; what else it says may hold what was sent."""
    description = getattr(error, "description", None)
    return type(error).__name__ + (f": {description}" if description else "")
