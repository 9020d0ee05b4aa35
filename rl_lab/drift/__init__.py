"""Drift: the statistics that travel with a frozen policy, and the monitor that uses them.

`reference` is what they are, `gathering` makes them, `storing` keeps them beside the policy,
`monitor` compares. Loading and watching need NumPy and onnxruntime: no torch, no Hydra.
"""
