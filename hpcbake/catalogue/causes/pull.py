"""What apptainer and singularity print when they cannot fetch or convert an image. The specific before "
"the general."""

from __future__ import annotations

from hpcbake.catalogue.causes.cause import Cause

PULL: tuple[Cause, ...] = (
    Cause(
        "pull-plain-http",
        r"server gave HTTP response to HTTPS client|first record does not look like a TLS",
        "registry.plain-http",
        "the registry speaks plain HTTP",
        "list its host under `runtime.plain_http` of the site config, or give the registry a certificate",
    ),
    Cause(
        "pull-tls-expired",
        r"x509: certificate has expired|certificate is not yet valid",
        "registry.tls",
        "the registry's certificate is out of its days, or the clock there is wrong",
        "compare `date` there with the certificate's days; have the certificate renewed",
    ),
    Cause(
        "pull-tls-name",
        r"x509: certificate is (?:valid for|not valid for any names)",
        "registry.tls",
        "the registry's certificate is for another name",
        "name the registry as its certificate does",
    ),
    Cause(
        "pull-tls",
        r"x509:|certificate (?:signed by|verify failed|is not trusted)",
        "registry.tls",
        "the registry's certificate is not trusted there",
        "install the registry's CA on the login node",
    ),
    Cause(
        "pull-not-found",
        r"MANIFEST_UNKNOWN|manifest unknown|NAME_UNKNOWN|name unknown\b|status(?: code)?:? 404\b|"
        r"failed to resolve reference .*: not found",
        "registry.not-found",
        "the registry does not have this digest",
        "push again: hpcbake build",
    ),
    Cause(
        "pull-auth",
        r"UNAUTHORIZED|authentication required|unauthorized|DENIED|(?<!permission )denied(?::|$)|"
        r"status(?: code)?:? 40[13]\b",
        "registry.auth",
        "the registry refused the login",
        "log in on this machine: docker login REGISTRY",
    ),
    Cause(
        "pull-noexec",
        r"'noexec' mount option",
        "site.noexec",
        "the file system it unpacks on is mounted noexec",
        "set `runtime.tmpdir` of the site config to a folder elsewhere",
    ),
    # Before "no space left", which is what the kernel says where user namespaces are switched off.
    Cause(
        "no-userns",
        r"[Ff]ailed to create user namespace|user namespaces? (?:are )?(?:disabled|not enabled)|"
        r"fuse: device not found|max_user_namespaces",
        "site.runtime",
        "the runtime cannot work on this node",
        "ask the site about user namespaces and fuse",
    ),
    Cause(
        "no-subuid",
        r"couldn't find fakeroot|no mapping entry found in /etc/subuid|"
        r"user .* not found in .*/etc/sub[ug]id",
        "site.runtime",
        "the runtime has no range of user ids for you there",
        "ask the site for entries in /etc/subuid and /etc/subgid; converting elsewhere needs none: --way oras",
    ),
    Cause(
        "no-mksquashfs",
        r"mksquashfs.{0,40}(?:not found|no such file)|unable to find mksquashfs",
        "site.runtime",
        "the runtime there has no mksquashfs, so it cannot convert",
        "ask the site for squashfs-tools, or convert elsewhere: --way oras or --way stream",
    ),
    Cause(
        "pull-space",
        r"[Nn]o space left on device|[Dd]isk quota exceeded",
        "site.space",
        "no room left there",
        "make room there, or choose another `store.root`",
    ),
    Cause(
        "pull-memory",
        r"mksquashfs command failed: signal: killed|signal: killed|out of memory: ",
        "site.memory",
        "the conversion was killed: too little memory",
        "ask the site for a login node with more memory",
    ),
    Cause(
        "pull-tmpdir",
        r"(?:unable|failed|could not|couldn't) (?:to )?create .*(?:tmp|temp|build).*: no such file",
        "site.resource",
        "the folder for temporary files does not exist there",
        "set `runtime.tmpdir` of the site config to a folder that does",
    ),
    Cause(
        "pull-exists",
        r"Image file already exists",
        "site.pull",
        "a file of that name is already there",
        "remove it, or pull with --force",
    ),
    Cause(
        "pull-not-sif",
        r"reading global header|image format not recognized",
        "image.damaged-sif",
        "the file is no whole SIF",
        "fetch it again",
    ),
    Cause(
        "sign-no-key",
        r"keyring is empty|no (?:private|secret) keys?",
        "config.signing-key",
        "there is no key to sign with",
        "apptainer key list --secret shows what is there; correct `convert.sign` of hpcbake.yaml",
    ),
    Cause(
        "pull-permission",
        r"permission denied",
        "site.permission",
        "permission denied on the site",
        "check owner and mode of the store's folders",
    ),
    Cause(
        "pull-read-only",
        r"read-only file system",
        "site.permission",
        "the file system is mounted read-only",
        "ask the site, or choose another `store.root`",
    ),
    Cause(
        "pull-stale",
        r"[Ss]tale (?:NFS )?file handle|Transport endpoint is not connected",
        "site.resource",
        "a shared file system of the site is in trouble",
        "ask the site; run the same command again later",
    ),
    Cause(
        "pull-disk",
        r"[Ii]nput/output error",
        "site.resource",
        "a disk or a file system of the site gives errors",
        "tell the site; nothing that is read there can be relied on until then",
    ),
    Cause(
        "pull-rate-limit",
        r"toomanyrequests|TOOMANYREQUESTS|too many requests|\b429 Too Many|"
        r"status(?: code)?:? 429\b",
        "registry.rate-limit",
        "the registry's rate limit is used up",
        "try later, or mirror the image",
    ),
    Cause(
        "pull-bytes",
        r"error verifying sha256|unexpected end of JSON input|after top-level value|"
        r"[Dd]igest did not match|invalid character .* looking for beginning",
        "image.integrity",
        "the registry served other bytes than the digest names",
        "run the same command again; if it stays, the registry is damaged",
    ),
    Cause(
        "pull-platform",
        r"no image found in (?:manifest list|image index) for architecture|"
        r"no child with platform",
        "image.platform",
        "the image is not built for the processors of the site",
        'add the platform to the target: platforms = ["linux/amd64"]',
    ),
    Cause(
        "oras-not-sif",
        r"no SIF layer found|does not (?:contain|hold) a SIF|invalid (?:oras )?(?:artifact|layer)",
        "image.artifact",
        "what lies there is a container image, not a SIF",
        "pull it as docker://, or deliver with --way docker",
    ),
    Cause(
        "pull-library",
        r"library client configuration|no default .*library|remote has no library client",
        "config.image-reference",
        "the runtime has no library:// service to ask",
        "name the registry in full: docker://REGISTRY/IMAGE",
    ),
    Cause(
        "pull-reference",
        r"invalid reference format|repository name must be (?:lowercase|canonical)|"
        r"[Uu]nsupported transport|unable to parse image name|both a tag and digest",
        "config.image-reference",
        "the reference is not one that registries take",
        "write it in lower case: registry.example.org/team/image:tag",
    ),
    Cause(
        "pull-proxy",
        r"proxyconnect tcp|Proxy Authentication Required|407 Proxy",
        "registry.unreachable",
        "the proxy there does not let it through",
        "correct the proxy in `runtime.prelude` of the site config",
    ),
    Cause(
        "pull-resolve",
        r"no such host|server misbehaving|Temporary failure in name resolution",
        "registry.unreachable",
        "the login node cannot reach the registry: it does not know the registry's name",
        "check the name from the login node (`getent hosts REGISTRY`); some sites need a proxy for it",
    ),
    Cause(
        "pull-timeout",
        r"i/o timeout|context deadline exceeded|TLS handshake timeout|connection timed out",
        "registry.unreachable",
        "the login node cannot reach the registry: no answer",
        "a firewall, or a proxy that is not set: try `curl -I https://REGISTRY/v2/` from the login node",
    ),
    Cause(
        "pull-unreachable",
        r"connection refused|connection reset|network is unreachable|no route to host|"
        r"unexpected EOF|EOF$|status(?: code)?:? 5\d\d\b|\b50\d [A-Z]",
        "registry.unreachable",
        "the login node cannot reach the registry",
        "check the registry from the login node; run the same command again",
    ),
    Cause(
        "sif-unsigned",
        r"no signatures? found|signature not found|signature object .* not found",
        "image.signature",
        "the SIF carries no signature",
        "SIFs are signed where the build host converts: `convert.sign` of hpcbake.yaml",
    ),
    Cause(
        "sif-unknown-key",
        r"signature made by unknown entity|key material not found",
        "image.signature",
        "the SIF is signed by a key that is not known there",
        "import the public key there: apptainer key import FILE",
    ),
)
