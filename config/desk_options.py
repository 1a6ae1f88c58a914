"""How the coordinator opens the desk of configurations."""

from dataclasses import dataclass
from pathlib import Path

from pydantic import SecretStr

from actors.clock import SystemClock
from actors.store.environment import Store
from actors.store.layout import configuration_store
from config.book import Book
from config.desk import ConfigDesk
from config.sealing import Sealer
from config.settings import Settings


@dataclass(frozen=True)
class ConfigDeskOptions:
    """How the desk of configurations is set up; sent to the coordinator, which opens it.

    Attributes:
        settings: of the process.
        master_key: what the documents are sealed with.
    """

    settings: Settings
    master_key: SecretStr

    def open_store(self, coordinator: Path) -> Store:
        """Open the store of the configuration. Raises DataFolderError."""
        return Store(configuration_store(coordinator), self.settings.map_size_bytes)

    def open_book(self, store: Store) -> Book:
        """Open the book that a store holds. Raises ConfigError."""
        return Book(store, self.open_seal(), self.settings, SystemClock())

    def open_seal(self) -> Sealer:
        """Return what encrypts all that the coordinator keeps of secrets."""
        return Sealer(self.master_key.get_secret_value())

    def open_desk(self, store: Store) -> ConfigDesk:
        """Open the desk over the book that a store holds. Raises ConfigError."""
        return ConfigDesk(self.open_book(store), self.settings)
