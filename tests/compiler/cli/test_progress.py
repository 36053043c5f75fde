"""Progress of long work on stderr."""

from ossc.compiler.cli.progress import terminal_progress


def test_a_note_is_a_line_on_stderr_and_is_not_repeated(capsys):
    with terminal_progress() as progress:
        progress.phase("Packing", 10)
        progress.note("One thing.")
        progress.note("One thing.")
        progress.note("Another.")
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err == "Packing …\nNote: One thing.\nNote: Another.\n"
