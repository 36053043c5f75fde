"""The fields of plan.bin."""

import pytest

from ossc.runtimes.plan.fields import PlanReader, PlanWriter
from ossc.targets.errors import BundleError


def test_fields_are_little_endian_and_unpadded():
    writer = PlanWriter()
    writer.put("BIq", 1, 2, -1)
    writer.put_text("é")
    assert writer.to_bytes() == b"\1" + b"\2\0\0\0" + b"\xff" * 8 + b"\2\0\xc3\xa9"


def test_the_reader_takes_what_the_writer_put():
    writer = PlanWriter()
    writer.put("HQ", 3, 2**64 - 1)
    writer.put_text("name")
    reader = PlanReader(writer.to_bytes())
    assert (reader.take("HQ"), reader.take_text()) == ((3, 2**64 - 1), "name")
    reader.finish()


@pytest.mark.parametrize(
    ("data", "message"),
    [
        pytest.param(b"\5\0abc", "ends at byte 5", id="cut"),
        pytest.param(b"\1\0\xff", "not UTF-8 at byte 2", id="not-utf-8"),
        pytest.param(b"\0\0rest", "4 bytes after its end", id="left-over"),
    ],
)
def test_odd_bytes_are_refused(data, message):
    reader = PlanReader(data)
    with pytest.raises(BundleError, match=message):
        reader.finish() if reader.take_text() == "" else None
