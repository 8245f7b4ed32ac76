/**
 * @file Who may use the page: whoever has its token, from a page of its own. Other sites' pages, which may send requests here from
 * the same browser, are told from it by Host (DNS rebinding), Origin and Sec-Fetch-Site (cross-site requests).
 */
import { randomBytes, timingSafeEqual } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';
import { isIP } from 'node:net';

const TOKEN_BYTES = 24;

export function newToken(): string {
  return randomBytes(TOKEN_BYTES).toString('base64url');
}

export interface Pass {
  readonly token: string;
  /** Pages of several peers on a machine share its cookies, so each has a name of its own. */
  readonly cookie: string;
}

/** Why a request is not answered, as a status and a line; null: it may be. */
export function refusalOf(
  { method, url, headers }: { method: string; url: string; headers: IncomingHttpHeaders },
  pass: Pass,
): { readonly status: number; readonly line: string } | null {
  if (!isOwnHost(headers.host ?? '')) return { status: 403, line: 'wanted this machine by its address, or localhost' };
  const isReading = method === 'GET' || method === 'HEAD';
  if (!isReading && headers.origin !== `http://${headers.host}`)
    return { status: 403, line: 'wanted a request of the page itself' };
  const isFromElsewhere = headers['sec-fetch-site'] === 'cross-site' || headers['sec-fetch-site'] === 'same-site';
  if (isFromElsewhere && headers['sec-fetch-mode'] !== 'navigate')
    return { status: 403, line: 'wanted a request of the page itself' };
  const given = tokenIn(url) ?? cookieIn(headers.cookie ?? '', pass.cookie);
  return given !== null && isSame(given, pass.token)
    ? null
    : { status: 401, line: 'wanted the link that lorikeet has printed: it holds a token' };
}

/** A name that leads here may be anybody's; an address is nobody else's. */
function isOwnHost(host: string): boolean {
  const [, v6, plain] = /^(?:\[([^\]]+)\]|([^:]+))(?::\d{1,5})?$/.exec(host) ?? [];
  return plain === 'localhost' || isIP(v6 ?? plain ?? '') !== 0;
}

/** Only the page itself takes it from its link. */
function tokenIn(url: string): string | null {
  return url.startsWith('/?') ? new URLSearchParams(url.slice(2)).get('token') : null;
}

function cookieIn(header: string, name: string): string | null {
  const found = header.split(';').find((part) => part.trim().startsWith(`${name}=`));
  return found?.trim().slice(name.length + 1) ?? null;
}

function isSame(given: string, token: string): boolean {
  const [a, b] = [Buffer.from(given), Buffer.from(token)];
  return a.length === b.length && timingSafeEqual(a, b);
}

/** Sent with every answer: nothing but the page's own files is loaded, asked or shown around it. */
export const SAFE_HEADERS: Readonly<Record<string, string>> = {
  'content-security-policy':
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
  'referrer-policy': 'no-referrer',
  'x-content-type-options': 'nosniff',
  'cache-control': 'no-store',
};
