"""Delta coding of traces: differences, zigzag, LEB128 (docs/protocol.md section 2)."""

from array import array


class DeltaError(ValueError):
    """These bytes are not a trace of the length they are said to be."""


def encode(samples):
    """Return the bytes of `samples`, a list or array of integers within 32 bits."""
    out = bytearray()
    before = 0
    for sample in samples:
        step = sample - before
        before = sample
        step = step << 1 if step >= 0 else (-step << 1) - 1
        while step > 0x7F:
            out.append(0x80 | (step & 0x7F))
            step >>= 7
        out.append(step)
    return bytes(out)


def decode(data, count):
    """Return `count` samples as array('i'). DeltaError: another count, a sample beyond 32 bits, a step not in its
    shortest form.
    """
    # A step of 33 bits, zigzag, takes at most five bytes: what cannot fit is refused before anything is allocated for
    # it.
    if not count <= len(data) <= 5 * count:
        raise DeltaError("the trace does not have the number of samples it names")
    samples = array("i")
    at = 0
    value = 0
    for _ in range(count):
        step = 0
        shift = 0
        while True:
            if at >= len(data) or shift > 28:
                raise DeltaError("a step of the trace is cut short or too long")
            byte = data[at]
            at += 1
            step |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                break
        if byte == 0 and shift > 7:
            raise DeltaError("a step of the trace is longer than it needs to be")
        value += -((step + 1) >> 1) if step & 1 else step >> 1
        if not -0x80000000 <= value <= 0x7FFFFFFF:
            raise DeltaError("a sample of the trace is beyond 32 bits")
        samples.append(value)
    if at != len(data):
        raise DeltaError("the trace does not have the number of samples it names")
    return samples
