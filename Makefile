# Every command that a developer or CI needs. `make demo` and `make test` need only Python 3.11+ and make.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Tests wait for a homeserver now and then: two workers more than there are cores keep these busy.
WORKERS ?= $(shell echo $$((2 + $$(getconf _NPROCESSORS_ONLN))))

# Where Python may not keep what it compiles, each of the bots that tests start compiles all of it.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo test test-all coverage soak onboarding streaming newcomer backlog comparison failpoints faults mutations hostile flood walks locale diagrams walkthrough reference site check format lint types contracts flows lock clean

$(VENV)/.installed: pyproject.toml constraints.txt
	@echo "Installing into $(VENV) (about a minute the first time) …"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --upgrade 'pip>=25.1'
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[test,diagrams,openai,a2a]' --group dev
	@touch $@

demo: $(VENV)/.installed
	@$(BIN)/python -m strandline.demo

# Fails if the unit tests without a homeserver cover less than pyproject.toml asks for.
test: $(VENV)/.installed check
	@rm -f .coverage .coverage.*
	$(BIN)/coverage run -m pytest -n $(WORKERS) --dist worksteal
	@$(BIN)/coverage combine --quiet
	@printf 'Lines and branches covered, in percent: '
	@$(BIN)/coverage report --format=total

# What `make test` runs, and what is long besides.
test-all: $(VENV)/.installed check
	$(BIN)/pytest -n $(WORKERS) --dist worksteal -m "not slow"

# What `make test` runs, with the bots' processes measured too, and the figures of each file; slower.
coverage: $(VENV)/.installed
	@rm -f .coverage .coverage.*
	STRANDLINE_COVERAGE=all $(BIN)/coverage run -m pytest -n $(WORKERS) --dist worksteal
	@$(BIN)/coverage combine --quiet
	$(BIN)/coverage report

# Random kills of bot and homeserver while people talk; the last line is to have five zeros.
KILLS ?= 100
SEED ?= 1
soak: $(VENV)/.installed
	@$(BIN)/python -m benchmarks.soak --kills $(KILLS) --seed $(SEED) $(SOAK)

PEOPLE ?= 500
onboarding: $(VENV)/.installed
	@$(BIN)/python -m benchmarks.onboarding --people $(PEOPLE) $(ONBOARDING)

ROOMS ?= 200
streaming: $(VENV)/.installed
	@$(BIN)/python -m benchmarks.streaming --rooms $(ROOMS) $(STREAMING)

# From the built wheel in an empty environment to a first flow that answers in a room.
newcomer: $(VENV)/.installed
	@$(BIN)/python -m benchmarks.newcomer

backlog: $(VENV)/.installed
	$(BIN)/pytest tests/e2e/test_backlog.py -m slow -s

# The same bot on other frameworks, each killed so often; writes docs/comparison.md.
comparison: $(VENV)/.installed
	@$(BIN)/python -m benchmarks.comparison --kills 40 --seed $(SEED) $(COMPARISON)

# Every named point by every kind of event; `make test-all` kills each kind at a few points, and
# `make test` some of the kinds.
failpoints: $(VENV)/.installed
	STRANDLINE_FAILPOINTS=all $(BIN)/pytest tests/crash/failpoints -m "not slow" -n $(WORKERS) --dist worksteal

faults: $(VENV)/.installed
	STRANDLINE_FAULTS=all $(BIN)/pytest tests/crash/faults/test_every_fault.py -m "not slow" -n $(WORKERS) --dist worksteal

# Every field of every event that is read, replaced by anything, through every reader.
MUTATIONS ?= 200000
mutations: $(VENV)/.installed
	STRANDLINE_MUTATIONS=$(MUTATIONS) SEED=$(SEED) $(BIN)/pytest tests/unit/matrix/inbound/test_mutations.py -s

# Hostile events through a whole bot, beside people who ask; `make test` sends 150.
HOSTILE ?= 2000
hostile: $(VENV)/.installed
	STRANDLINE_HOSTILE=$(HOSTILE) $(BIN)/pytest tests/e2e/test_hostile_people.py -s

# One user sends 5,000 messages, and 1,001 events that nobody can decrypt into each of two rooms: how
# long another waits meanwhile.
flood: $(VENV)/.installed
	@$(BIN)/python -m benchmarks.flood $(FLOOD)

# Walks every path of the bot's own flows, and kills it at the end of each; `make test` walks short ones.
walks: $(VENV)/.installed
	STRANDLINE_WALKS=all $(BIN)/pytest tests/crash/walks tests/unit/examples -m "not slow" -n 2

# Collects the sentences that the bot says, and compiles their translations; names what is missing.
locale: $(VENV)/.installed
	@$(BIN)/python -m tests.support.catalogue

# Draws the flows for the docs.
diagrams: $(VENV)/.installed
	@$(BIN)/strandline diagram --output docs/flows

# Plays a walk through the bot for the docs, and writes it down.
walkthrough: $(VENV)/.installed
	@$(BIN)/python -m tests.support.walkthrough

# Writes signatures and docstrings into docs/reference, between its markers.
reference: $(VENV)/.installed
	@$(BIN)/python -m tests.support.reference

# Builds the documentation site into site/, strictly and without the network.
site: $(VENV)/.installed
	@$(BIN)/mkdocs build --strict --quiet

# All four at once, each with its output in one piece.
check: $(VENV)/.installed
	@$(MAKE) --no-print-directory --jobs 4 --output-sync=target lint types contracts flows

lint: $(VENV)/.installed
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: $(VENV)/.installed
	$(BIN)/mypy

contracts: $(VENV)/.installed
	$(BIN)/lint-imports

flows: $(VENV)/.installed
	$(BIN)/strandline lint --strict
	$(BIN)/strandline lint --strict examples

format: $(VENV)/.installed
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

# Writes the installed versions to constraints.txt, from which every later installation takes them.
# Python brings its own setuptools.
lock: $(VENV)/.installed
	@$(BIN)/python -m pip freeze --all --exclude setuptools --exclude-editable > constraints.txt
	@touch $(VENV)/.installed

clean:
	rm -rf $(VENV) site .coverage .coverage.* .mypy_cache .ruff_cache .pytest_cache .hypothesis
