/** @file Which class of transformers loads a model folder, as its config.json says. */
import { BY_TYPE } from '../model/config.ts';
import type { ModelClass } from './peft.ts';

/** The folder of a kind of model in transformers, where it is not called as the kind is. */
const FOLDERS: Readonly<Record<string, string>> = { gemma3_text: 'gemma3' };

/** Null where the configuration does not tell. */
export function modelClassOf(config: Readonly<Record<string, unknown>>): ModelClass | null {
  const type = modelTypeOf(config);
  if (type === null) return null;
  const room = FOLDERS[type] ?? type;
  return { name: BY_TYPE[type]!, library: `transformers.models.${room}.modeling_${room}` };
}

/** The model_type of a configuration, also where it names only the class. */
export function modelTypeOf({ model_type: type, architectures }: Readonly<Record<string, unknown>>): string | null {
  if (typeof type === 'string' && Object.hasOwn(BY_TYPE, type)) return type;
  const name = Array.isArray(architectures) ? architectures[0] : null;
  return Object.keys(BY_TYPE).find((known) => BY_TYPE[known] === name) ?? null;
}
