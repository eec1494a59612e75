# What the runners of mutations have in common: sourced, with `patches` set to the folder of NAME.patch files.
# A patch begins with what is broken, in words, and then says in lines `Test: …` what is to go red.
# shellcheck shell=bash
set -uo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
cd "$root" || exit 1

# One place for all copies: the target folder is shared, so that only what a patch touches is built.
work=${TMPDIR:-/tmp}/portway-mutations-$(id -u)
tree=$work/tree
log=$work/log
export CARGO_TARGET_DIR=${MUTATION_TARGET_DIR:-$work/target} RUST_BACKTRACE=0
mkdir -p "$work"
trap 'rm -rf "$tree"' EXIT

# The names that were asked for, or all.
mutations() {
    if [ $# -gt 0 ]; then
        printf '%s\n' "$@"
    else
        for patch in "$patches"/*.patch; do basename "$patch" .patch; done
    fi
}

# What is broken.
broken() {
    head -n 1 "$patches/$1.patch"
}

# What is to go red, a line each.
tests_of() {
    sed -n 's/^Test: //p' "$patches/$1.patch"
}

# A copy of the tree with the patch NAME in it. Fails when it does not apply.
plant() {
    local patch=$patches/$1.patch
    rm -rf "$tree"
    mkdir -p "$tree"
    # The files as they are now, with their times, so that cargo sees what changed.
    git ls-files -z --cached --others --exclude-standard |
        while IFS= read -r -d '' file; do [ -e "$file" ] && printf '%s\0' "$file"; done |
        xargs -0 cp -p --parents -t "$tree"
    (cd "$tree" && git apply "$patch") || return
    # What the last patch touched is older now than what was built from it.
    [ -e "$work/touched" ] && (cd "$tree" && xargs touch -c <"$work/touched")
    (cd "$tree" && git apply --numstat "$patch" | cut -f3 >"$work/touched" && xargs touch <"$work/touched")
}
