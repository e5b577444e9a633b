# Logs with weir.sh, under the strictest settings: shell.sh WEIR_SH COUNT. Prints how many records were lost.
set -eu
. "$1"
weir_log WARNING "two
lines, a \"quote\", a \\ and a	tab" empty= number=-1.5 zip=01234 "long=12345678901234567" 'json={"a":"b"}' \
    path=a=b word "control=$(printf 'a\001\033[0m')" "unicode=zażółć 😀" "broken=$(printf 'a\377\355\240\200b')" level=mine -n
number=0
while [ "$number" -lt "$2" ]; do
    weir_log info record "id=a-$number"
    number=$((number + 1))
done
echo "lost ${WEIR_LOST:-0}"
