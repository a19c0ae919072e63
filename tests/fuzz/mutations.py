"""Damage to valid files: what chance does to them, and what malice does."""

from hypothesis import strategies as st


@st.composite
def mutated(draw, content: bytes) -> bytes:
    """A valid file after a few flips, cuts, insertions, repetitions and splices."""
    found = bytearray(content)
    for _ in range(draw(st.integers(1, 4))):
        first, last = sorted(draw(st.tuples(*[st.integers(0, len(found))] * 2)))
        match draw(st.sampled_from(["flip", "cut", "drop", "insert", "repeat", "put"])):
            case "flip" if first < len(found):
                found[first] ^= 1 << draw(st.integers(0, 7))
            case "cut":
                del found[first:]
            case "drop":
                del found[first:last]
            case "insert":
                found[first:first] = draw(st.binary(max_size=8))
            case "repeat":
                found[first:first] = found[first:last]
            case "put":
                found[first:last] = draw(st.sampled_from(HOSTILE))
    return bytes(found)


HOSTILE = (
    *(b"", b"\0", b"\xff\xfe", b"\xff\xff\xff\xff", b"-1", b"0", b"1e999", b"1" * 5000),
    *(b"NaN", b"null", b"true", b"{}", b"[]", b'""', b"[" * 5000, b'{"a":' * 5000),
    *(b"<script>", b"'", b'"', b"\n", b"99999999999999999999", b"2.5", b"inf"),
)
"""Bytes that parsers stumble over."""

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats()
    | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=6,
)
"""Values of JSON."""


@st.composite
def retyped(draw, table):
    """A table, one value of which, at whatever depth, is lost or another one."""
    if isinstance(table, dict) and table and draw(st.integers(0, 9)):
        name = draw(st.sampled_from(sorted(table)))
        rest = {key: value for key, value in table.items() if key != name}
        return rest if draw(st.integers(0, 4)) == 0 else table | {
            name: draw(retyped(table[name]))
        }  # fmt: skip
    if isinstance(table, list) and table and draw(st.integers(0, 2)):
        place = draw(st.integers(0, len(table) - 1))
        return [*table[:place], draw(retyped(table[place])), *table[place + 1 :]]
    return draw(VALUES)
