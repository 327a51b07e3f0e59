import sys

from tests.robustness.powercut.command import main

sys.exit(main(sys.argv[1:]))
