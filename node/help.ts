/** @file Help as people need it: the program's on one screen, a command's ten options by `--help`, all by `--help-all`, grouped, with two examples. */
import { type Command, Help, type Option } from 'commander';
import { cut } from './display.ts';

/** Options by what they are about, in the order help shows them; those in no group come last. */
const GROUPS: readonly [heading: string, names: string][] = [
  [
    'Data',
    'data calibrate test held-out gold label-map text-column label-column skip-bad-rows anyway adapter from continue',
  ],
  ['Task', 'objective labels prompt base label-prior patterns max-tokens yes'],
  ['Words', 'top-p system'],
  ['Run', 'peers rounds min-peers seed nonce config detach user print serve closing-rounds set shard seeds'],
  [
    'Network',
    'name open invite-file uses expires qr tell run secret network host port announce no-lan no-relay download schedule redraw edges degree codec latecomers',
  ],
  ['Output', 'metrics ui no-ui state out format dtype report json origins follow watch lines verbose run until trace'],
  ['Machine', 'fast device threads base-precision compute'],
  ['Training', 'local-steps tokens batch batch-size learning-rate weight-decay clip-norm auxiliary'],
  ['Adapter', 'rank alpha targets averaging rule rule-radius rule-share local-rank alternate-rounds max-norm'],
  ['Soft labels', 'soft-labels temperature confidence-weight generation-rounds'],
  ['Times and limits', 'wait max-open-rounds'],
];

/** What the short help shows of a command with many options; of the others it shows all. */
const ESSENTIAL: Readonly<Record<string, readonly string[]>> = {
  demo: ['peers', 'gold', 'rounds', 'seed', 'codec', 'out', 'json', 'device', 'threads'],
  up: ['data', 'test', 'base', 'objective', 'labels', 'prompt', 'rounds', 'min-peers', 'host', 'port'],
  join: ['data', 'test', 'base', 'serve', 'host', 'port', 'state', 'json', 'follow', 'device'],
  eval: ['adapter', 'data', 'label-map', 'text-column', 'label-column', 'skip-bad-rows', 'labels', 'json'],
  predict: ['data', 'adapter', 'calibrate', 'labels', 'prompt', 'base', 'text-column', 'json', 'device', 'threads'],
  check: ['data', 'label-map', 'text-column', 'label-column', 'labels', 'prompt', 'base', 'max-tokens', 'json'],
};

