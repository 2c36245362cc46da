# Roost's shim: POSIX sh, started as `sh -s -- RUN ATTEMPTS OUTPUT PIPES GRACE NAME` and fed by the service over a pipe
# (docs/decisions/004-shim.md). Three roles, all of which outlive the service:
#   spawner   forks slots, makes named pipes, starts collectors; ends with the service
#   slot      the shim proper: runs one attempt after the other; ends when the service is gone and its job has ended
#   watchdog  one per node: deadlines, and collectors for attempts of a service that died
# An attempt has, in ATTEMPTS, NAME/ (the job's own folder), NAME.state (lines, below), .cause, .collected, .fenced; in
# OUTPUT, NAME.stdout and NAME.stderr; in PIPES/live, its named pipes.
#   shim BOOT PID START CAP DUE | job PID START | fail CODE | collector STREAM PID START | declined | end STREAM DROPPED
#   ending | exit CODE SIGNALLED CAUSE DRAINED
# A line counts when its newline is there.

run=$1 attempts=$2 output=$3 pipes=$4 grace=$5 me=$6
umask 077
# Read and write: opening never waits for a service that is not there. Held open, as the path may not last.
exec 7<>"$pipes/notify"
# O_EXCL: creating a file is how the shim claims things, without a fork.
set -C

# Sets `id` to "PID START" of the process that asks, subshells too ($$ would name their parent).
identify() {
  read -r stat </proc/self/stat
  id=${stat%% *}
  set -- ${stat##*) }
  shift 19
  id="$id $1"
}

# True while process $1 is the one that started at $2 (a pid alone may have a new owner).
is_alive() {
  stat=
  { while read -r line; do stat="$stat $line"; done </proc/"$1"/stat; } 2>/dev/null
  [ -n "$stat" ] || return 1
  start=$2
  set -- ${stat##*) }
  shift 19
  [ "$1" = "$start" ]
}

tell() {
  echo "$1" >&7
}

# ---- slot ----

# attempt NAME CAP DUE CWD STDIN [cgroup.procs...] -- [KEY=VALUE...] -- SETSID PROGRAM ARGUMENTS...
# Everything comes through the pipe: nothing of it is on a command line before the job's own, or in a file.
attempt() {
  name=$1 cap=$2 due=$3 cwd=$4 stdin=$5
  shift 5
  d=$attempts/$name p=$pipes/live/$name
  # The first act, atomic: whoever creates the state file runs the attempt.
  if ! { true >"$d.state"; } 2>/dev/null; then tell "free $me"; return; fi
  # By its descriptor: the next service clears the path away.
  [ ! -s /proc/self/fd/2 ] || true >|/proc/self/fd/2
  exec 3<>"$p.stdout" 4<>"$p.stderr" 5>>"$d.state"
  echo "shim $boot $self $cap $due" >&5
  if [ -z "$lazy" ]; then
    collect "$name" "$cap" &
  fi
  # In the foreground: POSIX has a background job ignore SIGINT and SIGQUIT for good.
  (
    umask 022
    identify
    while [ "$1" != -- ]; do
      { echo 0 >|"$1"; } 2>/dev/null || { echo 'fail limits-unavailable' >&5; exit 126; }
      shift
    done
    shift
    cd -- "$cwd" 2>/dev/null || { echo 'fail cwd-missing' >&5; exit 126; }
    echo "job $id" >&5
    # A service that found this shim gone first fences, then reads `job`: one of the two sees the other.
    [ ! -e "$d.fenced" ] || exit 126
    tell "started $name $id"
    unset LC_ALL OLDPWD
    # From here on the variables are the job's: only positional parameters are used.
    while [ "$1" != -- ]; do export "$1"; shift; done
    shift
    exec "$@" 3>&- 4>&- 5>&- 7>&-
  ) <"$stdin" >"$p.stdout" 2>"$p.stderr"
  code=$?
  # The shell says "Killed" and so on where the job died of a signal: exit 137 is told apart from kill -9.
  signalled=0 cause=none job= failed=none
  [ $code -le 128 ] || [ ! -s /proc/self/fd/2 ] || signalled=1
  while read -r word first rest; do
    case $word in
      job) job=$first ;;
      fail) failed=$first ;;
    esac
  done <"$d.state"
  [ -z "$job" ] || end_group "$job"
  [ ! -e "$d.cause" ] || read -r cause <"$d.cause"
  # Either a collector that comes now sees this line, or we see its claim.
  echo ending >&5
  if is_collected; then
    drained=no
  else
    # Nobody collected: all that was written is in the pipes, and one read each takes it without waiting.
    drained=none
    drain stdout 3
    drain stderr 4
  fi
  echo "exit $code $signalled $cause $drained" >&5
  exec 3>&- 4>&- 5>&-
  tell "ended $name $me $failed $code $signalled $cause $drained"
}

