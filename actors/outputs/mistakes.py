"""What may be told of an exception: its text may hold what was sent, its type and place do not."""

import traceback
from typing import Any


def described(error: Exception) -> dict[str, Any]:
    """Return the type of an exception and where it was raised, for the log."""
    frames = traceback.extract_tb(error.__traceback__)
    places = [f"{frame.filename}:{frame.lineno} in {frame.name}" for frame in frames]
    return {"type": type(error).__name__, "stack": places}