/** Two commands a newcomer can copy; the program's own under ''. */
const EXAMPLES: Readonly<Record<string, readonly [string, string]>> = {
  '': ['lorikeet demo', 'lorikeet up --data mine.tsv --host 0.0.0.0'],
  demo: ['lorikeet demo', 'lorikeet demo --peers 3 --seed 2 --json'],
  up: [
    'lorikeet up --data mine.tsv --test held-out.tsv --host 0.0.0.0',
    "lorikeet up --data mails.csv --labels 'billing=money,outage=network'",
  ],
  join: [
    'lorikeet join INVITE --data theirs.csv --test held-out.csv',
    'lorikeet join INVITE --data theirs.csv --json --follow',
  ],
  check: ['lorikeet check --data mine.tsv', "lorikeet check --data mails.csv --labels 'billing=money,outage=network'"],
  eval: [
    'lorikeet eval --adapter mine.tsv.lorikeet/adapter --data held-out.tsv',
    'lorikeet eval --adapter shared --data held-out.tsv --json',
  ],
  predict: [
    'lorikeet predict --adapter mine.tsv.lorikeet/adapter "what a film"',
    'lorikeet predict --adapter shared --data new.csv --calibrate held-out.csv --json',
  ],
  generate: [
    'lorikeet generate --base SmolLM2-135M-Instruct.Q4_1.gguf "Once upon a time"',
    'lorikeet generate --adapter shared --temperature 0.8 --seed 3 "Dear neighbours,"',
  ],
  chat: ['lorikeet chat --base SmolLM2-135M-Instruct.Q4_1.gguf', 'lorikeet chat --adapter shared --temperature 0'],
  serve: ['lorikeet serve --adapter shared', 'lorikeet serve --base SmolLM2-135M-Instruct.Q4_1.gguf --port 0'],
  export: ['lorikeet export -o shared', 'lorikeet export --state mine.tsv.lorikeet -o shared'],
  experiment: [
    'lorikeet experiment sim/experiments/methods.yaml --seeds 1..3',
    'lorikeet experiment mine.yaml --set settings.rounds=3 --shard 2/4',
  ],
  sim: ['lorikeet sim sim/scenarios/faults.yaml', 'lorikeet sim mine.yaml --set peers=64 --seeds 1..5'],
  replay: [
    'lorikeet sim replay results/faults.jsonl --until 2500',
    'lorikeet sim replay results/faults.jsonl --run 3 --trace events.tsv',
  ],
  fields: ['lorikeet fields scenario', 'lorikeet fields experiment --json'],
  inspect: [
    'lorikeet inspect HuggingFaceTB/SmolLM2-135M-Instruct',
    'lorikeet inspect model.gguf --tokens 512 --rank 16 --targets all',
  ],
  doctor: ['lorikeet doctor', 'lorikeet doctor --base path/to/model --json'],
  init: ['lorikeet init', "lorikeet init --yes --data mails.csv --labels 'billing=money,outage=network'"],
  status: ['lorikeet status', 'lorikeet status --state mine.tsv.lorikeet --json'],
  logs: ['lorikeet logs -f', 'lorikeet logs --lines 20 --json'],
  pause: ['lorikeet pause', 'lorikeet pause --state mine.tsv.lorikeet'],
  resume: ['lorikeet resume', 'lorikeet resume --state mine.tsv.lorikeet'],
  leave: ['lorikeet leave', 'lorikeet leave --state mine.tsv.lorikeet --json'],
  invite: ['lorikeet invite', 'lorikeet invite --uses 3 --expires 2d'],
  peers: ['lorikeet peers', 'lorikeet peers ban 12D3KooWJXtosp4crb1NvZ2AaLfdVAz6egKvC7BQULUrBGWpeYeo'],
  ban: [
    'lorikeet peers ban 12D3KooWJXtosp4crb1NvZ2AaLfdVAz6egKvC7BQULUrBGWpeYeo',
    'lorikeet peers ban 12D3KooWJXtosp4crb1NvZ2AaLfdVAz6egKvC7BQULUrBGWpeYeo --tell',
  ],
  allow: [
    'lorikeet peers allow 12D3KooWJXtosp4crb1NvZ2AaLfdVAz6egKvC7BQULUrBGWpeYeo',
    'lorikeet peers allow 12D3KooWJXtosp4crb1NvZ2AaLfdVAz6egKvC7BQULUrBGWpeYeo --state mine.tsv.lorikeet',
  ],
  completion: [
    'lorikeet completion bash > ~/.local/share/bash-completion/completions/lorikeet',
    'lorikeet completion fish > ~/.config/fish/completions/lorikeet.fish',
  ],
  service: [
    'lorikeet service install --user -- up --config run.yaml',
    'lorikeet service install --print -- join INVITE --data mine.tsv',
  ],
  install: [
    'lorikeet service install --user -- up --config run.yaml',
    'lorikeet service install --print -- join INVITE --data mine.tsv',
  ],
  uninstall: ['lorikeet service uninstall', 'lorikeet service uninstall --user --name other'],
  config: ['lorikeet config show', 'lorikeet config show join --origins'],
  show: ['lorikeet config show', 'lorikeet config show join --origins --json'],
  fetch: ['lorikeet fetch HuggingFaceTB/SmolLM2-135M-Instruct', 'lorikeet fetch org/name:model.Q4_1.gguf --json'],
  models: ['lorikeet models', 'lorikeet models --json'],
  report: ['lorikeet report results --open', 'lorikeet report results/faults.jsonl --out faults.html'],
  merge: ['lorikeet merge machine-1 machine-2 --out all', 'lorikeet merge shard-* --out results'],
};

/** Columns of help: those of the terminal, or what COLUMNS says where there is none; wider lines are hard to read. */
function columns(): number {
  const wide = process.stdout.columns || Number(process.env.COLUMNS) || MOST_COLUMNS;
  return Math.max(LEAST_COLUMNS, Math.min(MOST_COLUMNS, Math.floor(wide)));
}

const [LEAST_COLUMNS, MOST_COLUMNS] = [40, 80];

/** Shapes the help of a program and its commands; gives the arguments as the parser is to read them. */
export function shapeHelp(program: Command, argv: readonly string[]): string[] {
  const isAll = argv.includes('--help-all');
  const isShort = !isAll && (argv[2] === 'help' || argv.some((arg) => arg === '--help' || arg === '-h'));
  shape(program, '', isShort);
  return argv.map((arg) => (arg === '--help-all' ? '--help' : arg));
}

