# shellcheck shell=bash
# Sourced by ./run and the scripts here, in the top folder: packages, root, builds.

top=$PWD
die() { echo "${0##*/}: $*" >&2; exit 1; }

# packages GROUP...: installs what packaging/debian-packages lists for the groups and dpkg does not have.
packages() {
    local group missing=()
    for group in "$@"; do
        while read -r name architecture; do
            [ "${architecture:-$(dpkg --print-architecture)}" = "$(dpkg --print-architecture)" ] || continue
            dpkg-query -W -f '${db:Status-Status}' "$name" 2>/dev/null | grep -qx installed || missing+=("$name")
        done < <(sed -n "s/^$group //p" packaging/debian-packages)
    done
    [ ${#missing[@]} -gt 0 ] || return 0
    echo "installing: ${missing[*]}"
    local sudo=()
    if [ "$(id -u)" != 0 ]; then
        command -v sudo >/dev/null || die "needs these packages, and to be root (or sudo) to install them: ${missing[*]}"
        sudo=(sudo)
    fi
    local log
    log=$(mktemp)
    install_packages >"$log" 2>&1 ||
        { tail -n 20 "$log" >&2; rm -f "$log"; die "apt-get could not install ${missing[*]}"; }
    rm -f "$log"
}

# The programs are wanted, not the services that Debian starts with some of them (tinyproxy, nginx): policy-rc.d says no.
# In a subshell, for its trap. Uses `sudo` and `missing` of packages.
install_packages() (
    policy=/usr/sbin/policy-rc.d
    if [ ! -e $policy ]; then
        trap '"${sudo[@]}" rm -f $policy' EXIT
        printf '#!/bin/sh\nexit 101\n' | "${sudo[@]}" tee $policy
        "${sudo[@]}" chmod 755 $policy
    fi
    "${sudo[@]}" apt-get -q update &&
        "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qy install --no-install-recommends "${missing[@]}"
)

# become_root COMMAND...: the same command by sudo if we are not root.
become_root() {
    [ "$(id -u)" = 0 ] && return 0
    command -v sudo >/dev/null || die "needs root for network namespaces: run it as root, or install sudo"
    echo "asking for root: network namespaces need it"
    exec sudo --preserve-env=CI "$@"
}

# build_tree DIRECTORY [MESON-OPTION...]: quiet when all is well, everything when not.
build_tree() {
    local directory=$1 log
    shift
    log=$(mktemp)
    if [ ! -f "$directory/build.ninja" ]; then
        meson setup "$directory" "$@" >"$log" 2>&1 || { cat "$log" >&2; rm -f "$log"; die "meson setup failed"; }
    fi
    ninja -C "$directory" >"$log" 2>&1 || { grep -v '^\[' "$log" >&2; rm -f "$log"; die "the build failed"; }
    rm -f "$log"
    echo "built into $directory/"
}
