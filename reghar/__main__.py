"""`python -m reghar` is `reghar`."""

import sys

from reghar.cli import main

if __name__ == "__main__":
    sys.exit(main())
