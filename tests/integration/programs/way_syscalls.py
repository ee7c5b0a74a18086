"""One thread in each kind of blocking call; each checks that its call ended as if nobody had been there."""

import os
import select
import signal
import socket
import sys
import threading
import time

failures = []
flag = sys.argv[1]


def checked(work):
    def run():
        while not os.path.exists(flag):
            try:
                work()
            except BaseException as error:
                failures.append(f"{work.__name__}: {error!r}")
                return

    return threading.Thread(target=run, name=work.__name__)


def poll_with_timeout():
    begin = time.monotonic()
    reader, writer = os.pipe()
    poll = select.poll()
    poll.register(reader, select.POLLIN)
    assert poll.poll(150) == []
    spent = time.monotonic() - begin
    assert 0.14 < spent < 2.0, spent
    os.close(reader)
    os.close(writer)


def lock_with_timeout():
    lock = threading.Lock()
    lock.acquire()
    begin = time.monotonic()
    assert lock.acquire(timeout=0.15) is False
    spent = time.monotonic() - begin
    assert 0.14 < spent < 2.0, spent


def sleep():
    begin = time.monotonic()
    time.sleep(0.15)
    spent = time.monotonic() - begin
    assert 0.15 <= spent < 2.0, spent


def read_a_pipe():
    reader, writer = os.pipe()
    threading.Timer(0.1, os.write, (writer, b"here")).start()
    assert os.read(reader, 10) == b"here"
    os.close(reader)
    os.close(writer)


def receive():
    near, far = socket.socketpair()
    threading.Timer(0.1, far.send, (b"here",)).start()
    assert near.recv(10) == b"here"
    near.close()
    far.close()


def wait_for_a_child():
    child = os.fork()
    if child == 0:
        time.sleep(0.1)
        os._exit(7)
    assert os.waitpid(child, 0)[1] == 7 << 8


threads = [checked(work) for work in (poll_with_timeout, lock_with_timeout, sleep, read_a_pipe, receive)]
if sys.version_info < (3, 12):  # 3.12 warns about fork with threads on standard error
    threads.append(checked(wait_for_a_child))
signal.signal(signal.SIGCHLD, signal.SIG_DFL)
for thread in threads:
    thread.start()
print("ready", flush=True)
for thread in threads:
    thread.join()
print(failures or "fine")
