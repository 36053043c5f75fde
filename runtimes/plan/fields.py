"""Little-endian fields of ``plan.bin``: a writer, and a reader that refuses what is cut or odd."""

import struct

from ossc.targets.errors import BundleError


class PlanWriter:
    """Collects the fields of a plan in order."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def put(self, layout: str, *values: int) -> None:
        """Append integers, laid out as in :mod:`struct`."""
        self._parts.append(struct.pack("<" + layout, *values))

    def put_bytes(self, data: bytes) -> None:
        """Append bytes as they are."""
        self._parts.append(data)

    def put_text(self, text: str) -> None:
        """Append a text: its UTF-8 length as u16, then the bytes."""
        data = text.encode()
        self.put("H", len(data))
        self.put_bytes(data)

    def to_bytes(self) -> bytes:
        """Everything so far."""
        return b"".join(self._parts)


class PlanReader:
    """Takes the fields of a plan in order from bytes that nobody vouches for."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._offset = 0

    def take_bytes(self, length: int) -> bytes:
        """The next bytes.

        Raises:
            BundleError: Fewer are left.
        """
        end = self._offset + length
        if end > len(self._data):
            raise BundleError(
                f"plan.bin ends at byte {len(self._data)} inside a field that ends at {end}; "
                "compile the model again."
            )
        taken = self._data[self._offset : end]
        self._offset = end
        return taken

    def take(self, layout: str) -> tuple[int, ...]:
        """The next integers, laid out as in :mod:`struct`.

        Raises:
            BundleError: Fewer bytes are left.
        """
        return struct.unpack("<" + layout, self.take_bytes(struct.calcsize("<" + layout)))

    def take_int(self, layout: str) -> int:
        """The next integer.

        Raises:
            BundleError: Fewer bytes are left.
        """
        (value,) = self.take(layout)
        return value

    def take_text(self) -> str:
        """The next text.

        Raises:
            BundleError: It is cut, or not UTF-8.
        """
        data = self.take_bytes(self.take_int("H"))
        try:
            return data.decode()
        except UnicodeDecodeError as error:
            raise BundleError(
                f"plan.bin holds a name that is not UTF-8 at byte {self._offset - len(data)}; "
                "compile the model again."
            ) from error

    def finish(self) -> None:
        """State that everything was taken.

        Raises:
            BundleError: Bytes are left over.
        """
        left = len(self._data) - self._offset
        if left:
            raise BundleError(f"plan.bin has {left} bytes after its end; compile the model again.")
