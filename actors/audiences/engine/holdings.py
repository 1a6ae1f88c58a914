"""What leaves need as long as somebody has them: slots of columns, and streams."""

from actors.audiences.engine.dictionary import CodedColumn
from actors.audiences.engine.entries import EntryStore
from actors.audiences.engine.leaves.carts import CartLeaf
from actors.audiences.engine.leaves.coded import CodedLeaf
from actors.audiences.engine.leaves.events import EventLeaf
from actors.audiences.engine.leaves.numbers import NumberLeaf
from actors.audiences.engine.leaves.places import PlaceLeaf
from actors.audiences.engine.leaves.references import ReferenceLeaf
from actors.audiences.engine.leaves.sequences import SequenceLeaf
from actors.audiences.engine.matcher import Matcher
from actors.audiences.engine.mirror import Mirror
from actors.audiences.engine.numbers import NumberColumn
from actors.audiences.engine.packing import HappenedPacker
from actors.audiences.engine.sources import CoordinateSource, SectionSource, Source
from actors.audiences.engine.streams import Stream
from actors.audiences.engine.terms import Leaf
from actors.model.workspaces import WorkspaceInfo


class Holdings:
    """The columns and streams of all leaves that are held; they go with the last holder.

    `identity` returns what the stream with a number is called in records; `packer` packs by it.
    """

    def __init__(self, workspace: WorkspaceInfo, mirror: Mirror, entries: EntryStore) -> None:
        self._workspace = workspace
        self._mirror = mirror
        self._entries = entries
        self._holders: dict[Leaf, int] = {}
        self._slots: dict[CodedLeaf, int] = {}
        self._stream_users: dict[Stream, int] = {}
        self._number_of: dict[Stream, int] = {}
        self._number_by_identity: dict[int, int] = {}
        self._identity_of: list[int] = []  # by number; numbers are never used again
        self.identity = self._identity_of.__getitem__
        self.packer = HappenedPacker(self.identity)
        self._matcher: Matcher | None = None

    @property
    def leaves(self) -> int:
        """How many different leaves are held."""
        return len(self._holders)

    @property
    def streams(self) -> int:
        """How many different streams there are."""
        return len(self._number_of)

    @property
    def matcher(self) -> Matcher:
        """The streams, ready to match events."""
        if self._matcher is None:
            self._matcher = Matcher(
                self._workspace, [(number, each) for each, number in self._number_of.items()]
            )
        return self._matcher

    def hold(self, leaf: Leaf) -> None:
        """Count a holder of a leaf."""
        self._holders[leaf] = self._holders.get(leaf, 0) + 1
        if self._holders[leaf] > 1:
            return
        for source in sources_of(leaf):
            self._mirror.hold(source)
        for stream in streams_of(leaf):
            self._hold_stream(stream)
        match leaf:
            case CodedLeaf(source, question):
                self._slots[leaf] = self._mirror.slot(source, question.predicate())
            case NumberLeaf(source, kind, _):
                self._mirror.numbers(source, kind)
            case PlaceLeaf(_, workspace):
                self.coordinates(workspace)
            case ReferenceLeaf(source, other, _):
                self._mirror.coded(source)
                self._mirror.coded(other)

    def release(self, leaf: Leaf) -> None:
        """Count a holder less."""
        self._holders[leaf] -= 1
        if self._holders[leaf]:
            return
        del self._holders[leaf]
        if isinstance(leaf, CodedLeaf):
            self._mirror.coded(leaf.source).remove(self._slots.pop(leaf))
        for source in sources_of(leaf):
            self._mirror.release(source)
        for stream in streams_of(leaf):
            self._release_stream(stream)

    def slot(self, leaf: CodedLeaf) -> tuple[CodedColumn, int]:
        """Return the column of a leaf, and where its answers are."""
        return self._mirror.coded(leaf.source), self._slots[leaf]

    def numbers(self, leaf: NumberLeaf) -> NumberColumn:
        """Return the column of a leaf."""
        return self._mirror.numbers(leaf.source, leaf.kind)

    def coordinates(self, workspace: int) -> tuple[NumberColumn, NumberColumn]:
        """Return the columns of latitude and longitude (`PlaceLeaf.workspace`)."""
        latitude, longitude = _coordinates(workspace)
        return self._mirror.numbers(latitude, "number"), self._mirror.numbers(longitude, "number")

    def pair(self, leaf: ReferenceLeaf) -> tuple[CodedColumn, CodedColumn]:
        """Return both columns of a leaf."""
        return self._mirror.coded(leaf.source), self._mirror.coded(leaf.other)

    def number(self, stream: Stream) -> int:
        """Return the number of a stream."""
        return self._number_of[stream]

    def number_of_identity(self, identity: int) -> int | None:
        """Return the number of the stream with this identity, `None` if there is none now."""
        return self._number_by_identity.get(identity)

    def _hold_stream(self, stream: Stream) -> None:
        self._stream_users[stream] = self._stream_users.get(stream, 0) + 1
        if self._stream_users[stream] > 1:
            return
        number, identity = len(self._identity_of), stream.identity
        self._identity_of.append(identity)
        self._number_of[stream] = self._number_by_identity[identity] = number
        self._entries.know_stream(number, is_wide=stream.is_wide, has_values=stream.has_values)
        self._matcher = None

    def _release_stream(self, stream: Stream) -> None:
        self._stream_users[stream] -= 1
        if self._stream_users[stream]:
            return
        del self._stream_users[stream]
        number = self._number_of.pop(stream)
        del self._number_by_identity[self._identity_of[number]]
        self._entries.forget_stream(number)
        self._matcher = None


def sources_of(leaf: Leaf) -> list[Source]:
    """Return what a leaf reads of profiles."""
    match leaf:
        case CodedLeaf(source) | NumberLeaf(source):
            return [source]
        case PlaceLeaf(_, workspace):
            return _coordinates(workspace)
        case ReferenceLeaf(source, other):
            return [source, other]
    return []


def _coordinates(workspace: int) -> list[Source]:
    both: list[Source] = [CoordinateSource("latitude"), CoordinateSource("longitude")]
    return [SectionSource(workspace, each) for each in both] if workspace else both


def streams_of(leaf: Leaf) -> list[Stream]:
    """Return the streams that a leaf reads."""
    match leaf:
        case EventLeaf(stream):
            return [stream]
        case CartLeaf(added, bought):
            return [added, bought]
        case SequenceLeaf(steps):
            return [stream for step in steps for stream in (step.before, step.after)]
    return []
