import sys

from tests.timing_attacks.command import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
