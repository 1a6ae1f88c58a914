"""Calculated attributes by full recomputation (spec/calculated-attributes.md)."""
