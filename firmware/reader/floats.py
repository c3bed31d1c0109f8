"""Rows of 32-bit floats: a list of float objects is ten times their size on the reader's heap."""

import sys
from array import array


def zeros(n):
    """`n` floats, all 0."""
    return array("f", bytes(4 * n))


def median(values):
    """The upper median of a non-empty sequence, as a 32-bit float."""
    n = len(values)
    ordered = array("f", values)
    if sys.implementation.name == "cpython":
        return sorted(ordered)[n // 2]
    # Shell's sort in place: a sorted list would need one long run of the heap, and an object for every float.
    gap = n // 2
    while gap:
        for i in range(gap, n):
            value = ordered[i]
            j = i
            while j >= gap and ordered[j - gap] > value:
                ordered[j] = ordered[j - gap]
                j -= gap
            ordered[j] = value
        gap //= 2
    return ordered[n // 2]
