# Quire: `make demo` and `make test` do all of their set-up themselves. `make help` lists the rest.
# One release build serves all targets, so that a demo after the tests (or the other way round) compiles little.

SHELL := /bin/sh
.DEFAULT_GOAL := help

# Chosen when it is first needed: tools/setup says what is wrong when there is none.
SWIFT_PATH = $(shell tools/find-swift)
BIN := .build/release
OUT ?= out

# The demo uses the miniature and the private database, whatever this user's own settings are.
DEMO := env -u DATABASE_URL -u PGHOST -u PGHOSTADDR -u PGSERVICE -u PGDATABASE -u QUIRE_MODEL \
	QUIRE_CONFIG=samples/demo.json $(BIN)/quire run samples/archive --out $(OUT)

.PHONY: help
help: ## List these targets
	@echo "Quire: folders of PDF, TIFF and page images become Markdown with layout."
	@echo
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 18

.PHONY: setup
setup: ## Check Swift and install missing Debian packages
	@tools/setup

.PHONY: build
build: setup ## Build the four programs (release) in .build/release
	@"$(SWIFT_PATH)" build -c release

# Without it everything builds and runs on the processor.
.PHONY: cuda
cuda: ## Compile the kernels for NVIDIA GPUs, which the next build embeds
	@tools/cuda

# Exit code 1 of `quire run` means that everything else is exported but some files could not be read, and samples/archive
# holds three such files on purpose. Any other code, 0 included, is a fault.
.PHONY: demo
demo: build ## Recognise samples/archive and export it to out/
	@$(DEMO); code=$$?; echo; \
	case $$code in \
	1) echo "quire ended with exit code 1, as it should here: the files in samples/archive/broken are broken on purpose.";; \
	0) echo "quire ended with exit code 0, but the broken files in samples/archive should have given 1." >&2; exit 1;; \
	*) echo "quire failed with exit code $$code." >&2; exit $$code;; \
	esac

# Four tests at once: many start servers and workers of their own, and all of them together starve each other.
# Without testable imports (the tests have none), `swift test` would otherwise compile everything a second time.
.PHONY: test
test: setup ## Build and run all tests, also on a real PostgreSQL; check the format
	@"$(SWIFT_PATH)" build -c release --build-tests
	@SWT_EXPERIMENTAL_MAXIMUM_PARALLELIZATION_WIDTH=4 \
		"$(SWIFT_PATH)" test -c release --disable-testable-imports --disable-xctest
	@$(MAKE) --no-print-directory lint

.PHONY: lint
lint: ## Check the format of all Swift files
	@"$(SWIFT_PATH)" format lint --strict --parallel --recursive Package.swift Sources Tests migrations
	@echo "swift format: nothing to mend."

.PHONY: bench
bench: build ## Time the small checkpoint on this machine
	@$(BIN)/quire-bench speed --model models/quire-nano

.PHONY: bench-cpu
bench-cpu: build ## Measure the released size on this machine's processors, beside PyTorch (25 minutes)
	@tools/bench-cpu

# It runs where there is neither a network nor Swift (docs/gpu.md).
.PHONY: gpu-check
gpu-check: setup ## Pack out/gpu-check, which checks and measures a machine with an NVIDIA GPU
	@tools/gpu-check pack $(OUT)/gpu-check

# Exit code 1 means that a goal is not met; the table says which.
.PHONY: accuracy
accuracy: build ## Compare bf16 and int8 with f32: scores, tokens, text
	@mkdir -p $(OUT)/bench
	@$(BIN)/quire-bench accuracy --json $(OUT)/bench/accuracy.jsonl --prompt "$$(printf '<image>\nFree OCR.')"

# Pages of samples/archive and, where it is there, ../shared/corpus; pdfium comes from a Python environment of its own,
# which needs python3-venv and the network once.
RENDER_PYTHON := .build/render-python
.PHONY: bench-render
bench-render: build ## Compare drawn pages with those of pdftoppm and pdfium: pixels, seconds, memory
	@[ -x $(RENDER_PYTHON)/bin/python ] || python3 -m venv $(RENDER_PYTHON)
	@$(RENDER_PYTHON)/bin/pip install -q --disable-pip-version-check pypdfium2==5.15.2
	@$(BIN)/quire-bench render --python $(RENDER_PYTHON)/bin/python

# What it finds is kept in out/mutations.
.PHONY: bench-mutations
bench-mutations: build ## Spoil sound files 2,000 times: nothing that other tools complain of may pass in silence
	@mkdir -p $(OUT)/mutations
	@$(BIN)/quire-bench mutate --count 2000 --keep $(OUT)/mutations

# The files take 80 MB in out/big.
.PHONY: bench-big
bench-big: build ## Draw A0 at 600 dpi in each format, a long roll and 2,000 pages: seconds and memory
	@[ -x $(RENDER_PYTHON)/bin/python ] || python3 -m venv $(RENDER_PYTHON)
	@$(RENDER_PYTHON)/bin/pip install -q --disable-pip-version-check numpy==2.4.6 pillow==13.0.0 tifffile==2026.3.3 imagecodecs==2026.3.6
	@[ -e $(OUT)/big/2000-pages.pdf ] || $(RENDER_PYTHON)/bin/python tools/big-files $(OUT)/big
	@$(BIN)/quire-bench big $(OUT)/big

.PHONY: bench-queue
bench-queue: build ## Measure the job tables with 1,000,000 and 10,000,000 queued pages (6 minutes)
	@mkdir -p $(OUT)/bench
	@$(BIN)/quire-bench queue --pages 1000000 10000000 --seconds 30 --json $(OUT)/bench/queue.jsonl
	@$(BIN)/quire-bench queue --pages 1000000 10000000 --seconds 30 --pace 10000 --json $(OUT)/bench/queue.jsonl

.PHONY: bench-submit
bench-submit: build ## Submit 10,000 and 100,000 small files, each with a SIGKILL in the middle (3 minutes)
	@mkdir -p $(OUT)/bench
	@$(BIN)/quire-bench submit --files 10000 100000 --json $(OUT)/bench/queue.jsonl

# The exports need 2 GB and 500,000 inodes in /tmp for each 100,000 documents.
.PHONY: bench-export
bench-export: build ## Export batches of 50,000 and 200,000 documents twice: time and memory (10 minutes)
	@mkdir -p $(OUT)/bench
	@$(BIN)/quire-bench export --documents 50000 200000 --json $(OUT)/bench/queue.jsonl

# Needs root for the second host (a network namespace); without it that part is left out, and it says so.
.PHONY: soak
soak: build ## Crashes, and an ordinary week's faults, while 20,000 pages are done each time (20 minutes)
	@mkdir -p $(OUT)/bench
	@$(BIN)/quire-soak --json $(OUT)/bench/queue.jsonl

.PHONY: clean
clean: ## Remove what was built; results in out/ and the embedded database stay
	@rm -rf .build
