#!/bin/sh
# zig 0.17.1 (PyPI ziglang): two projects with an environment each build musl for each other again and again.
#
# Expected: one cache for a user. The same release in two places is one entry of it, or two; either way the
#           C library of a target is built once or twice, and then found.
# Seen:     entries are named by where zig's own files lie from the current folder. In two projects that have zig at
#           .venv/lib/... and run it from their own folder that is the same name, and its files are others (another
#           inode, another time), so each project finds the entry of the other one stale and builds over it:
#           30 s to 2 minutes each time that somebody changes projects. Run from one folder both are found.
# Who:      everybody who has the package in more than one environment.
#
#   one built musl
#   two built musl
#   one built musl
#   two built musl
#   one, from /, built musl
#   two, from /, built musl
#   one, from /, found it
#   two, from /, found it
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
for project in one two; do
    mkdir "$work/$project"
    python3 -m venv "$work/$project/.venv"
    "$work/$project/.venv/bin/pip" install --quiet --disable-pip-version-check ziglang==0.17.1 2>"$work/log" ||
        { cat "$work/log" >&2; exit 1; }
done
printf 'int main(void) { return 0; }\n' >"$work/empty.c"
export ZIG_GLOBAL_CACHE_DIR="$work/cache"

libraries() {
    find "$work/cache" -name libc.a -exec stat -c '%n %y' {} + 2>"$work/log" | sort
}

compile() { # compile PROJECT FOLDER WORDS
    before=$(libraries || true)
    (cd "$2" && "$work/$1/.venv/bin/python" -m ziglang cc -target x86_64-linux-musl "$work/empty.c" -o "$work/empty")
    if [ "$before" = "$(libraries)" ]; then echo "$1$3 found it"; else echo "$1$3 built musl"; fi
}

{
    for project in one two one two; do compile "$project" "$work/$project" ""; done
    for project in one two one two; do compile "$project" / ", from /,"; done
} >"$work/seen"
sed -n 's/^#   \([a-z]\)/\1/p' "$0" >"$work/expected"
cat "$work/seen"
diff "$work/expected" "$work/seen"
