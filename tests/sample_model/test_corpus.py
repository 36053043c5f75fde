"""Which files are read, which are held out, and how conversations are made of functions."""

from sample_model.corpus import EXCERPT, Document, chat_examples, collect, excerpt, split
from sample_model.evaluate import HELD_OUT_TEXT

SOURCE = '''\
class Stack:
    def push(self, item, *, top=True):
        """Put an item on the stack.

        More about it.
        """
        self.items.append(item)
        return self

    def undocumented(self):
        return [self.items[0] for _ in range(100) if self.items and self.items[0] is not None]
'''


def write(root, path, text):
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    (root / path).write_text(text, encoding="utf-8")


def test_installed_packages_test_data_and_machine_specific_files_are_left_out(tmp_path):
    text = "x = 1\n" * 50
    for path in ("a.py", "b/c.py", "site-packages/d.py", "test/data/e.py", "_sysconfigdata_x.py"):
        write(tmp_path, path, text)
    write(tmp_path, "table.py", "# generated from a list\n" + text)
    (tmp_path / "latin.py").write_bytes(b"# \xe9\n" + text.encode())
    assert [document.path for document in collect(tmp_path)] == ["a.py", "b/c.py"]


def test_no_file_is_both_trained_on_and_held_out():
    training, held_out = split([Document(f"{n}.py", "") for n in range(2000)])
    assert not {d.path for d in training} & {d.path for d in held_out}
    assert 40 < len(held_out) < 140


def test_every_file_of_the_excerpt_is_held_out():
    assert all(Document(path, "").held_out for path in EXCERPT)


def test_the_shipped_excerpt_has_the_length_of_its_files():
    text = HELD_OUT_TEXT.read_text(encoding="utf-8")
    assert 50_000 < len(text.encode()) < 100_000
    assert excerpt([Document(path, "text") for path in EXCERPT]).count("text") == len(EXCERPT)


def test_a_documented_function_becomes_a_conversation():
    (conversation,) = chat_examples(Document("stack.py", SOURCE))
    assert conversation.startswith(
        "<|start|>user<|message|>Write the function `push(self, item, *, top=True)`: "
        "Put an item on the stack.<|end|>"
        "<|start|>assistant<|channel|>final<|message|>def push(self, item, *, top=True):\n    "
    )
    assert conversation.endswith("    self.items.append(item)\n    return self<|return|>")


def test_a_file_that_does_not_parse_gives_no_conversations():
    assert list(chat_examples(Document("bad.py", "def f(:\n"))) == []