# True where collectors have the streams; false where none came, or it declined.
is_collected() {
  tries=0
  [ -n "$lazy" ] || until [ -e "$d.collected" ]; do sleep 0.01; done
  while [ -e "$d.collected" ] && [ $tries -lt 500 ]; do
    while read -r word rest; do
      case $word in
        collector) return 0 ;;
        declined) return 1 ;;
      esac
    done <"$d.state"
    sleep 0.01
    tries=$((tries + 1))
  done
  return 1
}

drain() {
  # By its descriptor: the path may be gone.
  [ "/proc/self/fd/$2" -nt "$run/reference" ] || return 0
  dd bs=1048576 count=1 <&"$2" >>"$output/$name.$1" 2>/dev/null
  drained=$drained+$1
}

# What the job left in its process group: TERM, grace, KILL. Mostly there is nothing.
end_group() {
  kill -TERM "-$1" 2>/dev/null || return 0
  kill -CONT "-$1" 2>/dev/null
  tries=$((grace * 10))
  while [ $tries -gt 0 ]; do
    sleep 0.1
    kill -0 "-$1" 2>/dev/null || return 0
    tries=$((tries - 1))
  done
  kill -KILL "-$1" 2>/dev/null
}

slot() {
  identify
  self=$id
  read -r boot </proc/sys/kernel/random/boot_id
  lazy=
  [ ! -e "$run/lazy" ] || lazy=yes
  # What the shell says of a job that a signal ended.
  exec 2>>"$pipes/slots/$me/err"
  tell "slot $me $self"
}

# ---- collectors: between the job and the disk, so that a flood ends at the cap and not at a full disk ----

# collect NAME CAP: takes both streams of the attempt, unless another has.
collect() {
  name=$1 d=$attempts/$1 p=$pipes/live/$1
  [ -p "$p.stdout" ] && [ -p "$p.stderr" ] || exit 0
  # Open before the claim: what is in a pipe lives only while someone holds it open.
  { exec 3<>"$p.stdout" 4<>"$p.stderr" 5>>"$d.state"; } 2>/dev/null
  { true >"$d.collected"; } 2>/dev/null || exit 0
  while read -r word rest; do
    [ "$word" != ending ] || { echo declined >&5; exit 0; }
  done <"$d.state"
  exec 6<"$p.stdout" 8<"$p.stderr" 3>&- 4>&-
  counted stdout <&6 6<&- 8<&- | keep stdout "$2" 6<&- 8<&- &
  counted stderr <&8 6<&- 8<&- | keep stderr "$2" 6<&- 8<&- &
  exec 6<&- 8<&-
  # Whom nobody waits for would stay as a zombie where process 1 is no init.
  wait
  exit 0
}

# counted NAME: hands the stream on and counts it. Only what never touches the disk knows how much it has read: a dd
# that cannot write does not say how large its last read was. The service ends it whose pipe a daemon holds open.
counted() {
  identify
  echo "collector $1 $id" >&5
  exec dd bs=65536 2>|"$p.$1.dd" 5>&- 7>&-
}

# keep NAME CAP: keeps CAP bytes and a little more, and tells how many bytes were dropped for whatever reason. dd
# writes each read at once.
keep() {
  file=$output/$name.$1 left=$(($2 + 65536)) kept=0 over=0 open=yes
  while [ -n "$open" ] && [ $left -gt 0 ]; do
    count=$((left / 65536))
    [ $count -ge 16 ] || count=16
    said=$(dd bs=65536 count=$count 2>&1 >>"$file" 5>&- 7>&-) && failed= || failed=yes
    count_copied
    # Not written, as by a full disk: one read is dropped. The job goes on, and the next read may find room again.
    if [ -n "$failed" ] && [ -z "$records" ]; then
      # Not even opened.
      said=$(dd bs=65536 count=1 2>&1 >/dev/null 5>&- 7>&-)
      count_copied
      bytes=0 failed=
      [ "$records" = 0+0 ] || failed=yes
    fi
    # Fewer records than asked for: the end of the stream.
    [ -n "$failed" ] || [ $((${records%+*} + ${records#*+})) -ge $count ] || open=
    # Some busybox do not say how much they copied.
    [ -n "$bytes" ] || bytes=$(($(wc -c <"$file") - kept))
    kept=$((kept + bytes)) left=$((left - bytes))
  done
  [ -z "$open" ] || over=$(wc -c)
  # The count comes a moment after the end of the stream; one that was ended gives none.
  pid=
  while read -r word stream first rest; do
    [ "$word $stream" != "collector $1" ] || pid=$first begun=$rest
  done <"$d.state"
  total=
  while [ -n "$pid" ]; do
    is_alive "$pid" "$begun" || pid=
    while read -r number words; do
      case $words in bytes*) total=$number ;; esac
    done <"$p.$1.dd"
    [ -z "$total" ] || break
    [ -z "$pid" ] || sleep 0.01
  done
  echo "end $1 $((${total:-$((kept + over))} - kept))" >&5
  tell "grown $name"
}

# Sets `records` and `bytes` from what a dd said.
count_copied() {
  records= bytes= before=
  for word in $said; do
    case $word in
      [0-9]*+[0-9]*) records=${records:-$word} ;;
      bytes) bytes=$before ;;
    esac
    before=$word
  done
}

# ---- watchdog ----

watchdog() {
  spawner=$1
  identify
  self=$id
  echo "$self" >|"$run/watchdog"
  tick=0 silent=
  while sleep 1; do
    # The data folder is gone: so is the use of what is in memory for it.
    if [ ! -d "$run" ] && [ "$pipes" != "$run" ]; then rm -rf -- "$pipes"; exit 0; fi
    read -r current <"$run/watchdog" && [ "$current" = "$self" ] || exit 0
    # Boot time, not wall time or monotonic: it counts suspend.
    read -r now rest </proc/uptime
    now=${now%.*}
    for entry in "$run"/deadlines/*; do
      due=${entry##*/}
      due=${due%%.*}
      [ "$due" -le "$now" ] 2>/dev/null || break
      expire
    done
    # An attempt seen twice without collectors has nobody else who would start them.
    seen=$silent silent=
    for folder in "$attempts"/*.state; do
      folder=${folder%.state}
      [ ! -e "$folder.collected" ] && [ -e "$folder.state" ] || continue
      silent="$silent $folder "
      case $seen in *" $folder "*) backstop "$folder" & ;; esac
    done
    # Reaps what has ended.
    jobs >/dev/null
    tick=$((tick + 1))
    [ $((tick % 10)) != 0 ] || is_alive $spawner || is_needed || exit 0
  done
}

# What the service does for an attempt that lives on, where it died before it could.
backstop() {
  read -r word boot pid start cap due <"$1.state" || exit 0
  name=${1##*/}
  [ "$due" = - ] || true >|"$run/deadlines/$(printf %012d "$due").t.$name"
  collect "$name" "$cap"
}

