"""Bodies of responses, unpacked no further than allowed."""

import zlib

from toolbench.apis.failure import Failed

ACCEPTED = "gzip, deflate"
"""What hosts may pack with."""

_GZIP = b"\x1f\x8b"


class Body:
    """Collects a response's body. `packed` is its Content-Encoding; `limit` counts bytes after unpacking.

    Raises Failed with status 11 for what is too large or packed in another way, 12 for what cannot be unpacked.
    """

    def __init__(self, packed: str, limit: int) -> None:
        self._packed = packed.strip().lower()
        if self._packed not in ("", "identity", "gzip", "x-gzip", "deflate"):
            raise Failed(f"The response is packed in a way that nobody asked for: {self._packed[:40]}", status=11)
        self._plain = self._packed in ("", "identity")
        self._limit = limit
        self._taken = 0
        self._waiting = b""
        self._unpacker: zlib._Decompress | None = None
        self._started = False
        self._data = bytearray()

    def add(self, data: bytes) -> None:
        """Take the next bytes as they came from the host."""
        self._taken += len(data)
        # Packing can also make larger; what is packed and unpacks to nothing could go on for ever.
        if self._taken > self._limit + (0 if self._plain else 1024):
            raise self._too_large()
        if self._plain:
            self._data += data
            return
        try:
            self._unpack(self._waiting + data)
        except zlib.error:
            raise Failed("The response cannot be unpacked") from None

    def end(self) -> bytes:
        """The whole body."""
        if not self._complete or (self._waiting and not self._started):
            raise Failed("The response ends before all of it was unpacked")
        return bytes(self._data)

    @property
    def _complete(self) -> bool:
        return self._unpacker is None or self._unpacker.eof

    def _unpack(self, data: bytes) -> None:
        self._waiting = b""
        while data:
            if self._unpacker is None or self._unpacker.eof:
                if self._started and not _GZIP.startswith(data[:2]):
                    return  # what follows the end is no part of it
                if len(data) < 2:
                    self._waiting = data
                    return
                self._unpacker, self._started = zlib.decompressobj(self._format(data)), True
            self._data += self._unpacker.decompress(data, self._limit - len(self._data) + 1)
            if len(self._data) > self._limit:
                raise self._too_large()
            data = self._unpacker.unused_data if self._unpacker.eof else self._unpacker.unconsumed_tail

    def _format(self, data: bytes) -> int:
        if self._packed != "deflate":
            return 16 + zlib.MAX_WBITS
        # "deflate" is zlib's format by the standard (RFC 9110), without its header at some hosts.
        wrapped = data[0] & 0x0F == 8 and (data[0] << 8 | data[1]) % 31 == 0
        return zlib.MAX_WBITS if wrapped else -zlib.MAX_WBITS

    def _too_large(self) -> Failed:
        return Failed(f"The response is larger than {self._limit} bytes", status=11)
