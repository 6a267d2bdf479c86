"""Random bake runs for hypothesis: files with variables, inheritance, matrices and groups, and a command line."""

from __future__ import annotations

from dataclasses import dataclass, field

from hypothesis import strategies as st

TARGETS = ("app", "base", "db", "tool", "x_1")
#: The targets that never have a matrix, so that others can inherit from them and link to them.
PLAIN = ("app", "base", "db")
GROUPS = ("default", "all", "some")
VARIABLES = ("TAG", "REG", "FLAG", "NUM", "LIST")

_word = st.sampled_from(["a", "b", "c1", "x-y", "1.2", "v", "", "a b", "é", "<&>", "$${x}", "%%{y}", "k=v"])
_plain_word = st.sampled_from(["a", "b", "c1", "x-y", "1.2", "v"])
_key = st.sampled_from(["K", "A", "B_2", "org.example/k", "x y"])


@dataclass(frozen=True)
class BakeRun:
    """One run: files by name, the command line, the environment."""

    files: dict[str, str]
    arguments: list[str] = field(default_factory=list)
    environment: dict[str, str] = field(default_factory=dict)


def quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


@st.composite
def text_expressions(draw: st.DrawFn, names: tuple[str, ...]) -> str:
    """An HCL expression that gives a string."""
    kind = draw(st.integers(0, 9))
    word = draw(_word)
    name = draw(st.sampled_from(names)) if names else None
    if name is None or kind < 4:
        return quoted(word)
    if kind == 4:
        return name
    if kind == 5:
        return f'"{draw(_plain_word)}-${{{name}}}"'
    if kind == 6:
        return f'upper("{draw(_plain_word)}")'
    if kind == 7:
        return f'{name} == "" ? "none" : "p-${{{name}}}"'
    if kind == 8:
        return f'replace({name}, ".", "-")'
    return f'join("-", compact(["{draw(_plain_word)}", {name}]))'


@st.composite
def lists(draw: st.DrawFn, names: tuple[str, ...]) -> str:
    items = draw(st.lists(text_expressions(names), max_size=3))
    body = f"[{', '.join(items)}]"
    if names and draw(st.integers(0, 5)) == 0:
        return f'[for v in {body}: "${{v}}x"]'
    return body


@st.composite
def maps(draw: st.DrawFn, names: tuple[str, ...]) -> str:
    pairs = draw(st.dictionaries(_key, text_expressions(names), max_size=3))
    entries = [f"{quoted(key)} = {value}" for key, value in pairs.items()]
    if draw(st.integers(0, 6)) == 0:
        entries.append('"N" = null')
    return "{ " + ", ".join(entries) + " }"


_entries = {
    "cache-from": ["a:1", "b:2", "c:3,d:4", "type=gha", "type=local,src=x"],
    "cache-to": ["type=inline", "type=gha,mode=max", "type=local,dest=y"],
    "output": ["type=docker", "type=image", "type=image,name=a", "type=registry", "out", "type=image,push=true"],
    "secret": ["id=a,env=A", "id=b,env=B", "id=a,env=C", "type=env,id=c,src=D"],
    "attest": ["type=sbom", "type=provenance,mode=max", "type=provenance,disabled=true"],
}
_objects = {
    "cache-from": ['{ type = "registry", ref = "a:1" }', '{ type = "gha" }'],
    "cache-to": ['{ type = "inline" }', '{ type = "registry", ref = "q", mode = "max" }'],
    "output": ['{ type = "image", push = true }', '{ type = "docker" }', '{ type = "local", dest = "o" }'],
    "secret": ['{ id = "a", env = "Z" }', '{ id = "d", env = "D" }'],
    "attest": ['{ type = "sbom", generator = "g" }', '{ type = "provenance", mode = "min" }'],
}


