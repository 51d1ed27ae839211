"""How fast a GRU runs, against torch.nn.GRU, other runtimes and what the machine can do at most.

A variant whose result is wrong has no speed: everything timed is first compared with torch.nn.GRU in float64.
Nothing here is a test of time; `docs/benchmarks.md` says what is measured and how.
"""
