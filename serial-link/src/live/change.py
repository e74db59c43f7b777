"""Runs in the control domain: looks at a VM's serial port through QMP and, if told to, moves it to a unix socket.

Words: QMP socket, new path (empty: only look), id of the character device. Prints one line of JSON.
"""
import array
import json
import os
import socket
import sys


class Qmp:
    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(5)
        self.socket.connect(path)
        self.lines = self.socket.makefile("r")
        self.greeting = json.loads(self.lines.readline())["QMP"]
        self.run("qmp_capabilities")

    def run(self, command, arguments=None, descriptor=None):
        message = json.dumps({"execute": command, "arguments": arguments or {}}).encode()
        rights = []
        if descriptor is not None:
            rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [descriptor]))]
        self.socket.sendmsg([message], rights)
        while True:
            line = self.lines.readline()
            if not line:
                raise OSError("QEMU closed the connection")
            answer = json.loads(line)
            if "error" in answer:
                raise OSError(command + ": " + answer["error"]["desc"])
            if "return" in answer:
                return answer["return"]

    def port(self, name):
        found = [device["filename"] for device in self.run("query-chardev") if device["label"] == name]
        return found[0] if found else None


def change(qmp, path, name):
    # A socket that somebody serves is not taken from him.
    if os.path.exists(path):
        probe = socket.socket(socket.AF_UNIX)
        try:
            probe.connect(path)
            raise OSError(path + " is served already")
        except ConnectionRefusedError:
            os.unlink(path)
        finally:
            probe.close()
    listener = socket.socket(socket.AF_UNIX)
    before = os.umask(0o177)
    try:
        listener.bind(path)
    finally:
        os.umask(before)
    try:
        listener.listen(1)
        qmp.run("getfd", {"fdname": "serial-link"}, listener.fileno())
        address = {"type": "fd", "data": {"str": "serial-link"}}
        backend = {"type": "socket", "data": {"addr": address, "server": True, "wait": False}}
        qmp.run("chardev-change", {"id": name, "backend": backend})
    except Exception:
        os.unlink(path)
        raise


def main(qmp_path, path, name):
    result = {}
    try:
        qmp = Qmp(qmp_path)
        version = qmp.greeting["version"]["qemu"]
        commands = {command["name"] for command in qmp.run("query-commands")}
        result["version"] = [version["major"], version["minor"], version["micro"]]
        result["missing"] = sorted({"getfd", "chardev-change"} - commands)
        result["port"] = qmp.port(name)
        if path and not result["missing"] and result["port"] is not None:
            change(qmp, path, name)
            result["port"] = qmp.port(name)
            result["changed"] = True
    except Exception as error:
        result["error"] = str(error)
    print(json.dumps(result))


main(*sys.argv[1:])
