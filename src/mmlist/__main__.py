"""`python -m mmlist`: the command."""

from mmlist.cli import main

if __name__ == "__main__":
    main()
