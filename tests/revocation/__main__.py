import sys

from tests.revocation.command import main

sys.exit(main(sys.argv[1:]))
