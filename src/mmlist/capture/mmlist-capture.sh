#!/bin/sh
# mmlist-capture: records what mmlist wants to know of this kernel's swap code.
#
#   sh mmlist-capture start              sets the probes and begins to record
#   sh mmlist-capture stop               ends the recording, takes the probes away, restores what was changed
#   sh mmlist-capture bundle OUT.tar.gz  packs what was recorded (stops first, if need be)
#
# Run as root. It needs a POSIX shell, the usual small tools, tar and gzip, and tracefs; nothing of it stays behind.
# In the environment: MMLIST_BUFFER_KB (per CPU, 20480), MMLIST_CLOCK (mono), MMLIST_STATE (a folder for what is recorded,
# /var/lib/mmlist-capture), MMLIST_TRACEFS (/sys/kernel/tracing), MMLIST_FORCE=1 (also on another kernel than the one that
# the probes are made for).

set -u
umask 077
LC_ALL=C
export LC_ALL

# --- of one kernel: filled in by `mmlist probes FILE --script` --------------------------------------------------------

release=@RELEASE@
header=@HEADER@
tracepoints=@TRACEPOINTS@

# shellcheck disable=SC2016 # what has a $ there is the kernel's
definitions() { # calls $1 with each definition, and the event's filter or nothing
    @DEFINITIONS@
    :
}

# --- of all -----------------------------------------------------------------------------------------------------------

group=@GROUP@
parts=@PARTS@
state=${MMLIST_STATE:-/var/lib/mmlist-capture}
clock=${MMLIST_CLOCK:-mono}
buffer=${MMLIST_BUFFER_KB:-20480}

say() { printf 'mmlist-capture: %s\n' "$*" >&2; }

die() {
    say "$*"
    exit 1
}

put() { (printf '%s\n' "$1" >"$2") 2>/dev/null; }

append() { (printf '%s\n' "$1" >>"$2") 2>/dev/null; }

first_word() { # of a file: of "7 (expanded: 1408)" the 7
    [ ! -r "$1" ] || { read -r word _ <"$1" && printf '%s' "$word"; }
}

clock_of() { # the one in brackets
    sed -n 's/.*\[\(.*\)\].*/\1/p' "$1" 2>/dev/null
}

find_tracefs() {
    for tracefs in "${MMLIST_TRACEFS:-/sys/kernel/tracing}" /sys/kernel/debug/tracing; do
        [ -w "$tracefs/kprobe_events" ] && return 0
    done
    tracefs=/sys/kernel/tracing
    why="must be root"
    [ "$(id -u)" != 0 ] || why="cannot mount tracefs on $tracefs"
    mount -t tracefs nodev "$tracefs" 2>/dev/null || give_up "$why"
    mounted=1
    [ -w "$tracefs/kprobe_events" ] || give_up "this kernel has no kprobe_events (CONFIG_KPROBE_EVENTS)"
}

events_file() { # where a definition is written to
    case $1 in
    f*) printf '%s' "$tracefs/dynamic_events" ;;
    *) printf '%s' "$tracefs/kprobe_events" ;;
    esac
}

event_of() { # the name of a definition's event
    word=${1%% *}
    printf '%s' "${word##*/}"
}

ours() { # the probes of our group in a file, none of which was there before start
    grep "^[a-z][a-z0-9]*:$group/" "$1" 2>/dev/null
}

define() { # one definition, and its filter
    event=$(event_of "$1")
    if ! append "$1" "$(events_file "$1")"; then
        say "this kernel does not take: $1"
        tail -n 3 "$tracefs/error_log" 2>/dev/null >&2
        printf '%s\n' "$1" >>"$state/refused.txt"
        return 0
    fi
    printf '%s\n' "$1" >>"$state/defined"
    [ -z "${2-}" ] || put "$2" "$buffers/events/$group/$event/filter" || say "no filter $2 on $event"
    put 1 "$buffers/events/$group/$event/enable" || say "cannot enable $event"
}

