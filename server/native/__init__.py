"""The compact wire format of the Android and Apple SDKs, as batches (spec/clients.md, 5.3)."""
