#!/bin/sh
# Makes one verified, smoke-tested SIF the current one. Every name moves by one rename; `current` moves last.
# Values: those of switch.sh and catalog.sh, provenance wrappers (lines `command base64-of-its-file`)
# tests (lines `name key` of the smoke tests that it passed) release_hold
# shellcheck disable=SC1091,SC2034,SC2154
begin_switch
if [ -s "$hold" ] && [ "$current" != "$target" ] && [ "$release_hold" != yes ]; then
  of_hold() { sed -n "s/.*\"$1\":\"\([^\"]*\)\".*/\1/p" "$hold"; }
  held_at=${current##*/}
  fail held "$image is held at sha256:${held_at%.sif} by $(of_hold by) since $(of_hold since): not promoted"
fi
# The word of a smoke test counts for the very bytes that it ran: those of the job's own result, or of the provenance
# of an earlier promotion.
tested=null
is_vouched_for() {
  for result in "$own/jobs/$image/$hex/$1-$2"/attempt-*/result.json; do
    grep -qs "\"why\": \"ok\".*\"sif_sha256\": \"$sif_sha256\"" "$result" || continue
    ended=$(sed -n 's/.*"ended": \([0-9]*\).*/\1/p' "$result" | head -n 1)
    tested=$(date -u -d "@${ended:-0}" +%Y-%m-%dT%H:%M:%SZ)
    return 0
  done
  [ "$(recorded "$json" sif_sha256)" = "$sif_sha256" ] && grep -qs "\"key\": \"$2\"" "$json"
}
untested='' passed=''
for word in $tests; do
  if [ -z "$passed" ]; then passed=$word; continue; fi
  is_vouched_for "$passed" "$word" || untested="$untested $passed"
  passed=''
done
[ -n "$tests" ] && [ -z "$untested" ] || fail untested "no result of a smoke test of this very SIF:${untested:- none at all}"

delivered=$(recorded "$json" delivered)
[ "$tested" != null ] || tested=$(recorded "$json" tested)
case $tested in '' | null) tested=null ;; *) tested="\"$tested\"" ;; esac
revision=$(recorded "$json" revision)
case $revision in '' | null | *[!0-9A-Za-z._-]*) revision=null ;; *) revision="\"$revision\"" ;; esac
stage_file "$json" 0644 "$(printf '%s\n' "$provenance" |
  sed "s/@MTIME@/$(mtime_of "$sif")/; s/@DELIVERED@/$delivered/; s/@TESTED@/$tested/; s/\"@REVISION@\"/$revision/")"
for word in $wrappers; do
  if [ -z "$passed" ]; then passed=$word; continue; fi
  stage_file "$root/sif/$image/$hex.bin/$passed" 0755 "$(printf %s "$word" | base64 -d)"
  passed=''
done
stage_modules
verify_sif
[ ! -e "$hold" ] || [ "$release_hold" != yes ] || rm -f "$hold"
switch promoting promoted
