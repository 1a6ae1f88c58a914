"""What outputs keep beyond their process."""

from contextlib import closing
from pathlib import Path

from actors.output_states import OutputStateDesk
from actors.store import output_states
from actors.store.environment import Store
from config.sealing import Sealer
from tests.actors.shards import MAP_SIZE_BYTES


async def test_values_are_kept_apart_by_output_sealed_and_over_a_restart(tmp_path: Path) -> None:
    seal = Sealer("k" * 32)
    with closing(Store(tmp_path, MAP_SIZE_BYTES)) as store:
        desk = OutputStateDesk(store, seal)
        await desk.keep_output_state("mail", {"oauth": b"s3cret", "old": b"x"})
        await desk.keep_output_state("mailer", {"oauth": b"other"})
        await desk.keep_output_state("mail", {"old": None})
        with store.read() as txn:
            assert b"s3cret" not in output_states.read(txn, "mail")["oauth"]
    with closing(Store(tmp_path, MAP_SIZE_BYTES)) as store:
        desk = OutputStateDesk(store, seal)
        assert await desk.output_state("mail") == {"oauth": b"s3cret"}
        assert await desk.output_state("mailer") == {"oauth": b"other"}
        assert await desk.output_state("none") == {}
