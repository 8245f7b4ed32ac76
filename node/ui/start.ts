/** @file Opens the page beside a peer: where its address cannot be had a line says so, and the peer goes on without. */
import { isIP } from 'node:net';
import { messageOf, UserError } from '../errors.ts';
import type { PageServer } from './server.ts';

/** Where the page is to be; null: nowhere. */
export interface PagePlace {
  readonly host: string;
  readonly port: number;
}

/** Reads `--ui` and `--no-ui`. Throws a UserError on what is no address. */
export function pagePlace(flag: string | boolean | undefined): PagePlace | null {
  if (flag === false) return null;
  if (flag === true || flag === undefined) return { host: '127.0.0.1', port: 0 };
  const [, v6, plain, port = ''] = /^(?:(?:\[([^\]]*)\]|([^:]*)):)?(\d{1,5})$/.exec(flag) ?? [];
  const host = v6 ?? plain ?? '127.0.0.1';
  if (port === '' || Number(port) > 65_535 || isIP(host) === 0)
    throw new UserError(
      'usage',
      `--ui: got ${JSON.stringify(flag)}; wanted a port, or ADDRESS:PORT such as 127.0.0.1:8090; 0: a free one`,
    );
  return { host, port: Number(port) };
}

/** Opens it, with nobody to show yet. Says its link, or why there is none. */
export async function openPage(
  place: PagePlace | null,
  { note, onUrl }: { note: (line: string) => void; onUrl?: (url: string) => void },
): Promise<PageServer | null> {
  if (!place) return null;
  try {
    const [{ createPageServer }, { readPageFiles }] = await Promise.all([
      import('./server.ts'),
      import('./document.ts'),
    ]);
    const server = await createPageServer({ ...place, files: readPageFiles(), onError: note });
    note(`the page of this peer: ${server.url}`);
    if (!isLoopbackHost(place.host)) note('whoever has that link can do there what you can, and it is not encrypted');
    onUrl?.(server.url);
    return server;
  } catch (error) {
    note(`no page (--ui): ${messageOf(error)}; going on without`);
    return null;
  }
}

function isLoopbackHost(host: string): boolean {
  return host.startsWith('127.') || host === '::1';
}
