/** @file Completion for shells, made from the program: a script that its user's shell reads at its start. */
import type { CommandWords, OptionWords, Value } from './words.ts';

/** Each gives a script for a program. */
export const SHELLS: Readonly<Record<string, (program: CommandWords) => string>> = { bash, zsh, fish };

/** A command with those above it. */
interface Placed {
  readonly path: readonly string[];
  readonly command: CommandWords;
}

function all(program: CommandWords, path: readonly string[] = []): Placed[] {
  return [{ path, command: program }, ...program.commands.flatMap((command) => all(command, [...path, command.name]))];
}

function bash(program: CommandWords): string {
  const places = all(program);
  const descend = places
    .filter(({ path }) => path.length > 0)
    .map(({ path }) => `    '${path.join(' ')}') at='${path.join(' ')}' ;;`);
  const values = places.flatMap(({ path, command }) =>
    command.options.flatMap(({ flags, value }) =>
      value ? flags.map((flag) => `    '${path.join(' ')}:${flag}') ${bashValue(value)}; return ;;`) : [],
    ),
  );
  const others = places.map(({ path, command }) => {
    const flags = command.options.flatMap((option) => option.flags).join(' ');
    const names = command.commands.map(({ name }) => name).join(' ');
    const operand = names ? `_lorikeet_words '${names}'` : bashValue(command.operand);
    return `    '${path.join(' ')}') if [[ $cur == -* ]]; then _lorikeet_words '${flags}'; else ${operand}; fi ;;`;
  });
  return `# Completion of lorikeet for bash: source it, or keep it in ~/.local/share/bash-completion/completions/lorikeet
_lorikeet_words() { while IFS= read -r line; do COMPREPLY+=("$line"); done < <(compgen -W "$1" -- "$cur"); }
_lorikeet_files() { compopt -o filenames 2>/dev/null; while IFS= read -r line; do COMPREPLY+=("$line"); done < <(compgen "$1" -- "$cur"); }
_lorikeet() {
  local cur=\${COMP_WORDS[COMP_CWORD]} before=\${COMP_WORDS[COMP_CWORD-1]} at='' line i
  COMPREPLY=()
  if [[ $cur == '=' ]]; then cur=''
  elif [[ $before == '=' && $COMP_CWORD -gt 1 ]]; then before=\${COMP_WORDS[COMP_CWORD-2]}; fi
  for ((i = 1; i < COMP_CWORD; i++)); do
    case "\${at:+$at }\${COMP_WORDS[i]}" in
${descend.join('\n')}
    esac
  done
  case "$at:$before" in
${values.join('\n')}
  esac
  case "$at" in
${others.join('\n')}
  esac
}
complete -F _lorikeet lorikeet
`;
}

function bashValue(value: Value): string {
  switch (value.type) {
    case 'words':
      return `_lorikeet_words '${value.words.join(' ')}'`;
    case 'file':
      return '_lorikeet_files -f';
    case 'folder':
      return '_lorikeet_files -d';
    case 'unknown':
      return ':';
  }
}

function zsh(program: CommandWords): string {
  const functions = all(program).map(({ path, command }) => {
    const name = ['_lorikeet', ...path].join('_');
    const options = command.options.map((option) => `    ${zshOption(option)}`);
    if (command.commands.length === 0)
      return [
        `${name}() {`,
        '  _arguments -s \\',
        ...options.map((line) => `${line} \\`),
        `    '*:${command.name}:${zshValue(command.operand)}'`,
        '}',
      ].join('\n');
    const names = command.commands.map((one) => `    ${quoted(`${one.name}:${one.about}`)}`);
    const next = command.commands.map((one) => `        ${one.name}) ${name}_${one.name} ;;`);
    return [
      ...[`${name}() {`, '  local -a names', '  local state line', '  names=(', ...names, '  )'],
      ...['  _arguments -C \\', ...options.map((line) => `${line} \\`), "    '1:command:->command' '*::word:->words'"],
      ...['  case $state in', '    command) _describe command names ;;', '    words)', '      case $line[1] in'],
      ...[...next, '      esac ;;', '  esac', '}'],
    ].join('\n');
  });
  return `#compdef lorikeet
# Completion of lorikeet for zsh: keep it as _lorikeet in a folder of your $fpath, before compinit
${functions.join('\n')}
if [[ $funcstack[1] == _lorikeet ]]; then _lorikeet "$@"; else compdef _lorikeet lorikeet; fi
`;
}

function zshOption({ flags, about, value }: OptionWords): string {
  const shown = about.replace(/[[\]\\:]/g, (sign) => `\\${sign}`);
  const takes = value ? `:value:${zshValue(value)}` : '';
  return flags.map((flag) => quoted(`${flag}${value && flag.startsWith('--') ? '=' : ''}[${shown}]${takes}`)).join(' ');
}

function zshValue(value: Value): string {
  switch (value.type) {
    case 'words':
      return `(${value.words.join(' ')})`;
    case 'file':
      return '_files';
    case 'folder':
      return '_files -/';
    case 'unknown':
      return ' ';
  }
}

function fish(program: CommandWords): string {
  const lines = all(program).flatMap(({ path, command }) => {
    const seen = path.map((name) => `__fish_seen_subcommand_from ${name}`).join('; and ');
    const names = command.commands.map(({ name }) => name).join(' ');
    const none = names && `not __fish_seen_subcommand_from ${names}`;
    const when = (condition: string): string => (condition ? ` -n ${fishQuoted(condition)}` : '');
    const operands = [
      ...command.commands.map(
        ({ name, about }) =>
          `complete -c lorikeet${when([seen, none].filter(Boolean).join('; and '))} -a ${name} -d ${fishQuoted(about)}`,
      ),
      ...(command.commands.length === 0 && command.operand.type !== 'unknown'
        ? [`complete -c lorikeet${when(seen)}${fishValue(command.operand)}`]
        : []),
    ];
    const options = command.options.map(({ flags, about, value }) => {
      const named = flags
        .map((flag) => (flag.startsWith('--') ? `-l ${flag.slice(2)}` : `-s ${flag.slice(1)}`))
        .join(' ');
      const own = [seen, names && path.length === 0 ? none : ''].filter(Boolean).join('; and ');
      return `complete -c lorikeet${when(own)} ${named}${value ? ` -r${fishValue(value)}` : ''} -d ${fishQuoted(about)}`;
    });
    return [...operands, ...options];
  });
  return `# Completion of lorikeet for fish: keep it as ~/.config/fish/completions/lorikeet.fish
complete -c lorikeet -f
${lines.join('\n')}
`;
}

function fishValue(value: Value): string {
  switch (value.type) {
    case 'words':
      return ` -f -a ${fishQuoted(value.words.join(' '))}`;
    case 'file':
      return ' -F';
    case 'folder':
      return ' -f -a "(__fish_complete_directories)"';
    case 'unknown':
      return ' -f';
  }
}

function quoted(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}

function fishQuoted(text: string): string {
  return `'${text.replace(/['\\]/g, (sign) => `\\${sign}`)}'`;
}
