"""Headwater beside the floors under it: `python -m load_tests bench`."""
