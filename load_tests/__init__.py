"""The load harness that users run against their own deployment: python -m load_tests."""
