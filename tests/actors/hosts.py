"""What the processes of actors are handed in tests."""

from actors.store.slots import SlotMap


def no_slots() -> SlotMap:
    return SlotMap(0, ())


class FakeHost:
    version = "test"

    def enter(self, role: str, instance: str) -> None:
        """Log as the test does."""

    def set_log_level(self, logger: str, level: str | None) -> None:
        """Log as the test does."""
