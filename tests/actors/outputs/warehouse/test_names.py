"""How tables and columns are called."""

import re

from hypothesis import given
from hypothesis import strategies as st

from actors.outputs.warehouse.names import name_for


def test_names_are_lower_case_and_plain() -> None:
    assert name_for("event_other_Foo Bar-é", ()) == "event_other_foo_bar__"


@given(st.lists(st.text(min_size=1, max_size=90), unique=True, max_size=30))
def test_every_original_has_a_name_of_its_own_that_databases_take(originals: list[str]) -> None:
    taken: set[str] = set()
    for original in originals:
        name = name_for(f"ea_{original}", taken)
        assert re.fullmatch(r"ea_[a-z0-9_]{1,60}", name)
        assert name not in taken
        taken.add(name)


def test_what_is_cut_ends_in_six_digits_of_the_original() -> None:
    first, second = (name_for("x" * 70 + last, ()) for last in "ab")
    assert first[:57] == second[:57] == "x" * 56 + "_"
    assert re.fullmatch("[0-9a-f]{6}", first[57:])
    assert first != second
