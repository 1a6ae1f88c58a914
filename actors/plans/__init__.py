"""Data plans: what is expected of batches, and what is done about the rest (spec/data-plans.md)."""
