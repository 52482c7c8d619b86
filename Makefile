# Two commands: `make demo` runs the main job, `make test` checks everything. Both set themselves up in .venv.
SHELL := /bin/bash
ROS := . .venv/ros_env.sh && export ROS_AUTOMATIC_DISCOVERY_RANGE=LOCALHOST ROS_DOMAIN_ID=$$((RANDOM % 100 + 1)) &&
OUT ?= demo_output

.PHONY: help setup demo test lint format clean
help: ## list the targets
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

setup: ## install into .venv and build the ROS packages
	@scripts/setup.sh

demo: setup ## drive through a rendered world twice, localize the second drive; DRIVE=... QUERY=... for your own
	@$(ROS) .venv/bin/python -m netvlad_ros.demo --out '$(OUT)' \
		$(if $(DRIVE),--drive '$(DRIVE)') $(if $(QUERY),--query '$(QUERY)') $(if $(MODEL),--model '$(MODEL)')

lint: ## style and types
	@scripts/setup.sh --dev
	@.venv/bin/ruff check . && .venv/bin/ruff format --check . && .venv/bin/mypy

test: lint ## lint, then every test, the node's over DDS
	@$(ROS) .venv/bin/python -m pytest test

format: ## put the sources into shape
	@scripts/setup.sh --dev
	@.venv/bin/ruff check --fix . && .venv/bin/ruff format .

clean: ## remove all that the targets made
	rm -rf .venv build install log demo_output
