# Two commands: `make demo` runs the main job, `make test` checks everything. Both set themselves up in .venv.
SHELL := /bin/bash
ROS := . .venv/ros_env.sh && export ROS_AUTOMATIC_DISCOVERY_RANGE=LOCALHOST ROS_DOMAIN_ID=$$((RANDOM % 100 + 1)) &&
OUT ?= demo_output

.PHONY: help setup demo test fuzz model figures readme docs lint format clean
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
	@$(ROS) OMP_NUM_THREADS=1 .venv/bin/python -m pytest test -m 'not alone' -n 2 --dist loadfile
	@$(ROS) .venv/bin/python -m pytest test -m alone

fuzz: setup ## feed the readers with mutated files and messages; RUNS=1000 of each kind, SEED=0; the same call with more RUNS goes on
	@.venv/bin/python scripts/fuzz.py --runs $(or $(RUNS),1000) --seed $(or $(SEED),0) --out fuzz_output

VISITS := .venv/bin/netvlad render --visits 3 --overwrite
PHOTOS := --textures ../shared/data/ie_tower
model: ## render the training places and train the shipped model again; 12, 15 and 24 minutes for rendering and two trainings, needs the photographs
	@scripts/setup.sh --dev
	@test -d runs/visits/panoramas/workshop || $(VISITS) --panoramas ../shared/data/polyhaven/panoramas --out runs/visits/panoramas --kind panoramas --seeds 0:37 --size 480x352
	@test -d runs/visits/rooms/rooms107 || $(VISITS) $(PHOTOS) --out runs/visits/rooms --kind rooms --seeds 100:108
	@test -d runs/visits/town/town103 || $(VISITS) $(PHOTOS) --out runs/visits/town --kind town --seeds 100:104
	@test -f runs/colour/latest/network.safetensors || .venv/bin/netvlad train --config config/train_colour.yaml --out runs/colour
	@.venv/bin/netvlad train --config config/train.yaml

figures: ## measure every result in the documents again and write them; hours on a quiet machine; FIGURES='kitchen corridor' for some, RESUME=1 to go on
	@scripts/setup.sh --dev
	@$(ROS) .venv/bin/python scripts/figures.py $(if $(RESUME),--resume) $(FIGURES)

readme: ## write README.md and the pages below docs/ that have a template, from the results measured last and the code
	@scripts/setup.sh --dev
	@.venv/bin/python scripts/figures.py --write

docs: ## build the pages below docs/ as a site in site/; a dead link fails
	@scripts/setup.sh --dev
	@NO_MKDOCS_2_WARNING=1 .venv/bin/python -m mkdocs build --strict
	@echo 'site: site/index.html'

format: ## put the sources into shape
	@scripts/setup.sh --dev
	@.venv/bin/ruff check --fix . && .venv/bin/ruff format .

clean: ## remove all that the targets made
	rm -rf .venv build install log demo_output fuzz_output site
