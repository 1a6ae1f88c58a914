"""Profile conversion: a first login makes the anonymous record of the device the user's own."""

from typing import ClassVar

from actors.identity.matching import Question
from actors.identity.strategy import Choice, Strategy, best_anonymous, best_known


class ProfileConversion(Strategy):
    """spec/identity.md, 7.4, first column. The default strategy differs in its settings only."""

    names: ClassVar[tuple[str, ...]] = ("default", "profile_conversion")

    def identify(self, question: Question) -> Choice:
        """Choose a known record, or an anonymous one, which fresh login IDs make known."""
        found = best_known(question) or best_anonymous(question)
        if found is not None:
            return found
        if question.is_fresh_login and question.previous is not None:
            return Choice(question.previous, "previous")
        return Choice(None, "no_match")
