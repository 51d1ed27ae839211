"""`python -m symgru.cli`."""

from symgru.cli import main

if __name__ == "__main__":
    main(prog_name="symgru")
