# Two commands for users (study, test), three for developers (lint, test-slow, bench).
# Every target builds .venv first when it is missing or when what goes into it changed;
# all that it takes is Python 3.11 or later with venv, and make. pip's own settings
# (PIP_INDEX_URL, PIP_EXTRA_INDEX_URL, pip.conf, ...) apply as usual.
PYTHON ?= python3
VENV := .venv
, := ,
BIN := $(VENV)/bin
READY := $(VENV)/.ready
# Tests in two processes, each with whole modules, so that what a module's tests share is made once; the long modules
# come first (tests/conftest.py), so that at the end neither process is left alone with one. CI=1 draws
# more examples of what hypothesis tests.
PYTEST := $(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder --max-worker-restart 0
SYNTHETIC := [$(foreach rows,100 500 1000 10000,{path: synthetic_$(rows)$(,) split: paper$(,) k: 100}$(,))]

# Tests and the commands that they start find modules compiled, whatever the environment says.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: study test test-slow test-slurm coverage lint types imports style format bench accuracy missing-data paper paper-search paper-tables pictures clean

study: $(READY)
	$(BIN)/dst run quickstart

test: $(READY)
	$(PYTEST) -m "not slow"

test-slow: $(READY)
	$(PYTEST) -m "slow"

# The batch script under a real Slurm: minutes, as root, where Debian's packages slurm-wlm and munge are installed.
test-slurm: $(READY)
	DST_TEST_SLURM=1 $(BIN)/python -m pytest tests/cluster/launch/test_slurm.py

# Lines and branches that the quick tests run, commands and workers that they start included; limits of time do not count here.
coverage: $(READY)
	$(PYTEST) -m "not slow" -o quick_seconds=1000 --cov --cov-report=term:skip-covered

# Side by side, each with its output in one piece; what fails stops none of the others.
lint: $(READY)
	@$(MAKE) --no-print-directory --keep-going --jobs 2 $(filter --output-sync,$(.FEATURES:%=--%)) types imports style

types: $(READY)
	$(BIN)/mypy

imports: $(READY)
	$(BIN)/lint-imports

style: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format: $(READY)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# Training steps, topology updates and attribution on this machine, beside torch and SciPy: ten minutes and 2 GB.
# Nothing else should run meanwhile.
bench: $(READY)
	$(BIN)/dst bench step
	$(BIN)/dst bench topology
	$(BIN)/dst bench attribution

# Test accuracy under the paper's protocol beside the paper's own figures (needs DST_DATA_DIR).
accuracy: $(READY)
	$(BIN)/python -m studies.analyses.accuracy

# Tables and figure of the missing-data study from its committed trials.
missing-data: $(READY)
	$(BIN)/python -m studies.analyses.missing_data

# Tables and figures of the paper's study from its committed scores.
paper-tables: $(READY)
	$(BIN)/python -m studies.analyses.paper_results

# The paper's study itself, its rivals and its appendix C, on whichever of its datasets are in DST_DATA_DIR, into the tables
# above: hours, without a GPU LassoNet alone a day. What is interrupted goes on from there. The text around the tables is written
# by hand: read it again.
paper: $(READY)
	$(BIN)/dst run paper
	$(BIN)/dst run paper_l2
	$(BIN)/dst run paper_svm
	$(BIN)/dst run paper_svm --out runs/set_alone --set 'methods=[set]' --set search.trials=30 --set search.batch=30
	$(BIN)/dst run paper_baselines --out runs/quick_baselines
	$(BIN)/dst run paper_baselines --out runs/lassonet --set 'methods=[lassonet]' --set search.trials=1 --set search.batch=1
	$(BIN)/dst run paper_baselines --out runs/stg --set 'methods=[stg]' --set 'training.hidden=[200, 50]' --set search.trials=4 \
	  --set search.batch=4 --set 'space={lam: {values: [1.0e-3, 1.0e-2]}, lr: {values: [1.0e-3, 1.0e-2]}}'
	$(BIN)/dst run paper_synthetic --out runs/synthetic
	$(BIN)/dst run paper_baselines --out runs/synthetic_baselines --set 'datasets=$(SYNTHETIC)' --set search.trials=11 \
	  --set search.batch=11 --set 'methods=[lasso, l1_logistic, extra_trees, f_score, random]'
	$(BIN)/dst run paper_sparsities --out runs/sparsities --set 'methods=[set]' --set search.trials=9 --set search.batch=9
	$(BIN)/dst run paper_sparsities --out runs/sparsities_rigl --set 'methods=[rigl]' --set search.trials=9 --set search.batch=9
	$(BIN)/python -m studies.analyses.attribution_stability --datasets Yale Madelon --out studies/results/paper/stability.csv
	$(BIN)/python -m studies.analyses.published_loss --out studies/results/paper/losses.csv
	$(BIN)/python -m studies.analyses.weight_decay --out studies/results/paper/weight_decay.csv
	$(BIN)/python -m studies.analyses.paper_results --study runs/sparsities --study runs/sparsities_rigl --out studies/results/paper/sparsities
	$(BIN)/python -m studies.analyses.paper_results --study runs/paper_l2 --out studies/results/paper/stronger_decay
	$(BIN)/python -m studies.analyses.paper_results --study runs/paper_svm --out studies/results/paper/by_svm
	$(BIN)/python -m studies.analyses.paper_results --study runs/set_alone --out studies/results/paper/by_svm_again
	rm -rf studies/results/paper/lassonet_gpu # these datasets were run on a GPU; now all are in runs/lassonet
	$(BIN)/python -m studies.analyses.paper_results $(foreach study,paper quick_baselines lassonet stg synthetic synthetic_baselines,--study runs/$(study))

# The README's pictures.
pictures: study
	$(BIN)/python -m studies.analyses.pictures --study runs/quickstart

# The wide search, its rivals, and what both chose on ten other outer splits: hours, without LassoNet and STG, which are left
# out (studies/spec/packaged/paper_search_baselines.yaml says how they are run). The text is written by hand, as above.
SEARCHED := --study runs/paper_search --study runs/paper_search_baselines
paper-search: $(READY)
	$(BIN)/dst run paper_search
	$(BIN)/dst run paper_search_baselines
	$(BIN)/python -m studies.analyses.other_splits $(SEARCHED) --own --out studies/results/paper_search/own_split.csv
	$(BIN)/python -m studies.analyses.other_splits $(SEARCHED) --out studies/results/paper_search/other_splits.csv
	$(BIN)/python -m studies.analyses.wide_search $(SEARCHED)

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(None if v >= (3, 11) else "Python 3.11 or later is needed, but $(PYTHON) is %d.%d: make PYTHON=python3.11" % v)'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --no-compile --constraint constraints.txt --editable '.[dev]'
	@touch $@

clean:
	rm -rf $(VENV) build *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
