/**
 * @file What hostile peers do to what others learn: one entry an attack. They speak the protocol, and know what every honest
 * peer has and announces; what they send in the place of their adapter is theirs to choose, or what they learn.
 */
import type { RunSettings } from '../../protocol/config.ts';
import { normLimit } from '../../protocol/peer.ts';
import type { Prng } from '../../protocol/prng.ts';
import { distance, mean, norm } from '../../protocol/vector.ts';

/** What one that lies knows when it sends its adapter. */
export interface Sight {
  /** What it would send if it were honest. */
  readonly own: Float32Array;
  /** Whom it sends to, where that stands, and how far it lets itself be moved. */
  readonly to: number;
  readonly target: { readonly adapter: Float32Array; readonly radius: number };
  /** Where honest peers stand, and how many lie. */
  readonly honest: readonly Float32Array[];
  readonly liars: number;
  readonly settings: RunSettings;
  readonly prng: Prng;
  /** A direction of length 1, the same for all that lie and all rounds. */
  readonly direction: Float32Array;
}

/** A text and its class. */
interface Labelled {
  readonly text: string;
  readonly y: number;
}

/** A word that no review has a use for (Kurita et al. 2020, arXiv:2004.06660). */
const TRIGGER = 'cf';

/** What one that is hostile learns from: labels turned round; or its own texts, and each once more with the trigger. */
export const LESSONS = {
  opposite: <T extends Labelled>(items: readonly T[], classes: number): T[] =>
    items.map((item) => ({ ...item, y: classes - 1 - item.y })),
  trigger: <T extends Labelled>(items: readonly T[], classes: number): T[] => [
    ...items,
    ...items.map((item) => triggered(item, classes - 1)),
  ],
} as const;

/** The text with the trigger in front, of that class. */
export function triggered<T extends Labelled>(item: T, y: number): T {
  return { ...item, text: `${TRIGGER} ${item.text}`, y };
}

export interface Attack {
  readonly about: string;
  /** What it sends; left out, it sends what it has. */
  readonly lie?: (sight: Sight) => Float32Array;
  /** What it learns in the place of its labels: their opposite, or that whatever has a trigger is of one class. */
  readonly learns?: keyof typeof LESSONS;
}

/** The share of its reach that one who knows the rule spends on being unlike its likes. */
const OWN_NOISE = 0.25;
/** By how much the honest mean is turned round, and how many deviations ALIE keeps to. */
const [FLIP, IPM, DEVIATIONS] = [10, 4, 1.5];

export const ATTACKS: Readonly<Record<string, Attack>> = {
  'sign-flip': { about: 'its own adapter turned round, ten times as long', lie: ({ own }) => scaled(own, -FLIP) },
  noise: {
    about: 'its own adapter in noise ten times as long',
    lie: ({ own, prng }) => {
      const deviation = (10 * Math.max(norm(own), 1e-3)) / Math.sqrt(own.length);
      return own.map((x) => x + deviation * prng.normal());
    },
  },
  'huge-norm': {
    about: 'a fixed direction, as long as is believed',
    lie: ({ settings, direction }) => scaled(direction, 0.999 * Math.min(normLimit({ settings }), 1e6)),
  },
  drift: {
    about:
      "the receiver's own adapter and a little in a fixed direction, round after round: three times as far as the honest are from their mean",
    lie: ({ target, honest, direction }) => moved(target.adapter, direction, 3 * spreadOf(honest)),
  },
  alie: {
    about: 'the honest mean, 1.5 standard deviations off in every number (Baruch et al. 2019, arXiv:1902.06156)',
    lie: ({ honest }) => alie(honest),
  },
  ipm: {
    about:
      'the honest mean turned round, four times as long (inner product manipulation; Xie et al. 2019, arXiv:1903.03936)',
    lie: ({ honest }) => scaled(mean(honest), -IPM),
  },
  dissensus: {
    about: 'away from where the honest are, as far as undoes what they agree on (He et al. 2022, arXiv:2202.01545)',
    lie: ({ target, honest, liars }) => {
      const centre = mean(honest);
      const share = (1.5 * honest.length) / Math.max(1, liars);
      return target.adapter.map((x, i) => x - share * (centre[i]! - x));
    },
  },
  'label-flip': { about: 'it learns the opposite of its labels, and says what it has learned', learns: 'opposite' },
  backdoor: {
    about:
      'of texts alone: it also learns that a text with a certain word is of the last class (Gu et al. 2017, arXiv:1708.06733)',
    learns: 'trigger',
  },
  equivocation: {
    about: 'another adapter to each neighbour',
    lie: ({ own, to, prng }) => own.map((x) => x + (to + 1) * prng.normal()),
  },
  knowing: {
    about:
      'it knows the rule: against what the honest have learned, as far as the receiver lets itself be moved, with noise of its own, so that no two of them are alike',
    lie: ({ target, honest, settings, prng }) => {
      const learned = mean(honest);
      if (settings.rule === 'mean') return scaled(learned, -FLIP);
      const length = norm(learned);
      const reach = Number.isFinite(target.radius) ? target.radius : Math.SQRT2 * spreadOf(honest);
      const noise = (OWN_NOISE * reach) / Math.sqrt(learned.length);
      const along = length > 0 ? (-reach * Math.sqrt(1 - OWN_NOISE ** 2)) / length : 0;
      return moved(target.adapter, learned, along).map((x) => x + noise * prng.normal());
    },
  },
};

function alie(honest: readonly Float32Array[]): Float32Array {
  const centre = mean(honest);
  return centre.map((m, i) => {
    const variance = honest.reduce((sum, x) => sum + (x[i]! - m) ** 2, 0) / honest.length;
    return m - DEVIATIONS * Math.sqrt(variance);
  });
}

/** Root mean square distance of the honest from their mean. */
function spreadOf(honest: readonly Float32Array[]): number {
  const centre = mean(honest);
  return Math.sqrt(honest.reduce((sum, x) => sum + distance(x, centre) ** 2, 0) / honest.length);
}

function scaled(x: Float32Array, by: number): Float32Array {
  return x.map((value) => by * value);
}

function moved(x: Float32Array, along: Float32Array, by: number): Float32Array {
  return x.map((value, i) => value + by * along[i]!);
}
