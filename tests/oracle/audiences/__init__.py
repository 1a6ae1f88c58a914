"""Audiences evaluated one user at a time (spec/audiences.md, 3 to 5)."""
