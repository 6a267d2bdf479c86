#!/bin/sh
# Gives users an earlier release again: it is looked at first, every byte of it, and then the same names move as in a
# promotion. The image is held there, so that the next run does not undo it.
# Values: those of switch.sh and catalog.sh, hold_text (one line), and wanted_hold: yes or no
# shellcheck disable=SC1091,SC2034,SC2154
begin_switch
[ "$current" != "$target" ] || fail changed "$image is at this release already"
[ -f "$sif" ] || fail gone "$sif is not there"
[ "$(recorded "$json" digest)" = "sha256:$hex" ] && [ "$(recorded "$json" sif_sha256)" = "$sif_sha256" ] ||
  fail integrity "$json is not what was read a moment ago"
case $(recorded "$json" promoted) in '' | null) fail untested "$hex never passed its tests here" ;; esac
stage_modules
[ "$wanted_hold" = no ] || stage_file "$hold" 0644 "$hold_text"
verify_sif
[ "$wanted_hold" = yes ] || rm -f "$hold"
switch rolling-back rolled-back
