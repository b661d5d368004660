"""The engine and the process: exit, Ctrl-C, fork, stop; each in a process of its own."""

import os
import subprocess
import sys
import threading

import regluon as mx


WORK = """
import os, signal, sys, threading, time
import regluon as mx
x = mx.nd.ones((300, 300)) / 300
x.wait_to_read()
def chain(length):
    y = x
    for _ in range(length):
        y = mx.nd.dot(y, x)
    return y
"""


def run(program: str) -> subprocess.CompletedProcess[str]:
    """Run a program after `WORK` under ThreadedEngine."""
    return subprocess.run(
        [sys.executable, "-c", WORK + program],
        env={**os.environ, "MXNET_ENGINE_TYPE": "ThreadedEngine"},
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_exit_with_pending_work_neither_hangs_nor_changes_the_exit_code() -> None:
    done = run("""
begin = time.perf_counter()
chain(3).wait_to_read()
one = (time.perf_counter() - begin) / 3
y = chain(5000)
import atexit
begin = time.perf_counter()
atexit.register(lambda: print(time.perf_counter() - begin < 1500 * one))
sys.exit(7)
""")
    assert done.returncode == 7, done.stderr
    assert done.stdout == "True\n"
    assert done.stderr == ""


def test_exit_with_a_failure_that_nobody_read_keeps_the_exit_code() -> None:
    done = run("""
bad = mx.nd.take(x, mx.nd.ones((300, 300)) * 10**6, axis=0, mode="raise")
sys.exit(3)
""")
    assert done.returncode == 3, done.stderr
    assert "Traceback" not in done.stderr


def test_ctrl_c_during_a_wait_returns_within_a_second_and_the_process_goes_on() -> None:
    done = run("""
y = chain(3000)
def interrupt():
    global sent
    sent = time.perf_counter()
    os.kill(os.getpid(), signal.SIGINT)
threading.Timer(0.2, interrupt).start()
try:
    y.wait_to_read()
except KeyboardInterrupt:
    print(time.perf_counter() - sent < 1)
print((mx.nd.ones((2,)) * 3).asnumpy().tolist())
big = mx.nd.ones((300, 300)) + 1
print(big.asnumpy().min())
""")
    assert done.returncode == 0, done.stderr
    assert done.stdout == "True\n[3.0, 3.0]\n2.0\n"


def test_the_child_of_a_fork_has_the_values_and_computes() -> None:
    done = run("""
y = chain(20)
pid = os.fork()
total = float(mx.nd.dot(y, x).sum().asscalar())
if pid == 0:
    print(round(total), flush=True)
    os._exit(0)
_, status = os.waitpid(pid, 0)
print(round(total), status)
""")
    assert done.returncode == 0, done.stderr
    assert done.stdout == "300\n300 0\n"


def test_stop_leaves_no_thread_behind() -> None:
    previous = mx.engine.set_type("ThreadedEngine")
    try:
        x = mx.nd.ones((300, 300))
        mx.nd.dot(x, x).wait_to_read()
        mx.engine.stop()
        assert not [t for t in threading.enumerate() if t.name.startswith("regluon cpu")]
        assert mx.nd.dot(x, x).asnumpy().max() == 300
    finally:
        mx.engine.set_type(previous)


def test_a_loop_that_never_waits_takes_no_more_memory_than_one_that_does() -> None:
    done = run("""
import resource
w = mx.nd.ones((400, 400)) / 400
def step():
    batch = mx.nd.ones((1000, 400))
    h = batch
    for _ in range(4):
        h = mx.nd.relu(mx.nd.dot(h, w))
    return h.sum()
def peak(sync):
    for _ in range(30):
        value = step()
        if sync:
            value.wait_to_read()
    mx.nd.waitall()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
peak(True)
synced = peak(True)
print(peak(False) / synced)
""")
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) <= 1.1
