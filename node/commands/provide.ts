/** @file Brings a base that is named as on the Hub into its cache before a command opens it, where it is not there yet. */
import { createInterface } from 'node:readline/promises';
import { hubEnvironment } from '../checkpoint/environment.ts';
import { cachedModel, fetchModel } from '../checkpoint/hub.ts';
import { MAIN, type ModelName } from '../checkpoint/names.ts';
import { hubName, modelPath } from '../checkpoint/places.ts';
import { createDisplay, type Display } from '../display.ts';
import { UserError } from '../errors.ts';
import { durationText } from '../figures.ts';
import { reminding } from '../reminder.ts';
import { type Flags, interruptSignal } from './flags.ts';

interface Provision {
  /** Whether the user named the base: it is downloaded without further questions. */
  readonly isNamed: boolean;
  readonly flags: Flags;
  readonly display?: Display;
}

/** A server that sends nothing for so long is worth a line. */
const QUIET_MS = 8000;

/** Throws a UserError where the base is not here and is not to be downloaded, and what a download throws. */
export async function provideBase(name: string, { isNamed, flags, display }: Provision): Promise<void> {
  const wanted = hubName(name);
  if (!wanted || cachedModel(hubEnvironment(), wanted, wanted.gguf)) return;
  if (!isNamed && !flags.download && !(await agrees(name)))
    throw new UserError(
      'usage',
      `base ${name}: not on this machine; --download brings it from the Hub, --base names a copy that you have`,
    );
  await download(wanted, display ?? createDisplay());
}

/** The same for a command whose `--base` names it. */
export async function provideNamed(flags: Flags): Promise<void> {
  if (typeof flags.base === 'string') await provideBase(flags.base, { isNamed: true, flags });
}

/** Downloads a model, what is missing of it; gives its folder, or its GGUF file. */
export async function download({ name, revision, gguf }: ModelName, display: Display): Promise<string> {
  const interrupt = interruptSignal(() => display.note('stopping; what has come is kept'));
  const megabyte = 1e6;
  try {
    let heardAt = performance.now();
    const silentFor = (): number => performance.now() - heardAt;
    const fetching = (): ReturnType<typeof fetchModel> =>
      fetchModel(`${name}@${revision}`, {
        ...(gguf === undefined ? {} : { gguf }),
        signal: interrupt.signal,
        onNotice: display.note,
        onProgress: ({ file, done, total }) => {
          heardAt = performance.now();
          display.progress(
            `downloading ${name}${revision === MAIN ? '' : `@${revision}`}, MB`,
            done / megabyte,
            Math.ceil(total / megabyte),
            file,
          );
        },
      });
    const model = await reminding(
      display.note,
      () =>
        silentFor() < QUIET_MS
          ? ''
          : `waiting for ${hubEnvironment().endpoint} to send ${name}, silent for ${durationText(silentFor() / 1000)}`,
      fetching,
    );
    return modelPath(model);
  } finally {
    interrupt.dispose();
    display.close();
  }
}

/** Asks on a terminal; elsewhere nobody can answer, so nothing is downloaded. */
async function agrees(name: string): Promise<boolean> {
  if (!process.stdin.isTTY || !process.stderr.isTTY) return false;
  const lines = createInterface({ input: process.stdin, output: process.stderr });
  try {
    const { endpoint } = hubEnvironment();
    const answer = await lines.question(
      `This run's base is ${name}, which is not here. Download it from ${endpoint}? [y/N] `,
    );
    return /^y(es)?$/i.test(answer.trim());
  } finally {
    lines.close();
  }
}
