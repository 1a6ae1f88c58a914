"""Slow, plain second implementations, written from the spec alone."""
