"""Best match: nobody is known, and whoever matches best is the answer."""

from typing import ClassVar

from actors.identity.matching import Question
from actors.identity.strategy import Choice, Strategy


class BestMatch(Strategy):
    """spec/identity.md, 7.4, fourth column. Login and logout are processed as identify (5.3)."""

    names: ClassVar[tuple[str, ...]] = ("best_match",)
    has_known_users: ClassVar[bool] = False

    def identify(self, question: Question) -> Choice:
        """Choose the best of all that match."""
        return self.search(question) or Choice(None, "no_match")

    def logout(self, question: Question) -> Choice:
        """Choose as for an identify call."""
        return self.identify(question)

    def search(self, question: Question) -> Choice | None:
        """Choose the best of all that match; everybody is anonymous here."""
        pool = question.pools.anonymous
        if not pool:
            return None
        pick = question.pick(pool)
        return Choice(pick.mpid, "any", pick)
