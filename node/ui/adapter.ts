/** @file What the page can ask of a peer's adapter: what it takes a text for, beside the base and earlier ones; to write it out. */
import { join } from 'node:path';
import type { CodecName } from '../../protocol/codec.ts';
import { writeAdapter } from '../adapter.ts';
import { UserError } from '../errors.ts';
import type { TryAnswer } from '../page/answers.ts';
import type { Participant } from '../participant.ts';
import { allSnapshots } from '../snapshots.ts';
import type { CorrectableTexts } from '../train/objective.ts';
import type { Run } from '../train/run.ts';
import type { Actions } from './server.ts';
import { textOf } from './texts.ts';

const MAX_CHARACTERS = 20_000;

export function adapterActions(options: {
  participant: Participant;
  run: Run;
  folder: string;
  /** Null where nothing is classified. */
  texts: CorrectableTexts | null;
}): Actions {
  const { participant, run, folder, texts } = options;
  const { view } = participant;
  let isTrying = false;
  const attempt = async ({ text: given }: Readonly<Record<string, unknown>>): Promise<TryAnswer> => {
    const text = textOf(given, 'text').slice(0, MAX_CHARACTERS);
    if (text.trim() === '') throw new UserError('usage', 'text: got nothing; wanted some text');
    const snapshots = allSnapshots(folder, { runId: run.runId, codec: run.settings.codec as CodecName });
    const named: [name: string, vector: Float32Array][] = [
      ['base', run.initial],
      ['own: as this peer last trained it', participant.own()],
      ['swarm: as mixed now', participant.adapter()],
      ...snapshots.map(({ round, phase, adapter }): [string, Float32Array] => [
        `snapshot: round ${round + 1}, ${phase}`,
        run.wire.unpack(adapter),
      ]),
    ];
    // Each takes its turn with training: what is asked all at once would hold that up.
    if (isTrying) throw new UserError('usage', 'another text is being tried; one at a time');
    isTrying = true;
    const opinions: TryAnswer['opinions'][number][] = [];
    try {
      for (const [name, vector] of named)
        opinions.push({ name, probabilities: (await texts!.probabilities([text], vector))[0]! });
    } finally {
      isTrying = false;
    }
    return { classes: texts!.classes, opinions };
  };
  return {
    ...(texts ? { try: attempt } : {}),
    export: async () => {
      const out = join(folder, `adapter-after-${view.round}-rounds`);
      await writeAdapter(out, { run, vector: participant.adapter() });
      return { folder: out };
    },
  };
}
