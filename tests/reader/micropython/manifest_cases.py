# ruff: noqa: UP031, SIM115
"""Reads manifests under the real interpreter: `manifest_cases.py FIRMWARE CASES` prints what becomes of each file
`0`, `1` … in the folder CASES, a line each: the sum of the files' sizes, or what is wrong.
"""

import sys

sys.path.insert(0, sys.argv[1])

from reader import manifest

number = 0
while True:
    try:
        file = open("%s/%d" % (sys.argv[2], number), "rb")
    except OSError:
        break
    number += 1
    try:
        head = manifest.head(file)
        total = sum([size for _, size, _ in manifest.files(file)])
        print(head.release, head.least, total)
    except manifest.ManifestError as error:
        print("refused:", error)
    file.close()
