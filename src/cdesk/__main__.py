"""`python -m cdesk`"""

import sys

from cdesk.cli import main

sys.exit(main())
