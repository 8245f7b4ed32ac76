/** @file Watches a run: every event as a line, until it is over or a minute has passed. */
import { createSwarm, joinSwarm, UserError } from 'lorikeet';

const signal = AbortSignal.timeout(60_000);
const rows = [
  { text: 'a warm and funny film', label: 'positive' },
  { text: 'dull from start to end', label: 'negative' },
];
const held = [{ text: 'a joy to watch', label: 'positive' }];
try {
  await using anna = await createSwarm({ data: rows, watch: held, settings: { rounds: 2, localSteps: 1 }, signal });
  await using bert = await joinSwarm(anna.invite(), { data: rows, signal });
  for await (const event of anna.events({ signal })) console.log(JSON.stringify(event));
  await bert.finished;
} catch (error) {
  // What the user can mend has a kind and one line; all else is a bug.
  if (!(error instanceof UserError)) throw error;
  console.error(`${error.mistake}: ${error.message}`);
  process.exitCode = 2;
}
