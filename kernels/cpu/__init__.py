"""Fused time loops for the CPU, in C++.

load.py        the library of this machine: shipped, from the cache, or built; verified before it is loaded
build.py       from the sources to a shared library that carries their digest
toolchain.py   instruction sets, their flags, and the user's compiler
wheel.py       builds the libraries into a wheel; run by setuptools
"""
