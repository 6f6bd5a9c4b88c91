# `make demo` and `make test` need nothing but Python 3.11+ and its venv module.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: install browser demo test test-vm test-arm64 lint bench bench-gpu clean

install: .venv/installed
.venv/installed: pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[train,dev]'
# picamera2 without its dependencies: the contract tests stub libcamera, which exists on a Pi alone.
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps 'picamera2>=0.3.30'
	touch $@

# What the page is tried in, from Debian's packages; where there is none of these, its tests are skipped.
browser:
	@command -v chromium || command -v chromium-browser || command -v google-chrome || { apt-get update -qq && \
		DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium fonts-dejavu-core; }

demo: install
	$(BIN)/lrt demo --out demo

# Files side by side, one a core: many of the rig's tests wait for real seconds to pass.
test: install
	$(BIN)/python -m pytest -n auto --dist loadfile --no-loadscope-reorder

# A Debian machine under QEMU with a real I2C bus, cameras, systemd and power cuts: minutes, and as root. Page: tests/vm/report.html
test-vm: install
	$(BIN)/python tests/vm $(ARGS)

# For releases: the base install and the quick tests on aarch64, a Pi 4's processor emulated by QEMU: as root. Report: tests/vm/arm64.json
test-arm64: install
	$(BIN)/python tests/vm/arm64.py $(ARGS)

lint: install
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/basedpyright

bench: install
	$(BIN)/python -m bench

# On a machine with a GPU, which needs PyTorch, numpy, OpenCV and scipy alone: no .venv is set up. Call it again to go on.
bench-gpu:
	$(PYTHON) -m bench.gpu $(ARGS)

clean:
	rm -rf demo build *.egg-info .pytest_cache .ruff_cache
