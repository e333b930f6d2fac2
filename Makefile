# `make demo` shows it, `make chat` starts it, `make test` proves it. All that is needed is make and Python 3.11 or
# newer; the rest is installed into .venv, from hash-checked lock files, when a goal first needs it.

# The first Python that is new enough and can make a .venv, or the one you name: make PYTHON=/path/to/python3
PYTHON ?= $(shell for it in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$it -c '$(SUITS)' 2>/dev/null && { command -v $$it; break; }; done)
SUITS := import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))

BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet install
LOCK := uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --upgrade
SOURCES := quicchat tests echo.py

# A .venv whose Python is gone (upgraded, or the folder came from elsewhere) is made anew.
GONE := $(shell test -x $(BIN)/python || rm -rf .venv)

# What to hand to pytest: make test TESTS=tests/wire FLAGS=-x
TESTS ?= tests
FLAGS ?= -n 4 --dist worksteal
# What to hand to the kit: make conform CASES='--slow --html report'
CASES ?=
# What make soak plays; the first 500 are part of make test.
SEEDS ?= 0..19999

# The tests of what make coverage measures.
PURE := tests/wire tests/protocol tests/properties tests/conformance/test_finding.py tests/conformance/test_messages.py

.DEFAULT_GOAL := help
.PHONY: help demo chat test check conform conform-client mutants bench soak hostile fuzz coverage spec picture lock clean

help: ## list these goals
	@sed -n 's/^\([a-z-]*\):.*## /\1 /p' $(firstword $(MAKEFILE_LIST)) | while read -r goal text; do \
	printf '  make %-14s %s\n' "$$goal" "$$text"; done

demo: .venv/.use ## watch a server and three clients talk, and stop by themselves
	@$(BIN)/python -m quicchat.tools.demo

chat: .venv/.use ## start a server here and a client to talk with
	@$(BIN)/python -m quicchat.tools.chat

test: check ## check everything, then run the tests
	@$(BIN)/python -m pytest -q $(FLAGS) $(TESTS)

check: .venv/.dev ## lint, types, layers, sizes, generated files
	$(BIN)/ruff check $(SOURCES)
	$(BIN)/ruff format --check --quiet $(SOURCES)
	@echo '$(BIN)/lint-imports'; said=$$($(BIN)/lint-imports --no-logo) || { echo "$$said"; exit 1; }
	$(BIN)/python -m quicchat.tools.check
	$(BIN)/python -m quicchat.tools.specgen --check
	$(BIN)/python -m mypy

conform: .venv/.use ## hold a server of ours against the specification, in all versions and in the first alone
	@for versions in 1,2 1; do $(BIN)/python -m quicchat conform --thorough $(CASES) --start \
	"$(BIN)/python -m quicchat server -p {port} --data {data} --rate 0 --signup open --versions $$versions" || exit; done

conform-client: .venv/.use ## hold our client against the specification, by a server that does not
	@$(BIN)/python -m quicchat conform --serve :0 -j 3 $(CASES) --client \
	"$(BIN)/python -m quicchat client -s {host} -p {port} -u {user} --password-file {passwordfile} --plain"

mutants: .venv/.dev ## break the server on purpose, fault by fault, and see that the kit notices
	@$(BIN)/python -m tests.mutants

bench: .venv/.dev ## measure speed against its targets
	@$(BIN)/python -m tests.bench

soak: .venv/.dev ## play 20,000 seeds of the simulation, and move files through ten kills of either end
	@$(BIN)/python -m quicchat.tools.sim --seeds $(SEEDS)
	@QUICCHAT_TEST_KILLS=10 QUICCHAT_TEST_MIB=100 $(BIN)/python -m pytest -q --timeout=900 tests/e2e/test_files*.py

hostile: .venv/.dev ## play every row of spec/hostile.md against a server, beside people who talk
	@QUICCHAT_TEST_HOSTILE=1 $(BIN)/python -m pytest -q --timeout=120 tests/hostile

fuzz: .venv/.dev ## look for inputs that break it, for some minutes
	@$(BIN)/python -m pytest -q $(FLAGS) -m hypothesis --hypothesis-profile=fuzz --timeout=3600 $(TESTS)
	@QUICCHAT_FUZZ=32000 $(BIN)/python -m pytest -q $(FLAGS) --timeout=3600 tests/transport/test_fuzz.py

# What measures time is left out: it takes longer while somebody counts.
coverage: .venv/.dev ## measure which lines and branches of wire and protocol are tested: all of them must be
	@$(BIN)/python -m coverage run -m pytest -q -k 'not in_time' $(PURE)
	@$(BIN)/python -m coverage report --skip-covered --show-missing --fail-under=100

spec: .venv/.dev ## write the generated parts of spec/ anew, and all of it as a page: build/spec/index.html
	@$(BIN)/python -m quicchat.tools.specgen --page

picture: .venv/.dev ## draw the pictures of the README anew
	@$(BIN)/python -m tests.picture

lock: .venv/.dev ## choose the newest allowed dependencies and write the lock files
	@$(PIP) --require-hashes --requirement .ci/requirements-uv.lock
	$(BIN)/$(LOCK) pyproject.toml --extra pgp --extra tui --group build --output-file .ci/requirements.lock
	$(BIN)/$(LOCK) pyproject.toml --extra pgp --extra tui --group dev --constraint .ci/requirements.lock --output-file .ci/requirements-dev.lock
	$(BIN)/$(LOCK) --group lock --output-file .ci/requirements-uv.lock

clean: ## remove .venv and what the tools left behind
	rm -rf .venv build dist .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	find $(SOURCES) -name __pycache__ -prune -exec rm -rf {} +

.venv/bin/python:
	@test -n '$(PYTHON)' && $(PYTHON) -c '$(SUITS)' 2>/dev/null || { \
	echo 'quicchat needs Python 3.11 or newer, with its venv module; name one: make PYTHON=/path/to/python3' >&2; exit 1; }
	@echo 'making .venv with $(PYTHON)'
	@$(PYTHON) -m venv --clear .venv

# The package itself is installed in place: what is edited is what runs.
.venv/.use: .ci/requirements.lock pyproject.toml | .venv/bin/python
	@echo 'installing what quicchat needs'
	@$(PIP) --require-hashes --requirement .ci/requirements.lock
	@$(PIP) --no-deps --no-build-isolation --editable .
	@touch $@

.venv/.dev: .ci/requirements-dev.lock .venv/.use
	@echo 'installing what its checks need'
	@$(PIP) --require-hashes --requirement .ci/requirements-dev.lock
	@touch $@
