"""Whose turn it is among equals."""


class RoundRobin:
    """Start-time fair queueing: also what never overlaps is shared by weight, and who comes late has nothing to
    catch up on."""

    def __init__(self) -> None:
        self._turns: dict[str, float] = {}
        self._clock = 0.0

    def turn_of(self, name: str) -> float:
        return max(self._turns.get(name, 0.0), self._clock)

    def take_turn(self, name: str, share: float = 1.0) -> None:
        self._clock = self.turn_of(name)
        self._turns[name] = self._clock + 1 / share
