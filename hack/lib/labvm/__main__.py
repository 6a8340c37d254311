"""``python3 -m labvm [OPTIONS] [PYTEST ARGUMENT...]``."""

import sys

from .main import main

sys.exit(main(sys.argv[1:]))
