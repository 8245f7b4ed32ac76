#!/usr/bin/env node
/** @file The command line: parses, runs one command, turns what goes wrong into one line and a fixed exit code. */
import './polyfill.ts';
import { Command, CommanderError } from 'commander';
import { wantedOf } from '../protocol/config.ts';
import { MOST_NEIGHBOURS } from '../protocol/neighbours.ts';
import type { Setting } from '../protocol/setting.ts';
import { SETTINGS } from '../protocol/settings.ts';
import { withData } from './commands/dataflags.ts';
import { DEMO_SETTINGS } from './commands/flags.ts';
import { withModel, withSampling } from './commands/writingflags.ts';
import { DEVICES } from './engine/session.ts';
import { EXIT, messageOf, UserError } from './errors.ts';
import { shapeHelp } from './help.ts';
import { nearest } from './nearest.ts';
import { packageVersion } from './package.ts';
import { watchPipes } from './pipes.ts';

type Flags = Record<string, string | boolean | undefined>;

/** Adds a flag for each setting wanted; its help comes from the table, or from a command's own defaults. */
function withSettings(
  command: Command,
  wanted: (name: string, setting: Setting) => boolean = () => true,
  defaults: Readonly<Record<string, string | number>> = {},
): Command {
  for (const [name, setting] of Object.entries(SETTINGS) as [string, Setting][]) {
    if (FILLED_IN.includes(name) || !wanted(name, setting)) continue;
    const standard = defaults[name] ?? setting.default;
    const shown = standard === '' ? (EMPTY[name] ?? 'none') : standard;
    command.option(
      `--${kebab(name)} <${VALUES[setting.type]}>`,
      `${setting.about}; ${wantedOf(setting)} (default: ${shown})`,
    );
  }
  return command;
}

/** What stands where a setting is empty. */
const EMPTY: Readonly<Record<string, string>> = {
  labelPrior: 'measured',
  prompt: 'of the base',
  targets: 'of the base',
};

/** Settings that nobody gives by hand. */
const FILLED_IN = ['baseHash', 'startHash', 'founder'];

/** What stands for a setting's value in help. */
const VALUES = { integer: 'number', number: 'number', text: 'text', choice: 'name' } as const;

function kebab(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}

/** The settings among parsed flags. */
function settingsOf(flags: Flags): Record<string, unknown> {
  return Object.fromEntries(
    Object.keys(SETTINGS).flatMap((name) => (flags[name] === undefined ? [] : [[name, flags[name]]])),
  );
}

/** Settings of what is asked of a model. */
function isTaskSetting(name: string): boolean {
  return ['base', 'prompt', 'patterns', 'labels', 'maxTokens'].includes(name);
}

function withDevice(command: Command): Command {
  return command
    .option('--device <name>', `where to compute: ${DEVICES.join(' | ')}`, 'auto')
    .option('--threads <count>', 'threads of one operator; 0: one a core', '0')
    .option(
      '--base-precision <width>',
      "what the base's matrices are kept in here: f32 | f16 | bf16 (half the memory) | int8 (faster, less exact)",
      'f32',
    )
    .option(
      '--compute <width>',
      'what is computed in: f32 | f16 (on graphics cards that can; keeps the base in f16)',
      'f32',
    );
}

function withMachine(command: Command): Command {
  return withDevice(command).option(
    '--json',
    'print the result as one JSON object on stdout, everything else on stderr',
  );
}

