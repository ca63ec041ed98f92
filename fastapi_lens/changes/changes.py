from dataclasses import dataclass
from math import exp
from fastapi_lens.changes.change import Change, Kind, Measured
from fastapi_lens.changes.rows import Days
from fastapi_lens.changes.measures import *
from fastapi_lens.changes.steps import step_of

@dataclass(frozen=True, slots=True)
class Facts:
    begin: int
    end: int

def changes_of(days, facts):
    rows = days.all()
    found = []
    for m, name in ((TYPICAL, Measured.TYPICAL_MS), (P95, Measured.P95_MS)):
        s = step_of(rows, facts.begin, m, up=True)
        if s:
            found.append(Change(Kind.SLOWER, name, s.since, exp(s.before), exp(s.after), 0, 0))
            break
    s = step_of(rows, facts.begin, FAILED, up=True)
    if s:
        b, a = share_of(s.before), share_of(s.after)
        n = rows[-1].calls
        if (a-b)*n >= 10 and a >= 1.3*b and a-b >= .005:
            found.append(Change(Kind.FAILING_MORE, Measured.FAILED_SHARE, s.since, b, a, 0, 0))
    return tuple(found)
