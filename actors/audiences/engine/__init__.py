"""All audiences of a shard, evaluated over columns (spec/audiences.md, 6)."""
