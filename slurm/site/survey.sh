#!/bin/sh
# What is on the site for each wanted image: looks, and changes nothing.
# wanted: lines of `image digest-hex tag`
# However many images there are, few programs run: one find looks at every name, one awk reads every provenance.
# shellcheck disable=SC2154,SC1091,SC3013
check_ledger 10
# Lines with tabs between their fields. For awk: W image, hex, tag; J image/hex and a result file that is newer than the
# SIF; F what find saw: name, type, size, time, link text.
asked='' set_tab='	'
set --
while read -r image hex tag; do
  [ -n "$image" ] || continue
  asked="${asked}W$set_tab$image$set_tab$hex$set_tab$tag
"
  for result in "$own/jobs/$image/$hex"/*/attempt-*/result.json; do
    if [ "$result" -nt "$root/sif/$image/$hex.sif" ]; then asked="${asked}J$set_tab$image/$hex$set_tab$result
"; fi
  done
  set -- "$@" "$root/sif/$image/$hex.sif" "$root/$image/current" "$root/$image/$tag"
done <<WANTED
$wanted
WANTED
{
  printf '%s' "$asked"
  # It says of the root what it says of all others: who hears nothing of that has not been answered.
  find "$root/" "$@" -maxdepth 0 -printf 'F\t%p\t%y\t%s\t%Ts\t%l\n' 2>/dev/null
} | awk -F '\t' -v root="$root" -v own="$own" '
# say_json FILE WORD: its lines after WORD, if there is one; what scripts need of it is in sha256, size and time.
function say_json(file, word,   line, read) {
  sha256 = size = time = ""
  while (read < 262144 && (getline line < file) > 0) {
    if (word != "") print word " " line
    read += length(line) + 1
    if (line ~ /^  "sif_sha256": / && sha256 == "") sha256 = value(line)
    if (line ~ /^  "size_bytes": / && size == "") size = value(line)
    if (line ~ /^  "mtime": / && time == "") time = value(line)
  }
  close(file)
}
function value(line) {
  sub(/^[^:]*: "?/, "", line)
  sub(/"?,?$/, "", line)
  return line ~ /[",]/ ? "" : line
}
# doubted RELEASE: a smoke job has seen other bytes since it was delivered. It knows more than size and time tell.
function doubted(release,   n, files, line, is_so) {
  n = split(results[release], files, "\t")
  for (; n > 0; n--) {
    while ((getline line < files[n]) > 0) if (index(line, "\"why\": \"sif-changed\"")) is_so = 1
    close(files[n])
  }
  return is_so
}
function answer_of(command,   line) { command | getline line; close(command); return line }
# No quote is in a path that hpcbake made.
function quoted(path) { return "\047" path "\047" }
function sum_of(sif) { return substr(answer_of("sha256sum -- " quoted(sif) " 2>/dev/null"), 1, 64) }
# state SIF RELEASE: present, absent, or changed (there, but not what was recorded when it was verified).
function state(sif, release,   sum) {
  if (!(sif in kind) || length(sha256) != 64) return "absent"
  if (kind[sif] != "l" && size_of[sif] == size && time_of[sif] == time && !doubted(release)) return "present"
  sum = sum_of(sif)
  if (sum == "" && kind[sif] == "l") return "absent"
  return sum == sha256 ? "present" : "changed"
}
function link(path) { return kind[path] == "l" ? target[path] : "" }
# say_hold FILE: one line, however it was written.
function say_hold(file,   line, text, n) {
  while (n++ < 100 && (getline line < file) > 0) text = text (n > 1 ? " " : "") line
  close(file)
  if (text != "") print "hold " substr(text, 1, 4096)
}
function say_image(image, hex, tag,   sif, current, json) {
  sif = root "/sif/" image "/" hex ".sif"
  print "image " image
  say_json(root "/sif/" image "/" hex ".json", "provenance")
  print "sif " state(sif, image "/" hex)
  current = link(root "/" image "/current")
  print "current " current
  print "tag " link(root "/" image "/" tag)
  say_hold(own "/holds/" image)
  # What `current` names is told once where it is what is wanted.
  if (current != "../sif/" image "/" hex ".sif") {
    sha256 = ""
    json = current
    if (current != "" && current !~ /^\.\.\/sif\/[A-Za-z0-9_-]+\/[0-9a-f]+\.sif$/)
      json = answer_of("readlink -f -- " quoted(root "/" image "/current") " 2>/dev/null")
    else if (current != "") json = root "/" image "/" current
    if (sub(/\.sif$/, ".json", json)) say_json(json, "promoted")
  }
  print "current_sha256 " sha256
}
$1 == "W" { images[++many] = $2; hexes[many] = $3; tags[many] = $4 }
$1 == "J" { results[$2] = (results[$2] == "" ? "" : results[$2] "\t") $3 }
$1 == "F" { kind[$2] = $3; size_of[$2] = $4; time_of[$2] = $5; target[$2] = $6 }
END {
  if (!((root "/") in kind) && system("test -d " quoted(root)) == 0) exit 3
  for (n = 1; n <= many; n++) say_image(images[n], hexes[n], tags[n])
}' || fail runtime "find and awk of this site do not do what they should (GNU find is needed)"
# What runs that died have left; whoever acts here next sweeps it.
left=0
for name in "$own"/incoming/* "$own"/incoming/.[!.]* "$own"/leases/*; do
  if [ -e "$name" ] || [ -L "$name" ]; then left=$((left + 1)); fi
done
say left "$left"
say clock "$(date +%s)"
say host "$me"
