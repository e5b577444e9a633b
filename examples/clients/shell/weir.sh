# Logging to Weir from shell scripts (sh, dash, bash): copy this file into your project. It needs curl, and awk and od,
# which every system has.
#
#     . ./weir.sh                     # reads WEIR_URL, WEIR_TOKEN and WEIR_SOURCE (by default the script's name)
#     weir_log INFO "backup is done" files=1234 target=/mnt/backup
#
# weir_log LEVEL MESSAGE [KEY=VALUE...] sends one record and waits for the answer. It always returns 0, also under
# `set -eu`, and prints nothing unless something is wrong:
#
# - It takes WEIR_TIMEOUT seconds (5) at most. Within them, it tries again, with the same key each time, so the router
#   stores the record once.
# - A record that is not acknowledged then is lost: it is printed on standard error and counted in WEIR_LOST. For
#   WEIR_PAUSE seconds (30) after that, records are lost without an attempt, so that a router that hangs doesn't hold up
#   a script again and again. The first record that arrives later is followed by one that tells how many were lost.
# - What is counted in a subshell or a pipeline is forgotten with it, as all variables are.
#
# A value that is a number is sent as a number.

weir_log() {
    weir_now=$(date +%s) || weir_now=0
    if [ "$weir_now" -lt "${_weir_away_until:-0}" ]; then
        _weir_lose "$@"
        return 0
    fi
    # The last line is the status, or 000 if there was no answer.
    weir_answer=$(_weir_send "$@" 2>&1) || :
    weir_status=${weir_answer##*"
"}
    weir_answer=${weir_answer%"
$weir_status"}
    case $weir_status in
    200)
        if [ -n "${_weir_away_until:-}" ]; then
            _weir_away_until=
            _weir_say "is back"
        fi
        if [ "${WEIR_LOST:-0}" != "${_weir_told:-0}" ]; then
            weir_count=$((${WEIR_LOST:-0} - ${_weir_told:-0}))
            weir_answer="$weir_count records were lost before this one"
            weir_answer=$(_weir_send WARNING "$weir_answer" "lost=$weir_count" 2>&1) || :
            case $weir_answer in *200) _weir_told=$WEIR_LOST ;; esac
        fi
        ;;
    4[0-9][0-9])
        case $weir_status in 408 | 425 | 429) _weir_is_away ;; *)
            case " ${_weir_refused:-} " in *" $weir_status "*) ;; *)
                _weir_refused="${_weir_refused:-} $weir_status"
                _weir_say "refuses records, which are lost: $weir_status $weir_answer"
                ;;
            esac
            ;;
        esac
        _weir_lose "$@"
        ;;
    *)
        _weir_is_away
        _weir_lose "$@"
        ;;
    esac
    return 0
}

_weir_is_away() {
    if [ -z "${_weir_away_until:-}" ]; then
        weir_answer=${weir_answer##*curl: }
        weir_answer=${weir_answer%%"
"*}
        _weir_say "is away (${weir_answer:-$weir_status}); records are lost, and printed here"
    fi
    weir_now=$(date +%s) || weir_now=0
    _weir_away_until=$((weir_now + ${WEIR_PAUSE:-30}))
}

_weir_lose() {
    WEIR_LOST=$((${WEIR_LOST:-0} + 1))
    printf '%s\n' "$*" >&2 || :
}

_weir_say() {
    printf 'weir: %s %s\n' "${WEIR_URL:-http://127.0.0.1:8080}" "$1" >&2 || :
}

# Sends a record. Prints the last answer's text and then, on a line of its own, its status.
_weir_send() {
    weir_key=$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')
    # curl reads everything from a configuration: others could see the token among its arguments.
    weir_request=$(LC_ALL=C WEIR_URL="${WEIR_URL:-http://127.0.0.1:8080}" WEIR_TOKEN="${WEIR_TOKEN:-}" \
        WEIR_SOURCE="${WEIR_SOURCE:-${0##*/}}" weir_key="$weir_key" awk "$_weir_program" "$@")
    weir_left=${WEIR_TIMEOUT:-5}
    weir_end=$(($(date +%s) + weir_left))
    while :; do
        weir_answer=$(printf '%s\n' "$weir_request" |
            curl -q -sS --config - --max-time "$weir_left" -o - -w '\n%{http_code}' 2>&1) || :
        case $weir_answer in *000 | *408 | *425 | *429 | *5[0-9][0-9]) ;; *) break ;; esac
        # A second for the pause, and up to one that the clock doesn't show.
        weir_left=$((weir_end - $(date +%s) - 2))
        [ "$weir_left" -gt 0 ] || break
        sleep 1
    done
    printf '%s\n' "$weir_answer"
}

