#!/usr/bin/env python3
"""Departures by airport and scheduled hour with their mean delay, worked out without Wavetank.

Run by hand; its output is kept beside it and compared row by row by `harness/tests/flights.rs`:

    python3 harness/tests/flights/hourly.py scenarios/data/flights-2013-01.csv > harness/tests/flights/hourly.csv

Two answers for each airport and hour. *admitted*: flights are taken in the order in which they left (at equal times
in the order of the file); one is late when, before it, a flight had been seen whose scheduled time is at least half
an hour behind the end of the late one's hour. *truth*: every flight that was scheduled, cancelled and late ones
included; the mean is over those that have a delay.
"""

import csv
import sys
from collections import defaultdict
from datetime import datetime, timezone

HOUR = 3600
BEHIND = 30 * 60


def seconds(text):
    return int(datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp())


class Cell:
    """A count of flights, and the delays of those that have one."""

    def __init__(self):
        self.flights = 0
        self.delays = []

    def add(self, flight):
        self.flights += 1
        if flight["departure_delay_min"] != "":
            self.delays.append(int(flight["departure_delay_min"]))

    def columns(self):
        if self.flights == 0:
            return ["", ""]
        # Whole minutes: their sum is exact, and one division rounds once.
        return [self.flights, repr(sum(self.delays) / len(self.delays)) if self.delays else "null"]


def main(path):
    with open(path, newline="") as file:
        flights = list(csv.DictReader(file))
    admitted, truth = defaultdict(Cell), defaultdict(Cell)
    left = []
    for flight in flights:
        scheduled = seconds(flight["scheduled_departure"])
        cell = (scheduled // HOUR * HOUR, flight["origin"])
        truth[cell].add(flight)
        if flight["actual_departure"]:
            left.append((seconds(flight["actual_departure"]), scheduled, cell, flight))
    left.sort(key=lambda departure: departure[0])  # a stable sort: equal times stay in the order of the file
    latest, late = None, 0
    for _, scheduled, cell, flight in left:
        if latest is not None and latest >= cell[0] + HOUR + BEHIND:
            late += 1
        else:
            admitted[cell].add(flight)
        latest = scheduled if latest is None else max(latest, scheduled)
    out = csv.writer(sys.stdout, lineterminator="\n")
    out.writerow(["hour", "origin", "departures", "mean_delay", "true_departures", "true_mean_delay"])
    for cell in sorted(truth):
        hour = datetime.fromtimestamp(cell[0], timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
        out.writerow([hour, cell[1], *admitted[cell].columns(), *truth[cell].columns()])
    print(f"{len(left)} left, {late} of them late, {len(flights) - len(left)} cancelled", file=sys.stderr)


if __name__ == "__main__":
    main(sys.argv[1])
