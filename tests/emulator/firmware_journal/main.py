"""Appends numbered lines to a file, each flushed before it is announced; says at the start what it found."""

try:
    with open("/log.txt") as file:
        lines = file.read().split("\n")
except OSError:
    lines = [""]
whole = lines[:-1]
good = all(line == f"{i:06d}" + "x" * 50 for i, line in enumerate(whole))
print("found", len(whole), good)
with open("/log.txt", "w" if not whole else "r+") as file:
    file.seek(sum([len(line) + 1 for line in whole]))
    for number in range(len(whole), len(whole) + 6):
        file.write(f"{number:06d}" + "x" * 50 + "\n")
        file.flush()
        print("shown", number)
print("done")
