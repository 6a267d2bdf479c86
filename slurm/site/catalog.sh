#!/bin/sh
# README.md and catalog.json beside the SIFs: what is here, for people and for programs. Made from the provenance files
# and links that lie there, under the lease of promotions, so that two controllers never overwrite each other's entries.
# Values: site_name program
# shellcheck disable=SC1091,SC2154
write_catalog() {
  catalog_json | write_file "$root/catalog.json" 0644 || return 1
  readme | write_file "$root/README.md" 0644 || return 1
}
# each_image COMMAND: runs COMMAND for every image that has a folder of SIFs, in a fixed order; $image is its name.
each_image() {
  for folder in "$root"/sif/*/; do
    [ -d "$folder" ] || continue
    image=$(basename "$folder")
    case $image in *[!A-Za-z0-9_-]*) continue ;; esac
    "$1"
  done
}
# each_release COMMAND: every release of $image that was promoted once: $hex, $json, $tag, and $current_hex.
each_release() {
  current_hex=$(readlink "$root/$image/current" 2>/dev/null)
  current_hex=${current_hex##*/} current_hex=${current_hex%.sif}
  for json in "$root/sif/$image"/*.json; do
    hex=$(basename "$json" .json)
    [ ${#hex} -eq 64 ] && [ -e "${json%.json}.sif" ] || continue
    case $(recorded "$json" promoted) in '' | null) continue ;; esac
    tag=$(recorded "$json" tag)
    case $tag in '' | *[!A-Za-z0-9._-]*) continue ;; esac
    "$1"
  done
}
is_loaded_by_tag() { [ "$(readlink "$root/$image/$tag" 2>/dev/null)" = "../sif/$image/$hex.sif" ]; }
# text KEY: a member of the provenance as JSON: a quoted text, or null.
text() {
  value=$(recorded "$json" "$1")
  case $value in '' | null | *[\"\\]*) echo null ;; *) printf '"%s"' "$value" ;; esac
}
number() {
  value=$(recorded "$json" "$1")
  case $value in '' | *[!0-9]*) echo null ;; *) echo "$value" ;; esac
}
catalog_json() {
  comma=''
  printf '{\n"kind": "hpcbake.catalog",\n"version": 1,\n"site": "%s",\n"root": "%s",\n"modules": "%s/modules",\n"images": [' \
    "$site_name" "$root" "$root"
  each_image image_json
  printf '\n]\n}\n'
}
image_json() {
  now=$(readlink "$root/$image/current" 2>/dev/null)
  now=${now##*/} now=${now%.sif}
  case $now in '' | *[!0-9a-f]*) now=null ;; *) now="\"sha256:$now\"" ;; esac
  held=false
  [ ! -s "$own/holds/$image" ] || held=true
  printf '%s\n{\n"name": "%s",\n"current": %s,\n"held": %s,\n"releases": [' "$comma" "$image" "$now" "$held"
  comma=''
  each_release release_json
  printf ']\n}'
  comma=,
}
release_json() {
  is_now=false load=null
  [ "$hex" != "$current_hex" ] || is_now=true
  ! is_loaded_by_tag || load="\"module load $image/$tag\""
  printf '%s\n{\n"digest": "sha256:%s",\n"tag": "%s",\n"current": %s,\n' "$comma" "$hex" "$tag" "$is_now"
  printf '"sif": "%s",\n"sif_sha256": %s,\n"size_bytes": %s,\n' \
    "$root/sif/$image/$hex.sif" "$(text sif_sha256)" "$(number size_bytes)"
  printf '"load": %s,\n"run": "%s exec %s COMMAND",\n' "$load" "$program" "$root/sif/$image/$hex.sif"
  printf '"reference": %s,\n"revision": %s,\n"verdict": %s,\n"delivered": %s,\n"tested": %s,\n"promoted": %s,\n' \
    "$(text reference)" "$(text revision)" "$(text verdict)" "$(text delivered)" "$(text tested)" "$(text promoted)"
  sed -n '/^  "smoke": \[/,/^  \]/p' "$json" | sed 's/^  //; $s/,$//' | grep . || echo '"smoke": []'
  printf ',\n"cite": "%s"\n}' "$(citation | tr -d '"\134')"
  comma=,
}
citation() {
  printf '%s' "$(recorded "$json" reference)"
  revision=$(recorded "$json" revision)
  case $revision in '' | null) ;; *) printf ' (source commit %s)' "$revision" ;; esac
  printf ', SIF sha256:%s' "$(recorded "$json" sif_sha256)"
}
readme() {
  # The marks are Markdown's, not the shell's.
  # shellcheck disable=SC2016
  printf '%s\n\n%s\n%s\n\n    %s\n    %s\n\n%s\n%s\n' "# Containers at $site_name" \
    "Everything here has passed its tests on a compute node of this cluster. No tool is needed to use it. The same," \
    'and older releases, for programs: `catalog.json`.' \
    "module use $root/modules" 'module load IMAGE            # the current release; IMAGE/TAG for one that you name' \
    '| image | load | run without modules | digest | check | tested in job |' '|---|---|---|---|---|---|'
  each_image image_line
  # shellcheck disable=SC2016
  printf '\n%s\n%s\n\n%s\n\n' 'A name under `IMAGE/` moves with new releases; the files under `sif/` never change. What you load now stays' \
    'on disk for a while after it was replaced: `readlink -f IMAGE/current` tells you its file.' '## Cite'
  each_image cite_line
}
image_line() { each_release current_line; }
# shellcheck disable=SC2016
current_line() {
  [ "$hex" = "$current_hex" ] || return 0
  job=$(sed -n 's/^      "job_id": "\([0-9_]*\)",*$/\1/p' "$json" | head -n 1)
  where=$(sed -n 's/^      "node": "\([A-Za-z0-9._-]*\)",*$/\1/p' "$json" | head -n 1)
  tested=$(recorded "$json" tested)
  case $tested in null) tested='' ;; esac
  printf '| %s | `module load %s/%s` | `%s exec %s COMMAND` | `%.12s` | %s | %s |\n' "$image" "$image" "$tag" "$program" \
    "$root/$image/current" "$hex" "$(recorded "$json" verdict)" "${job:-?} on ${where:-?}${tested:+, $tested}"
}
cite_line() { each_release cite_current; }
cite_current() {
  [ "$hex" = "$current_hex" ] || return 0
  printf -- '- %s: %s\n' "$image" "$(citation)"
}
