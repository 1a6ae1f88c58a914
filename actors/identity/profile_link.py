"""Profile link: a first login makes a user of its own, who remembers who it was before."""

from typing import ClassVar

from actors.identity.matching import Question
from actors.identity.strategy import Choice, Strategy, best_anonymous, best_known


class ProfileLink(Strategy):
    """spec/identity.md, 7.4, second column."""

    names: ClassVar[tuple[str, ...]] = ("profile_link",)

    def identify(self, question: Question) -> Choice:
        """Choose a known record, or a new one for fresh login IDs, or an anonymous one."""
        known = best_known(question)
        if known is not None:
            return known
        anonymous = best_anonymous(question)
        if not question.is_fresh_login:
            return anonymous or Choice(None, "no_match")
        if question.previous is not None:
            return Choice(None, "fresh_login", source_mpid=question.previous)
        if anonymous is not None:
            return Choice(None, "fresh_login", anonymous.pick, anonymous.mpid)
        return Choice(None, "fresh_login")
