#!/bin/sh
# Puts the gate of a restricted key into ~/.hpcbake, by one rename, and says what sshd sees of who asks.
# Values: site_name gate gate_sha256
# shellcheck disable=SC1091,SC2154
place=$HOME/.hpcbake
mkdir -p "$place" 2>/dev/null || cannot_create "$place"
printf '%s' "$gate" >"$place/.gate-$site_name.$self" && [ "$(sha256_of "$place/.gate-$site_name.$self")" = "$gate_sha256" ] ||
  { rm -f "$place/.gate-$site_name.$self"; fail space "cannot write the gate to $place: $(df -Pk "$place" | tail -n 1)"; }
sh -n "$place/.gate-$site_name.$self" || fail runtime "the shell of this site does not understand the gate"
chmod 0500 "$place/.gate-$site_name.$self"
mv -fT "$place/.gate-$site_name.$self" "$place/gate-$site_name" || fail permission "cannot name $place/gate-$site_name"
say installed "$place/gate-$site_name"
say seen_from "${SSH_CONNECTION%% *}"
say restricted "$(grep -c "gate-$site_name\"" "$HOME/.ssh/authorized_keys" 2>/dev/null)"
