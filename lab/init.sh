#!/bin/busybox sh
# The first process of a lab's kernel: records workloads in the ways that /lab holds, and leaves what came of it on /dev/vdc, as
# a tar. lab/guest.py packs it; /lab/modules are to be loaded, in that order.

/bin/busybox mkdir -p /proc /sys /dev /tmp /out /var/lib /usr/bin
/bin/busybox --install -s /bin
export PATH=/usr/bin:/bin HOME=/tmp
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev 2>/dev/null
mount -t tracefs nodev /sys/kernel/tracing
mount -t debugfs nodev /sys/kernel/debug
tracefs=/sys/kernel/tracing debugfs=/sys/kernel/debug

say() { echo "lab: $*"; }

result() { # phase, exit code, what
    say "$1: $3: $2"
    echo "$1 $3 $2" >>/out/results.txt
}

run() { # phase, what, command...: its output into the phase's log
    phase=$1 what=$2
    shift 2
    "$@" >>"/out/$phase.log" 2>&1
    result "$phase" $? "$what"
}

work() { # phase, what is done to the two swap areas: a program and its arguments
    mkswap /dev/vda >/dev/null
    mkswap /dev/vdb >/dev/null
    program=$2 what=$1
    shift 2
    "/lab/$program" /dev/vda /dev/vdb "$@" >"/out/$what.workload.log" 2>&1
    result "$what" $? workload
    set -- "$what"
    tail -n 1 "/out/$1.workload.log"
    swapoff -a 2>/dev/null # what a workload that failed has left on
}

errors() { # phase: what the kernel had against definitions
    cat $tracefs/error_log >"/out/$1.error_log"
    echo >$tracefs/error_log
}

captured() { # phase: what the script records; trace-cmd and perf record the same run, where they are here
    run "$1" start sh "/lab/$1" start
    if [ -x /usr/bin/perf ] && [ "$1" = kprobe ]; then
        mkfifo /tmp/ask /tmp/answer
        # shellcheck disable=SC2046 # words
        perf record -D -1 --control fifo:/tmp/ask,/tmp/answer -a -k mono -m 16M -o /tmp/perf.data \
            $(cat /lab/perf-events) >>"/out/$1.log" 2>&1 &
        recorder=$!
        exec 3<>/tmp/ask 4<>/tmp/answer
        told enable
    fi
    work "$1" workload "$2"
    if [ -n "${recorder-}" ]; then
        told disable
        kill -INT $recorder
        wait $recorder
        perf script --show-lost-events -i /tmp/perf.data >/out/perf.txt 2>>"/out/$1.log"
        result "$1" $? perf
        rm -f /tmp/perf.data
        recorder=
    fi
    (
        rmdir() { # the script has read its instance as text and is about to remove it: trace-cmd reads the same once more
            [ ! -x /usr/bin/trace-cmd ] || [ "$phase" != kprobe ] || trace-cmd extract -B mmlist -o /tmp/trace.dat
            [ ! -d "$1" ] || command rmdir "$1"
        }
        phase=$1
        set -- stop
        . "/lab/$phase"
    ) >>"/out/$1.log" 2>&1
    result "$1" $? stop
    if [ -f /tmp/trace.dat ]; then
        trace-cmd report -t /tmp/trace.dat >/out/trace-cmd.txt 2>>"/out/$1.log"
        result "$1" $? trace-cmd
        rm -f /tmp/trace.dat
    fi
    run "$1" bundle sh "/lab/$1" bundle "/out/$1.tar.gz"
    errors "$1"
}

told() { # perf, and wait until it has heard
    echo "$1" >&3
    read -r heard <&4
    say "perf: $1: $heard"
}

recording() { # by what?
    case $1 in
    perf) [ -s perf.data ] ;;
    bpftrace) # attaches one probe after the other
        attached=$now now=$(wc -l <$debugfs/kprobes/list)
        [ "$now" -gt 0 ] && [ "$now" = "$attached" ] && sleep 3 && [ "$(wc -l <$debugfs/kprobes/list)" = "$now" ]
        ;;
    *) [ "$(cat $tracefs/events/mmlist/enable 2>/dev/null)" = 1 ] ;;
    esac
}

read_all() { # what bpftrace has not read when it is interrupted is gone: wait until its file grows by what waiting itself does
    until size=$(wc -c <"$1") && sleep 5 && [ "$(wc -c <"$1")" -lt $((size + 100000)) ]; do
        :
    done
}

started() { # by what: what `mmlist probes --syntax` wrote for it
    case $1 in
    bpftrace) BPFTRACE_PERF_RB_PAGES=4096 exec bpftrace -q -o trace.txt /lab/bpftrace ;;
    *) exec sh "/lab/$1" ;;
    esac
}

recorded() { # phase: by trace-cmd, perf or bpftrace, ended as a person ends it
    mkdir "/tmp/$1"
    cd "/tmp/$1" || return
    now=0
    started "$1" >>"/out/$1.log" 2>&1 &
    shell=$!
    while kill -0 $shell 2>/dev/null && ! recording "$1"; do
        sleep 1
    done
    [ "$1" != perf ] || sleep 3 # nothing says when it has opened all of them
    work "$1" workload "$2"
    [ "$1" != bpftrace ] || read_all trace.txt
    # shellcheck disable=SC2046 # trace-cmd has a process for each CPU
    kill -INT $(pidof "$1")
    wait $shell
    result "$1" $? script
    gzip -c trace.txt >"/out/$1.txt.gz"
    rm -f trace.dat perf.data trace.txt
    cd /
    errors "$1"
}

at_random() { # seed, seconds: what no script of steps comes to
    export MMLIST_BUFFER_KB=65536
    run random start sh /lab/kprobe start
    work random random "$1" "$2"
    run random stop sh /lab/kprobe stop
    run random bundle sh /lab/kprobe bundle /out/random.tar.gz
    unset MMLIST_BUFFER_KB
    errors random
}

while read -r module; do
    insmod "/lab/$module" || say "cannot load $module"
done </lab/modules
: >/out/results.txt
uname -a >/out/uname.txt
for phase in kprobe fprobe; do
    [ ! -f /lab/$phase ] || captured $phase "$(cat /lab/pages)"
done
mkdir /cgroup
mount -t cgroup2 none /cgroup
# shellcheck disable=SC2046 # words
[ ! -f /lab/at_random ] || at_random $(cat /lab/at_random)
for phase in trace-cmd perf bpftrace; do
    [ ! -f /lab/$phase ] || [ ! -x /usr/bin/$phase ] || recorded $phase 64
done
cat $tracefs/kprobe_events >/out/left_behind
dmesg >/out/dmesg.txt
tar -cf /dev/vdc -C / out
sync
say "over"
poweroff -f