undo() { # all that start has changed, as far as it came; may be run again
    [ -f "$state/tracefs" ] || return 0
    read -r tracefs <"$state/tracefs"
    read -r buffers <"$state/buffers"
    put 0 "$buffers/tracing_on"
    put 0 "$buffers/events/$group/enable"
    for one in $tracepoints; do
        [ "$buffers" = "$tracefs" ] && grep -qxF "$one" "$state/was_on" && continue
        put 0 "$buffers/events/$one/enable"
    done
    if [ "$buffers" != "$tracefs" ]; then
        [ ! -d "$buffers" ] || rmdir "$buffers" || say "cannot remove $buffers"
    else
        put "$(cat "$state/old_clock")" "$buffers/trace_clock"
        put "$(cat "$state/old_buffer")" "$buffers/buffer_size_kb"
        put "$(cat "$state/old_on")" "$buffers/tracing_on"
    fi
    for file in "$tracefs/kprobe_events" "$tracefs/dynamic_events"; do
        ours "$file" >"$state/ours" # not what was noted: an interrupt may come between a probe and its note
        while read -r line; do
            append "-:$group/$(event_of "$line")" "$file"
        done <"$state/ours"
    done
    [ ! -s "$state/old_record_cmd" ] || put "$(cat "$state/old_record_cmd")" "$tracefs/options/record-cmd"
    [ ! -f "$state/mounted" ] || umount "$tracefs" 2>/dev/null
    rm -f "$state/tracefs"
}

stats() {
    for folder in "$buffers"/per_cpu/cpu*; do
        printf '# %s\n' "${folder##*/}"
        cat "$folder/stats"
    done
}

give_up() { # of start: why
    trap '' INT TERM HUP
    undo
    rm -rf "$state"
    die "$1"
}

remember() { # what undo needs to know, before anything is changed
    clock_of "$buffers/trace_clock" >"$state/old_clock"
    first_word "$buffers/buffer_size_kb" >"$state/old_buffer"
    first_word "$buffers/tracing_on" >"$state/old_on"
    first_word "$tracefs/options/record-cmd" >"$state/old_record_cmd"
    : >"$state/was_on"
    for one in $tracepoints; do
        [ "$(first_word "$buffers/events/$one/enable")" != 1 ] || printf '%s\n' "$one" >>"$state/was_on"
    done
    printf '%s\n' "$buffers" >"$state/buffers"
    printf '%s\n' "$tracefs" >"$state/tracefs"
}

start() {
    [ -z "$release" ] || [ "$(uname -r)" = "$release" ] || [ "${MMLIST_FORCE:-}" = 1 ] ||
        die "made for $release, this is $(uname -r): its offsets are others (mmlist probes; or MMLIST_FORCE=1)"
    [ ! -d "$state" ] || die "$state exists: a recording is under way, or was not packed (stop, bundle; or remove it)"
    mkdir -p "${state%/*}" && mkdir "$state" || exit 1
    mounted=
    trap 'give_up "interrupted: all is as it was"' INT TERM HUP
    find_tracefs
    [ ! -d "$tracefs/events/$group" ] || give_up "there are events of the group $group already"
    [ -z "$mounted" ] || : >"$state/mounted"
    buffers=$tracefs/instances/$group
    [ -d "$tracefs/instances" ] && [ ! -d "$buffers" ] || buffers=$tracefs
    remember
    if [ "$buffers" != "$tracefs" ] && ! mkdir "$buffers" 2>/dev/null; then
        buffers=$tracefs
        remember
    fi

    put 0 "$buffers/tracing_on"
    put "$clock" "$buffers/trace_clock" || say "no clock $clock here: $(clock_of "$buffers/trace_clock")"
    until put "$buffer" "$buffers/buffer_size_kb"; do
        buffer=$((buffer / 2))
        [ "$buffer" -gt 64 ] || break
    done
    put 1 "$tracefs/options/record-cmd"
    put "" "$tracefs/error_log"
    put "" "$buffers/trace"
    definitions define
    for one in $tracepoints; do
        put 1 "$buffers/events/$one/enable" || say "this kernel has no $one"
    done
    [ -s "$state/defined" ] || give_up "this kernel took none of the probes"
    uname -a >"$state/uname.txt"
    clock_of "$buffers/trace_clock" >"$state/clock.txt"
    cat /proc/swaps >"$state/swaps-before.txt"
    stats >"$state/stats-before.txt"
    put 1 "$buffers/tracing_on" || give_up "cannot switch on $buffers"
    trap - INT TERM HUP
    say "recording with $(($(wc -l <"$state/defined"))) probes, clock $(cat "$state/clock.txt"), $(first_word "$buffers/buffer_size_kb") KB a CPU"
}

