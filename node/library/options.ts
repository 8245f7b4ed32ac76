/** @file What a program hands over to take part in a swarm: texts, settings, this machine, and what it brings of its own. */
import { addCodec, type Codec } from '../../protocol/codec.ts';
import type { RunSettings } from '../../protocol/config.ts';
import { addRule, type Rule } from '../../protocol/rules.ts';
import { addressAt } from '../addresses.ts';
import type { Device } from '../engine/device.ts';
import type { Visits } from '../entry/arrive.ts';
import { UserError } from '../errors.ts';
import type { CreateHost } from '../host.ts';
import { type DataFile, dataOf, openData } from '../texts/data.ts';
import type { Learner } from '../train/objective.ts';
import type { Run } from '../train/run.ts';

/** A file as the command line reads it, or rows. */
export type Data = string | readonly { readonly text: string; readonly label?: string | null }[];

/** A mixing rule of one's own. Its name begins with `own-` and is part of what the run id covers. */
export type Aggregator = Rule & { readonly name: string };

/** A way to pack adapters of one's own: its name begins with `own-`, its id is 128 to 255. */
export type OwnCodec = Codec & { readonly name: string };

/** A network of one's own: how a peer takes part in it, and how somebody from outside asks those an invite names. */
export interface Transport extends Visits {
  readonly createHost: CreateHost;
}

/** Local training of one's own on the run's adapter; the base is not computed unless scores are asked for. */
export type OwnTrainer = Learner | ((run: Run) => Learner | Promise<Learner>);

/** What createSwarm and joinSwarm have in common. */
export interface PeerOptions {
  /** This peer's own texts; they stay here. May be left out with a trainer of one's own. */
  readonly data?: Data;
  /** Texts nobody trains on, for compare(). */
  readonly test?: Data;
  /** Texts nobody trains on, scored after each mixing that there is time for. */
  readonly watch?: Data;
  /** The folder that keeps the peer's state, from which it goes on another time; left out: a temporary one, gone with the peer. */
  readonly state?: string;
  /** The address to listen on; 0.0.0.0 lets other machines in. Left out: 127.0.0.1, or what an invite asks for. */
  readonly host?: string;
  /** The TCP port; 0 or left out: the one of the state, or a free one. */
  readonly port?: number;
  /** Names this peer's shuffles: with the same names and settings the same numbers come out; others see it called so. Left out: its id. */
  readonly name?: string;
  readonly device?: Device;
  /** Of the trainer; 0: as many as onnxruntime likes. */
  readonly threads?: number;
  readonly aggregator?: Aggregator;
  readonly codec?: OwnCodec;
  readonly trainer?: OwnTrainer;
  readonly transport?: Transport;
  /** Stops the peer, its state kept, whatever it is at; what waits throws the reason. */
  readonly signal?: AbortSignal;
}

export interface CreateOptions extends PeerOptions {
  /** Of the run; the others follow. See docs/settings.md. */
  readonly settings?: Partial<RunSettings>;
  /** Lets anybody in that can connect, without an invite's ticket. */
  readonly open?: boolean;
  /** The folder of an adapter to start from. */
  readonly from?: string;
}

export interface JoinOptions extends PeerOptions {
  /** This peer's own: base (a copy of the run's), localRank, deadlines. */
  readonly settings?: Partial<RunSettings>;
}

/** Adds to the protocol's tables what a program brings, and gives the settings that ask for it. */
export function bringAlong({ aggregator, codec, trainer }: PeerOptions): Partial<RunSettings> {
  try {
    if (aggregator) addRule(aggregator.name, aggregator);
    if (codec) addCodec(codec.name, codec);
  } catch (error) {
    if (error instanceof RangeError) throw new UserError('usage', error.message);
    throw error;
  }
  return {
    ...(aggregator ? { rule: aggregator.name } : {}),
    ...(codec ? { codec: codec.name } : {}),
    // Nothing measures it where the program trains by itself.
    ...(trainer ? { labelPrior: 'off' } : {}),
  };
}

/** Reads texts. Throws a UserError that names the option or the file. */
export function readData(data: Data, option: string, objective: string): DataFile {
  return typeof data === 'string' ? openData(data, { objective }) : dataOf(data, option);
}

/** Where to listen, as a multiaddress. */
export function listenAt({ host = '127.0.0.1', port = 0 }: PeerOptions, savedPort: number): string {
  return addressAt(host, port || savedPort);
}
