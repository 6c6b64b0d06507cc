# Two commands do all set-up on a machine with Python 3.10+ and make: `make demo` and `make test`.
PYTHON ?= python3
VENV ?= .venv
RUN := $(VENV)/bin
RESULTS ?= results
TEST_PROCESSES ?= 2

.PHONY: demo test test-slow test-faults test-kernels test-arm64 test-install sanitize lint types docs dist bench bench-estimates bench-lists bench-orchestration bench-quality bench-revisions bench-scaling bench-tools bench-rounds clean help

help:            ## show this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/'

demo: $(VENV)/.run  ## create the environment and run the quickstart scenario
	$(RUN)/fedmf-ray run scenarios/quickstart.yaml --results $(RESULTS) --user 14

# A file's tests share fixtures, a local Ray among them, so a file stays with one process.
# Compiled first: where Python may not write bytecode, each of hundreds of processes would do it again.
test: $(VENV)/.test  ## run the test suite in TEST_PROCESSES (slow tests excluded)
	@$(RUN)/python -m compileall -q fedmf_ray tests
	$(RUN)/python -m pytest -m "not slow" -n $(TEST_PROCESSES) --dist loadfile

test-slow: $(VENV)/.test  ## run only the slow tests
	$(RUN)/python -m pytest -m slow

test-faults: $(VENV)/.test  ## kill processes and nodes, and throw malformed input, for ten minutes
	$(RUN)/python -m pytest -m slow tests/engine tests/storage tests/protocol tests/scenario

test-install: $(VENV)/.test  ## install the wheel into an empty environment and run the quickstart there (downloads)
	$(RUN)/python -m pytest -m slow tests/test_install.py

test-kernels: $(VENV)/.test  ## run the crypto tests with every kernel that this machine can run
	@set -e; for kernel in $(ALL_KERNELS) gmpy2; do \
		obstacle="$$(FEDMF_KERNEL=$$kernel $(RUN)/python -c 'from fedmf_ray.schemes.paillier import kernels; kernels.description()' 2>&1 | tail -n 1)"; \
		if [ -n "$$obstacle" ]; then echo "no tests with $$kernel: $$obstacle"; continue; fi; \
		echo "FEDMF_KERNEL=$$kernel"; FEDMF_KERNEL=$$kernel $(RUN)/python -m pytest -m "not slow" -n $(TEST_PROCESSES) --dist loadfile \
			--ignore-glob='*masked*' --ignore-glob='*committee*' tests/schemes; \
	done

