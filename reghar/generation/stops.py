"""Texts that end a response: found on its tokens as they arrive, with any engine."""

from __future__ import annotations

from collections.abc import Callable, Sequence


class StopTexts:
    """Ends one response where the first of some texts begins.

    Tokens that may be the beginning of such a text are held back until it is clear that they are not,
    so that no budget is ever passed by tokens that the response then loses.
    """

    def __init__(self, texts: Sequence[str], decode: Callable[[Sequence[int]], str]) -> None:
        """`texts` are not empty; none of them lets every token through at once."""
        self._texts = texts
        self._decode = decode
        # A token is at least a byte, so a text spans no more tokens than it has bytes.
        self._width = max((len(text.encode()) for text in texts), default=0)
        self._held: list[int] = []
        self.found = False
        """Whether the response has ended at one of the texts; what follows is no part of it."""

    def push(self, ids: Sequence[int], *, last: bool) -> list[int]:
        """The tokens that are now known to belong to the response; with the `last` ones, all the rest.

        A token that holds the end of the response and the beginning of the text belongs to it.
        """
        self._held.extend(ids)
        if self._texts:
            text = self._decode(self._held)
            begins = [at for stop in self._texts if (at := text.find(stop)) >= 0]
            if begins:
                self.found = True
                return self._held[: self._tokens_with(text[: min(begins)])]
        count = len(self._held) if last else max(len(self._held) - self._width, 0)
        released, self._held = self._held[:count], self._held[count:]
        return released

    def _tokens_with(self, text: str) -> int:
        """Fewest of the held tokens whose text begins with `text`."""
        return next(
            (n for n in range(len(self._held)) if self._decode(self._held[:n]).startswith(text)),
            len(self._held),
        )
