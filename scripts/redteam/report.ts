/** @file An outcome as a line. */
import type { Outcome } from './judge.ts';

export function lineOf({
  name,
  did,
  held,
  problems,
  rounds,
  memory,
  refused,
  refusedMs,
  newcomerMs,
  more,
  isDocumented,
}: Outcome): string {
  const parts = [`${name}: ${did}`];
  if (rounds) {
    const { before, under, after } = rounds;
    const three = (which: 'p50' | 'p95'): string => [before, under, after].map((of) => seconds(of[which])).join(' ');
    parts.push(`round p50 ${three('p50')} s, p95 ${three('p95')} s (before, under, after)`);
  }
  if (memory)
    parts.push(`memory ${memory.before.toFixed(0)} MB, ${signed(memory.more)} under, ${signed(memory.back)} after`);
  const codes = Object.entries(refused ?? {}).map(([code, count]) => `${code} ${count}`);
  if (codes.length > 0) parts.push(`refused ${codes.join(', ')}`);
  if (refusedMs !== undefined && refusedMs !== null) parts.push(`the first after ${seconds(refusedMs)} s`);
  if (newcomerMs !== undefined && newcomerMs !== null) parts.push(`a newcomer in ${seconds(newcomerMs)} s`);
  if (more) parts.push(more);
  const broken = isDocumented ? 'does not hold with rule mean, as documented' : 'NOT HELD';
  return `${parts.join('; ')}; ${held ? 'held' : `${broken}: ${problems.join('; ')}`}`;
}

function seconds(ms: number | null): string {
  return ms === null ? '-' : (ms / 1000).toFixed(2);
}

function signed(mb: number): string {
  return `${mb < 0 ? '' : '+'}${mb.toFixed(0)}`;
}