@st.composite
def attribute_lines(draw: st.DrawFn, names: tuple[str, ...]) -> list[str]:
    lines: dict[str, str] = {}
    for attribute in draw(st.lists(st.sampled_from(_ATTRIBUTES), max_size=6)):
        if attribute in _entries:
            strings = [quoted(e) for e in draw(st.lists(st.sampled_from(_entries[attribute]), max_size=4))]
            objects = draw(st.lists(st.sampled_from(_objects[attribute]), max_size=1))
            lines[attribute] = f"[{', '.join([*strings, *objects])}]"
        elif attribute in ("args", "labels", "extra-hosts"):
            lines[attribute] = draw(maps(names))
        elif attribute == "contexts":
            place = draw(st.sampled_from(["./x/../y", "docker-image://alpine", "", *(f"target:{t}" for t in PLAIN)]))
            lines[attribute] = f'{{ c = "{place}", d = "e" }}'
        elif attribute in ("tags", "no-cache-filter", "entitlements"):
            lines[attribute] = draw(lists(names))
        elif attribute == "annotations":
            lines[attribute] = draw(st.sampled_from(['["a=1", "b=$${x}"]', '["index:a=1"]', '["a=1", "a=1"]', "[]"]))
        elif attribute == "platforms":
            lines[attribute] = draw(
                st.sampled_from(['["linux/amd64"]', '["linux/amd64", "linux/arm64"]', "[]", '[""]'])
            )
        elif attribute in ("pull", "no-cache"):
            lines[attribute] = draw(
                st.sampled_from(["true", "false", '"true"', "null", "FLAG"] if names else ["true", "false"])
            )
        elif attribute == "ulimits":
            lines[attribute] = draw(st.sampled_from(['["nofile=1:2"]', '["nofile=1:2", "nproc=3", "nofile=1:2"]']))
        elif attribute == "shm-size":
            lines[attribute] = draw(st.sampled_from(['"64m"', '"1g"', "null"]))
        elif attribute == "context":
            lines[attribute] = draw(
                st.sampled_from(['"."', '"./a/../b/"', '"https://x.example/y.git#z"', '""', '"cwd://q/.."'])
            )
        else:
            null = st.nothing() if attribute == "description" else st.just("null")
            lines[attribute] = draw(st.one_of(text_expressions(names), null))
    return [f"  {name} = {value}" for name, value in lines.items()]


_ATTRIBUTES = (
    *_entries, "args", "labels", "extra-hosts", "contexts", "tags", "tags", "args", "no-cache-filter", "entitlements",
    "annotations", "platforms", "pull", "no-cache", "ulimits", "shm-size", "context", "dockerfile", "dockerfile-inline",
    "target", "network", "call", "description",
)  # fmt: skip


@st.composite
def target_blocks(draw: st.DrawFn, name: str, names: tuple[str, ...]) -> str:
    lines: list[str] = []
    inherits = draw(st.lists(st.sampled_from(PLAIN), max_size=2))
    if draw(st.booleans()) and inherits:
        lines.append("  inherits = [" + ", ".join(quoted(i) for i in inherits) + "]")
    if name not in PLAIN and draw(st.integers(0, 2)) == 0:
        axes = draw(st.sampled_from([{"v": ["1", "2"]}, {"v": ["a.b"]}, {"v": ["1", "2"], "w": ["x", "y"]}]))
        inner = ", ".join(f"{axis} = [{', '.join(quoted(v) for v in values)}]" for axis, values in axes.items())
        lines.append(f"  matrix = {{ {inner} }}")
        pieces = "-".join(f'${{replace({axis}, ".", "_")}}' for axis in axes)
        lines.append(f'  name = "{name}-{pieces}"')
        names = (*names, *axes)
    lines += draw(attribute_lines(names))
    return f"target {quoted(name)} {{\n" + "\n".join(lines) + "\n}\n"


@st.composite
def variable_blocks(draw: st.DrawFn, name: str) -> str:
    if name == "FLAG":
        return f"variable {quoted(name)} {{\n  default = {draw(st.sampled_from(['true', 'false']))}\n}}\n"
    if name == "NUM":
        return f"variable {quoted(name)} {{\n  default = {draw(st.sampled_from(['1', '1.50', '0', '-3']))}\n}}\n"
    default = draw(st.one_of(st.none(), _plain_word))
    body = "" if default is None else f"\n  default = {quoted(default)}\n"
    return f"variable {quoted(name)} {{{body}}}\n"


@st.composite
def bake_files(draw: st.DrawFn, names: tuple[str, ...], targets: tuple[str, ...]) -> str:
    parts: list[str] = []
    for target in draw(st.lists(st.sampled_from(targets), max_size=4)):
        parts.append(draw(target_blocks(target, names)))
    for group in draw(st.lists(st.sampled_from(GROUPS), max_size=2, unique=True)):
        members = draw(st.lists(st.sampled_from((*TARGETS, *PLAIN, *GROUPS[1:])), max_size=3))
        parts.append(f"group {quoted(group)} {{\n  targets = [{', '.join(quoted(m) for m in members)}]\n}}\n")
    return "".join(parts)


