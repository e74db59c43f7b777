"""Extracts the disk Ref:3 of an archive to a raw image, and prints the seconds it took.
usage: xva.py (dissect | tarfile | gnutar) ARCHIVE [IMAGE]

"dissect" is dissect.archive from PyPI, which has no way to verify the checksums of blocks that works.
"tarfile" is the shortest program that verifies, made of the standard library's parts, with xxhash and zstandard from
PyPI: one pass over the archive, holes left out.
"gnutar" unpacks with GNU tar into a folder beside the image and joins the files, as people do with xva-img; nothing is
verified. Without IMAGE the disk is read and forgotten."""
import gzip
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time

BLOCK = 1 << 20


class Nowhere:
    """Takes an image and forgets it."""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def write(self, piece):
        return len(piece)

    def seek(self, _):
        pass

    def truncate(self, _):
        pass


def dissect(archive, image):
    from dissect.archive.xva import XVA

    shutil.copyfileobj(XVA(archive).open("Ref:3"), image, BLOCK)


def unpacked(archive):
    magic = archive.read(4)
    archive.seek(0)
    if magic.startswith(b"\x1f\x8b"):
        return gzip.GzipFile(fileobj=archive)
    if magic == b"\x28\xb5\x2f\xfd":
        import zstandard

        return zstandard.ZstdDecompressor().stream_reader(archive, read_size=BLOCK)
    return archive


def verified(archive, image):
    import xxhash

    digests = {
        "xxhash": lambda block: xxhash.xxh64_hexdigest(block).upper(),
        "checksum": lambda block: hashlib.sha1(block).hexdigest(),
    }
    tar = tarfile.open(fileobj=unpacked(archive), mode="r|", bufsize=BLOCK)
    offset, previous, block = 0, -1, b""
    for member in tar:
        content = tar.extractfile(member).read()
        if member.name == "ova.xml":
            size = int(re.search(rb"virtual_size</name><value>(\d+)", content)[1])
            continue
        number, _, kind = member.name.removeprefix("Ref:3/").partition(".")
        if not kind:
            block = content
            continue
        if digests[kind](block) != content.decode():
            raise ValueError(f"{member.name} differs")
        offset += (int(number) - previous - 1) * BLOCK
        image.seek(offset)
        image.write(block)
        offset, previous = offset + len(block), int(number)
    image.truncate(size)


def joined(archive, image):
    with tempfile.TemporaryDirectory(dir=os.path.dirname(image.name)) as folder:
        subprocess.run(["tar", "-xf", archive.name, "--mode=u+w", "-C", folder], check=True)
        ova = open(os.path.join(folder, "ova.xml"), "rb").read()
        disk = os.path.join(folder, "Ref:3")
        offset, previous = 0, -1
        for name in sorted(name for name in os.listdir(disk) if "." not in name):
            offset += (int(name) - previous - 1) * BLOCK
            image.seek(offset)
            with open(os.path.join(disk, name), "rb") as block:
                shutil.copyfileobj(block, image, BLOCK)
            offset, previous = image.tell(), int(name)
        image.truncate(int(re.search(rb"virtual_size</name><value>(\d+)", ova)[1]))


peer = {"dissect": dissect, "tarfile": verified, "gnutar": joined}[sys.argv[1]]
began = time.perf_counter()
with open(sys.argv[2], "rb") as archive, open(sys.argv[3], "wb") if sys.argv[3:] else Nowhere() as image:
    peer(archive, image)
print(time.perf_counter() - began)
