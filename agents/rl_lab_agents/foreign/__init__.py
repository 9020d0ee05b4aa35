"""Policies from elsewhere: stable-baselines3 zips and RL Zoo folders, read without trusting them.

`reading.open_source` is the door. `trusted` is the only module that lets a file run code, and only
where the user said so; `statistics` is the only one that reads a pickle, with an unpickler that can
build nothing but numbers and inert placeholders.
"""
