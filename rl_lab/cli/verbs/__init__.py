"""One file per verb; its docstring is its help, `run(options, words)` does it."""
