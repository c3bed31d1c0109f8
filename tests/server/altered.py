"""Bytes that were changed on their way, for tests that hold two readings of them beside each other."""

from hypothesis import strategies as st


def altered(data: st.DataObject, content: bytes, *, least: int, near: int) -> bytes:
    """`content` after `least` to three changes of a byte, half of them among the first `near` + 1 bytes."""
    changed = bytearray(content)
    for _ in range(data.draw(st.integers(least, 3))):
        if not changed:
            break
        last = len(changed) - 1
        at = data.draw(st.integers(0, last) | st.integers(0, min(last, near)))
        match data.draw(st.sampled_from(["change", "insert", "drop", "end", "more"])):
            case "change":
                changed[at] = data.draw(st.integers(0, 255))
            case "insert":
                changed.insert(at, data.draw(st.integers(0, 255)))
            case "drop":
                del changed[at]
            case "more":
                changed.append(data.draw(st.integers(0, 255)))
            case _:
                del changed[at:]
    return bytes(changed)
