"""Pauses a training loop after each epoch."""

import threading


def turns(train):
    """A generator that yields at the end of each epoch of `train(pause)`.

    Args:
        train: function that trains for more epochs than needed, and calls `pause` after each. It
            runs in a thread.
    """
    done, go = threading.Semaphore(0), threading.Semaphore(0)
    errors = []

    def pause():
        done.release()
        go.acquire()

    def run():
        try:
            train(pause)
        except Exception as error:
            errors.append(error)
            done.release()

    threading.Thread(target=run, daemon=True).start()
    while True:
        done.acquire()
        if errors:
            raise errors[0]
        yield
        go.release()
