"""What a run ends with."""

PUSHED, NOT_PUSHED = "PUSHED", "NOT PUSHED"