function shape(command: Command, name: string, isShort: boolean): void {
  const essential = ESSENTIAL[name];
  const isHidden = (option: Option): boolean =>
    isShort && essential !== undefined && !option.mandatory && ![...essential, 'help'].includes(nameOf(option));
  command.helpOption('-h, --help', 'this; --help-all shows every option');
  command.configureHelp({
    helpWidth: columns(),
    minWidthToWrap: 20,
    showGlobalOptions: false,
    visibleCommands: (cmd) => [...cmd.commands],
    visibleOptions: (cmd) => Help.prototype.visibleOptions.call(new Help(), cmd).filter((option) => !isHidden(option)),
    optionDescription: describe,
    groupItems,
    ...(name === '' && isShort ? { formatHelp: overview } : {}),
  });
  const needed = command.options.filter((option) => option.mandatory);
  const operands = command.registeredArguments.map((a) => {
    const operand = `${a.name()}${a.variadic ? '...' : ''}`;
    return a.required ? `<${operand}>` : `[${operand}]`;
  });
  if (name !== '')
    command.usage([...operands, ...needed.map((option) => option.flags.replace(/^-\w, /, '')), '[options]'].join(' '));
  const hidden = command.options.filter(isHidden).length;
  command.addHelpText('after', () => footer(name, hidden));
  for (const child of command.commands) shape(child, child.name(), isShort);
}

/** A screen: of each group the commands with a summary, a line each, and the names of the others. */
function overview(program: Command): string {
  const headings = [...new Set(program.commands.map((command) => command.helpGroup()))];
  const indent = Math.max(...headings.map((heading) => heading.length)) + 1;
  const longest = Math.max(...program.commands.map((command) => command.name().length)) + 2;
  const lines = headings.flatMap((heading) => {
    const all = program.commands.filter((command) => command.helpGroup() === heading);
    const shown = all.filter((command) => command.summary() !== '');
    const others = all.filter((command) => !shown.includes(command)).map((command) => command.name());
    return [
      ...shown.map((command) => `${command.name().padEnd(longest)}${command.summary()}`),
      ...(others.length > 0 ? [`also ${others.join(', ')}`] : []),
    ].map((line, i) => cut(`${(i === 0 ? heading.slice(0, -1) : '').padEnd(indent)}${line}`, columns()));
  });
  return [`${program.name()}: ${program.description()}`, '', ...lines, ''].join('\n');
}

function footer(name: string, hidden: number): string {
  const examples = (EXAMPLES[name] ?? []).map((example) => `  ${example}`);
  const more =
    name === ''
      ? ['Of one command: lorikeet up --help; a line of each: lorikeet --help-all']
      : hidden > 0
        ? ['', `${hidden} more options: lorikeet ${name} --help-all`]
        : [];
  return [...(name === '' ? [] : ['']), 'Examples:', ...examples, ...more].join('\n');
}

function nameOf(option: Option): string {
  return option.long?.slice(2) ?? '';
}

function describe(option: Option): string {
  const { defaultValue } = option;
  const hasDefault = defaultValue !== undefined && !(Array.isArray(defaultValue) && defaultValue.length === 0);
  const standard = hasDefault && !option.isBoolean() ? ` (default: ${defaultValue})` : '';
  return `${option.mandatory ? '(required) ' : ''}${option.description}${standard}`;
}

/** Groups options in the order of GROUPS, required ones first in each; commands as the program has grouped them. */
function groupItems<T extends Command | Option>(
  _all: T[],
  visible: T[],
  getGroup: (item: T) => string,
): Map<string, T[]> {
  const groups = new Map<string, T[]>();
  const isOption = (item: unknown): item is Option => typeof (item as Option).long === 'string';
  const headingOf = (item: T): string =>
    isOption(item) ? (item.helpGroupHeading ?? groupOf(nameOf(item))) : getGroup(item);
  const own = visible.filter((item) => !isOption(item)).map(headingOf);
  for (const heading of [...GROUPS.map(([name]) => `${name}:`), 'Other:', 'Help:', ...new Set(own)]) {
    const items = visible.filter((item) => headingOf(item) === heading);
    const isNeeded = (item: T): boolean => isOption(item) && item.mandatory;
    const sorted = [...items.filter(isNeeded), ...items.filter((item) => !isNeeded(item))];
    if (sorted.length > 0) groups.set(heading, sorted);
  }
  return groups;
}

function groupOf(name: string): string {
  const found = GROUPS.find(([, names]) => names.split(' ').includes(name));
  if (found) return `${found[0]}:`;
  if (name.startsWith('pseudo-')) return 'Soft labels:';
  if (name === 'help' || name === 'version') return 'Help:';
  return name.endsWith('-ms') ? 'Times and limits:' : 'Other:';
}