_SETTINGS = (
    "*.tags=t", "app.tags+=u", "*.args.A=9", "a*.platform=linux/arm64", "base.labels.x.y=z", "*.no-cache=true",
    "db.output=type=docker", "*.output=", "app.cache-from+=z:9", "app.secrets=id=q,env=Q", "*.attest=type=sbom",
    "tool.context=p/../q", "base.args.K=from-set", "*.pull=1", "app.contexts.c=", "app.annotations=s=1", "app.target=t",
    "app.call=check", "[ab]*.dockerfile=D", "*.push=true", "*.load=true", "app.shm-size=1m", "nope.tags=x", "db.foo=1",
    "app.cache-to+=type=inline", "app.output+=type=image", "x_1.entitlements=network.host", "app.args.UNSET",
)  # fmt: skip
_FLAGS = ("--push", "--load", "--no-cache", "--pull=false", "--sbom=true", "--provenance=mode=max", "--call=outline")


def _is_push_or_load(arguments: list[str], at: int) -> bool:
    pair = arguments[at : at + 2] if arguments[at] == "--set" else arguments[at - 1 : at + 1] if at else [arguments[at]]
    return pair[0] == "--set" and pair[-1].startswith(("*.push", "*.load"))


@st.composite
def bake_runs(draw: st.DrawFn) -> BakeRun:
    """A run in which most things fit together: all targets and variables are there."""
    variables = "".join(draw(variable_blocks(name)) for name in VARIABLES[:4])
    names = VARIABLES[:2]
    blocks = "".join(draw(target_blocks(target, names)) for target in TARGETS)
    groups = "".join(f'group "{g}" {{\n  targets = ["{draw(st.sampled_from(TARGETS))}"]\n}}\n' for g in GROUPS)
    files = {"docker-bake.hcl": variables + blocks + groups + draw(bake_files(names, TARGETS))}
    if draw(st.integers(0, 2)) == 0:
        files["docker-bake.override.hcl"] = draw(bake_files(names, TARGETS))
    arguments = draw(st.lists(st.sampled_from((*TARGETS, *GROUPS, "*", "a*", "[bd]*")), min_size=0, max_size=3))
    for setting in draw(st.lists(st.sampled_from(_SETTINGS), max_size=3)):
        arguments += ["--set", setting]
    flags = draw(st.lists(st.sampled_from(_FLAGS), max_size=2, unique=True))
    if any(".output" in argument for argument in arguments):  # buildx applies output, push and load in random order
        arguments = [a for i, a in enumerate(arguments) if not _is_push_or_load(arguments, i)]
        flags = [flag for flag in flags if flag not in ("--push", "--load")]
    arguments += flags
    environment = draw(st.dictionaries(st.sampled_from(["TAG", "REG", "SOURCE_DATE_EPOCH"]), _plain_word, max_size=2))
    return BakeRun(files, arguments, environment)


# compose -------------------------------------------------------------------------------------------------------------

