"""Fused time loops in Triton.

    scan.py        the executor: one launch for all steps of a pass
    launch.py      launch settings, and what no loop can serve
    loops.py       which kernel runs a pass, and its arguments by name
    ahead.py       the loops in the direction of time: forward and tangent
    back.py        the loops against it: backward
    tiles.py       what the loops do with memory
    functions.py   elementary functions, called by the emitted stages
    compile.py     compile the loops for a GPU that is not there, and read off what came out
    matrix.py      which kernels are compiled for which GPUs, and what must hold of each
    budgets.py     what each of them may cost, and why: budgets.json

Emitted from the equations are the stages alone, all that is pointwise in a step (`symgru.kernels.generated`).
"""
