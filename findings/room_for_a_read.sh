#!/usr/bin/env bash
# CPython with glibc: how much room a read is given decides what it costs, however little comes.
#
# Guessed: socket.recv(262144) of 60 bytes costs what socket.recv(65536) of 60 bytes does.
# Seen:    it costs five to eight times as much (20 to 30 µs instead of 4). CPython makes a bytes object of
#          the whole size before each read, and shrinks it afterwards. From 128 KiB on, glibc maps memory for
#          it and unmaps it again: two page faults in each read. (A program that has freed one large block of
#          another kind before is spared: glibc raises its threshold then. So it differs from run to run.)
#
# Linux with glibc, and any CPython from 3.11 on. No package, no network. Exit code 1: it is no longer so.
set -euo pipefail
python=${PYTHON:-python3}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cat >"$folder/read.py" <<'PYTHON'
import platform, resource, socket, subprocess, sys, time

if len(sys.argv) > 1:
    size, times = int(sys.argv[1]), 2000
    near, far = socket.socketpair()
    for _ in range(100):
        near.send(b"x" * 60), far.recv(size)
    faults, begun = resource.getrusage(resource.RUSAGE_SELF).ru_minflt, time.process_time()
    for _ in range(times):
        near.send(b"x" * 60), far.recv(size)
    took = (time.process_time() - begun) / times * 1e6
    faults = resource.getrusage(resource.RUSAGE_SELF).ru_minflt - faults
    print(f"{faults / times:.2f} {took:.1f}")
    sys.exit()

print("CPython", platform.python_version(), *platform.libc_ver(), platform.system(), platform.release())
seen = {}
for size in (65536, 262144):
    told = subprocess.run([sys.executable, __file__, str(size)], capture_output=True, text=True, check=True)
    seen[size], took = map(float, told.stdout.split())
    print(f"recv({size}) of 60 bytes: {seen[size]:.2f} page faults, {took:.1f} µs of processor time")
sys.exit(0 if seen[65536] < 0.1 and seen[262144] >= 1 else 1)
PYTHON
env -u MALLOC_ARENA_MAX -u MALLOC_MMAP_THRESHOLD_ -u MALLOC_TOP_PAD_ "$python" "$folder/read.py"
