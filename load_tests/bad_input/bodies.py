"""A good body, spoiled: first as a tree, then as text."""

from random import Random
from typing import Any

import orjson

from load_tests.bad_input import nasty
from load_tests.bad_input.nasty import Pairs, Raw

Tree = Any

# Of a list that is repeated: one change may follow another, and this process has to hold all.
_MOST_ENTRIES = 20_000


def spoiled(tree: Tree, random: Random) -> bytes:
    """Return JSON text that comes from a tree, with something wrong in most cases."""
    for _ in range(random.choice((0, 1, 1, 1, 2, 5))):
        tree = _changed(tree, random)
    text = written(tree)
    return _broken(text, random) if random.random() < 0.15 else text


def written(tree: Tree) -> bytes:
    """Write a tree as JSON; what is `Raw` in it as it is."""
    match tree:
        case Raw():
            return tree.text
        case Pairs():
            members = [written(name) + b":" + written(each) for name, each in tree.members]
            return b"{" + b",".join(members) + b"}"
        case dict():
            members = [written(str(name)) + b":" + written(each) for name, each in tree.items()]
            return b"{" + b",".join(members) + b"}"
        case list():
            return b"[" + b",".join(map(written, tree)) + b"]"
        case int() if not isinstance(tree, bool):
            return b"%d" % tree
        case str() if not tree.isascii():
            return orjson.dumps(tree.encode("utf-8", "replace").decode())
    return orjson.dumps(tree)


def _changed(tree: Tree, random: Random) -> Tree:
    """Return a tree with one change, somewhere in it."""
    stays_above = random.random()
    if isinstance(tree, dict) and tree and stays_above < 0.8:
        name = random.choice(list(tree))
        return {**tree, name: _changed(tree[name], random)}
    if isinstance(tree, list) and tree and stays_above < 0.9:
        index = random.randrange(len(tree))
        return [*tree[:index], _changed(tree[index], random), *tree[index + 1 :]]
    if isinstance(tree, Pairs):
        return tree
    return _replaced(tree, random)


def _replaced(tree: Tree, random: Random) -> Tree:
    kind = random.random()
    if isinstance(tree, dict) and tree:
        name = random.choice(list(tree))
        if kind < 0.3:
            return {other: tree[other] for other in tree if other != name}
        if kind < 0.5:
            return Pairs([*tree.items(), (name, nasty.value(random))])
        if kind < 0.65:
            return {**tree, random.choice(nasty.NAMES): nasty.value(random)}
        if kind < 0.75:
            return {**tree, random.choice(nasty.NAMES): tree[name]}
    if isinstance(tree, list) and tree:
        if kind < 0.2:
            times = random.choice((2, 60, 120))
            return tree * min(times, max(_MOST_ENTRIES // len(tree), 1))
        if kind < 0.4:
            return [*tree, nasty.value(random)]
    if kind > 0.95:
        return [tree]
    return nasty.value(random)


def _broken(text: bytes, random: Random) -> bytes:
    """Return text that is no JSON any more, or in another encoding."""
    at = random.randrange(len(text) + 1)
    match random.randrange(9):
        case 0:
            return text[:at]
        case 1:
            return text[:at] + random.randbytes(random.choice((1, 1, 8))) + text[at:]
        case 2:
            return text[:at] + text[at + 1 :]
        case 3:
            return b"\xef\xbb\xbf" + text
        case 4:
            return text + random.choice((b"x", b"{}", b"\x00", b",", b"//"))
        case 5:
            return text.decode("utf-8", "replace").encode(random.choice(("utf-16", "utf-32")))
        case 6:
            return b" " * random.choice((1, 262_144)) + text
        case 7:
            return text.replace(b'"', b"'")
        case _:
            return random.randbytes(random.choice((0, 1, 100, 5000)))
