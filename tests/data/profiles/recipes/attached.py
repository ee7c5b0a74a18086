"""python attached.py: keep pages of items for ever, for `memray attach` to look at."""

import threading
import time

KEPT = []


def fetch_page(number):
    return [{"pk": {"S": f"c-{number}-{k}"}, "total": {"N": str(number * k)}} for k in range(20)]


def keep_pages():
    for number in range(1_000_000):
        KEPT.append(fetch_page(number))
        time.sleep(0.02)


threading.Thread(target=keep_pages, name="refill", daemon=True).start()
print("ready", flush=True)
input()
