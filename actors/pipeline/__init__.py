"""What a connection lets through, and how it looks: the steps of spec/connections.md, 2.

`settings` is what the workspace document says, `compiling` makes the steps of a connection from it,
once. Each other module is a step or two.
"""
