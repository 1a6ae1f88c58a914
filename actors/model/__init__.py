"""The types that travel between edge, shards and forwarders, and what the shards keep.

Wire names are those of spec/events-api.md. Times are milliseconds since 1970 (UTC) unless a name
says otherwise. Everything here is encoded with msgspec, records as arrays to keep them small.
"""
