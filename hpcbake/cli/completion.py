"""`hpcbake completion`: what lets the Tab key complete hpcbake in a shell."""

from __future__ import annotations

import click

from hpcbake.errors import ExitCode

#: Every script asks `hpcbake __complete SHELL WORD...`; see hpcbake.cli.complete.
SCRIPTS = {
    "bash": r"""# hpcbake in bash: eval "$(hpcbake completion bash)"
_hpcbake() {
    local candidates
    candidates=$(hpcbake __complete bash "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
    local current=${COMP_WORDS[COMP_CWORD]}
    [ "$current" = "=" ] && current=
    COMPREPLY=()
    case $candidates in
        :file) compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -f -- "$current") ;;
        :folder) compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -d -- "$current") ;;
        "") ;;
        *) mapfile -t COMPREPLY <<< "$candidates" ;;
    esac
}
complete -F _hpcbake hpcbake
""",
    "zsh": r"""#compdef hpcbake
# hpcbake in zsh: a file _hpcbake in a folder of $fpath, or: source <(hpcbake completion zsh)
_hpcbake() {
    local -a lines words_ described
    local line
    lines=("${(@f)$(hpcbake __complete zsh "${(@)words[2,CURRENT]}" 2>/dev/null)}")
    case ${lines[1]} in
        :file) _files; return ;;
        :folder) _files -/; return ;;
        "") return 1 ;;
    esac
    for line in "${lines[@]}"; do
        words_=("${(@ps:\t:)line}")
        described+=("${${words_[1]}//:/\\:}${words_[2]:+:${words_[2]}}")
    done
    _describe -V hpcbake described
}
if [ "${funcstack[1]}" = "_hpcbake" ]; then
    _hpcbake "$@"
else
    compdef _hpcbake hpcbake
fi
""",
    "fish": r"""# hpcbake in fish: hpcbake completion fish > ~/.config/fish/completions/hpcbake.fish
function __hpcbake_complete
    set -l before (commandline -opc)
    set -l candidates (hpcbake __complete fish $before[2..-1] (commandline -ct) 2>/dev/null)
    switch "$candidates[1]"
        case ':file'
            __fish_complete_path (commandline -ct)
        case ':folder'
            __fish_complete_directories (commandline -ct)
        case '*'
            printf '%s\n' $candidates
    end
end
complete -c hpcbake -f -a '(__hpcbake_complete)'
""",
}


@click.command("completion")
@click.argument("shell", type=click.Choice(list(SCRIPTS)), metavar="bash|zsh|fish")
def command(shell: str) -> int:
    """Print what lets the Tab key complete verbs, options, sites, targets, images and error codes.

    It works offline, contacts nothing, and says nothing when it knows nothing.

    \b
    Examples:
      eval "$(hpcbake completion bash)"                                       in ~/.bashrc
      source <(hpcbake completion zsh)                                        in ~/.zshrc, behind compinit
      hpcbake completion fish > ~/.config/fish/completions/hpcbake.fish       once
    """
    click.echo(SCRIPTS[shell], nl=False)
    return int(ExitCode.OK)
