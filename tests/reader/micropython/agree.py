"""Decode each line of hex in a file as CBOR and print its encoding again, or the code it is refused with.

Run: `micropython agree.py FIRMWARE_FOLDER FILE`.
"""

import sys

sys.path.insert(0, sys.argv[1])

from reader import cbor

with open(sys.argv[2]) as lines:
    for line in lines:
        try:
            print(cbor.encode(cbor.decode(memoryview(bytes.fromhex(line.strip())))).hex())
        except cbor.CborError as error:
            print(error.code)
