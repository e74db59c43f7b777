"""Decodes one reply with Python's own library; prints the fastest time in seconds and the growth of the process in bytes.

Usage: decode.py json|xml FILE RUNS
"""

import json
import sys
import time
import xmlrpc.client


def decode_json(body):
    return json.loads(body)["result"]


def decode_xml(body):
    return xmlrpc.client.loads(body)[0][0]["Value"]


def peak():
    # Not getrusage: its ru_maxrss starts at the size of the process that started this one.
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmHWM:"))


encoding, path, runs = sys.argv[1:]
decode = {"json": decode_json, "xml": decode_xml}[encoding]
with open(path, "rb") as file:
    body = file.read()
before = peak()
fastest = None
for _ in range(int(runs)):
    start = time.perf_counter()
    value = decode(body)
    took = time.perf_counter() - start
    assert value, "the reply is empty"
    fastest = took if fastest is None else min(fastest, took)
    del value
print(fastest, peak() - before)
