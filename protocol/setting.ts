/** @file What a setting is: its default, bounds and reasons, as an entry of the table in settings.ts. */

interface Common {
  /** One line, as help shows it. */
  readonly about: string;
  /** Why this default. */
  readonly why: string;
  /** Whether a change alters what is computed, and so the run id. */
  readonly arithmetic: boolean;
}
export interface NumberSetting extends Common {
  readonly type: 'integer' | 'number';
  readonly default: number;
  readonly min: number;
  readonly max: number;
  readonly unit?: string;
  /** What 0 means, where it is special. */
  readonly zero?: string;
}
export interface TextSetting extends Common {
  readonly type: 'text';
  readonly default: string;
  readonly pattern?: RegExp;
  readonly wanted?: string;
}
export interface ChoiceSetting extends Common {
  readonly type: 'choice';
  readonly default: string;
  readonly choices: readonly string[];
  /** What a program has added for itself. */
  readonly own?: ReadonlySet<string>;
}
export type Setting = NumberSetting | TextSetting | ChoiceSetting;

/** A text, that fits a pattern where one is given. */
export function text(
  value: string,
  about: string,
  why: string,
  arithmetic: boolean,
  pattern?: RegExp,
  wanted?: string,
): TextSetting & { default: string } {
  return {
    type: 'text',
    default: value,
    about,
    why,
    arithmetic,
    ...(pattern ? { pattern } : {}),
    ...(wanted ? { wanted } : {}),
  };
}
type NumberRow = [
  value: number,
  min: number,
  max: number,
  about: string,
  why: string,
  arithmetic: boolean,
  more?: { unit?: string; zero?: string },
];
/** A whole number within bounds. */
export function integer(...row: NumberRow): NumberSetting {
  return { ...number(...row), type: 'integer' };
}
/** A number within bounds. */
export function number(...[value, min, max, about, why, arithmetic, more]: NumberRow): NumberSetting {
  return { type: 'number', default: value, min, max, about, why, arithmetic, ...more };
}
/** One of some words; of `own` too, which a program may fill. */
export function choice(
  value: string,
  choices: readonly string[],
  about: string,
  why: string,
  arithmetic: boolean,
  own?: ReadonlySet<string>,
): ChoiceSetting {
  return { type: 'choice', default: value, choices, about, why, arithmetic, ...(own ? { own } : {}) };
}