_scalar = st.sampled_from(["x", "1", 1, 2.5, True, "${A}", "${B:-d}", "$$x", "a=b", None, ""])
_build: dict[str, st.SearchStrategy[object]] = {
    "context": st.sampled_from([".", "./app/", "../x", "https://git.example.org/x.git", "$A"]),
    "dockerfile": st.sampled_from(["Dockerfile", "d/${A}.Dockerfile", ""]),
    "args": st.one_of(
        st.dictionaries(st.sampled_from(["A", "B", "C"]), _scalar, max_size=3),
        st.lists(st.sampled_from(["A", "A=1", "B=x=y", "C=${A}", "NOPE"]), max_size=3, unique=True),
    ),
    "labels": st.one_of(
        st.dictionaries(st.sampled_from(["l", "m.n"]), _scalar, max_size=2),
        st.lists(st.sampled_from(["l=1", "m", "m.n=$A"]), max_size=2, unique=True),
    ),
    "tags": st.lists(st.sampled_from(["t:1", "t:2", "u=1", "u=2", "${A}"]), max_size=3),
    "platforms": st.lists(st.sampled_from(["linux/amd64", "linux/arm64"]), max_size=2),
    "cache_from": st.lists(st.sampled_from(["a", "b,c", "type=gha"]), max_size=2),
    "cache_to": st.lists(st.sampled_from(["type=inline", "type=local,dest=x"]), max_size=2),
    "target": st.sampled_from(["t", "${A}"]),
    "network": st.sampled_from(["host", "none"]),
    "no_cache": st.sampled_from([True, False, "yes", "${FLAG}"]),
    "pull": st.sampled_from([True, "true", "off"]),
    "shm_size": st.sampled_from(["64m", 1024, "1.5g"]),
    "extra_hosts": st.one_of(
        st.lists(st.sampled_from(["h=1.2.3.4", "g:5.6.7.8", "v=[::1]"]), max_size=3, unique=True),
        st.dictionaries(st.sampled_from(["h", "g"]), st.sampled_from(["1.1.1.1", "2.2.2.2"]), max_size=2),
    ),
    "ulimits": st.dictionaries(st.sampled_from(["nofile", "nproc"]), st.just({"soft": 1, "hard": 2}), max_size=2),
    "additional_contexts": st.one_of(
        st.dictionaries(
            st.sampled_from(["c", "d"]), st.sampled_from(["./x/../y", "service:a", "docker-image://i", "~/z"])
        ),
        st.lists(st.sampled_from(["c=./q", "d=https://e.example/x"]), max_size=2, unique=True),
    ),
    "secrets": st.lists(st.sampled_from(["one", "two"]), max_size=2, unique=True),
    "sbom": st.sampled_from([True, False, "generator=g", ""]),
    "provenance": st.sampled_from([True, "mode=max", "false"]),
    "x-bake": st.fixed_dictionaries(
        {},
        optional={
            "tags": st.sampled_from(["x:1 x:2", ["x:3", "t:1"]]),
            "platforms": st.sampled_from(["linux/386", ["linux/amd64"]]),
            "cache-from": st.sampled_from(["z", ["type=gha", "a"]]),
            "output": st.sampled_from(["type=docker", ["type=image,push=true"]]),
            "secret": st.just("id=three,env=T"),
            "pull": st.booleans(),
            "no-cache-filter": st.just(["f", "g"]),
            "contexts": st.just({"e": "service:a", "c": "w"}),
        },
    ),
}


@st.composite
def services(draw: st.DrawFn, name: str) -> dict[str, object]:
    service: dict[str, object] = {}
    keys = draw(st.lists(st.sampled_from(sorted(_build)), max_size=6, unique=True))
    service["build"] = {key: draw(_build[key]) for key in keys}
    if draw(st.integers(0, 5)) == 0:
        service["build"] = "./short"
    if draw(st.booleans()):
        service["image"] = f"{name}:${{A:-latest}}"
    if draw(st.integers(0, 3)) == 0:
        service["environment"] = draw(st.sampled_from([{"A": "svc", "B": None}, ["A=svc2", "C"]]))
    if name != "a" and draw(st.integers(0, 3)) == 0:
        service["extends"] = draw(st.sampled_from(["a", {"service": "a"}]))
    return service


@st.composite
def compose_runs(draw: st.DrawFn) -> BakeRun:
    """One or two compose files, perhaps with a bake file and an `.env` beside them."""
    import yaml

    secrets = {"one": {"environment": "ONE"}, "two": {"environment": "TWO"}}
    document = {"services": {name: draw(services(name)) for name in ("a", "b", "c")}, "secrets": secrets}
    files = {"compose.yaml": yaml.safe_dump(document)}
    if draw(st.booleans()):
        files["docker-compose.yml"] = yaml.safe_dump({"services": {"b": draw(services("b"))}})
    if draw(st.integers(0, 2)) == 0:
        files["docker-bake.hcl"] = draw(target_blocks("b", ()))
    if draw(st.booleans()):
        files[".env"] = draw(st.sampled_from(["A=dot\n", "B='q'\nFLAG=true\n", "# c\nexport A=1 #x\nC=${A}\n"]))
    arguments = draw(st.lists(st.sampled_from(["a", "b", "*"]), max_size=2))
    environment = draw(st.dictionaries(st.sampled_from(["A", "B", "FLAG"]), st.sampled_from(["e", "true"]), max_size=2))
    return BakeRun(files, arguments, environment)
