"""`python -m jobbatch`."""

from jobbatch.cli import main

if __name__ == "__main__":
    main()
