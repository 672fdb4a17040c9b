"""`python -m genkit`, which is how `accelerate launch -m genkit` starts it."""

from __future__ import annotations

import sys

from genkit.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
