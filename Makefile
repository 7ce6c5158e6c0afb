# make help lists the targets. Variables: PYTHON, UI_PORT, NAME (of a scenario), SUITE, ARGS (more arguments for locust,
# locust-ext suite or pytest).

PYTHON ?= python3
UI_PORT := 8089
ARGS :=
NAME := steady
SUITE := config/suite.yaml

BIN := .venv/bin
STAMP := .venv/.installed
SCENARIO := $(BIN)/locust -f locustfiles/realistic.py -u 50 -r 25 -s 5 --ext-config config/demo.yaml

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help install run ui scenario stress suite test lint format bench clean

help: ## list these targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-9s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

install: $(STAMP) ## create .venv and install the package with all extras; at once if nothing changed

$(STAMP): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "locust-ext needs Python 3.11 or newer, '$(PYTHON)' is: $$($(PYTHON) --version 2>&1 || true)"; \
		echo "Name another one: make install PYTHON=/path/to/python3.11"; exit 1; } >&2
	test -x $(BIN)/pip || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[demo,ui,test]'
	@touch $@

run: $(STAMP) ## the realistic scenario: 50 users, 30 s, report in reports/realistic/
	$(SCENARIO) --headless -t 30s --only-summary --ext-report-dir reports/realistic $(ARGS)

ui: $(STAMP) ## the same scenario with Locust's web UI (UI_PORT=8089); Ctrl-C ends it
	@echo "Web UI: http://127.0.0.1:$(UI_PORT)"
	$(SCENARIO) --web-host 127.0.0.1 --web-port $(UI_PORT) --ext-report-dir reports/ui $(ARGS)

scenario: $(STAMP) ## the scenario NAME=burst, or another of locustfiles/; report in reports/NAME/
	$(BIN)/locust -f locustfiles/$(NAME).py --headless --only-summary --ext-report-dir reports/$(NAME) $(ARGS)

stress: $(STAMP) ## search for the limit of the embedded server; ARGS="--host URL --ext-config FILE" for another's
	$(BIN)/locust -f locustfiles/stress.py --headless --only-summary --ext-report-dir reports/stress $(ARGS)

suite: $(STAMP) ## all scenarios, short, one after the other; SUITE=config/realtime_suite.yaml: another suite
	$(BIN)/locust-ext suite $(SUITE) $(ARGS)

test: $(STAMP) ## run all tests (ARGS="-k name" for some)
	$(BIN)/python -m tests $(ARGS)

lint: $(STAMP) ## ruff and mypy --strict
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy --strict -p locust_ext

format: $(STAMP) ## let ruff format and fix what it can
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(STAMP) ## run every benchmark, one after the other; fails if one missed its limit
	@failed=; for file in $$(grep -l '^def main(' benchmarks/*.py); do \
		module=benchmarks.$$(basename $$file .py); \
		echo "== $$module"; \
		$(BIN)/python -m $$module || failed="$$failed $$module"; \
	done; \
	test -z "$$failed" || { echo "missed a limit:$$failed" >&2; exit 1; }

clean: ## remove caches and build products; .venv and reports stay
	rm -rf build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -path ./.venv -prune -o -type d -name __pycache__ -exec rm -rf {} +
