# Each target is one line over scripts/bootstrap.py, which needs nothing but Python >= 3.11.
PYTHON ?= python3
RUN = $(PYTHON) scripts/bootstrap.py
DIR ?= tests/edge/golden

.PHONY: setup run test check fmt lock conformance bench eval model-matrix
setup: ; @$(RUN) setup
run: ; @$(RUN) run
test: ; @$(RUN) test
check: ; @$(RUN) check
fmt: ; @$(RUN) fmt
lock: ; @$(RUN) lock
conformance: ; @$(RUN) conformance $(DIR)
bench: ; @$(RUN) bench
eval: ; @$(RUN) eval
model-matrix: ; @$(RUN) model-matrix