function withPeer(command: Command): Command {
  return withData(withMachine(command))
    .requiredOption(
      '--data <file>',
      'your texts with optional labels: .tsv, .csv or .jsonl with a header naming text and label; to write like them also prompt and completion, messages, or .txt',
    )
    .option('--anyway', 'also where the base knows few of the words of your texts')
    .option(
      '--test <file>',
      'texts, labelled where classes are learned, never trained on, to compare base, alone and swarm at the end',
    )
    .option('--follow', 'with --json: one object an event, as it happens; the invite first, the result last')
    .option('--verbose', 'also distances, refused messages and a line every round, in words')
    .option('--state <dir>', 'where key, settings and snapshots are kept; default: DATA.lorikeet, beside the data')
    .option('--continue', 'go on with a state although the data have changed since')
    .option('--serve', 'when the run is over, go on answering those who come late')
    .option(
      '--wait <seconds>',
      'longest wait for the first others; 0: for ever, as who starts a run does (default: 300)',
    )
    .option('--port <number>', 'TCP port to listen on; 0: a free one, kept across restarts', '0')
    .option(
      '--host <address>',
      'address to listen on; 0.0.0.0 for other machines, as join does by itself where the invite leads to one (default: 127.0.0.1)',
    );
}

function createProgram(): Command {
  const program = new Command('lorikeet')
    .description('Fine-tune a language model together, without a server.')
    .version(packageVersion())
    .enablePositionalOptions() // sim and its replay have options of the same names
    .configureOutput({ writeErr: () => {} })
    .exitOverride();
  const command = (name: string, about: string): Command =>
    program
      .command(name)
      .description(about)
      .exitOverride()
      .configureOutput({ writeErr: () => {} });

  withSettings(
    withMachine(command('demo', 'Six peers on this machine learn together from reviews each keeps to itself.'))
      .option('--peers <count>', 'how many peers', '6')
      .option('--gold <count>', 'labelled examples of each class and peer', '8')
      .option('--out <dir>', 'where the shared adapter is left', 'lorikeet-demo'),
    (name) => !['minPeers', 'labels', 'objective'].includes(name),
    DEMO_SETTINGS,
  ).action(async (flags: Flags) => (await import('./commands/demo.ts')).demo(flags, settingsOf(flags)));

  withSettings(withPeer(command('up', 'Start a run and its first peer; prints the invite for the others.')))
    .option('--open', 'let in whoever comes, without an invite: for demonstrations and research')
    .option('--config <file>', 'settings from a YAML file; flags win')
    .option('--from <dir>', 'start from this PEFT adapter, whose task is taken along, instead of a fresh one')
    .action(async (flags: Flags) => (await import('./commands/up.ts')).up(flags, settingsOf(flags)));

  withSettings(
    withPeer(
      command('join', 'Join a run by its invite, or come back to it.').argument(
        '<invite...>',
        'what "lorikeet up" printed; the whole line will do',
      ),
    ),
    (_name, setting) => !setting.arithmetic,
  )
    .option('--download', "bring the run's base from the Hub where it is not here, without asking")
    .action(async (words: string[], flags: Flags) =>
      (await import('./commands/join.ts')).join(words, flags, settingsOf(flags)),
    );

  command('invite', 'Print another invite to the run of a state folder; its peer may be at work.')
    .option('--uses <count>', 'how many peers it admits', '16')
    .option('--expires <duration>', 'until when: such as 30m, 12h or 7d, or never', '7d')
    .option('--state <dir>', 'state folder of the peer; default: the only *.lorikeet here')
    .action(async (flags: Flags) => (await import('./commands/invite.ts')).invite(flags));

  const peers = command('peers', 'List who belongs to a run; ban an id and whomever it invited, or allow it again.')
    .enablePositionalOptions()
    .option('--state <dir>', 'state folder of the peer; default: the only *.lorikeet here')
    .option('--json', 'print the list as one JSON object on stdout')
    .action(async (flags: Flags) => (await import('./commands/peers.ts')).peers(flags));
  for (const [name, about] of [
    ['ban', 'Refuse an id and whomever it has invited, also while the peer is at work.'],
    ['allow', 'Let an id in again.'],
  ] as const) {
    const judge = peers
      .command(name)
      .description(about)
      .exitOverride()
      .configureOutput({ writeErr: () => {} })
      .argument('<id>', 'the id of a peer, 12D3KooW...')
      .option('--state <dir>', 'state folder of the peer; default: the only *.lorikeet here');
    if (name === 'ban')
      judge.option('--tell', 'ask the others to refuse it too; those it was not invited by ask you first');
    judge.action(async (id: string, flags: Flags) => (await import('./commands/peers.ts')).judge(name, id, flags));
  }

  withData(
    withMachine(
      command('eval', 'Score an adapter on labelled texts, or on texts it should write like, and its base beside it.'),
    ),
  )
    .requiredOption('--adapter <dir>', 'a PEFT adapter folder')
    .requiredOption('--data <file>', 'labelled texts, or texts it should write like')
    .option('--base <name>', 'base model the adapter belongs to')
    .option('--objective <name>', 'what an adapter is scored for that does not say so: classify | next-token')
    .option('--prompt <text>', "another cloze prompt than the adapter's")
    .option('--labels <pairs>', "other classes and words than the adapter's")
    .action(async (flags: Flags) => (await import('./commands/eval.ts')).evaluateAdapter(flags, settingsOf(flags)));

  withSettings(
    withData(command('check', 'Read your texts as a run would, and say what is in them; nothing is trained.'))
      .requiredOption('--data <file>', 'your texts with optional labels: .tsv, .csv, .json or .jsonl')
      .option('--anyway', 'also where the base knows few of the words of your texts')
      .option('--json', 'print what was found as one JSON object on stdout'),
    (name) => isTaskSetting(name) || name === 'objective',
  ).action(async (flags: Flags) => (await import('./commands/check.ts')).check(flags, settingsOf(flags)));

  withSettings(
    withData(
      withDevice(
        command('predict', 'Classify texts with an adapter or a base: label, confidence, runners-up.'),
      ).argument('[texts...]', 'texts to classify, each in quotation marks'),
    )
      .option('--data <file>', 'texts to classify, instead: .tsv, .csv, .json or .jsonl')
      .option('--adapter <dir>', 'a PEFT adapter folder; default: the base alone')
      .option('--json', 'print a JSON object a text, a line each, on stdout, everything else on stderr')
      .option('--calibrate <file>', 'held-out labelled texts, 50 or more, to make the model as sure as it is right'),
    isTaskSetting,
  ).action(async (texts: string[], flags: Flags) =>
    (await import('./commands/predict.ts')).predict(texts, flags, settingsOf(flags)),
  );

  withSampling(withModel(command('generate', 'Write on after a prompt, as it is, with a causal model.')), {
    temperature: '0',
    maxTokens: '256',
  })
    .argument('<prompt>', 'what the text begins with, in quotation marks')
    .option('--json', 'print prompt, text, tokens and seconds as one JSON object, instead of the text as it comes')
    .action(async (prompt: string, flags: Flags) => (await import('./commands/generate.ts')).generate(prompt, flags));

  withSampling(withModel(command('chat', 'Talk with a causal model through its chat template, a line a turn.')), {
    temperature: '0.7',
    maxTokens: '1024',
  })
    .option('--system <text>', "what the model is told first; default: its template's own")
    .action(async (flags: Flags) => (await import('./commands/chat.ts')).chat(flags));

  withSettings(
    withModel(command('serve', "Answer OpenAI's requests on this machine: completions, chats and classes."))
      .option('--port <number>', 'TCP port to listen on, at 127.0.0.1; 0: a free one', '8080')
      .option('--max-tokens <count>', 'tokens of an answer at most', '1024'),
    (name) => ['prompt', 'labels'].includes(name),
  ).action(async (flags: Flags) => (await import('./commands/serve.ts')).serve(flags));

  command('export', 'Write an adapter where other tools can load it, with a card that tells of it.')
    .requiredOption('-o, --out <dir>', 'folder to write')
    .option('--format <name>', 'peft | merged | onnx | gguf | merged-gguf', 'peft')
    .option('--dtype <name>', 'of what is merged: f32 | f16 | bf16; default: f32')
    .option('--state <dir>', 'state folder of the peer; default: the only *.lorikeet here')
    .option('--adapter <dir>', 'instead of a state: an adapter folder, also one that PEFT has made')
    .option('--base <name>', 'with --adapter: another base model than the folder names')
    .action(async (flags: Flags) => (await import('./commands/export.ts')).exportAdapter(flags));

  command('experiment', 'Compare methods over seeds and settings, as a YAML file says; goes on where it stopped.')
    .argument('<file>', 'such as sim/experiments/labels.yaml; "lorikeet fields experiment" lists its fields')
    .option('--set <field=value>', 'change the file, such as --set seeds=[1] or --set settings.rounds=3', collect, [])
    .option('--shard <i/n>', 'only every n-th run, for many machines')
    .option('--seeds <list>', "instead of the file's: 1..5, or 1,2,3")
    .option(
      '--out <dir>',
      'records (runs.jsonl, shared by experiments) and the report (NAME.md, .html, .json)',
      'results',
    )
    .option('--report', 'run nothing: only the report, of the runs that are there')
    .option('--threads <count>', 'threads of one operator; 0: one a core', '0')
    .option('--json', 'print the final records as JSON')
    .action(async (file: string, flags: Flags & { set: string[] }) =>
      (await import('./commands/experiment.ts')).experiment(file, flags),
    );
  const sim = command(
    'sim',
    'Run peers in virtual time, as a YAML file says: graphs, faults, thousands of rounds in seconds; goes on where it stopped.',
  )
    .enablePositionalOptions()
    .argument('<file>', 'such as sim/scenarios/consensus.yaml; "lorikeet fields scenario" lists its fields')
    .option(
      '--set <field=value>',
      'change the file, such as --set peers=64 or --set settings.schedule=torus',
      collect,
      [],
    )
    .option('--seeds <list>', "instead of the file's: 1..5, or 1,2,3")
    .option('--shard <i/n>', 'only every n-th run, for many machines')
    .option('--report', 'run nothing: only the report, of the runs that are there')
    .option('--until <ms>', 'only the first run, until this virtual time: shows every peer as it then is')
    .option('--trace <file>', 'with --until: every event as a line, columns separated by tabs')
    .option('--out <dir>', 'records and report (NAME.jsonl, .md, .html)', 'results')
    .option('--json', 'print the results as JSON')
    .action(async (file: string, flags: Flags & { set: string[] }) =>
      (await import('./commands/sim.ts')).sim(file, flags),
    );
  sim
    .command('replay')
    .description('Run a recorded run once more: the same to the last event, or its state at any time.')
    .exitOverride()
    .configureOutput({ writeErr: () => {} })
    .argument('<run>', 'a NAME.jsonl that "lorikeet sim" has written')
    .option('--run <line>', 'which of its runs, by line or key', '1')
    .option('--seed <seed>', 'the same world from another seed')
    .option('--until <ms>', 'until this virtual time')
    .option('--trace <file>', 'every event as a line, columns separated by tabs')
    .action(async (file: string, flags: Flags) => (await import('./commands/replay.ts')).replay(file, flags));
  command('fields', 'List what the YAML file of an experiment, a scenario, or of settings may say.')
    .argument('<kind>', 'experiment | scenario | settings')
    .option('--json', 'as JSON Schema, for editors')
    .action(async (kind: string, flags: Flags) => (await import('./commands/fields.ts')).fields(kind, flags));
  command('merge', 'Bring the records of an experiment or a scenario that ran on many machines into one folder.')
    .argument('<folders...>', 'result folders')
    .option('--out <dir>', 'where the records go; then ask for the --report', 'results')
    .action(async (folders: string[], flags: Flags) => (await import('./commands/merge.ts')).merge(folders, flags));
  command('fetch', 'Download a model of the Hub into its cache; an interrupted download goes on where it stopped.')
    .argument('<model>', 'org/name, org/name@revision, or org/name:FILE.gguf')
    .option('--json', 'print where it lies as one JSON object on stdout')
    .action(async (name: string, flags: Flags) => (await import('./commands/fetch.ts')).fetchToCache(name, flags));
  command('models', 'List the models of the Hugging Face cache on this disk.')
    .option('--json', 'print the list as one JSON object on stdout')
    .action(async (flags: Flags) => (await import('./commands/models.ts')).models(flags));
  command('inspect', 'Say what a model is and what training it takes, before it is downloaded.')
    .argument('<model>', 'a folder, a GGUF file, or org/name[@revision][:FILE.gguf] of the Hub')
    .option('--rank <number>', 'rank of the LoRA factors', String(SETTINGS.rank.default))
    .option(
      '--targets <names>',
      'layers that get an adapter: all, or ends of module names; default: queries and values',
    )
    .option('--tokens <number>', 'length of the texts', '256')
    .option('--batch <number>', 'texts of one optimiser step', '8')
    .option('--degree <number>', 'neighbours of a round', String(MOST_NEIGHBOURS))
    .option('--json', 'print what was found as one JSON object on stdout')
    .action(async (name: string, flags: Flags) => (await import('./commands/inspect.ts')).inspect(name, flags));
  command('doctor', 'Look at this machine: try each back end by a tiny training step, and say what to do next.')
    .option('--base <name>', 'the model whose step is tried', SETTINGS.base.default)
    .option('--json', 'print what was found as one JSON object on stdout')
    .action(async (flags: Flags) => (await import('./commands/doctor.ts')).doctor(flags));
  return program;
}

