"""`python -m regluon` is the command `regluon`."""

from regluon.cli import main


if __name__ == "__main__":
    main()
