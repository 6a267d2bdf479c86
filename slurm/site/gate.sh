#!/bin/sh
# hpcbake-gate: the one command of a restricted key (`restrict,command="/bin/sh ~/.hpcbake/gate-SITE"`). It runs
# hpcbake's own scripts, which it carries, and nothing else. What comes over the connection is a script's name, its
# sha256 and its values; values are data, held to the rules that are written down here, never shell text.
# Made by `hpcbake sites restrict`; what belongs to one site stands below the functions of this file.
# shellcheck disable=SC2154  # gate_site, gate_root, gate_allowed, gate_rules, gate_pins and gate_pull are written below
set -u
LC_ALL=C LANG=C
export LC_ALL LANG
umask 077
gate_line='
'

# gate_note WORD TEXT: one line in the log beside the gate, and in the machine's own.
gate_note() {
  gate_said="$1 from ${SSH_CONNECTION%% *}: $(printf '%.300s' "$2" | tr -c '[:print:]' '?')"
  gate_log=$HOME/.hpcbake/gate-$gate_site.log
  [ ! -s "$gate_log" ] || [ "$(wc -c <"$gate_log")" -lt 1048576 ] || mv -f "$gate_log" "$gate_log.1"
  { printf '%s %s\n' "$(date -u +%Y-%m-%dT%H:%M:%SZ)" "$gate_said" >>"$gate_log"; } 2>/dev/null
  logger -t hpcbake-gate -p auth.notice "$gate_site: $gate_said" 2>/dev/null
  return 0
}
# gate_refuse WHY: hpcbake reads the marked line, people read the same on standard error.
gate_refuse() {
  gate_note refused "$1: ${SSH_ORIGINAL_COMMAND:-a shell}"
  printf 'hpcbake-gate refuses: %s\n' "$1" >&2
  exit 77
}

# gate_fits RULE KEY VALUE ENCODED: is this value what its rule allows?
gate_fits() {
  case $1 in
    pin) case "$gate_line$gate_pins$gate_line" in *"$gate_line$2 $4$gate_line"*) return 0 ;; esac; return 1 ;;
    name) case $3 in *[!A-Za-z0-9._+=:@,-]* | .* | -*) return 1 ;; esac ;;
    number) case $3 in *[!0-9.]*) return 1 ;; esac ;;
    url) case $3 in *[!A-Za-z0-9._:/@%~-]*) return 1 ;; http://* | https://*) ;; *) return 1 ;; esac ;;
    names) case $3 in *[!A-Za-z0-9._+=:@,\ "$gate_line"-]* | *..*) return 1 ;; esac ;;
    files) # lines of a file's name and its content in base64
      case $3 in *[!A-Za-z0-9._+=/\ "$gate_line"-]*) return 1 ;; esac
      printf '%s\n' "$3" | while read -r gate_word _; do
        case $gate_word in */* | .* | -*) exit 1 ;; esac
      done || return 1 ;;
    attempts) # lines of an attempt's folder, a job's number in front of it or not
      printf '%s\n' "$3" | while read -r gate_word; do
        case $gate_word in '' | none | "$gate_root/.hpcbake/jobs"/*) ;; *' '*) gate_word=${gate_word#* } ;; *) exit 1 ;; esac
        case $gate_word in '' | none) ;; */../* | */..) exit 1 ;; "$gate_root/.hpcbake/jobs"/*) ;; *) exit 1 ;; esac
      done || return 1 ;;
    pull) # apptainer's pull of one image into the store: no other program, nothing that a shell would act upon
      [ -n "$3" ] || return 0
      gate_rest=${3#"$gate_pull "}
      [ "$gate_rest" != "$3" ] || return 1
      gate_rest=${gate_rest#--no-https }
      gate_rest=${gate_rest#--name "$gate_root/.hpcbake/incoming/"}
      case $gate_rest in --* | *[!A-Za-z0-9._+=:@,/\ -]* | *..* | *' '*' '*) return 1 ;; *' docker://'* | *' oras://'*) ;; *) return 1 ;; esac ;;
    text) ;;
    *) return 1 ;;
  esac
}
# gate_rule_of KEY: prints its rule; nothing for a value that no script of ours has.
gate_rule_of() {
  gate_rest=${gate_rules#*"$gate_line$1 "}
  [ "$gate_rest" = "$gate_rules" ] || printf '%s' "${gate_rest%%"$gate_line"*}"
}

gate_main() {
  set -f
  # shellcheck disable=SC2086  # words, and no patterns
  set -- ${SSH_ORIGINAL_COMMAND:-}
  set +f
  [ "${1:-}" = hpcbake-gate ] && [ "$#" -eq 6 ] ||
    gate_refuse "this key runs hpcbake's own scripts only, for a site with \`gate: true\` under \`login\`"
  [ "$2" = 1 ] || gate_refuse "this gate speaks version 1"
  gate_name=$3 gate_nonce=$5 gate_length=$6
  case $gate_name$4$gate_nonce in *[!a-z0-9-]*) gate_refuse "a request with strange characters" ;; esac
  case $gate_length in '' | *[!0-9]* | ????????*) gate_refuse "a request of $gate_length bytes" ;; esac
  case "$gate_line$gate_allowed$gate_line" in
    *"$gate_line$gate_name $4$gate_line"*) ;;
    *"$gate_line$gate_name "*) gate_refuse "the script $gate_name is another than the gate's: install the gate again" ;;
    *) gate_refuse "the script $gate_name is not allowed here" ;;
  esac
  gate_text=$(gate_script "$gate_name")
  gate_block=$(dd ibs=1 obs=65536 count="$gate_length" 2>/dev/null)
  # One turn to look at every value, and only then one to run: nothing of a bad request is begun.
  gate_values check || exit 77
  gate_note ran "$gate_name"
  printf '\n%s\n' "$gate_nonce begin"; printf '\n%s\n' "$gate_nonce begin" >&2
  gate_run
  gate_code=$?
  printf '\n%s %s\n' "$gate_nonce end" "$gate_code"; printf '\n%s\n' "$gate_nonce end" >&2
}
# gate_values check: refuses what does not fit. gate_values set: makes the values variables of the script.
gate_values() {
  # A here-document and no pipe: the variables are to stay.
  while read -r gate_key gate_encoded; do
    case $gate_key in '') continue ;; [!a-z]* | *[!a-z0-9_]* | gate_*) gate_refuse "a value with a strange name" ;; esac
    gate_value=$(printf '%s' "$gate_encoded" | base64 -d 2>/dev/null; printf x)
    gate_value=${gate_value%x}
    if [ "$1" = set ]; then
      eval "$gate_key=\$gate_value"
    else
      gate_rule=$(gate_rule_of "$gate_key")
      gate_fits "${gate_rule:-none}" "$gate_key" "$gate_value" "$gate_encoded" ||
        gate_refuse "value \`$gate_key\` of $gate_name is not what this gate allows${gate_rule:+ ($gate_rule)}"
    fi
  done <<GATE_BLOCK
$gate_block
GATE_BLOCK
}
gate_run() (
  gate_values set
  umask 022
  eval "$gate_text"
)