function collect(value: string, earlier: string[]): string[] {
  return [...earlier, value];
}

/** Throws a UserError where the current folder is gone: paths, and threads, begin there. */
function checkFolder(): void {
  try {
    process.cwd();
  } catch (error) {
    throw new UserError('storage', `the current folder is gone (${messageOf(error)}); change to one that is there`);
  }
}

async function main(): Promise<void> {
  watchPipes();
  const program = createProgram();
  try {
    checkFolder();
    await program.parseAsync(shapeHelp(program, process.argv));
  } catch (error) {
    process.exitCode = report(error, program);
  }
}

/** Prints what went wrong in one line and gives the exit code. */
function report(error: unknown, program: Command): number {
  if (error instanceof UserError) {
    console.error(`lorikeet: ${error.message}`);
    return EXIT[error.mistake];
  }
  if (error instanceof CommanderError) {
    if (error.exitCode === 0) return EXIT.ok;
    const command = program.commands.find((known) => known.name() === process.argv[2]);
    const help =
      error.code === 'commander.help'
        ? 'no command given'
        : (misspelt(error, command) ?? error.message.replace(/^error: /, '').replaceAll('\n', ' '));
    console.error(`lorikeet: ${help}; see "lorikeet ${command ? `${command.name()} ` : ''}--help"`);
    return EXIT.usage;
  }
  if ((error as Error | null)?.name === 'AbortError') return EXIT.interrupted;
  // One line; the stack for who asks for it.
  const said = `lorikeet: a bug: ${messageOf(error).split('\n')[0]}; what was saved is kept`;
  const stack = process.env.LORIKEET_STACK && error instanceof Error ? `\n${error.stack}` : '';
  console.error(`${said}${stack || '; LORIKEET_STACK=1 shows where'}`);
  return EXIT.bug;
}

/** Where an option is missing since it stands there misspelt, that is the mistake to name. */
function misspelt(error: CommanderError, command: Command | undefined): string | null {
  if (error.code !== 'commander.missingMandatoryOptionValue' || !command) return null;
  const known = command.options.flatMap((option) => option.long ?? []);
  const unknown = process.argv.slice(3).find((arg) => arg.startsWith('--') && !known.includes(arg.split('=')[0]!));
  const like = unknown && nearest(unknown.split('=')[0]!, known);
  return like ? `unknown option '${unknown}' (Did you mean ${like}?)` : null;
}

await main();
