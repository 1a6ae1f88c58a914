"""How soon what begins today is complete for what is stored: `python -m load_tests backfill`."""
