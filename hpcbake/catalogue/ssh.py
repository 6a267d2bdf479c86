"""HB-SSH: the way to a login node."""

from __future__ import annotations

from hpcbake.catalogue.entry import Entry
from hpcbake.errors import ExitCode

_UNREACHABLE = (ExitCode.SITE_UNREACHABLE,)
_TRUST = (ExitCode.SITE_TRUST,)

SSH: tuple[Entry, ...] = (
    Entry(
        "HB-SSH-001", "ssh.unreachable", _UNREACHABLE,
        "A login node could not be reached, and the reason has no finer name.",
        "cluster: cannot reach root@127.0.0.1:9: connection refused",
        "Check the network (VPN?) and `login` of the site config; look further with `hpcbake sites check SITE`.",
    ),
    Entry(
        "HB-SSH-002", "ssh.refused", _UNREACHABLE,
        "The machine is there, and nothing listens on that port; or a jump host could not connect to it.",
        "cluster: cannot reach me@login.example.org:2222: connection refused",
        "Check host and port in the site config and in your ssh configuration; the node may be restarting.",
    ),
    Entry(
        "HB-SSH-003", "ssh.resolve", _UNREACHABLE,
        "Nobody knows an address for the login node's name.",
        "cluster: cannot reach me@login.exmaple.org:22: the name cannot be resolved",
        "Check the spelling of `login.host`; names of a campus network are often known only inside its VPN.",
    ),
    Entry(
        "HB-SSH-004", "ssh.timeout", _UNREACHABLE,
        "The login node did not answer within the deadline. What was begun there may still be running.",
        "alder: no answer from login.example.org for 120 s",
        "Run the same command again: it takes up what it finds. If a firewall drops connections, check the VPN.",
    ),
    Entry(
        "HB-SSH-005", "ssh.banner", _UNREACHABLE,
        "The connection was closed before SSH began: too many logins at a time (MaxStartups, fail2ban), or no SSH "
        "server there.",
        "cluster: cannot reach me@login.example.org:22: closed before the SSH banner (MaxStartups, or not an SSH "
        "server?)",
        "Wait some minutes and run the same command again; lower `--jobs` if many sites share a bastion.",
    ),
    Entry(
        "HB-SSH-006", "ssh.lost", _UNREACHABLE,
        "The connection broke while a script ran. Nobody here knows whether it finished; the next run finds out.",
        "alder: the connection to login.example.org broke: the server closed the connection",
        "Run the same command again: what was done stays done.",
    ),
    Entry(
        "HB-SSH-007", "ssh.host-key-unknown", _TRUST,
        "The host key of a machine on the way is in none of your known_hosts files. Nothing was sent to it.",
        "alder: the host key of alder (127.0.0.1:2201) is not known; nothing was sent",
        "Compare the fingerprint with the site's documentation, then accept it: `hpcbake sites trust SITE`.",
    ),
    Entry(
        "HB-SSH-008", "ssh.host-key-changed", _TRUST,
        "A machine shows another host key than the one that you accepted: the site has changed it, or somebody "
        "stands in between. Nothing was sent to it.",
        "alder: the host key of alder (127.0.0.1:2201) is not the one that was accepted; nothing was sent",
        "Ask the site whether its key changed. Only then remove the line of known_hosts that is shown, and run "
        "`hpcbake sites trust SITE`.",
    ),
    Entry(
        "HB-SSH-009", "ssh.host-key-revoked", _TRUST,
        "The host key is marked as revoked in known_hosts. Nothing was sent.",
        "alder: the host key of alder (127.0.0.1:2201) is revoked; nothing was sent",
        "Do not connect: ask the site which key is right.",
    ),
    Entry(
        "HB-SSH-010", "ssh.auth", _TRUST,
        "The login node does not let you in: no key that it knows, a key that is locked, an account that is closed, "
        "or a code that nobody could type.",
        "alder: me@login.example.org:22 refused the login",
        "Log in by hand with the command that is shown. Load the key: `ssh-add`. A site that asks for a code needs "
        "`transport: openssh` and a terminal.",
    ),
    Entry(
        "HB-SSH-011", "ssh.trust", _TRUST,
        "A host key or a login is not what was expected.",
        "alder: not trusted",
        "Log in by hand with `ssh -v` and compare what it shows with the site's documentation.",
    ),
    Entry(
        "HB-SSH-012", "ssh.gate", _TRUST,
        "The key is restricted to hpcbake's own steps (the gate), and the two sides do not agree on that.",
        "alder: the login says `gate: true`, and this key opens a shell there",
        "Install the line that `hpcbake sites restrict` prints, or take `gate` out of the site config.",
    ),
)  # fmt: skip
