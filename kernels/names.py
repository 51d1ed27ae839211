"""The names that emitted cells and loops are chosen by."""

#: What the update gate multiplies, and where the reset gate acts: parts of the name of an emitted module.
POLARITIES = ("keep", "update")
RESETS = ("before", "after", "whole")

#: Of float32 products in Triton.
PRECISIONS = ("ieee", "tf32", "tf32x3")
