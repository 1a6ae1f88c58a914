"""The `data_plans` section (spec/data-plans.md, 1; spec/connections.md, 2.6 and 10)."""

from collections.abc import Iterator, Mapping, Sequence
from hashlib import sha256
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, ValidationError, model_validator

from actors.outputs.module import OutputModule
from actors.plans.document import (
    DocumentProblem,
    DocumentRefused,
    compile_document,
    document_bytes,
)
from config.errors import Found, Location
from config.fields import Items, Model, Name, Number, Slug, matching
from config.outputs import Output
from config.sources import NOT_HERE

MAX_NAME = 255
PRODUCTION_LOCK = "Version {version} of plan ID {plan} is active in prod and cannot be changed."

MAX_KNOWN = 10_000  # documents that are known to be right
_right: set[bytes] = set()  # their digests

# As the slug of a name, it may begin with `_`, and be as long as a name.
PlanId = Annotated[
    str,
    AfterValidator(
        matching(
            rf"[a-z0-9_][a-z0-9_-]{{0,{MAX_NAME - 1}}}",
            f"must be 1 to {MAX_NAME} characters of a-z, 0-9, _ and -, the first not -",
        )
    ),
]
ActivatedEnvironment = Literal["none", "development", "production"]


class DataPlanVersion(Model):
    """One version of a plan.

    Attributes:
        document: what is planned, and what is done about the rest. In a file, `file` names one that
            has it as JSON.
        quarantine_output: output that gets batches of which something was blocked.
    """

    version: Number
    description: str | None = None
    activated_environment: ActivatedEnvironment = "none"
    document: dict[str, Any] = Field(default_factory=dict)
    quarantine_output: Slug | None = None

    @model_validator(mode="before")
    @classmethod
    def _check(cls, data: Any) -> Any:
        if isinstance(data, dict) and "file" in data:
            raise ValueError(f"file: {NOT_HERE}")
        return data

    @property
    def is_active(self) -> bool:
        """Whether it is used in any environment."""
        return self.activated_environment != "none"

    @property
    def size(self) -> int:
        """Bytes that it takes of the account's quota while it is active."""
        return len(document_bytes(self.document))


class DataPlan(Model):
    """A plan with its versions.

    `last_version`: the highest number that a version had, where that was deleted: no other gets it.
    """

    id: PlanId
    name: Annotated[Name, Field(max_length=MAX_NAME)]
    description: str | None = None
    number: Number | None = None
    last_version: Number | None = None
    versions: Annotated[Items[DataPlanVersion], Field(min_length=1)]

    def quarantines(self) -> dict[str, DataPlanVersion]:
        """Return the connections of versions to their quarantine outputs, by id.

        No other connection can have such an id.
        """
        return {
            f"quarantine:{self.id}:{each.version}:{each.quarantine_output}": each
            for each in self.versions
            if each.quarantine_output is not None
        }


def quarantines(plans: Sequence[DataPlan]) -> dict[str, DataPlanVersion]:
    """Return the connections of all plans' versions to their quarantine outputs, by id."""
    return {name: version for plan in plans for name, version in plan.quarantines().items()}


def lost_quarantines(before: Sequence[DataPlan] | None, after: Sequence[DataPlan]) -> list[str]:
    """Return the ids of the connections to quarantine outputs that a change deletes."""
    return [name for name in quarantines(before or ()) if name not in quarantines(after)]


def plan_problems(
    plan: DataPlan,
    where: Location,
    outputs: Mapping[str, Output | None],
    modules: Mapping[str, OutputModule],
) -> Iterator[Found]:
    """List what is wrong with a well-formed plan.

    Args:
        plan: the plan, and its place in the document.
        where: its place in the document.
        outputs: those of the document by id, `None` where one is not well-formed.
        modules: output modules by name.
    """
    numbers = [each.version for each in plan.versions]
    for index, version in enumerate(plan.versions):
        at = (*where, "versions", index)
        if version.version in numbers[:index]:
            yield (*at, "version"), f"another version has number {version.version}"
        for each in _document_problems(version.document):
            yield (*at, "document", *each.path), each.message
        if version.quarantine_output is not None:
            for message in _quarantine_problems(version.quarantine_output, outputs, modules):
                yield (*at, "quarantine_output"), message


def _document_problems(document: dict[str, Any]) -> list[DocumentProblem]:
    """List what is wrong with a document; of one that was right before, nothing is done again.

    Every change of a workspace document comes by here, and large plans take long to compile.
    """
    try:
        digest = sha256(document_bytes(document)).digest()
        if digest in _right:
            return []
        compile_document(document)
    except TypeError:
        return [DocumentProblem("must be JSON, with numbers of at most 64 bits", ())]
    except DocumentRefused as refused:
        return refused.problems
    if len(_right) >= MAX_KNOWN:
        _right.clear()
    _right.add(digest)
    return []


def _quarantine_problems(
    name: str, outputs: Mapping[str, Output | None], modules: Mapping[str, OutputModule]
) -> Iterator[str]:
    if name not in outputs:
        yield f"no output with id '{name}'"
        return
    output = outputs[name]
    module = None if output is None else modules.get(output.module)
    if output is None or module is None:
        return
    if output.kind != "event" or module.whole_batches is None:
        yield f"output '{name}' takes no raw batches: it has to be an event output of " + ", ".join(
            sorted(each.module for each in modules.values() if each.whole_batches is not None)
        )
        return
    for environment in ("production", "development"):
        if not output.is_enabled_in(environment):
            continue
        try:
            settings = module.settings_model.model_validate(output.settings_in(environment))
        except ValidationError:  # reported where it is written
            continue
        for where, message in module.whole_batches(settings):
            yield f"output '{name}' does not keep batches whole: {'.'.join(where)} {message}"
            return


def version_changes(
    before: Sequence[DataPlan] | None, after: Sequence[DataPlan]
) -> Iterator[tuple[str, bool]]:
    """Yield the path of each version that a change makes, changes or deletes (`False`)."""
    former, latter = (
        {f"data_plans/{plan.id}/{each.version}": each for plan in plans for each in plan.versions}
        for plans in (before or (), after)
    )
    for path in former.keys() | latter.keys():
        if former.get(path) != latter.get(path):
            yield path, path in latter


def locked_problems(
    before: Sequence[DataPlan], after: Sequence[DataPlan]
) -> Iterator[tuple[str, str]]:
    """List, as path and message, the versions in production whose documents would change.

    A version that is taken out of production by the same change may.
    """
    former = {
        (plan.id, each.version): each
        for plan in before
        for each in plan.versions
        if each.activated_environment == "production"
    }
    for index, plan in enumerate(after):
        for place, version in enumerate(plan.versions):
            known = former.get((plan.id, version.version))
            if (
                known is not None
                and version.activated_environment == "production"
                and version.document != known.document
            ):
                path = f"data_plans[{index}].versions[{place}].document"
                yield path, PRODUCTION_LOCK.format(version=version.version, plan=plan.id)


def lost_production(before: object, after: object) -> str | None:
    """Say which versions in production a change of a plan deletes, `None` if it does not."""
    if not isinstance(before, DataPlan):
        return None
    kept = {each.version for each in after.versions} if isinstance(after, DataPlan) else set()
    lost = [
        each.version
        for each in before.versions
        if each.activated_environment == "production" and each.version not in kept
    ]
    return f"deletes what is active in prod: {', '.join(map(str, lost))}" if lost else None
