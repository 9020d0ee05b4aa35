# The developer's doors. `make demo` and `make test` set everything up by themselves.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
LAB := $(BIN)/rl-lab
STAMP := $(VENV)/.installed

.PHONY: install demo demo-adaptability demo-adaptability-pendulum test test-browser test-slow check format bench-startup bench-evaluation bench-frozen bench-training bench-threshold bench-shifts parity soak anchors results test-scale bench-scale image clean

install: $(STAMP)

# Pinned by constraints.txt; an unpinned torch can pull gigabytes of CUDA packages.
$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet -c constraints.txt "torch==2.13.0"
	$(BIN)/python -m pip install --quiet -c constraints.txt -e ".[box2d,mujoco,video,figures,fast,envpool,tune,dev]"
	touch $(STAMP)

# The lab's main job on real input: train, freeze, evaluate, compare.
demo: install
	$(LAB) train -m experiment=demo agent=dqn,ppo,a2c seed=0,1,2 output=outputs/demo
	$(LAB) evaluate runs=outputs/demo/train/CartPole-v1 name=demo output=outputs/demo

# All of adaptability on one environment: robustness, generalisation, drift, continued learning.
ADAPTABILITY := outputs/adaptability
CARTPOLE := shift=shorter_pole
demo-adaptability: install
	$(LAB) train -m experiment=demo agent=ppo,dqn seed=0,1,2 output=$(ADAPTABILITY)
	$(LAB) adapt runs=$(ADAPTABILITY)/train/CartPole-v1 $(CARTPOLE) delta=0.8 steps=20_000 output=$(ADAPTABILITY)
	$(LAB) evaluate runs=$(ADAPTABILITY)/train/CartPole-v1 adaptations=$(ADAPTABILITY)/adapt/CartPole-v1 \
	  $(CARTPOLE) schedule=step schedule.delta=0.8 name=cartpole output=$(ADAPTABILITY)

PENDULUM := shift=longer_rod
demo-adaptability-pendulum: install
	$(LAB) train -m env=Pendulum-v1 agent=ppo seed=0,1,2 output=$(ADAPTABILITY)
	$(LAB) train -m env=Pendulum-v1 agent=sac training.steps=5_000 seed=0,1,2 output=$(ADAPTABILITY)
	$(LAB) adapt runs=$(ADAPTABILITY)/train/Pendulum-v1 $(PENDULUM) steps=3_000 output=$(ADAPTABILITY)
	$(LAB) evaluate runs=$(ADAPTABILITY)/train/Pendulum-v1 adaptations=$(ADAPTABILITY)/adapt/Pendulum-v1 \
	  $(PENDULUM) schedule=step schedule.start=100 name=pendulum output=$(ADAPTABILITY)

test: install
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist worksteal -m "not slow and not browser"

# The report in an installed Chromium, with an accessibility checker.
test-browser: $(VENV)/.browser
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m browser tests/browser

$(VENV)/.browser: $(STAMP)
	$(BIN)/python -m pip install --quiet -c constraints.txt -e ".[browser]"
	touch $@

test-slow: install
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m "slow and not scale"

# SLURM, Ray and PostgreSQL, installed and started on this machine by the tests (needs root).
test-scale: install
	$(BIN)/python -m pip install --quiet -c constraints.txt -e ".[slurm,ray,tune]"
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m scale -rs --durations=8 tests/scale

# Kill small trainings at 100 random instants, finish them, compare with uninterrupted ones: minutes.
soak: install
	$(BIN)/python benchmarks/soak.py

check: install
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

format: install
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

# Seconds from the command line to an answer, and to the first environment step.
bench-startup: install
	$(BIN)/python benchmarks/startup.py

# Steps per second of the evaluation loop, of stable-baselines3's, and of the bare environment.
bench-evaluation: install
	$(BIN)/python benchmarks/evaluation.py

# Microseconds per decision: predict, torch, bare onnxruntime, NumPy, ours.
bench-frozen: install
	$(BIN)/python benchmarks/frozen.py

# Training speed: fast agents, the standard path, stable-baselines3 and (extra bench) SBX.
bench-training: install
	$(BIN)/python -m pip install --quiet -c constraints.txt -e ".[bench]"
	$(BIN)/python benchmarks/training.py

# Wall clock until the fast agents and stable-baselines3's have solved an environment.
bench-threshold: install
	$(BIN)/python benchmarks/threshold.py

# Ten seeds of every fast agent against its twin: hours; interrupted, the same command goes on.
parity: install
	$(BIN)/python benchmarks/parity.py

# What a shift adds to an evaluation, as a ratio.
bench-shifts: install
	$(BIN)/python benchmarks/shifts.py

# Eight short runs against their work; what reads a simulated sweep of 10,000 finished runs.
bench-scale: install
	$(BIN)/python benchmarks/scale.py

# Measure the return of random play anew for every environment under conf/env;
# to look without writing: make anchors ANCHORS="--episodes 3 --dry-run".
anchors: install
	$(BIN)/python -m pip install --quiet -c constraints.txt -e ".[atari]"
	$(BIN)/python benchmarks/anchors.py $(ANCHORS)

# Trainings of docs/results.md: hours; interrupted, the same command goes on.
results: install
	$(BIN)/python benchmarks/results.py

# An image for CPUs; the Dockerfile says how it is run, and how one for GPUs is made.
image:
	docker build --tag rl-lab .

clean:
	rm -rf $(VENV) build dist .mypy_cache .pytest_cache .ruff_cache
