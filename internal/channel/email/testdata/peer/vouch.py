"""A filter of OpenSMTPD that writes what a receiving server finds out.

Above every message it says whether the address of the envelope is one of the
test's own domains, as SPF would.
"""

import sys

sender = {}
begun = set()


def say(text):
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


for line in sys.stdin:
    line = line.rstrip("\n")
    if line == "config|ready":
        say("register|report|smtp-in|tx-mail")
        say("register|filter|smtp-in|data-line")
        say("register|ready")
        continue
    part = line.split("|", 7)
    if part[0] == "report" and part[4] == "tx-mail":
        words = line.split("|")[5:]
        sender[words[0]] = [w for w in words[1:] if "@" in w][0]
    elif part[0] == "filter" and part[4] == "data-line":
        session, token, text = part[5], part[6], part[7]
        if session not in begun:
            begun.add(session)
            say(f"filter-dataline|{session}|{token}|Authentication-Results: mx.test.example; spf=pass smtp.mailfrom={sender[session]}")
        say(f"filter-dataline|{session}|{token}|{text}")
        if text == ".":
            begun.discard(session)
