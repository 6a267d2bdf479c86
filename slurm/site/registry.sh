#!/bin/sh
# Asking a registry whether it is there, with whatever the machine has to ask with.
has() { command -v "$1" >/dev/null 2>&1; }
# reach HOST[:PORT]: says `registry HOST SCHEME DETAIL`; the scheme is none where nothing answered.
# shellcheck disable=SC2016  # what stands in single quotes is for the inner shell
reach() {
  why='no curl, wget or bash to ask with'
  for scheme in https http; do
    if has curl; then
      code=$(curl -sS -m 10 -o /dev/null -w "%{http_code}" "$scheme://$1/v2/" 2>/dev/null </dev/null)
      case $code in [1-5][0-9][0-9]) say registry "$1 $scheme $code"; return ;; esac
      why='no answer to curl'
    elif has wget; then
      code=$(wget -S -O /dev/null -T 10 -t 1 "$scheme://$1/v2/" 2>&1 </dev/null | sed -n 's/^ *HTTP[^ ]* \([0-9]*\).*/\1/p' | head -n 1)
      [ -z "$code" ] || { say registry "$1 $scheme $code"; return; }
      why='no answer to wget'
    elif has bash; then
      case $1 in *:*) port=${1##*:} ;; *) port=443; [ "$scheme" = https ] || port=80 ;; esac
      # A TLS server says 400 or nothing to plain HTTP.
      code=$(timeout 7 bash -c 'exec 3<>"/dev/tcp/$1/$2" && echo connected && printf "GET /v2/ HTTP/1.0\r\nHost: $3\r\n\r\n" >&3 &&
        timeout 5 head -n 1 <&3 | tr -d "\000"' bash "${1%:*}" "$port" "$1" 2>/dev/null </dev/null | tr -d '\r' | tr '\n' ' ')
      case $code in
        *HTTP/1.[01]' 400 '*) say registry "$1 https -"; return ;;
        *HTTP/1.[01]' '*) code=${code#*HTTP/1.? }; say registry "$1 http ${code%% *}"; return ;;
        connected*) say registry "$1 https -"; return ;;
      esac
      why="no connection to port $port"
    fi
  done
  say registry "$1 none $why"
}
