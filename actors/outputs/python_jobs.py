"""What the classes of the module `python` work with (spec/connections.md, 7).

```python
from actors.outputs.python_jobs import Delivered, Fatal, Job, Result, Retry

class Output:
    def __init__(self, settings: dict): ...
    async def send(self, jobs: list[Job]) -> list[Result]: ...
    # if they are there: async def start(self), stop(self), test(self) -> Result | None
```
"""

from typing import Any

from msgspec import Struct

from actors.outputs.contract import Delivered, Fatal, Retry

__all__ = ["Delivered", "Fatal", "Job", "Result", "Retry"]

Result = Delivered | Retry | Fatal


class Job(Struct, frozen=True):
    """One delivery.

    Attributes:
        delivery_id: the same when a job comes again, which it may.
        environment: `production` or `development`.
        input: id of the input that it came through; empty for what came through none.
        mpid: of the user, `None` if it is nobody's.
        attempt: counted from 1.
        payload: the batch, or what outputs of kind `audience` and `dsr` are told.
    """

    delivery_id: str
    environment: str
    input: str
    mpid: int | None
    attempt: int
    payload: dict[str, Any]

    def __repr__(self) -> str:
        return f"Job({self.delivery_id!r})"
