"""The harness of every registered module. A new module is one file and one line here."""

from tests.actors.outputs.harness import Harness
from tests.actors.outputs.harnesses.audience_csv import AudienceCsvHarness
from tests.actors.outputs.harnesses.devnull import DevnullHarness
from tests.actors.outputs.harnesses.file import FileHarness
from tests.actors.outputs.harnesses.file_s3 import FileS3Harness
from tests.actors.outputs.harnesses.firehose import FirehoseHarness
from tests.actors.outputs.harnesses.kafka import KafkaHarness
from tests.actors.outputs.harnesses.log import LogHarness
from tests.actors.outputs.harnesses.pixel import PixelHarness
from tests.actors.outputs.harnesses.python import PythonHarness
from tests.actors.outputs.harnesses.redis_profile import RedisProfileHarness
from tests.actors.outputs.harnesses.segment_relay import SegmentRelayHarness
from tests.actors.outputs.harnesses.warehouse_duckdb import WarehouseDuckdbHarness
from tests.actors.outputs.harnesses.warehouse_postgres import WarehousePostgresHarness
from tests.actors.outputs.harnesses.webhook import WebhookHarness

HARNESSES: dict[str, type[Harness]] = {
    "audience_csv": AudienceCsvHarness,
    "devnull": DevnullHarness,
    "file": FileHarness,
    "file_s3": FileS3Harness,
    "firehose": FirehoseHarness,
    "kafka": KafkaHarness,
    "log": LogHarness,
    "pixel": PixelHarness,
    "python": PythonHarness,
    "redis_profile": RedisProfileHarness,
    "segment_relay": SegmentRelayHarness,
    "warehouse_duckdb": WarehouseDuckdbHarness,
    "warehouse_postgres": WarehousePostgresHarness,
    "webhook": WebhookHarness,
}
