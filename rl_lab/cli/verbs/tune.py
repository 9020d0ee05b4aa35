"""Search hyperparameters: a study whose trials are ordinary runs; the same command goes on.

usage: rl-lab tune [env=ID] [agent=NAME] [trials=N] [key=value ...]

A trial trains on several seeds and is worth the aggregate of their final frozen policies' returns
on selection seeds; it is given up where its checks fall behind. The winner is trained again on
fresh seeds and compared with the untuned training on untouched evaluation seeds.

  env=CartPole-v1 agent=ppo  and any other word of `rl-lab train`: what is tuned
  trials=50 workers=2        finished trials in all; processes that share the study
  seeds=2 aggregate=mean     training seeds of a trial, and how they become one number
  objectives=[reward,latency]   the front of both, without pruning
  sampler=tpe pruner=median  tpe, random, qmc, gp, nsga; none, median, halving, hyperband
  storage=URL study=NAME     sqlite:///FILE or postgresql+psycopg://...; null: a journal file
  space=NAME                 a space under conf/search (default: the agent's)
  launcher=slurm             where the workers run: local, slurm, ray
  to=FOLDER                  write the best trial as a file under FOLDER/tuned/ENVIRONMENT
"""

from __future__ import annotations

from rl_lab.cli import config, tuning
from rl_lab.cli.options import Options
from rl_lab.errors import EXIT_DONE, BadInput
from rl_lab.search.secrets import without_password


def run(options: Options, words: list[str]) -> int:
    """Search, or work for a search; returns the exit code."""
    words = config.expand(words, multirun=False)[0]
    request = tuning.request(words, options)
    if options.show_config:
        settings = dict(request.settings)
        settings["storage"] = settings["storage"] and without_password(settings["storage"])
        print(config.to_yaml(settings) + request.baseline.plan.config_text, end="")
        return EXIT_DONE
    try:
        from rl_lab.cli import searching, tuning_export, tuning_worker
    except ImportError as error:
        raise BadInput(
            f"tune needs Optuna: {error}", "the extra", 'Run: pip install "rl-lab[tune]"'
        ) from error
    if request.settings["worker"] is not None:
        return tuning_worker.work(request)
    if request.settings["to"] is not None:
        return tuning_export.export(request)
    return searching.search(request, words)
