/** @file What peers call themselves, carried as the agent version of libp2p's identify. Anybody's word: ids stand beside names. */
import { packageVersion } from '../package.ts';

/** Characters of a name. */
export const MAX_NAME = 30;
/** Names that are kept. */
const MAX_NAMES = 1024;

/** What a peer says it is: program, version, and its name where it has one. */
export function agentOf(name: string): string {
  return `lorikeet/${packageVersion()} ${name}`.trimEnd();
}

/** The name in an agent version; '': none. */
export function nameIn(agent: string | undefined): string {
  const [, name = ''] = /^lorikeet\/\S{1,40} (.*)$/su.exec(agent?.slice(0, 1000) ?? '') ?? [];
  return plainText(name, MAX_NAME);
}

/** A text from anywhere, for a line of a terminal: what cannot be printed becomes a space, and what is too long is cut. */
export function plainText(text: string, max: number): string {
  const plain = text.replace(/[\p{C}\s]+/gu, ' ').trim();
  return plain.slice(0, max).replace(/[\uD800-\uDBFF]$| $/, '');
}

/** Names by id, those that were heard of last. */
export function createNames(): { readonly all: ReadonlyMap<string, string>; hear(id: string, agent?: string): void } {
  const all = new Map<string, string>();
  return {
    all,
    hear: (id, agent) => {
      const name = nameIn(agent);
      all.delete(id);
      if (name !== '') all.set(id, name);
      if (all.size > MAX_NAMES) all.delete(all.keys().next().value!);
    },
  };
}
