"""Kernels on simulated GPUs: those that are not GRUs, by which the simulator is tested, and our own.

- kernels.py  the kernels, in Triton
- cases.py    launches of them: inputs, float64 results, a strategy
- planted.py  launches with one error each, which the simulator must report
- mutation.py errors made in the compiled code one at a time, and how many are reported
- subjects.py which kernels those errors are made in; gru.py: our own, guarded.py: tensors that lie apart
- resident.py the resident GRU loops: targets, settings, schedules
"""
