"""What OpenSSH prints when it does not get through. Which class it becomes is decided in hpcbake.adapters."""

from __future__ import annotations

from hpcbake.catalogue.causes.cause import Cause

SSH: tuple[Cause, ...] = (
    Cause(
        "ssh-host-key-revoked",
        r"REVOKED HOST KEY DETECTED|is marked as revoked|host key for \S+ was revoked",
        "ssh.host-key-revoked",
        "the host key is marked as revoked",
        "do not connect: ask the site which key is right",
    ),
    Cause(
        "ssh-host-key-changed",
        r"IDENTIFICATION HAS CHANGED|[Hh]ost key (?:for \S+ )?has changed",
        "ssh.host-key-changed",
        "the host key is not the one that was accepted",
        "ask the site whether its key changed; only then remove the line shown and run: hpcbake sites trust SITE",
    ),
    Cause(
        "ssh-host-key-unknown",
        r"No (?:\S+ )?host key is known for",
        "ssh.host-key-unknown",
        "the host key is not known",
        "compare the fingerprint with the site's documentation: hpcbake sites trust SITE",
    ),
    Cause(
        "ssh-host-key-refused",
        r"Host key verification failed",
        "ssh.host-key-unknown",
        "ssh did not accept the host key; the lines before say why",
        "compare the fingerprint with the site's documentation: hpcbake sites trust SITE",
    ),
    Cause(
        "ssh-too-many-keys",
        r"Too many authentication failures",
        "ssh.auth",
        "the agent offered so many keys that the server hung up",
        "name the right one: IdentityFile and `IdentitiesOnly yes` in your ssh configuration",
    ),
    Cause(
        "ssh-key-mode",
        r"UNPROTECTED PRIVATE KEY FILE|Permissions \d+ for .* are too open",
        "ssh.auth",
        "ssh does not use a private key that others can read",
        "chmod 600 the key file",
    ),
    Cause(
        "ssh-key-format",
        r"Load key .*: (?:error in libcrypto|invalid format|incorrect passphrase)",
        "ssh.auth",
        "a private key file cannot be read",
        "name the private key, not the .pub; its passphrase belongs into the agent: ssh-add",
    ),
    Cause(
        "ssh-key-missing",
        r"Identity file .* not accessible",
        "ssh.auth",
        "a key file that is named does not exist",
        "correct `login.identity_file` or IdentityFile of your ssh configuration",
    ),
    Cause(
        "ssh-account",
        r"This account is (?:currently )?not available|[Aa]ccount (?:has )?(?:expired|locked)|pam_nologin|"
        r"System is (?:booting up|going down)|password (?:has )?expired",
        "ssh.auth",
        "the account or the machine takes no logins at the moment",
        "log in by hand, and ask the site",
    ),
    Cause(
        "ssh-auth",
        r"Permission denied \(|No more authentication methods|Permission denied, please try again",
        "ssh.auth",
        "the login was refused",
        "log in by hand with `ssh -v`; load your key: ssh-add; a site that asks for a code needs `transport: openssh`",
    ),
    Cause(
        "ssh-negotiate",
        r"Unable to negotiate with .*no matching|no matching (?:key exchange|host key|cipher)",
        "ssh.unreachable",
        "your ssh and the server have no method in common",
        "the server is very old or very strict: set what it offers for that host in your ssh configuration",
    ),
    Cause(
        "ssh-resolve",
        r"Could not resolve hostname|Name or service not known|nodename nor servname",
        "ssh.resolve",
        "nobody knows an address for that name",
        "check the spelling of `login.host`; some names are known inside a VPN only",
    ),
    Cause(
        "ssh-refused",
        r"ssh: connect to host .*: Connection refused|open failed: connect failed: Connection refused",
        "ssh.refused",
        "nothing listens at that address",
        "check host and port of `login`; the node may be restarting",
    ),
    Cause(
        "ssh-route",
        r"No route to host|Network is unreachable",
        "ssh.unreachable",
        "there is no way to that network",
        "VPN? Check `login` and the jump host",
    ),
    Cause(
        "ssh-timeout",
        r"Connection timed out|Operation timed out|Timeout, server .* not responding",
        "ssh.timeout",
        "no answer from the machine",
        "VPN or firewall: try `ssh -v` by hand",
    ),
    Cause(
        "ssh-jump",
        r"administratively prohibited|stdio forwarding failed",
        "ssh.refused",
        "the jump host does not connect any further",
        "check `login.proxy_jump`; a gateway may allow certain hosts only",
    ),
    Cause(
        "ssh-banner",
        r"kex_exchange_identification|ssh_exchange_identification|[Nn]ot allowed at this time|MaxStartups",
        "ssh.banner",
        "the server closed the connection before SSH began: too many logins at a time, or no SSH server",
        "wait some minutes; run the same command again",
    ),
    Cause(
        "ssh-lost",
        r"client_loop: send disconnect|Connection (?:to \S+ )?closed by remote host|Broken pipe|"
        r"Connection reset by peer|"
        r"packet_write_wait",
        "ssh.lost",
        "the connection broke",
        "run the same command again: it takes up what it finds",
    ),
    Cause(
        "ssh-config",
        r"Bad configuration option|Bad owner or permissions on|terminating, \d+ bad configuration",
        "config.ssh",
        "your ssh configuration has a mistake",
        "mend the line that is named; `ssh -G HOST` reads the same file",
    ),
)
