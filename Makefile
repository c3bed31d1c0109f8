# Two commands for a newcomer: `make demo` and `make test`. The rest is for people who change things.
# Everything is installed into .venv and node_modules, from lock files with hashes.

PYTHON ?= python3
BIN := .venv/bin
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: setup demo test test-software test-bluez test-hardware hardware bench soak lint fmt types lock browser libgl clean

setup: .venv/ready

.venv/ready: requirements.lock stubs.lock pyproject.toml package-lock.json
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Doorstep needs Python 3.11 or newer: install it, or run make PYTHON=/path/to/python3.11"; exit 2; }
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || \
	  { [ "$$(id -u)" = 0 ] && apt-get update -qq && apt-get install -y -qq python3-venv; } || \
	  { echo "Python's venv module is missing: as root, run apt-get install python3-venv, then run this again"; exit 2; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --require-hashes --no-deps --upgrade --target .venv/stubs -r stubs.lock
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	PATH="$(CURDIR)/$(BIN):$$PATH" npm ci --silent --no-audit --no-fund
	$(BIN)/python -m server.web.assets hub/page/static/vendor
	@touch $@

demo: setup
	$(BIN)/doorstep demo

# Debian's chromium opens the pages in the tests.
browser:
	@command -v chromium >/dev/null || \
	  { [ "$$(id -u)" = 0 ] && apt-get update -qq && apt-get install -y -qq chromium; } || \
	  { echo "The page tests need Chromium: as root, run apt-get install chromium, then run this again"; exit 2; }

# Side by side: the geometry kernel keeps one core busy, and much of the rest waits for disks, radios and browsers.
test: setup browser lint types .venv-hardware/ready
	+$(MAKE) --no-print-directory -j 2 test-hardware test-software

test-software: setup browser
	$(BIN)/python -m pytest -n 3 --no-loadscope-reorder --durations=40 --durations-min=5

# The hub on the system's own Bluetooth stack, in a QEMU guest. What is missing is installed if this is root; the kernel
# is only unpacked, into .venv/guest.
test-bluez: setup
	@$(BIN)/python tests/bluez/prepare.py
	$(BIN)/python -m pytest tests/bluez

# The board and its enclosure, as code. What that needs is large, so it has an environment and a lock file of its own.
HARDWARE := .venv-hardware/bin/python
CIRCUIT := PYTHONPATH=hardware/board:firmware $(HARDWARE) -m circuit
ENCLOSURE := PYTHONPATH=hardware/board:hardware:firmware $(HARDWARE) -m enclosure

.venv-hardware/ready: hardware.lock | libgl
	$(PYTHON) -m venv .venv-hardware
	$(HARDWARE) -m pip install --quiet --require-hashes -r hardware.lock
	@touch $@

# The geometry kernel is linked against libGL, though it opens no window here.
libgl:
	@$(PYTHON) -c 'import ctypes; ctypes.CDLL("libGL.so.1")' 2>/dev/null || \
	  { [ "$$(id -u)" = 0 ] && apt-get update -qq && apt-get install -y -qq libgl1; } || \
	  { echo "The enclosure needs libGL: as root, run apt-get install libgl1, then run this again"; exit 2; }

# STEP and STL go into hardware/board/out; pictures and computed pages into docs/.
hardware: setup .venv-hardware/ready
	$(CIRCUIT) generate
	$(BIN)/python -m circuit check
	$(ENCLOSURE) --pages

test-hardware: setup .venv-hardware/ready
	node_modules/.bin/pyright --project hardware/board
	$(HARDWARE) -m pytest -c tests/board/skidl/pytest.ini tests/board/skidl
	$(HARDWARE) -m pytest -c tests/enclosure/pytest.ini tests/enclosure

bench: setup
	$(BIN)/doorstep bench

# Every class of faults with all its seeds; it takes an hour or so. A failure is told with the command that repeats it.
soak: setup
	$(BIN)/doorstep faults

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: setup
	node_modules/.bin/pyright
	node_modules/.bin/pyright --project firmware

fmt: setup
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# uv resolves for every platform at once; it is needed only by who changes a dependency.
lock:
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate --no-header \
	  --extra dev pyproject.toml -o requirements.lock
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate --no-header \
	  --group stubs -o stubs.lock
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate --no-header \
	  --group hardware -o hardware.lock

clean:
	rm -rf .venv .venv-hardware hardware/board/out node_modules server/web/static/vendor hub/page/static/vendor