# True while some shim still has its job.
is_needed() {
  for folder in "$attempts"/*.state; do
    { read -r word boot pid start rest <"$folder"; } 2>/dev/null || continue
    is_alive "$pid" "$start" && return 0
  done
  return 1
}

# An entry is SECONDS.t.NAME (TERM is due) or SECONDS.k.NAME (KILL is due).
expire() {
  kind=${entry##*/}
  kind=${kind#*.}
  name=${kind#*.} kind=${kind%%.*}
  folder=$attempts/$name job=
  { while read -r word first rest; do
    case $word in
      job) job=$first start=$rest ;;
      exit) job=; break ;;
    esac
  done <"$folder.state"; } 2>/dev/null
  if [ -n "$job" ] && is_alive "$job" "$start"; then
    if [ $kind = t ]; then
      { echo deadline >"$folder.cause"; } 2>/dev/null
      true >|"$run/deadlines/$(printf %012d $((now + grace))).k.$name"
      kill -TERM "-$job" 2>/dev/null || kill -TERM "$job" 2>/dev/null
      kill -CONT "-$job" 2>/dev/null
    else
      kill -KILL "-$job" 2>/dev/null || kill -KILL "$job" 2>/dev/null
    fi
  fi
  rm -f "$entry"
}

# ---- spawner ----

spawner() {
  identify
  watchdog "$id" &
}

open_slot() {
  (
    orders=$pipes/slots/$2/orders
    # Opened for reading alone it would wait for ever for a service that has died meanwhile.
    exec 8<>"$orders" <"$orders" 8>&-
    exec env -i "PATH=$PATH" LC_ALL=C "$1" -s -- "$run" "$attempts" "$output" "$pipes" "$grace" "$2"
  ) >/dev/null 2>&1 &
}

# make_folders BATCH COUNT: so many at a time, as each exec costs as much as a job.
make_folders() {
  batch=$1 n=$2
  set --
  while [ $n -gt 0 ]; do n=$((n - 1)); set -- "$@" "$run/folders/$batch.$n"; done
  mkdir -p -- "$run/folders" && mkdir -- "$@" && tell "folders $batch"
}

# make_pipes BATCH COUNT: dated back, so that the first write shows in the time of change.
make_pipes() {
  batch=$1 n=$2
  set --
  while [ $n -gt 0 ]; do n=$((n - 1)); set -- "$@" "$pipes/pool/$batch.$n.stdout" "$pipes/pool/$batch.$n.stderr"; done
  mkdir -p -- "$pipes/pool" && mkfifo -- "$@" && touch -t 197101010000 -- "$@" && tell "pipes $batch"
}

# remove_folders BATCH NAME...
remove_folders() {
  batch=$1
  shift
  for name; do
    shift
    set -- "$@" "$attempts/$name" "$attempts/$name.state" "$attempts/$name.cause" "$attempts/$name.collected" \
      "$attempts/$name.fenced" "$attempts/$name.stdin" "$output/$name.stdout" "$output/$name.stderr" "$pipes/live/$name.stdout" \
      "$pipes/live/$name.stderr" "$pipes/live/$name.stdout.dd" "$pipes/live/$name.stderr.dd"
  done
  rm -rf -- "$@"
  tell "removed $batch"
}
