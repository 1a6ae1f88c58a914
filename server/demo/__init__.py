"""The demo shop, which is served in development mode only."""
