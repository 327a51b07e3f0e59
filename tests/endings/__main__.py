import sys

from tests.endings.command import main

sys.exit(main(sys.argv[1:]))
