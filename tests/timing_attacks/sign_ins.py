"""`python3 -m tests.timing_attacks.sign_ins PORT RATE SECONDS`: sign in at a steady rate, without waiting for answers.

Print `ready`, and at the end the number of sign-ins that were answered with a session.
"""

import http.client
import json
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

from tests.live_server import DEADLINE, PASSWORD

_lines = threading.local()


def main(port: int, rate: float, seconds: float) -> None:
    with ThreadPoolExecutor(32) as pool:
        print("ready", flush=True)
        began, answers = time.perf_counter(), []
        for n in range(int(rate * seconds)):
            time.sleep(max(0, began + n / rate - time.perf_counter()))
            answers.append(pool.submit(_sign_in, port, f"user{n % 10}"))
        print(sum(answer.result() == 200 for answer in answers), flush=True)


def _sign_in(port: int, name: str) -> int:
    line = getattr(_lines, "line", None)
    if line is None:
        line = _lines.line = http.client.HTTPConnection("127.0.0.1", port, timeout=DEADLINE)
    body = json.dumps({"username": name, "password": PASSWORD, "token": True})
    line.request("POST", "/api/v1/sign_in", body, {"Content-Type": "application/json"})
    answer = line.getresponse()
    answer.read()
    return answer.status


if __name__ == "__main__":
    main(int(sys.argv[1]), float(sys.argv[2]), float(sys.argv[3]))
