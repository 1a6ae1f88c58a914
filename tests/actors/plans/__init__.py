"""Tests of data plans."""
