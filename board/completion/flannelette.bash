# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# Completion of flannelette's verbs, flags and values for bash. It asks the program, so that it knows what that build has.

_flannelette() {
  local program=$1 word=${COMP_WORDS[COMP_CWORD]} flag=${COMP_WORDS[COMP_CWORD - 1]} verb='' line first second rest words
  # Flags with how their value is called (empty: a boolean), verbs with the rest of their line.
  local -A flags=() verbs=() groups=([flanneld]='')
  COMPREPLY=()
  while IFS= read -r line; do
    case $line in
      'usage: flannelette '[a-z]*)
        read -r _ _ first rest <<<"$line"
        verbs[$first]=$rest
        ;;
      '  '-*)
        read -r first second rest <<<"$line"
        [[ $second$rest =~ \[([a-z]+)\] ]] && groups[${BASH_REMATCH[1]}]=''
        [[ $second != -* ]] || flags[$second]=''
        [[ $second == [A-Za-z]* && $second != default: ]] || second=''
        flags[${first%,}]=$second
        ;;
    esac
  done < <("$program" help all 2>/dev/null)
  # It has no settings.
  ((COMP_CWORD == 1)) || [[ ${COMP_WORDS[1]} != install-cni ]] || flags=([--from]=FILE)

  # bash takes the '=' of --flag=value for a word.
  local behind_equals=''
  if [[ $word == = ]]; then
    word='' behind_equals=1
  elif [[ $flag == = ]]; then
    flag=${COMP_WORDS[COMP_CWORD - 2]} behind_equals=1
  fi
  [[ $flag != -[a-z]?* ]] || flag=-$flag # flanneld's form
  if [[ $behind_equals || ${flags[$flag]-} ]]; then
    case ${flags[$flag]-none} in
      FILE) mapfile -t COMPREPLY < <(compgen -f -- "$word") ;;
      DIR) mapfile -t COMPREPLY < <(compgen -d -- "$word") ;;
      'NAME|IP') mapfile -t COMPREPLY < <(compgen -W "$(cd /sys/class/net && echo *)" -- "$word") ;;
      none | [A-Z]*) ;;
      '') mapfile -t COMPREPLY < <(compgen -W 'true false' -- "$word") ;;
      *) mapfile -t COMPREPLY < <(compgen -W "${flags[$flag]//|/ }" -- "$word") ;;
    esac
    [[ ${flags[$flag]-} != @(FILE|DIR) ]] || compopt -o filenames 2>/dev/null
    return
  fi

  ((COMP_CWORD == 1)) || verb=${COMP_WORDS[1]}
  case $verb in
    install-cni)
      mapfile -t COMPREPLY < <(
        compgen -W --from -- "$word"
        compgen -d -- "$word"
      )
      compopt -o filenames 2>/dev/null
      return
      ;;
    help) set -- "${!verbs[@]}" "${!groups[@]}" all ;;
    version) set -- ;;
    '') set -- "${!verbs[@]}" "${!flags[@]}" ;;
    *)
      # What only this verb has is in its line.
      read -ra words <<<"${verbs[$verb]-}"
      set -- "${!flags[@]}"
      for first in "${words[@]//[\[\]]/}"; do [[ $first != --* ]] || set -- "$@" "$first"; done
      ;;
  esac
  mapfile -t COMPREPLY < <(compgen -W "$*" -- "$word")
}

complete -F _flannelette flannelette
