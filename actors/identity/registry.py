"""The identity strategies by name. A new strategy is one file and one line here."""

from actors.identity.best_match import BestMatch
from actors.identity.profile_conversion import ProfileConversion
from actors.identity.profile_isolation import ProfileIsolation
from actors.identity.profile_link import ProfileLink
from actors.identity.strategy import Strategy

STRATEGIES: dict[str, Strategy] = {
    name: strategy
    for strategy in (
        ProfileConversion(),
        ProfileLink(),
        ProfileIsolation(),
        BestMatch(),
    )
    for name in strategy.names
}
