/** @file A trainer of one's own: each peer pulls the adapter to a number of its own, and mixing brings them to the middle. */
import { createSwarm, joinSwarm, type Learner } from 'lorikeet';

const pullTo = (target: number): Learner => ({
  objective: 'classify',
  labelled: 1,
  unlabelled: 0,
  alone: null,
  train: async ({ vector, steps }) => {
    let trained = vector;
    const losses: number[] = [];
    for (let step = 0; step < steps; step++) {
      losses.push((target - trained[0]!) ** 2);
      trained = trained.map((x) => x + (target - x) / 2);
    }
    return { vector: trained, losses, diverged: null };
  },
});

const settings = { rounds: 6, rule: 'mean', codec: 'f32' };
await using anna = await createSwarm({ trainer: pullTo(0.1), settings });
await using bert = await joinSwarm(anna.invite(), { trainer: pullTo(0.3) });
await Promise.all([anna.finished, bert.finished]);
console.log(`anna ${anna.adapter()[0]!.toFixed(3)}, bert ${bert.adapter()[0]!.toFixed(3)}`);
