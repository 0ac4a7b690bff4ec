"""Kills a program as it enters the kernel: between two entries nothing outside of it changes.

python kill_at.py MOMENT TEXT PROGRAM [ARGUMENT…]

Moments are counted from the first system call that is given a path with TEXT in it. Exits 0 if the program was killed,
and 10 if it had ended before that.
"""

import ctypes
import os
import signal
import struct
import sys

TRACEME, SYSCALL, SETOPTIONS, GET_SYSCALL_INFO = 0, 24, 0x4200, 0x420E
TRACESYSGOOD, EXITKILL = 1, 0x100000

libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]


def ptrace(request, pid=0, address=0, data=0):
    if libc.ptrace(request, pid, address, data) < 0:
        raise OSError(ctypes.get_errno(), "ptrace")


def arguments(pid):
    """The first two arguments of the system call that is being entered, none on the way out."""
    buffer = ctypes.create_string_buffer(88)
    ptrace(GET_SYSCALL_INFO, pid, len(buffer), ctypes.addressof(buffer))
    entering = buffer.raw[0] == 1
    return struct.unpack_from("=2Q", buffer.raw, 32) if entering else ()


def text(memory, address):
    try:
        return os.pread(memory, 512, address).split(b"\0")[0]
    except (OSError, OverflowError):
        return b""


def main(moment, wanted, program):
    pid = os.fork()
    if pid == 0:
        ptrace(TRACEME)
        os.execv(program[0], program)
    os.waitpid(pid, 0)
    ptrace(SETOPTIONS, pid, 0, TRACESYSGOOD | EXITKILL)
    memory = os.open(f"/proc/{pid}/mem", os.O_RDONLY)
    passed, deliver = -1, 0
    while True:
        ptrace(SYSCALL, pid, 0, deliver)
        _, status = os.waitpid(pid, 0)
        if not os.WIFSTOPPED(status):
            return 10
        deliver = os.WSTOPSIG(status)
        if deliver != signal.SIGTRAP | 0x80:
            continue
        deliver = 0
        given = arguments(pid)
        if not given:
            continue
        if passed >= 0 or any(wanted in text(memory, address) for address in given):
            passed += 1
        if passed == moment:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            return 0


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), sys.argv[2].encode(), sys.argv[3:]))
