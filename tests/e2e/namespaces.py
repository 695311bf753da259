"""Network namespaces for tests. One ends with the last process in it, and its links with it: there is
nothing to clean up."""
import ctypes
import os
import subprocess

CLONE_NEWUSER, CLONE_NEWNET = 0x10000000, 0x40000000


def unshare():
    """Moves this process into a network namespace of its own; who is not root gets a user namespace
    with it. OSError where neither is allowed."""
    libc = ctypes.CDLL(None, use_errno=True)
    user, group = os.getuid(), os.getgid()
    if libc.unshare(CLONE_NEWNET) == 0:
        return
    if libc.unshare(CLONE_NEWUSER | CLONE_NEWNET) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    for name, text in (("setgroups", "deny"), ("uid_map", f"0 {user} 1"), ("gid_map", f"0 {group} 1")):
        with open(f"/proc/self/{name}", "w", encoding="ascii") as file:
            file.write(text)


def ip(*arguments):
    """The program `ip` of iproute2, in this process's namespace."""
    subprocess.run(["ip", *arguments], check=True, capture_output=True, text=True)
