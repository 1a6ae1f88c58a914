"""What calls that change something were answered, for those whose callers did not hear it.

Each lies in the store that it has changed.
"""

from actors.store.kept_answers import AnswerShelf

# Much longer than a handle goes on asking for an answer (`shard_timeout_s`).
RETENTION_MS = 10 * 60 * 1000
MAX_BYTES = 16 * 1024 * 1024

ANSWERS = AnswerShelf(b"c", b"d", b"e", RETENTION_MS, MAX_BYTES)
