"""Profile isolation: who is logged in and who is not are never the same user."""

from typing import ClassVar

from actors.identity.calls import IdentityProblem
from actors.identity.matching import Question
from actors.identity.strategy import Choice, Strategy, best_anonymous, best_known

NO_LOGIN_ID = IdentityProblem(
    400,
    "LOOKUP_ERROR",
    "ProfileIsolationStrategy login action is missing the login identity type.",
)


class ProfileIsolation(Strategy):
    """spec/identity.md, 7.4, third column."""

    names: ClassVar[tuple[str, ...]] = ("profile_isolation",)

    def identify(self, question: Question) -> Choice:
        """Choose a known record, or a new one for fresh login IDs, or an anonymous one."""
        known = best_known(question)
        if known is not None:
            return known
        if question.is_fresh_login:
            return Choice(None, "fresh_login")
        return best_anonymous(question) or Choice(None, "no_match")

    def login(self, question: Question) -> Choice | IdentityProblem:
        """Refuse a login without a login ID (spec/identity.md, 4.4, row 14)."""
        if not any(name.type in question.rules.login_ids for name in question.request):
            return NO_LOGIN_ID
        return self.identify(question)

    def logout(self, question: Question) -> Choice:
        """Return to the device's anonymous record."""
        return best_anonymous(question) or Choice(None, "logout")
