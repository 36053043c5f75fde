"""Write held_out.txt from this interpreter's library: ``python -m sample_model.write_held_out``."""

from sample_model.corpus import collect, excerpt
from sample_model.evaluate import HELD_OUT_TEXT

if __name__ == "__main__":
    HELD_OUT_TEXT.write_text(excerpt(collect()), encoding="utf-8", newline="\n")
