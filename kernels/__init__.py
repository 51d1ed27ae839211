"""The kernels: bodies emitted from the derivation, loops written by hand. Installed as `symgru.kernels`.

Nothing in here imports SymPy or anything else of symgru.
"""

if __name__ == "kernels":  # another project on PyPI owns this import name
    raise ImportError(
        "this folder is the package symgru.kernels, but it was imported as 'kernels': "
        "write `import symgru.kernels` (in a clone, after `pip install -e .`)"
    )
