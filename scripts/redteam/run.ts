/** @file Attack after attack, against one swarm as long as it is whole, and against a new one where it is not. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Attack } from './attack.ts';
import { type Attacker, createAttacker } from './attacker.ts';
import { createExaminer, judgeCourse, type Learned } from './course.ts';
import { FULL, judge, type Outcome, SHORT } from './judge.ts';
import { openPlaces } from './places.ts';
import { type Swarm, startSwarm } from './swarm.ts';
import { ATTACKS, LOCALS } from './table.ts';
import { labelledTexts, PEERS } from './texts.ts';

export interface RedteamOptions {
  readonly names: readonly string[];
  readonly isShort: boolean;
  readonly signal: AbortSignal;
  readonly onBegin: (name: string) => void;
  readonly onOutcome: (outcome: Outcome) => void;
}

/** So that a round is neither over at once nor all that there is to see. */
const LOCAL_STEPS = 3;
/** How long a swarm is let alone before its memory is looked at: at first it grows by itself (ms). */
const WARM_MS = 20_000;

/** The names in the order they are attacked in; where times do not matter, those on a swarm beside those on one that starts. */
export async function runRedteam({ names, isShort, signal, onBegin, onOutcome }: RedteamOptions): Promise<void> {
  const root = mkdtempSync(join(tmpdir(), 'lorikeet-redteam-'));
  const places = await openPlaces(PEERS + 2);
  const honest = places.all.slice(0, PEERS);
  const [newcomer, hostile] = [places.all[PEERS]!, places.all[PEERS + 1]!];
  const texts = labelledTexts(isShort);
  const examiner = createExaminer();
  /** By rule, what the honest learn by themselves. */
  const learned = new Map<string, Learned>();
  let held: { readonly swarm: Swarm; readonly isOpen: boolean } | null = null;
  let attacker: Attacker | null = null;
  let count = 0;
  const drop = async (): Promise<void> => {
    await held?.swarm.stop();
    held = null;
  };
  const folderOf = (): string => join(root, String(++count));
  /** Where times are measured who attacks goes gently; where it has to keep up, or to be there first, it cannot. */
  const sceneOf = async (gently: boolean) => {
    if (attacker?.gently !== gently) {
      attacker?.kill();
      attacker = await createAttacker(hostile, gently);
    }
    const pace = isShort ? SHORT : FULL;
    return { attacker, host: hostile.host, decoys: places.decoys, folder: folderOf(), pace, signal };
  };
  const takeCourse = async (name: string, attack: Attack): Promise<Outcome> => {
    await drop();
    const { rule, isByThemselves } = attack.course!;
    const base = `${rule}/nobody`;
    if (!isByThemselves && !isShort && !learned.has(rule)) await takeCourse(base, ATTACKS[base]!);
    const compared = isByThemselves ? null : (learned.get(rule) ?? null);
    const scene = { ...(await sceneOf(false)), places: honest };
    const judged = await judgeCourse(name, attack, scene, { examiner, compared });
    if (isByThemselves) learned.set(rule, judged.learned);
    return judged.outcome;
  };
  const onSwarm = async (name: string, attack: Attack): Promise<Outcome> => {
    const isOpen = attack.isOpen === true;
    if (held && held.isOpen !== isOpen) await drop();
    if (!held) {
      const flags = settingsFor(isShort, isOpen);
      held = { swarm: await startSwarm({ folder: folderOf(), places: honest, texts, flags }), isOpen };
      if (!isShort) await sleep(WARM_MS, undefined, { signal });
    }
    const { swarm } = held;
    const outcome = await judge(name, attack, {
      ...(await sceneOf(!isShort && !attack.isOfNewcomers)),
      swarm,
      newcomer: { place: newcomer, texts: texts[PEERS]! },
    });
    if (!outcome.held) await drop();
    return outcome;
  };
  const carryOut = async (name: string): Promise<Outcome> => {
    const [attack, local] = [ATTACKS[name], LOCALS[name]];
    if (attack) return (attack.course ? takeCourse : onSwarm)(name, attack);
    if (!isShort) await drop();
    const { text, problems } = await local!.run(folderOf(), isShort);
    return { name, did: text, held: problems.length === 0, problems };
  };
  const isLocal = (name: string): boolean => name in LOCALS;
  const startAfresh = async (): Promise<void> => {
    attacker?.kill();
    attacker = null;
    await drop();
  };
  const carryOutAll = async (some: readonly string[]): Promise<void> => {
    for (const name of some) {
      signal.throwIfAborted();
      onBegin(name);
      const began = performance.now();
      const outcome = await carryOut(name).catch(async (error: Error) => {
        signal.throwIfAborted();
        if (!isLocal(name)) await startAfresh();
        return { name, did: 'nothing', held: false, problems: [error.message] };
      });
      onOutcome({ ...outcome, seconds: (performance.now() - began) / 1000 });
    }
  };
  try {
    const chains = isShort ? [names.filter((name) => !isLocal(name)), names.filter(isLocal)] : [names];
    await Promise.all(chains.map(carryOutAll));
  } finally {
    (attacker as Attacker | null)?.kill();
    await drop();
    await examiner.stop();
    places.close();
    rmSync(root, { recursive: true, force: true });
  }
}

function settingsFor(isShort: boolean, isOpen: boolean): string[] {
  const settings = {
    rounds: 100_000,
    'local-steps': isShort ? 1 : LOCAL_STEPS,
    'label-prior': 'off',
    'soft-labels': 'none',
    'min-peers': PEERS,
  };
  const flags = Object.entries(settings).flatMap(([name, value]) => [`--${name}`, String(value)]);
  return isOpen ? [...flags, '--open'] : flags;
}
