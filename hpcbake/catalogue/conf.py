"""HB-CONF: what is wrong in files and words that the user wrote, and what this machine lacks."""

from __future__ import annotations

from hpcbake.catalogue.entry import Entry
from hpcbake.errors import ExitCode

_CONFIG = (ExitCode.CONFIG,)
_PREREQ = (ExitCode.PREREQ,)

CONF: tuple[Entry, ...] = (
    Entry(
        "HB-CONF-001", "config.bakefile", _CONFIG,
        "A bake file is not what `docker buildx bake` would read. Each mistake has a place and an HB-BAKE code of "
        "its own.",
        "error: docker-bake.hcl:19:20: nothing is named BASE_MINIMALL [HB-BAKE-020]",
        "Mend the line that is shown; `hpcbake explain` also takes its HB-BAKE code.",
    ),
    Entry(
        "HB-CONF-002", "config.usage", (ExitCode.USAGE,),
        "The command line names something that does not exist, or words that contradict each other.",
        "no site 'adler' in site-configs",
        "Compare the words with `--help` of the verb. Names of sites are the file names in the folder of site "
        "configs; names of targets are those that `hpcbake print` shows.",
    ),
    Entry(
        "HB-CONF-003", "config.invalid", _CONFIG,
        "A file or a variable holds a value that cannot be used.",
        "HPCBAKE_LAB_PORT_REGISTRY='x' is not a port",
        "Correct the value that is named.",
    ),
    Entry(
        "HB-CONF-004", "config.site", _CONFIG,
        "A site config is wrong: an unknown key, a value that does not fit, two keys that contradict each other.",
        "cluster.yaml:3:3: 6 mistakes in this file",
        "Mend the lines that are shown; docs/reference/site-config.md has every key. `--keep-going-sites` goes on "
        "with the sites whose config is right.",
    ),
    Entry(
        "HB-CONF-005", "config.missing", _CONFIG,
        "A file or folder that holds the site configs is not there, or is empty.",
        "site-configs: holds no site config (*.yaml)",
        "Go to the project's folder, name the folder with `--site-configs`, or draft a config: "
        "`hpcbake sites probe USER@LOGIN`.",
    ),
    Entry(
        "HB-CONF-006", "config.unreadable", _CONFIG,
        "A file of the project is there but cannot be read.",
        "hpcbake.yaml: cannot be read: [Errno 13] Permission denied: 'hpcbake.yaml'",
        "Check its permissions, and that it is UTF-8 text.",
    ),
    Entry(
        "HB-CONF-007", "config.empty", _CONFIG,
        "A config file holds nothing.",
        "site-configs/cluster.yaml: the file is empty",
        "Copy an example from site-configs/, or write it anew with `hpcbake sites probe USER@LOGIN -o FILE`.",
    ),
    Entry(
        "HB-CONF-008", "config.too-large", _CONFIG,
        "A config file is far larger, or nested far deeper, than such a file can be.",
        "site-configs/core.yaml: 73400320 bytes is more than a config file may have (1048576)",
        "Check that this is the file you meant.",
    ),
    Entry(
        "HB-CONF-009", "config.policy", _CONFIG,
        "The policy of the check (`hpcbake-check.yaml`) names a rule that is not, or a day that is none.",
        "hpcbake-check.yaml: there is no rule 'glibc-to-new'",
        "Rules are listed in docs/reference/check-rules.md; a day is written 2027-01-31.",
    ),
    Entry(
        "HB-CONF-010", "config.smoke", _CONFIG,
        "A smoke test cannot be made into a job: its name, its template or one of its values.",
        "smoke test 'mpi': no template mpi2",
        "Templates are those that the message lists, and files <name>.sbatch.j2 in the project's slurm/ folder. "
        "`hpcbake ship --dry-run` renders all jobs and submits none.",
    ),
    Entry(
        "HB-CONF-011", "config.ssh", _CONFIG,
        "Your ssh configuration does not tell how to reach the login node, or tells it in a way that the transport "
        "of the site cannot follow.",
        "login node birch: the ssh_config of birch uses ProxyCommand, which the fabric transport cannot follow",
        "Try `ssh -G HOST` by hand. Write `transport: openssh` in the site config to let your own ssh do it.",
    ),
    Entry(
        "HB-CONF-012", "config.image-reference", _CONFIG,
        "A text that should name an image does not.",
        "image reference 'Registry/App:1.0': the repository has upper-case letters",
        "Write it as registry.example.org/team/image:tag, in lower case up to the colon.",
    ),
    Entry(
        "HB-CONF-013", "config.digest", _CONFIG,
        "A text that should be a digest is not one.",
        "'sha256:1234' is not a digest",
        "A digest is `sha256:` followed by 64 lower-case hex digits; `hpcbake status` shows those at the sites.",
    ),
    Entry(
        "HB-CONF-014", "config.version", _CONFIG,
        "A version is written in a way that cannot be compared.",
        "'2,28' is not a version number",
        "Write digits and dots, quoted in YAML: \"2.28\".",
    ),
    Entry(
        "HB-CONF-015", "config.tag", _CONFIG,
        "A target has no tag, so nobody knows which registry its image goes to.",
        "target 'app' has no tag, so nobody knows which registry it goes to",
        'Give it one: tags = ["registry.example.org/team/app:1.0"].',
    ),
    Entry(
        "HB-CONF-016", "config.platform", _CONFIG,
        "A target is built for other processors than the sites have.",
        "target 'app' is built for linux/arm64 and sites run linux/amd64",
        'Add the platform to the target: platforms = ["linux/amd64"].',
    ),
    Entry(
        "HB-CONF-017", "config.target", _CONFIG,
        "A target has a name that the store needs for itself.",
        "target 'modules' cannot ship: the store has a folder of that name of its own",
        "Rename the target.",
    ),
    Entry(
        "HB-CONF-018", "config.docker-config", _CONFIG,
        "Docker's config.json, where logins to registries are kept, cannot be used.",
        "/home/me/.docker/config.json: an `auth` entry is not base64 of user:password",
        "Mend or move the file, then run `docker login` again.",
    ),
    Entry(
        "HB-CONF-019", "config.credential-helper", (ExitCode.CONFIG, ExitCode.PREREQ),
        "The program that keeps registry logins for docker is missing, or gave no login.",
        "docker's config.json names the credential helper 'pass', but docker-credential-pass is not on PATH",
        "Unlock the keychain, install the helper, or remove it from config.json; then run `docker login` again.",
    ),
    Entry(
        "HB-CONF-020", "config.docker", _PREREQ,
        "The Docker daemon, which BuildKit is reached through, does not answer.",
        "the Docker daemon does not answer",
        "Start Docker (`systemctl start docker`, or Docker Desktop), check DOCKER_HOST, or name a remote builder "
        "with `--builder`. If it runs and refuses you: `sudo usermod -aG docker $USER`, and log in anew.",
    ),
    Entry(
        "HB-CONF-021", "config.buildx", _PREREQ,
        "docker has no buildx plugin, or one that is too old.",
        "docker has no buildx plugin",
        "Install docker-buildx 0.13 or newer (Debian, Ubuntu: docker-buildx-plugin or docker-buildx).",
    ),
    Entry(
        "HB-CONF-022", "config.builder", _PREREQ,
        "The buildx builder that was named does not exist on this machine.",
        "there is no such builder",
        "`docker buildx ls` lists the builders; correct `--builder` or BUILDX_BUILDER.",
    ),
    Entry(
        "HB-CONF-023", "config.missing-program", _PREREQ,
        "A program that hpcbake runs on this machine is not there.",
        "cannot run `docker`: No such file or directory",
        "Install it and put it on PATH. Without apptainer here, sites can convert for themselves: `--way docker`.",
    ),
    Entry(
        "HB-CONF-024", "config.prerequisite", _PREREQ,
        "This machine or this account lacks something else that the verb needs.",
        "the private engine needs root",
        "Do what the `help:` line says.",
    ),
    Entry(
        "HB-CONF-025", "config.converter", _PREREQ,
        "apptainer on this machine said that it had converted the image, and there is no file.",
        "apptainer said that it converted registry.example.org/app@sha256:5ed5… and made no file",
        "Try the command by hand; let the sites convert meanwhile: `--way docker`.",
    ),
    Entry(
        "HB-CONF-026", "config.signing-key", _PREREQ,
        "The project wants its SIFs signed (`convert.sign`), and the key cannot sign.",
        "cannot sign the SIF of app: apptainer's keyring here has no secret key 6BE9…",
        "`apptainer key list --secret` shows what is there. A key that signs unattended has no passphrase.",
    ),
    Entry(
        "HB-CONF-027", "config.notification", _CONFIG,
        "`notify` of the project file cannot be used.",
        "hpcbake.yaml: notify 1: give the address in `env` or in `file`",
        "Do what the `help:` line says; docs/reference/project-file.md has every key.",
    ),
    Entry(
        "HB-CONF-028", "config.environment", _CONFIG,
        "An environment variable that stands for an option holds a value that the option does not take.",
        "environment variable HPCBAKE_JOBS: 'many' is not a whole number",
        "Correct or unset the variable; `--help` of the verb shows what its option takes.",
    ),
    Entry(
        "HB-CONF-029", "config.deploy", _CONFIG,
        "The project file sends none of the chosen images to any of the chosen sites.",
        "`deploy` of hpcbake.yaml sends none of app to any site of alder",
        "Correct `deploy` of hpcbake.yaml, or choose other targets or sites: `--target`, `--site`.",
    ),
    Entry(
        "HB-CONF-030", "config.builder-node", _PREREQ,
        "A node of a builder cannot be used: its machine does not answer, refuses the login, or has no Docker for you.",
        "the host key of ssh://ada@build.example.org is not in your known_hosts",
        "The `help:` line names the cause. `hpcbake builder check` asks every node again.",
    ),
    Entry(
        "HB-CONF-032", "config.timer", _PREREQ,
        "The timer of this account (systemd or cron) does not take the nightly run.",
        "systemctl --user daemon-reload: Failed to connect to bus: No medium found",
        "Log in to this machine itself (not by su or sudo); `loginctl enable-linger` lets it run without a login. "
        "Or take the other timer: `--install cron`.",
    ),
    Entry(
        "HB-CONF-031", "config.unattended", _PREREQ,
        "Something that the nightly run needs is there only while you sit at the terminal: an agent, a variable, a "
        "password.",
        "the nightly run would not work unattended, so nothing was installed",
        "Mend what the lines name; a key for unattended runs has no passphrase and is restricted at the sites.",
    ),
)  # fmt: skip
