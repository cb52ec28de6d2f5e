# plexlab: build, test, certify, measure. Each target does the set-up that is missing.
#
#   sudo make conformance   the suites against the reference stack, and their report
#   sudo make test          lint, unit tests with the race detector, the suites once more with it
#
# Both work without sudo too; what cannot, says so.

.DEFAULT_GOAL := build
.PHONY: all build suites setup conformance test lint mutants bench fuzz generate clean

all: build lint

build:              ## out/bin: plexlab, supervisor, puppet and stackd
	@scripts/build

suites:             ## out/suites, for plexlab certify
	@scripts/suites

setup:              ## install what this machine lacks, or say what it is
	@scripts/setup

conformance:        ## the suites of every flowchart; SUITES="fig11 fig12" chooses
	@scripts/conformance

test:
	@scripts/test

lint:
	@scripts/lint

mutants:            ## wrong variants of the reference, each to be found by a spec; ONLY=fig13 chooses
	@scripts/mutants

bench:              ## BENCH=distribute, lab, listen, ports or takeover chooses one part; ROUNDS=n KILLS=n
	@scripts/bench

fuzz:               ## FUZZTIME=30s for each target
	@scripts/fuzz

generate:           ## what is made from other files: the messages' Go form
	@scripts/generate

clean:
	rm -rf out
