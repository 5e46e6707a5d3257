"""Carries runs from one MLflow store to another: nothing lost, nothing twice, however often it was cut off.

A copy says in a tag what it is a copy of. The very call that creates the copy sets the tag, so the next sync finds the
copy and goes on with it. If two syncs have created a copy at once, both keep the same one and delete the other.
"""

from .loop import NO_ANSWER, Live, sync
from .once import carry
