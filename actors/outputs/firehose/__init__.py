"""The outbound integration protocol: JSON messages that any service can answer.

Source: spec/connections.md, 4.
"""
