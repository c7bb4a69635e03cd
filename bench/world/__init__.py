"""A seeded simulation of the outside world around the product's real engine, in virtual time.

`python -m bench.world --seeds 10000` runs many worlds, `--seed 4711 -v` replays one with its trace.
"""
