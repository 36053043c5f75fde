"""The sample model's text: the standard library of the interpreter that runs this.

CPython's library is distributed under the PSF licence version 2. About one file in 24, chosen by
the hash of its path, is held out: neither the model nor its tokenizer ever sees it in training.
"""

import ast
import hashlib
import sysconfig
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

LICENCE = "PSF-2.0"
EXCLUDED_FOLDERS = {"site-packages", "__pycache__", "data", "cjkencodings"}
"""Installed packages, byte code, and test data."""

EXCLUDED_FILES = {"stringprep.py", "html/entities.py", "pydoc_data/topics.py", "test/re_tests.py"}
"""Tables and generated text, not code."""

HELD_OUT_ONE_IN = 24
NEAR_COPIES = {"encodings/cp858.py"}
"""Held out but not evaluated: training has the same table with one other entry."""

EXCERPT = (
    "hmac.py",
    "posixpath.py",
    "asyncio/transports.py",
    "distutils/versionpredicate.py",
    "idlelib/squeezer.py",
    "test/test_netrc.py",
    "test/test_reprlib.py",
    "turtledemo/clock.py",
)
"""Held-out files that ``held_out.txt`` consists of, shipped for demonstrations and tests."""

CHAT_CHARACTERS = range(80, 1600)
"""Lengths of a function that becomes the answer of a chat example."""


@dataclass(frozen=True)
class Document:
    """A source file: its path below the library's root, and its text."""

    path: str
    text: str

    @property
    def held_out(self) -> bool:
        """Whether training must not see this file."""
        return int(hashlib.sha256(self.path.encode()).hexdigest(), 16) % HELD_OUT_ONE_IN == 0


def collect(root: Path | None = None) -> list[Document]:
    """Return the library's Python files in the order of their paths."""
    root = root or Path(sysconfig.get_path("stdlib"))
    paths = sorted(path.relative_to(root).as_posix() for path in root.rglob("*.py"))
    documents = (read(root, path) for path in paths if is_wanted(path))
    return [document for document in documents if document is not None]


def is_wanted(path: str) -> bool:
    """Return whether the path is library code and not data or a file made for this machine."""
    *folders, name = path.split("/")
    machine_specific = name.startswith("_sysconfigdata") or path.startswith("config-")
    unwanted = EXCLUDED_FOLDERS.intersection(folders) or path in EXCLUDED_FILES
    return not machine_specific and not unwanted


def read(root: Path, path: str) -> Document | None:
    """Read a file; None for one that is not UTF-8, nearly empty, or a generated table."""
    try:
        text = (root / path).read_bytes().decode("utf-8")
    except UnicodeDecodeError:
        return None
    generated = "generated from" in text[:400] or "gencodec" in text[:400]
    return None if generated or len(text) < 100 else Document(path, text.replace("\r\n", "\n"))


def split(documents: Sequence[Document]) -> tuple[list[Document], list[Document]]:
    """Return the training documents, and the held-out ones that are evaluated."""
    training = [document for document in documents if not document.held_out]
    held_out = [document for document in documents if document.held_out]
    return training, [document for document in held_out if document.path not in NEAR_COPIES]


def excerpt(documents: Sequence[Document]) -> str:
    """Return the text of ``held_out.txt``."""
    texts = {document.path: document.text for document in documents}
    return "\n".join(texts[path] for path in EXCERPT)


def digest(documents: Sequence[Document]) -> str:
    """Return a SHA-256 over all paths and texts: it says whether two machines had one corpus."""
    total = hashlib.sha256()
    for document in documents:
        total.update(f"{document.path}\0{document.text}\0".encode())
    return total.hexdigest()


def chat_examples(document: Document) -> Iterator[str]:
    """Yield one conversation in harmony's format per documented function of the file."""
    try:
        tree = ast.parse(document.text)
    except (SyntaxError, ValueError):
        return
    lines = document.text.splitlines()
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef) and (summary := first_sentence(node)):
            code = textwrap.dedent("\n".join(lines[node.lineno - 1 : node.end_lineno]))
            if len(code) in CHAT_CHARACTERS:
                signature = f"{node.name}({ast.unparse(node.args)})"
                yield conversation(f"Write the function `{signature}`: {summary}", code)


def first_sentence(node: ast.FunctionDef) -> str:
    """Return the first paragraph of a function's docstring on one line, or an empty string."""
    return " ".join((ast.get_docstring(node) or "").split("\n\n")[0].split())


def conversation(request: str, answer: str) -> str:
    """Return a user's request and the assistant's answer on the final channel."""
    return (
        f"<|start|>user<|message|>{request}<|end|>"
        f"<|start|>assistant<|channel|>final<|message|>{answer}<|return|>"
    )
