"""What happens at a physics step."""

NOTHING, MOVED, PUSHED, HELD, WALL, INVALID = range(6)
NAMES = ("nothing", "moved", "pushed", "held by a heavier block", "held by the wall", "two blocks in the way")
