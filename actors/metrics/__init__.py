"""Every metric, declared once: its kind, unit and labels, what it means and what to do about it.

Source: spec/observability.md, 6. A module declares those of one part of the work. A process holds
one group of them (actors/metric_groups.py) on a registry of its own; actors/metric_snapshots.py
merges what the processes report into one page.

Label values are slugs, numbers of shards and closed sets of words: never an MPID, an event name,
an attribute or a URL.
"""
