"""The control: uses the attacker's share of one processor and sends nothing. `… burner SHARE SECONDS`."""

import sys
import time

SLICE = 0.01


def main(share: str, seconds: str) -> None:
    """Keep the processor busy for `share` of each time slice."""
    busy = min(1.0, float(share)) * SLICE
    end = time.monotonic() + float(seconds)
    while (now := time.monotonic()) < end:
        while time.monotonic() < now + busy:
            pass
        time.sleep(max(0.0, now + SLICE - time.monotonic()))


if __name__ == "__main__":
    main(*sys.argv[1:])
