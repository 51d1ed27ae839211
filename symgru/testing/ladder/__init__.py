"""The ladder of checks of the Triton loops, from the equations to a GPU: each rung sees what others cannot.

- outcome.py   what a rung found
- rungs.py     the rungs (a) to (f)
- running.py   each rung in a process of its own, with the interpreter or the compiler
- figures.py   static figures and counters of the loops: `symgru kernels report`
- __main__.py  that process: `python -m symgru.testing.ladder c --targets sm_80`

`symgru kernels verify` runs them; `docs/ladder.md` says what each checks and what it cannot see.
"""
