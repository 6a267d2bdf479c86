#!/bin/sh
# README.md and catalog.json beside the SIFs: what is here, for people and for programs. Made from the provenance files
# and links that lie there, under the lease of promotions, so that two controllers never overwrite each other's entries.
# Values: site_name program
# shellcheck disable=SC1091,SC2154
write_catalog() {
  facts_of_store=$(store_facts)
  printf '%s\n' "$facts_of_store" | tell_catalog json | write_file "$root/catalog.json" 0644 || return 1
  printf '%s\n' "$facts_of_store" | tell_catalog readme | write_file "$root/README.md" 0644 || return 1
}
# store_facts: one line each: L image/name target, for every link; H image, for every hold; R image/hex.sif.
store_facts() {
  find "$root" -mindepth 2 -maxdepth 2 -type l -printf 'L %P %l\n' 2>/dev/null
  find "$own/holds" -type f -size +0 -printf 'H %f\n' 2>/dev/null
  find "$root/sif" -mindepth 2 -maxdepth 2 -type f -name '*.sif' -printf 'R %P\n' 2>/dev/null | LC_ALL=C sort
}
# tell_catalog json|readme <facts: one process reads all provenance files, however many there are.
tell_catalog() {
  LC_ALL=C awk -v form="$1" -v root="$root" -v site="$site_name" -v program="$program" '
function bare(raw) {  # the text of a JSON string that holds nothing special
  if (raw == "null" || raw ~ /\\/) return ""
  gsub(/^"|"$/, "", raw)
  return raw
}
function read_papers(file,   line, key, raw) {  # members of the top level, each on a line of its own, as JSON
  split("", member)
  smoke = job = node = ""
  inside = 0
  while ((getline line < file) > 0) {
    if (line ~ /^  "smoke": \[/) { inside = 1; smoke = substr(line, 12); if (line ~ /\],?$/) inside = 0; continue }
    if (inside) {
      smoke = smoke "\n" substr(line, 3)
      if (line ~ /^      "job_id": / && job == "") { job = line; sub(/^[^:]*: "/, "", job); sub(/".*/, "", job) }
      if (line ~ /^      "node": / && node == "") { node = line; sub(/^[^:]*: "/, "", node); sub(/".*/, "", node) }
      if (line ~ /^  \]/) inside = 0
      continue
    }
    if (line !~ /^  "[a-z0-9_]+": /) continue
    key = line; sub(/^  "/, "", key); sub(/": .*/, "", key)
    raw = line; sub(/^  "[a-z0-9_]+": /, "", raw); sub(/,$/, "", raw)
    if (raw ~ /^("([^"\\]|\\.)*"|[0-9]+|null)$/) member[key] = raw
  }
  close(file)
  sub(/,$/, "", smoke)
  if (smoke == "" || inside) smoke = "[]"
}
function value(key) { return key in member ? member[key] : "null" }
function citation(   text) {
  text = bare(value("reference"))
  if (bare(value("revision")) != "") text = text " (source commit " bare(value("revision")) ")"
  return text ", SIF sha256:" bare(value("sif_sha256"))
}
function end_image() {
  if (form == "json" && image != "") printf "]\n}"
}
function begin_image(name,   now) {
  end_image()
  image = name
  now = link[image "/current"]
  sub(/.*\//, "", now); sub(/\.sif$/, "", now)
  current = now ~ /^[0-9a-f]+$/ && length(now) == 64 ? now : ""
  if (form == "json") {
    printf "%s\n{\n\"name\": \"%s\",\n\"current\": %s,\n\"held\": %s,\n\"releases\": [", (images++ ? "," : ""), image,
      (current == "" ? "null" : "\"sha256:" current "\""), ((image in held) ? "true" : "false")
    releases = 0
  }
}
function tell_json(hex, tag,   sif, loads) {
  sif = root "/sif/" image "/" hex ".sif"
  loads = link[image "/" tag] == "../sif/" image "/" hex ".sif"
  printf "%s\n{\n\"digest\": \"sha256:%s\",\n\"tag\": \"%s\",\n\"current\": %s,\n", (releases++ ? "," : ""), hex, tag,
    (hex == current ? "true" : "false")
  printf "\"sif\": \"%s\",\n\"sif_sha256\": %s,\n\"size_bytes\": %s,\n", sif, value("sif_sha256"), value("size_bytes")
  printf "\"load\": %s,\n\"run\": \"%s exec %s COMMAND\",\n", (loads ? "\"module load " image "/" tag "\"" : "null"), program, sif
  printf "\"reference\": %s,\n\"revision\": %s,\n\"verdict\": %s,\n\"delivered\": %s,\n\"tested\": %s,\n\"promoted\": %s,\n",
    value("reference"), value("revision"), value("verdict"), value("delivered"), value("tested"), value("promoted")
  printf "\"smoke\": %s,\n\"cite\": \"%s\"\n}", smoke, citation()
}
function tell_readme(hex, tag,   tested) {
  if (hex != current) return
  tested = bare(value("tested"))
  table = table sprintf("| %s | `module load %s/%s` | `%s exec %s/%s/current COMMAND` | `%s` | %s | %s on %s%s |\n", image,
    image, tag, program, root, image, substr(hex, 1, 12), bare(value("verdict")), (job == "" ? "?" : job),
    (node == "" ? "?" : node), (tested == "" ? "" : ", " tested))
  cites = cites "- " image ": " citation() "\n"
}
$1 == "L" { link[$2] = $3 }
$1 == "H" { held[$2] = 1 }
$1 == "R" && split($2, part, "/") == 2 && part[1] ~ /^[A-Za-z0-9_-]+$/ && part[2] ~ /^[0-9a-f]+\.sif$/ && length(part[2]) == 68 {
  if (!started++ && form == "json")
    printf "{\n\"kind\": \"hpcbake.catalog\",\n\"version\": 1,\n\"site\": \"%s\",\n\"root\": \"%s\",\n\"modules\": \"%s/modules\",\n\"images\": [", site, root, root
  if (part[1] != image) begin_image(part[1])
  hex = substr(part[2], 1, 64)
  read_papers(root "/sif/" image "/" hex ".json")
  tag = bare(value("tag"))
  if (value("promoted") == "null" || tag !~ /^[A-Za-z0-9._-]+$/) next
  if (form == "json") tell_json(hex, tag)
  else tell_readme(hex, tag)
}
END {
  if (form == "json") {
    if (!started)
      printf "{\n\"kind\": \"hpcbake.catalog\",\n\"version\": 1,\n\"site\": \"%s\",\n\"root\": \"%s\",\n\"modules\": \"%s/modules\",\n\"images\": [", site, root, root
    end_image()
    printf "\n]\n}\n"
    exit
  }
  print "# Containers at " site "\n"
  print "Everything here has passed its tests on a compute node of this cluster. No tool is needed to use it. The same,"
  print "and older releases, for programs: `catalog.json`.\n"
  print "    module use " root "/modules"
  print "    module load IMAGE            # the current release; IMAGE/TAG for one that you name\n"
  print "| image | load | run without modules | digest | check | tested in job |"
  print "|---|---|---|---|---|---|"
  printf "%s", table
  print "\nA name under `IMAGE/` moves with new releases; the files under `sif/` never change. What was replaced stays for"
  print "a while: `readlink -f IMAGE/current` tells you your file.\n"
  print "## Cite\n"
  printf "%s", cites
}'
}
