"""Whether a text has the form of a regular expression, for the format `regex`.

Nothing is compiled: senders choose the text, and some patterns take long to compile.
"""

import re

_GROUP = re.compile(r"\((?:\?(?:[:=!]|<[=!]|P?<[A-Za-z_]\w*>))?")
_CLASS = re.compile(r"\[\^?(?:\\.|[^\\\]])*\]", re.DOTALL)
_COUNT = re.compile(r"\{\d+(?:,\d*)?\}", re.ASCII)


def is_regex(text: str) -> bool:
    """Tell whether groups and classes are closed, and there is something before each quantifier."""
    place = depth = 0
    is_repeatable = False
    while place < len(text):
        character, end = text[place], place + 1
        was_repeatable, is_repeatable = is_repeatable, True
        if character == "\\":
            end += 1
            if end > len(text):
                return False
        elif character == "[":
            found = _CLASS.match(text, place)
            if found is None:
                return False
            end = found.end()
        elif character == "(":
            found = _GROUP.match(text, place)
            assert found is not None, "it begins with the parenthesis alone, at least"
            end, depth, is_repeatable = found.end(), depth + 1, False
        elif character == ")":
            depth -= 1
            if depth < 0:
                return False
        elif character in "*+?" or (character == "{" and _COUNT.match(text, place)):
            if not was_repeatable:
                return False
            if character == "{":
                end = text.index("}", place) + 1
            if text[end : end + 1] == "?":  # as few as there may be
                end += 1
            is_repeatable = False
        elif character in "|^":
            is_repeatable = False
        place = end
    return depth == 0
