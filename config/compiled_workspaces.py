"""What is made of the documents of a deployment for the actors: by workspace, as they are told."""

from collections.abc import Mapping, Sequence

from msgspec.structs import replace

from actors.desk_options import DeskOptions
from actors.shard_options import ShardOptions
from actors.store.revisions import Revision
from config.audience_catalog import audience_catalog
from config.calculated_catalog import calculated_catalog
from config.compiled_connections import (
    connection_infos,
    dropped_connections,
    plan_infos,
    queue_limits,
)
from config.dsr import privacy_options
from config.numbers import Numbers
from config.roles import Tasks
from config.served import ServedDocument
from config.settings import Settings
from config.workspace import WorkspaceDocument
from config.workspace_info import with_neighbours, workspace_info


def served_documents(
    documents: Sequence[WorkspaceDocument],
    numbers: Sequence[Numbers],
    revisions: Sequence[Revision],
    settings: Settings,
    roles: Mapping[str, Tasks],
    manifest: int,
) -> list[ServedDocument]:
    """Compile the documents of one deployment.

    Args:
        documents: in their order; `numbers` and `revisions` are theirs.
        settings: of the process.
        roles, manifest: see `ServedDocument`.
    """
    infos = with_neighbours(
        [
            workspace_info(document, own, settings)
            for document, own in zip(documents, numbers, strict=True)
        ]
    )
    return [
        ServedDocument(
            document,
            own,
            info,
            revision.number,
            revision.origin,
            revision.owned,
            roles,
            manifest,
            {
                path: stamp
                for path, stamp in revision.stamps.items()
                if path.startswith("data_plans/")
            },
            revision.from_files,
        )
        for document, own, info, revision in zip(documents, numbers, infos, revisions, strict=True)
    ]


def shard_options(served: ServedDocument, shards: int) -> ShardOptions:
    """Return how the workspace's part of each of so many shards is set up."""
    document, numbers = served.document, served.numbers
    return ShardOptions(
        workspace=served.info,
        connections=connection_infos(document, numbers),
        plans=plan_infos(document, numbers),
        queue_limits=queue_limits(document, numbers, shards),
        dropped=dropped_connections(numbers),
        revision=served.revision,
    )


def desk_options(served: ServedDocument, settings: Settings) -> DeskOptions:
    """Return how the workspace's part of the coordinator is set up.

    Audiences and calculated attributes that the file does not have any more are kept, and changed,
    by their own desks: only their ids are said here, as long as the API has not changed them.
    """
    document = served.document
    owned = document.model_copy(
        update={
            section: tuple(
                each
                for each in getattr(document, section)
                if each.id in served.owned.get(section, frozenset())
            )
            for section in ("audiences", "calculated_attributes")
        }
    )
    return DeskOptions(
        workspace=served.info,
        catalog=replace(
            audience_catalog(owned, served.numbers),
            left=served.left("audiences"),
        ),
        calculated=replace(
            calculated_catalog(owned, served.numbers),
            left=served.left("calculated_attributes"),
        ),
        group_job_interval_s=settings.group_job_interval_s,
        privacy=privacy_options(document, served.numbers),
    )
