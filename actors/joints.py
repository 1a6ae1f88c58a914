"""Who has audiences over several workspaces on one shard, and whom they concern."""

from typing import TYPE_CHECKING

from actors.clock import Clock
from actors.joint_audiences import JointAudiences
from actors.metric_groups import ShardMetrics
from actors.store.ids import Ids

if TYPE_CHECKING:
    from actors.shard import Shard


class Joints:
    """Puts them together as soon as all their workspaces are there, and whenever they change."""

    def __init__(self, clock: Clock, ids: Ids) -> None:
        self._clock = clock
        self._ids = ids
        self._shards: dict[int, Shard] = {}
        self._joint: dict[int, JointAudiences] = {}  # by number of the workspace that has them

    @property
    def shards(self) -> "dict[int, Shard]":
        """The workspaces' parts of the shard, by number."""
        return self._shards

    def enter(self, shard: "Shard", metrics: ShardMetrics) -> None:
        """Take a workspace's part that is set up, or whose columns were made anew."""
        number = shard.options.workspace.number
        self._shards[number] = shard
        for home in [each for each, joint in self._joint.items() if number in joint.over]:
            self._take_out(home)
        for home in self._shards:
            self._arrange(home, metrics)
        self._spread()

    def arrange(self, number: int, metrics: ShardMetrics) -> None:
        """Go by the audiences that are in force in a workspace now."""
        self._arrange(number, metrics)
        self._spread()

    def _arrange(self, number: int, metrics: ShardMetrics) -> None:
        home = self._shards[number]
        workspace = home.options.workspace
        scope = {number, *workspace.neighbours}
        in_force = home.audiences.in_force
        over = (each.workspaces for each in in_force.audiences.audiences if each.is_joint)
        wanted = in_force.ended_over.union(*over) & scope
        joint = self._joint.get(number)
        if not wanted:
            self._take_out(number)
        elif wanted <= self._shards.keys():
            shards = {number: home} | {each: self._shards[each] for each in sorted(wanted)}
            if joint is None or joint.over != shards.keys():
                self._take_out(number)
                clock, ids = self._clock, self._ids
                self._joint[number] = JointAudiences(home, shards, clock, ids.next, metrics)
            else:
                joint.work_by(in_force)

    def _take_out(self, number: int) -> None:
        joint = self._joint.pop(number, None)
        if joint is not None:
            joint.show_last()

    def _spread(self) -> None:
        for number, shard in self._shards.items():
            shard.audiences.joints = tuple(
                each for each in self._joint.values() if number in each.over
            )
            shard.audiences.follow()
