"""Methods by name: a drop rule and a grow rule each."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Method:
    """The rules by which a network's connections are chosen and moved.

    Attributes:
        sparse: whether layers store connections only; a method that is not sparse is an ordinary dense network.
        drop: a name in :data:`dst.topology.drop.DROP_RULES`.
        grow: a name in :data:`dst.topology.grow.GROW_RULES`; None: connections never move.
    """

    sparse: bool
    drop: str = "magnitude"
    grow: str | None = None

    @property
    def follows_attribution(self) -> bool:
        """Whether inputs are attributed while the network trains, since connections grow by it."""
        return self.grow == "importance"


METHODS: dict[str, Method] = {
    "dense": Method(sparse=False),
    "static": Method(sparse=True),
    "set": Method(sparse=True, grow="random"),
    "rigl": Method(sparse=True, grow="gradient"),
    "mest": Method(sparse=True, drop="magnitude_gradient", grow="random"),
    "set_attr": Method(sparse=True, grow="importance"),
}
