"""The operators of audience-sdk documents (spec/audiences.md, 14.1)."""

UNARY = ("null", "not_null", "exists", "not_exists")

# Binary operators between a value and a scalar, and the operators of criteria that they are.
BINARY: dict[str, str] = {
    "equals": "equals",
    "not_equals": "not_equals",
    "less_than": "less_than",
    "less_than_equal": "less_than_or_equal",
    "greater_than": "greater_than",
    "greater_than_equal": "greater_or_equal",
    "matches": "pattern",
    "not_matches": "not_pattern",
    "contains": "contains",
    "not_contains": "not_contains",
    "starts_with": "starts_with",
    "not_starts_with": "not_starts_with",
    "ends_with": "ends_with",
    "not_ends_with": "not_ends_with",
    "in": "equals",
    "not_in": "not_equals",
}

# The same where the other side is a list.
OF_LIST: dict[str, str] = {"in": "in_list", "not_in": "not_in_list"}

ORDER = frozenset({"less_than", "less_than_or_equal", "greater_than", "greater_or_equal"})
