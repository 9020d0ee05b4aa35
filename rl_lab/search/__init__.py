"""Hyperparameter search: a study of Optuna's whose trials are ordinary runs."""