quoted() { # the lines of a file as JSON strings, apart by commas
    [ -f "$1" ] && sed 's/[\\"]/\\&/g; s/.*/"&"/' "$1" | tr '\n' ',' | sed 's/,$//; s/,/, /g'
}

missed() { # calls that a probe missed, "event": count
    sep=
    while read -r event _ count; do
        case $count in
        '' | 0 | *[!0-9]*) ;;
        *)
            printf '%s"%s": %s' "$sep" "$event" "$count"
            sep=', '
            ;;
        esac
    done <"$state/kprobe_profile.txt"
}

counted() { # whether the kernel counted what each probe missed: it does so of kprobes, not of fprobes
    while read -r definition; do
        grep -q "^[[:space:]]*$(event_of "$definition")[[:space:]]" "$state/kprobe_profile.txt" || return 1
    done <"$state/defined"
}

lost() { # events that the buffers dropped, all told, by what stats says, if it does
    total=0
    grep -q '^overrun: [0-9]' "$1" 2>/dev/null || return 1
    while read -r line; do
        case $line in
        'overrun: '* | 'commit overrun: '* | 'dropped events: '*) total=$((total + ${line##*: })) ;;
        esac
    done <"$1"
    printf '%s' "$total"
}

head_line() {
    printf '# mmlist-capture: {%s, "clock": "%s"' "$header" "$(cat "$state/clock.txt")"
    size=$(first_word "$buffers/buffer_size_kb")
    case $size in
    '' | *[!0-9]*) ;;
    *) printf ', "buffer_kb": %s' "$size" ;;
    esac
    address=$(sed -n 's/^0*\([1-9a-f][0-9a-f]*\) . init_mm$/\1/p' "$state/symbols.txt")
    [ -z "$address" ] || printf ', "init_mm": "0x%s"' "$address"
    printf ', "refused": [%s]' "$(quoted "$state/refused.txt")"
    if before=$(lost "$state/stats-before.txt") && after=$(lost "$state/stats-after.txt"); then
        printf ', "lost": %s' "$((after - before))"
    fi
    if [ -s "$state/kprobe_profile.txt" ]; then
        found=$(missed)
        if [ -n "$found" ] || counted; then printf ', "missed": {%s}' "$found"; fi
    fi
    printf '}\n'
}

stop() {
    [ -f "$state/tracefs" ] || die "nothing is being recorded"
    trap '' INT TERM HUP
    read -r tracefs <"$state/tracefs"
    read -r buffers <"$state/buffers"
    put 0 "$buffers/tracing_on"
    stats >"$state/stats-after.txt"
    cat /proc/swaps >"$state/swaps-after.txt"
    cat "$tracefs/kprobe_profile" >"$state/kprobe_profile.txt" 2>/dev/null
    cat "$buffers/set_event" >"$state/events.txt"
    { ours "$tracefs/dynamic_events" || ours "$tracefs/kprobe_events"; } >"$state/definitions.txt"
    cat "$tracefs/saved_cmdlines" >"$state/saved_cmdlines.txt" 2>/dev/null
    grep -E ' (init_mm|mmlist_lock|swap_info|_text)$' /proc/kallsyms >"$state/symbols.txt"
    head_line >"$state/trace.txt"
    cat "$buffers/trace" >>"$state/trace.txt" || say "the trace could not be read in whole"
    undo
    trap - INT TERM HUP
    say "stopped: $(($(wc -l <"$state/trace.txt"))) lines"
}

bundle() {
    [ -n "${1-}" ] || die "bundle wants the name of a file: bundle OUT.tar.gz"
    [ ! -f "$state/tracefs" ] || stop
    [ -f "$state/trace.txt" ] || die "nothing was recorded"
    have=
    for part in $parts; do
        [ ! -f "$state/$part" ] || have="$have $part"
    done
    # shellcheck disable=SC2086 # names of our own, without blanks
    if tar -cf "$state/bundle.tar" -C "$state" $have && gzip -c "$state/bundle.tar" >"$1"; then
        rm -rf "$state"
        say "wrote $1"
    else
        rm -f "$state/bundle.tar"
        die "could not write $1: what was recorded is still in $state"
    fi
}

case ${1-} in
start) start ;;
stop) stop ;;
bundle) bundle "${2-}" ;;
*) die "usage: mmlist-capture start | stop | bundle OUT.tar.gz" ;;
esac
