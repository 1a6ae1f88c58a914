"""What of an event is calculated with; plain tuples, for there are several of them for each event.

`Kept` is one usable row: event time in ms; place, which is 65,536 times the event's position in its
batch plus the index of the product or promotion; what the function takes, and the weight. What a
function takes is a number, a time or digest as an integer, a text, or nothing.

`Qualified` is one event that qualifies: event time in ms, and its usable rows.
"""

Content = float | int | str | None
Kept = tuple[int, int, Content, float]
Qualified = tuple[int, list[Kept]]
