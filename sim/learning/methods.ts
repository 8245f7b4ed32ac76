/** @file What experiments compare: LP-FL and its baselines, each a few words of the same harness. */
import type { RunSettings } from '../../protocol/config.ts';
import type { Mixing } from './lockstep.ts';

export interface Method {
  readonly about: string;
  readonly mixing: Mixing;
  /** Each peer its own texts, or one learner with everybody's. */
  readonly data: 'own' | 'pooled';
  /** What is trained; `none` scores the base. */
  readonly trainable: 'none' | 'lora' | 'full';
  readonly softLabels: boolean;
}

const lora = { trainable: 'lora', data: 'own', softLabels: false } as const;
const full = { trainable: 'full', data: 'own', softLabels: false } as const;

export const METHODS: Readonly<Record<string, Method>> = {
  'zero-shot': {
    about: 'the base, label prior removed unless it is off',
    mixing: 'none',
    data: 'pooled',
    trainable: 'none',
    softLabels: false,
  },
  alone: { ...lora, about: 'each peer with its own gold', mixing: 'none' },
  pooled: { ...lora, about: 'all gold in one place', mixing: 'none', data: 'pooled' },
  'pooled-full': { ...full, about: 'all gold in one place, every weight', mixing: 'none', data: 'pooled' },
  fedavg: { ...lora, about: 'a server averages adapters', mixing: 'server' },
  'fp-fedavg': { ...full, about: 'a server averages every weight', mixing: 'server' },
  'fp-gossip': { ...full, about: 'neighbours average every weight', mixing: 'gossip' },
  'fp-gossip-soft': {
    ...full,
    about: 'neighbours average every weight, soft labels',
    mixing: 'gossip',
    softLabels: true,
  },
  'lp-fl-gold': { ...lora, about: 'neighbours average adapters, gold labels only', mixing: 'gossip' },
  'lp-fl': { ...lora, about: 'neighbours average adapters, soft labels', mixing: 'gossip', softLabels: true },
};

/** Whether each peer keeps to itself, so that no average of their adapters means anything. */
export function isAlone({ mixing, data }: Method): boolean {
  return mixing === 'none' && data === 'own';
}

/** Whether a method learns from labelled texts alone. */
export function needsLabels(
  method: string,
  { softLabels, objective }: Pick<RunSettings, 'softLabels' | 'objective'>,
): boolean {
  return objective === 'classify' && METHODS[method]!.trainable !== 'none' && softLabels === 'none';
}
