/** @file A mixing rule of one's own: half of one's own adapter, half of the neighbours' mean. */
import { type Aggregator, createSwarm, joinSwarm } from 'lorikeet';

const halfway: Aggregator = {
  name: 'own-halfway',
  type: 'joint',
  conserves: 'nothing',
  about: 'half of what one has, half of what the neighbours have',
  join: (own, others) =>
    own.map((x, i) => x / 2 + others.reduce((sum, other) => sum + other[i]!, 0) / others.length / 2),
};

const rows = [
  { text: 'a warm and funny film', label: 'positive' },
  { text: 'dull from start to end', label: 'negative' },
];
const settings = { rounds: 2, localSteps: 1 };
await using anna = await createSwarm({ data: rows, settings, aggregator: halfway });
await using bert = await joinSwarm(anna.invite(), { data: rows, aggregator: halfway });
await Promise.all([anna.finished, bert.finished]);
console.log(`${anna.run.settings.rule}: ${anna.view.round} rounds, ${Object.values(anna.view.mixedWith)} mixed`);
