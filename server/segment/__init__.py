"""Segment's tracking API, and RudderStack's: their messages as batches (spec/clients.md, 6).

`requests` reads what was sent, `batches` makes a batch of each message, with the parts that
`values`, `people`, `contexts` and `tracks` read; `intake` applies them.
"""
