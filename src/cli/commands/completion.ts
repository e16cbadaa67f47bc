import type { Command } from '../command.ts';
import { EXIT } from '../exit-codes.ts';
import { err, out } from '../terminal.ts';

const WORDS =
  'run plan check runs show logs artifacts resume retry continue answer pause cancel rollback clean completion help';
const WITH_RUN = 'show|logs|artifacts|resume|retry|continue|answer|pause|cancel|rollback';

const SCRIPTS: Readonly<Record<string, string>> = {
  bash: `_stationmaster() {
  local word="\${COMP_WORDS[COMP_CWORD]}"
  if [ "$COMP_CWORD" -eq 1 ]; then COMPREPLY=($(compgen -W "${WORDS}" -- "$word"))
  else case "\${COMP_WORDS[1]}" in
    run|plan|check) COMPREPLY=($(compgen -f -X '!*.workflow.y*ml' -- "$word") $(compgen -d -- "$word")) ;;
    ${WITH_RUN}) [ "$COMP_CWORD" -eq 2 ] && COMPREPLY=($(compgen -W "$(stationmaster runs 2>/dev/null | cut -d' ' -f1)" -- "$word")) ;;
  esac; fi
}
complete -F _stationmaster stationmaster`,
  zsh: `#compdef stationmaster
_stationmaster() {
  if (( CURRENT == 2 )); then compadd ${WORDS}
  else case "\${words[2]}" in
    run|plan|check) _files -g '*.workflow.y*ml' ;;
    ${WITH_RUN}) (( CURRENT == 3 )) && compadd $(stationmaster runs 2>/dev/null | cut -d' ' -f1) ;;
  esac; fi
}
compdef _stationmaster stationmaster`,
  fish: `complete -c stationmaster -f
complete -c stationmaster -n __fish_use_subcommand -a "${WORDS}"
complete -c stationmaster -n "__fish_seen_subcommand_from run plan check" -F
complete -c stationmaster -n "__fish_seen_subcommand_from ${WITH_RUN.replaceAll('|', ' ')}" -a "(stationmaster runs 2>/dev/null | cut -d' ' -f1)"`,
};

export const completionCommand: Command = {
  summary: 'Print a completion script for bash, zsh or fish.',
  usage: '<bash|zsh|fish>',
  details: '  source <(stationmaster completion bash)',
  options: {},
  optionHelp: {},
  positionals: [1, 1],
  async run({ positionals }) {
    const script = SCRIPTS[positionals[0]!];
    if (script === undefined) {
      err('stationmaster completion: bash, zsh or fish');
      return EXIT.usage;
    }
    out(script);
    return EXIT.completed;
  },
};
