"""Reads the disk Ref:3 of an archive with dissect.archive, and prints the seconds it took.
usage: xva.py ARCHIVE BYTES"""
import sys
import time

from dissect.archive.xva import XVA

began = time.perf_counter()
with open(sys.argv[1], "rb") as file:
    disk = XVA(file).open("Ref:3")
    length = 0
    while piece := disk.read(1 << 20):
        length += len(piece)
assert length == int(sys.argv[2]), length
print(time.perf_counter() - began)
