"""`ottla completion`: scripts that teach a shell to complete, topic names included."""

from __future__ import annotations

import argparse
from typing import Final

from ottla.cli.completing import kafka_tools

DESCRIPTION = """\
Print a script that completes verbs, flags, topics, groups and keys.

  eval "$(ottla completion bash)"          in ~/.bashrc
  eval "$(ottla completion zsh)"           in ~/.zshrc
  ottla completion fish | source           in ~/.config/fish/config.fish

Names are left out when a cluster takes longer than 1.5 seconds to answer;
OTTLA_COMPLETION_MS gives it more, in milliseconds.
"""

BASH: Final = """\
_ottla_complete() {
    local line="${COMP_LINE:0:COMP_POINT}" current before words
    read -ra words <<< "$line"
    [[ "$line" == *[[:space:]] ]] && words+=("")
    words[0]="${words[0]##*/}"
    # Bash replaces only what follows the last = or : of a word.
    current="${words[${#words[@]}-1]}"
    before="${current%"${current##*[=:]}"}"
    COMPREPLY=()
    while IFS= read -r line; do COMPREPLY+=("${line#"$before"}"); done \\
        < <(ottla complete -- "${words[@]}" 2>/dev/null)
    [[ "${COMPREPLY[0]}" == *= ]] && compopt -o nospace
    return 0
}
complete -F _ottla_complete TOOLS
"""

ZSH: Final = """\
_ottla_complete() {
    local -a found
    local line
    local -a asked=("${(@)words[1,CURRENT]}")
    asked[1]="${asked[1]:t}"
    while IFS=$'\\t' read -r line meaning; do
        found+=("${line//:/\\\\:}${meaning:+:$meaning}")
    done < <(ottla complete --meanings -- "${asked[@]}" 2>/dev/null)
    _describe 'ottla' found
}
compdef _ottla_complete TOOLS
"""

FISH: Final = """\
function __ottla_complete
    set -l words (commandline -opc) (commandline -ct)
    set words[1] (path basename $words[1])
    ottla complete --meanings -- $words 2>/dev/null
end
for tool in TOOLS
    complete -c $tool -f -a '(__ottla_complete)'
end
"""

SCRIPTS: Final = {"bash": BASH, "zsh": ZSH, "fish": FISH}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("shell", choices=sorted(SCRIPTS))


def run(args: argparse.Namespace) -> int:
    """Print the script."""
    tools = " ".join(["ottla", *sorted(kafka_tools())])
    print(SCRIPTS[args.shell].replace("TOOLS", tools), end="")
    return 0