# Makes the configuration for curl, with the record. Works on bytes, in any awk.
_weir_program='
BEGIN {
    for (i = 1; i < 256; i++)
        ord[sprintf("%c", i)] = i
    for (i = split("timestamp level source message context metadata", names, " "); i > 0; i--)
        taken[names[i]] = 1
    message = ARGV[2]
    for (i = 3; i < ARGC; i++) {
        at = index(ARGV[i], "=")
        name = substr(ARGV[i], 1, at - 1)
        # What has no name belongs to the message.
        if (at < 2)
            message = message " " ARGV[i]
        else if (name in taken)
            metadata = metadata "," json(name) ":" value(substr(ARGV[i], at + 1))
        else if (!(name in given)) {
            given[name] = 1
            fields = fields "," json(name) ":" value(substr(ARGV[i], at + 1))
        }
    }
    record = "{\"level\":" json(ARGV[1]) ",\"source\":" json(ENVIRON["WEIR_SOURCE"])
    record = record ",\"message\":" json(message) fields (metadata ? ",\"metadata\":{" substr(metadata, 2) "}}" : "}")
    url = ENVIRON["WEIR_URL"]
    sub("/+$", "", url)
    if (url !~ "/ingest$")
        url = url "/ingest"
    print "url = " quoted(url)
    print "header = \"content-type: application/json\""
    print "header = " quoted("idempotency-key: " ENVIRON["weir_key"])
    if (ENVIRON["WEIR_TOKEN"] != "")
        print "header = " quoted("authorization: Bearer " ENVIRON["WEIR_TOKEN"])
    print "data-raw = " quoted(record)
    exit
}

function value(text) {
    # More digits than these are a name rather than a number.
    return text ~ "^-?(0|[1-9][0-9]*)([.][0-9]+)?$" && length(text) < 16 ? text : json(text)
}

function json(text,    out, i, c, size) {
    for (i = 1; i <= length(text); i++) {
        c = substr(text, i, 1)
        if (c == "\"" || c == "\\")
            out = out "\\" c
        else if (ord[c] < 32)
            out = out sprintf("\\u%04x", ord[c])
        else if (ord[c] < 128)
            out = out c
        else {
            size = character(text, i)
            out = out (size ? substr(text, i, size) : "?")
            i += size ? size - 1 : 0
        }
    }
    return "\"" out "\""
}

# The length of the character of UTF-8 that begins here, or 0.
function character(text, at,    lead, second, size, i) {
    lead = ord[substr(text, at, 1)]
    second = ord[substr(text, at + 1, 1)]
    size = lead < 194 ? 0 : lead < 224 ? 2 : lead < 240 ? 3 : lead < 245 ? 4 : 0
    for (i = 1; i < size; i++)
        if (ord[substr(text, at + i, 1)] < 128 || ord[substr(text, at + i, 1)] > 191)
            return 0
    if ((lead == 224 && second < 160) || (lead == 237 && second > 159))
        return 0
    if ((lead == 240 && second < 144) || (lead == 244 && second > 143))
        return 0
    return size
}

function quoted(text,    out, i, c) {
    for (i = 1; i <= length(text); i++) {
        c = substr(text, i, 1)
        out = out (c == "\"" || c == "\\" ? "\\" c : c == "\n" || c == "\r" ? " " : c)
    }
    return "\"" out "\""
}
'
