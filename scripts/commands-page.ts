/** @file The page docs/commands.md: commands and exit codes from the program itself, and how they are told what to do. */
import type { Command } from 'commander';
import { EXIT, EXIT_MEANS } from '../node/errors.ts';
import { createProgram } from '../node/program/program.ts';

export function commandsPage(): string {
  const program = createProgram();
  const headings = [...new Set(program.commands.map((command) => command.helpGroup()))];
  const groups = headings.flatMap((heading) => [
    `**${heading.slice(0, -1)}**`,
    '',
    ...program.commands.filter((command) => command.helpGroup() === heading).flatMap((command) => linesOf(command, '')),
    '',
  ]);
  const codes = (Object.keys(EXIT) as (keyof typeof EXIT)[]).map((name) => `| ${EXIT[name]} | ${EXIT_MEANS[name]} |`);
  return [
    '# Commands',
    '',
    'Made by `npm run docs` from the program itself. `lorikeet COMMAND --help` shows the options people need and two examples, `--help-all` every option; `lorikeet completion bash` (zsh, fish) completes them.',
    '',
    ...groups,
    ...ABOUT,
    '## Exit codes',
    '',
    '| | |',
    '|---|---|',
    ...codes,
    '',
  ].join('\n');
}

/** A line a command, with those below it. */
function linesOf(command: Command, above: string): string[] {
  const operands = command.registeredArguments.map((one) => {
    const name = `${one.name()}${one.variadic ? '...' : ''}`;
    return one.required ? ` <${name}>` : ` [${name}]`;
  });
  const name = `${above}${command.name()}`;
  const line = `- \`${name}${operands.join('')}\`: ${command.description()}`;
  return [line, ...command.commands.flatMap((child) => linesOf(child, `${name} `))];
}

const ABOUT = [
  '## Where options come from',
  '',
  'For `up`, `join` and `demo`: a flag wins over a variable (`LORIKEET_MIN_PEERS=3` is `--min-peers 3`; of a flag without a value `true` or `false`), that over the file of `up --config FILE`, that over `lorikeet.yaml` in the current folder, that over `$XDG_CONFIG_HOME/lorikeet/config.yaml` (else `~/.config/lorikeet/config.yaml`), that over the defaults. Files are YAML of options by the names of [settings.md](settings.md) (`minPeers: 3`, `host: 0.0.0.0`); a name nobody knows is refused by its line. `lorikeet config show --origins` prints each option with where it comes from.',
  '',
  "What makes a run what it is stays with the run: `join` takes of files and variables only what is this peer's own, never the base, and `up` of a state whose run has begun takes what the run id covers from flags and `--config` alone.",
  '',
  'A file for `--config` may hold several peers, each a process, shown and stopped together (paths are from the current folder):',
  '',
  '```yaml',
  'rounds: 12',
  'peers:',
  '  - data: a.tsv',
  '  - { data: b.tsv, name: berta, state: elsewhere.lorikeet }',
  '```',
  '',
  '## A peer at work',
  '',
  'It listens on a socket in its state folder that only its user can open (`control.sock`; where that path is too long, `control.path` says where; on Windows a named pipe, untested). `status`, `peers`, `pause`, `resume` and `leave` speak to it: a line of JSON each way, `{"v":1,"ask":"status"}`. Without `--state` they mean the only `*.lorikeet` here.',
  '',
  '- `pause` ends what the peer is at and begins no further training; it stays connected and answers. The others see a member that is slow: they wait for it twice, about as long as it used to take, then draw it ever more rarely. After `resume` it goes on with their round, as one that comes late. Rounds at the end that only mix are not held back, and a restart forgets the pause.',
  '- `leave` says goodbye, so that nobody waits, writes the adapter and ends with 0. The command that started the peer comes back.',
  '- `logs` reads `log.jsonl` in the state folder: what happened, never a text or an invite; two files of 1 MB at most. `logs -f` goes on with it.',
  '- `--detach` returns once the peer is up. `service install` writes a systemd unit for it (`--user`: your own; `--print`: only shows it) and begins it.',
  '',
  '## Output',
  '',
  'Data go to stdout, everything else to stderr. `--json` is there on every command that reads or ends with a result. There are no colours, so `NO_COLOR` has nothing to switch off; where stderr is no terminal, or a dumb one (`TERM=dumb`), lines take the place of the live view. Who closes a pipe (`| head -1`) ends a command quietly.',
  '',
];
