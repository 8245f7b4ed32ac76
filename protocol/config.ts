/** @file Reads, checks and hashes settings by the table in settings.ts. */

import { RULES, type RuleName } from './rules.ts';
import type { Setting } from './setting.ts';
import { CLASSIFY_SETTINGS, SETTINGS } from './settings.ts';

export type SettingName = keyof typeof SETTINGS;
export type RunSettings = {
  readonly [K in SettingName]: (typeof SETTINGS)[K]['default'] extends number ? number : string;
};

export type Parsed =
  | { readonly ok: true; readonly settings: RunSettings }
  | { readonly ok: false; readonly problem: string };

/** Checks given settings (numbers may be text) and fills in the defaults; the problem names setting, got and wanted. */
export function parseSettings(given: Readonly<Record<string, unknown>>): Parsed {
  const settings: Record<string, number | string> = {};
  for (const name of Object.keys(given)) {
    if (!(name in SETTINGS))
      return { ok: false, problem: `${name}: no such setting; wanted one of ${Object.keys(SETTINGS).join(', ')}` };
  }
  for (const [name, setting] of Object.entries(SETTINGS) as [string, Setting][]) {
    const raw = given[name];
    const value = raw === undefined ? setting.default : readSetting(setting, raw);
    if (value === null)
      return {
        ok: false,
        problem: `${name}: got ${JSON.stringify(raw)}; wanted ${wantedOf(setting)}${ownHint(setting, raw)}`,
      };
    settings[name] = value;
  }
  const parsed = settings as RunSettings;
  if (parsed.degree % 2 === 1)
    return { ok: false, problem: `degree: got ${parsed.degree}; wanted an even number (the graph is made of rings)` };
  if ((parsed.schedule === 'edges') !== (parsed.edges !== ''))
    return {
      ok: false,
      problem: `schedule: got ${parsed.schedule} and ${parsed.edges === '' ? 'no' : 'some'} edges; wanted edges with schedule edges, and only there`,
    };
  if (parsed.averaging === 'product' && RULES[parsed.rule as RuleName].type !== 'pairwise')
    return { ok: false, problem: `rule: got ${parsed.rule} with averaging product; wanted mean or clip there` };
  const idle = CLASSIFY_SETTINGS.find((name) => parsed[name] !== SETTINGS[name].default);
  if (parsed.objective !== 'classify' && idle)
    return {
      ok: false,
      problem: `${idle}: got ${JSON.stringify(parsed[idle])} with objective ${parsed.objective}; wanted it left out, since nothing is classified`,
    };
  return { ok: true, settings: parsed };
}

/** What is hashed to the run id: every setting that alters what is computed, names sorted, as JSON. */
export function canonicalSettings(settings: RunSettings): string {
  const names = (Object.keys(SETTINGS) as SettingName[]).filter((name) => SETTINGS[name].arithmetic).sort();
  return JSON.stringify(names.map((name) => [name, settings[name]]));
}

/** What another program has brought along has to be brought along here too. */
function ownHint(setting: Setting, raw: unknown): string {
  const isOwn = setting.type === 'choice' && setting.own && String(raw).startsWith('own-');
  return isOwn ? '; what begins with own- is brought along by a program (docs/library.md)' : '';
}

/** Characters of a text; all settings together must fit into what a peer is sent (node/host.ts). */
export const MAX_TEXT = 32_768;

function readSetting(setting: Setting, raw: unknown): number | string | null {
  if (setting.type === 'text') {
    const value = typeof raw === 'number' ? String(raw) : raw;
    return typeof value === 'string' && value.length <= MAX_TEXT && (setting.pattern?.test(value) ?? true)
      ? value
      : null;
  }
  if (setting.type === 'choice')
    return typeof raw === 'string' && (setting.choices.includes(raw) || setting.own?.has(raw)) ? raw : null;
  const value = typeof raw === 'string' && raw.trim() !== '' ? Number(raw) : raw;
  if (typeof value !== 'number' || !Number.isFinite(value)) return null;
  if (setting.type === 'integer' && !Number.isInteger(value)) return null;
  return value >= setting.min && value <= setting.max ? value : null;
}

/** What a setting accepts, in words. */
export function wantedOf(setting: Setting): string {
  if (setting.type === 'text') return setting.wanted ?? 'a text';
  if (setting.type === 'choice') return [...setting.choices, ...(setting.own ?? [])].join(' | ');
  const kind = setting.type === 'integer' ? 'an integer' : 'a number';
  const zero = setting.zero ? ` (0: ${setting.zero})` : '';
  return `${kind}${setting.unit ? ` of ${setting.unit}` : ''} from ${setting.min} to ${setting.max}${zero}`;
}