# A copy of the package with kernels of its own; the interpreter itself leaks by design.
ALL_KERNELS := ifma fma8 fma4 fma2
SANITIZED := build/sanitized
sanitize: $(VENV)/.test  ## run the native kernels' tests under address and undefined-behaviour sanitizers
	rm -rf $(SANITIZED) && mkdir -p $(SANITIZED) && cp -r fedmf_ray $(SANITIZED)
	rm -f $(SANITIZED)/fedmf_ray/schemes/paillier/*.so
	set -e; for kernel in $(ALL_KERNELS); do \
		$(CC) -std=gnu11 -O2 -g -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=all \
			-ffp-contract=off -DFEDMF_ROLLED -Wall -Wextra -Werror -shared -fPIC \
			-I"$$($(RUN)/python -c 'import sysconfig; print(sysconfig.get_path("include"))')" \
			fedmf_ray/schemes/paillier/native/$$kernel.c \
			-o $(SANITIZED)/fedmf_ray/schemes/paillier/_$$kernel.so; \
	done
	LD_PRELOAD="$$($(CC) -print-file-name=libasan.so) $$($(CC) -print-file-name=libubsan.so)" \
		ASAN_OPTIONS=detect_leaks=0 UBSAN_OPTIONS=print_stacktrace=1 \
		$(RUN)/python -m pytest -m "not slow" -o pythonpath=$(SANITIZED) \
		tests/schemes/test_native_numbers.py tests/schemes/test_native_keys.py tests/schemes/test_native_rounding.py

# Cross-compiled, because this machine's Python cannot be emulated with it.
ARM_CC ?= aarch64-linux-gnu-gcc
ARM_RUN ?= qemu-aarch64
test-arm64:      ## check the arithmetic of Paillier's kernel on arm64, cross-compiled and emulated
	@for tool in $(ARM_CC) $(ARM_RUN); do command -v $$tool > /dev/null || \
		{ echo "test-arm64: there is no $$tool here: apt install gcc-aarch64-linux-gnu qemu-user"; exit 1; }; done
	@mkdir -p build
	$(ARM_CC) -static -O2 -std=gnu11 -ffp-contract=off -DWIDTH=2 -Ifedmf_ray/schemes/paillier/native \
		tests/native/limbs.c -o build/limbs-arm64
	$(ARM_RUN) build/limbs-arm64

lint: $(VENV)/.test  ## check style
	$(RUN)/ruff check .
	$(RUN)/ruff format --check .

types: $(VENV)/.test  ## check types
	$(RUN)/mypy

docs: $(VENV)/.docs  ## build the documentation into build/site: strictly, and without a network
	NO_MKDOCS_2_WARNING=1 $(RUN)/python -m mkdocs build --strict --quiet
	@echo build/site/index.html

dist: $(VENV)/.test  ## build the source distribution and a wheel for this platform into dist/
	rm -rf dist && $(RUN)/python -m build

bench: $(VENV)/.run  ## print speed and memory as ratios within one run (needs ml-latest-small; some minutes)
	$(RUN)/python benchmarks/crypto.py
	$(RUN)/python benchmarks/kernels.py
	$(RUN)/python benchmarks/reference_round.py
	$(RUN)/python benchmarks/memory.py
	$(RUN)/python benchmarks/writing.py

bench-estimates: $(VENV)/.run  ## compare estimates and calibrated runs with real ones (needs ml-latest-small; ten minutes)
	$(RUN)/python benchmarks/estimates.py

bench-orchestration: $(VENV)/.run  ## compare speed and memory with Flower, pfl and NumPy (Linux; half an hour)
	$(RUN)/python benchmarks/orchestration/compare.py

bench-quality: $(VENV)/.run  ## test errors on five folds beside scikit-surprise (needs ml-latest-small; a quarter of an hour)
	$(RUN)/python benchmarks/quality.py

bench-lists: $(VENV)/.run  ## lists on five folds beside the library implicit (needs ml-latest-small; ten minutes)
	$(RUN)/python benchmarks/lists.py

REVISION ?= origin/main
bench-revisions: $(VENV)/.run  ## compare each phase of a round with REVISION, in turns (a quarter of an hour)
	$(RUN)/python benchmarks/revisions.py $(REVISION)

bench-scaling: $(VENV)/.run  ## two workers or servers against one, checkpoints, 100,000 users, the sizes of MovieLens-1M and 25M, several nodes (twenty minutes)
	$(RUN)/python benchmarks/scaling.py workers
	$(RUN)/python benchmarks/weak_scaling.py
	$(RUN)/python benchmarks/scaling.py servers
	$(RUN)/python benchmarks/scaling.py checkpoints
	$(RUN)/python benchmarks/scaling.py memory
	$(RUN)/python benchmarks/scaling.py sizes
	$(RUN)/python benchmarks/nodes.py placement
	$(RUN)/python benchmarks/nodes.py traffic
	$(RUN)/python benchmarks/nodes.py study

bench-tools: $(VENV)/.run  ## compare with phe, sf-heu and tenseal, each in an environment made for it (downloads them)
	$(RUN)/python benchmarks/schemes.py

bench-rounds: $(VENV)/.run  ## one flagship round of each scheme, in turns (needs ml-latest-small; some minutes)
	$(RUN)/python benchmarks/rounds.py

clean:           ## remove the environment and caches
	rm -rf $(VENV) build dist *.egg-info fedmf_ray/schemes/paillier/*.so fedmf_ray/learning/*.so .pytest_cache .mypy_cache .ruff_cache .hypothesis

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

# pip alone is silent for a minute or fills the screen. The last line of its log is its exit code.
define install
	@printf 'installing fedmf-ray into $(VENV), a dot for each package: '
	@{ $(RUN)/python -m pip install --disable-pip-version-check --progress-bar off -e '$(1)' 2>&1; echo "exit $$?"; } \
		| tee $(VENV)/install.log \
		| while read -r line; do case "$$line" in Collecting*|Building*|Installing*) printf .;; esac; done
	@tail -n 1 $(VENV)/install.log | grep -q '^exit 0$$' \
		|| { echo; tail -n 20 $(VENV)/install.log; echo "pip failed; its log: $(VENV)/install.log"; exit 1; }
	@echo ' done'
endef

KERNEL := setup.py $(wildcard fedmf_ray/schemes/paillier/native/* fedmf_ray/learning/native/* fedmf_ray/schemes/masked/native/*)
$(VENV)/.run: pyproject.toml $(KERNEL) | $(VENV)/bin/python
	$(call install,.)
	@touch $@

$(VENV)/.test: pyproject.toml $(KERNEL) | $(VENV)/bin/python
	$(call install,.[test])
	@touch $@ $(VENV)/.run

$(VENV)/.docs: pyproject.toml $(KERNEL) | $(VENV)/bin/python
	$(call install,.[docs])
	@touch $@
