/** @file Two peers in one process: they train, mix, are watched, and one of them writes its adapter. */
import { createSwarm, figureOf, joinSwarm } from 'lorikeet';

const text = (words: string, label?: string) => ({ text: words, ...(label ? { label } : {}) });
const annas = [text('a warm and funny film', 'positive'), text('dull from start to end', 'negative')];
const berts = [text('I laughed all evening', 'positive'), text('a waste of two hours', 'negative')];
const held = [text('a joy to watch', 'positive'), text('boring and far too long', 'negative')];

await using anna = await createSwarm({ data: annas, test: held, settings: { rounds: 3, localSteps: 2 } });
await using bert = await joinSwarm(anna.invite(), { data: berts });

for await (const event of anna.events())
  if (event.type === 'mixed') console.log(`round ${event.round}: mixed with ${event.with.length}`);
await Promise.all([anna.finished, bert.finished]);

const [said] = await anna.predict(['what a lovely evening']);
console.log(`${said?.label}, ${said?.probabilities.map((p) => p.toFixed(2)).join(' / ')}`);
const { base, alone, swarm } = await anna.compare();
for (const [name, score] of Object.entries({ base, alone, swarm })) console.log(name, score && figureOf(score));
await anna.exportTo(process.argv[2] ?? 'adapter');
